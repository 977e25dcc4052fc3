//! What a value depends on, as its author says it.

use std::fmt;
use std::sync::Arc;

use sea_orm::{
    DbBackend, EntityTrait, PrimaryKeyTrait, QueryTrait, Select, SelectTwo, SelectTwoMany,
    Statement,
};

use crate::cache::Engine;
use crate::depend::Plan;
use crate::event::Reason;
use crate::fill::user_tags;
use crate::sql::facts::Analysis;

type Build = Arc<dyn Fn(DbBackend) -> Statement + Send + Sync>;

/// What a value depends on; made by [`deps!`](crate::deps). An empty one says that it changes only
/// with its TTL, or when it is invalidated.
#[derive(Clone, Default)]
#[must_use]
pub struct Dependencies {
    queries: Vec<Query>,
    tags: Vec<Arc<str>>,
}

#[derive(Clone)]
struct Query {
    build: Build,
    /// It stands for all rows of its tables, in whatever state.
    whole: bool,
}

/// Something that a value may depend on: an entity (all of its rows), a select, or a tag (`&str`).
///
/// `By` tells apart what is meant, and is found by the compiler.
pub trait Dependency<By> {
    #[doc(hidden)]
    fn add_to(self, dependencies: &mut Dependencies);
}

/// Says what a value depends on, for [`cached_as`](crate::QueryCache::cached_as):
///
/// | | the value ends when |
/// |---|---|
/// | `author::Entity` | any row of the table changes, comes or goes |
/// | `book::Entity => 5` | the row with this primary key changes, comes or goes |
/// | a select | a row changes, comes or goes that it could show |
/// | `"homepage"` | [`invalidate_tag("homepage")`](crate::QueryCache::invalidate_tag) is called |
///
/// ```
/// # mod cake {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "cake")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub price: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
/// use sea_orm_cache::deps;
///
/// let cheap = cake::Entity::find().filter(cake::Column::Price.lt(100));
/// let dependencies = deps![cake::Entity => 5, cheap, "homepage"];
/// ```
#[macro_export]
macro_rules! deps {
    ($($what:expr $(=> $key:expr)?),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut dependencies = $crate::Dependencies::default();
        $($crate::deps!(@one dependencies, $what $(, $key)?);)*
        dependencies
    }};
    (@one $dependencies:ident, $what:expr) => {
        $dependencies = $dependencies.on($what)
    };
    (@one $dependencies:ident, $what:expr, $key:expr) => {
        $dependencies = $dependencies.on_row($what, $key)
    };
}

impl Dependencies {
    /// Also depends on this.
    pub fn on<By>(mut self, what: impl Dependency<By>) -> Self {
        what.add_to(&mut self);
        self
    }

    /// Also depends on the row with this primary key, whether or not it is there.
    pub fn on_row<E, K>(mut self, _: E, key: K) -> Self
    where
        E: EntityTrait,
        K: Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
    {
        let select = E::find_by_id(key);
        self.select(move |backend| select.build(backend), false);
        self
    }

    fn select(
        &mut self,
        build: impl Fn(DbBackend) -> Statement + Send + Sync + 'static,
        whole: bool,
    ) {
        self.queries.push(Query { build: Arc::new(build), whole });
    }

    /// All tags of what could change, by the catalog of each connected database that has it.
    ///
    /// # Errors
    ///
    /// Why something can't be told.
    pub(crate) async fn plan(&self, engine: &Engine, scoped: bool) -> Result<Plan, Reason> {
        let mut plan = Plan { always: user_tags(&self.tags), ..Plan::default() };
        if let Some(shared) = engine.shared.as_ref().filter(|_| self.queries.is_empty()) {
            // Nothing depends on it, but the store wants it named.
            plan.schema = shared.mark_schema(engine).await;
        }
        let mut known = Vec::new();
        for database in engine.connected().into_iter().filter(|_| !self.queries.is_empty()) {
            let understanding = database.fresh().await;
            if !understanding.schema.known {
                // It may have the table, too, and other slices of it.
                return Err(Reason::NoCatalog);
            }
            known.push((understanding, database));
        }
        let mut versions =
            known.iter().map(|(understanding, database)| database.version_of(understanding));
        if let Some(version) = versions.next() {
            if versions.any(|other| other != version) {
                return Err(Reason::SchemaMoved);
            }
            plan.schema = version;
        }
        for query in &self.queries {
            let mut failure = Some(Reason::NoCatalog);
            for (understanding, database) in &known {
                let statement = (query.build)(database.backend);
                match &*understanding.analyze(&statement.sql) {
                    Analysis::Read(facts) if facts.uncacheable.is_none() => {
                        let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
                        let hidden = facts.row_security.clone().filter(|_| !scoped);
                        if let Some(table) = hidden {
                            return Err(Reason::RowSecurity(table));
                        }
                        let plan_of = if query.whole { Plan::whole } else { Plan::new };
                        plan.join(plan_of(facts, values, &understanding.schema));
                        failure = None;
                    }
                    Analysis::Read(facts) if failure.is_some() => {
                        failure = facts.uncacheable.clone();
                    }
                    _ => {}
                }
            }
            if let Some(reason) = failure {
                return Err(reason);
            }
        }
        Ok(plan)
    }
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sql = |query: &Query| (query.build)(DbBackend::Postgres).to_string();
        f.debug_struct("Dependencies")
            .field("queries", &self.queries.iter().map(sql).collect::<Vec<_>>())
            .field("tags", &self.tags)
            .finish()
    }
}

/// All rows of an entity.
#[derive(Debug)]
pub struct ByEntity;

/// A query's own tags.
#[derive(Debug)]
pub struct BySelect;

/// A name.
#[derive(Debug)]
pub struct ByName;

impl<E: EntityTrait> Dependency<ByEntity> for E {
    fn add_to(self, dependencies: &mut Dependencies) {
        dependencies.select(|backend| E::find().build(backend), true);
    }
}

macro_rules! selects {
    ($($select:ident<$($entity:ident),+>)*) => {$(
        impl<$($entity: EntityTrait),+> Dependency<BySelect> for $select<$($entity),+> {
            fn add_to(self, dependencies: &mut Dependencies) {
                dependencies.select(move |backend| self.build(backend), false);
            }
        }
    )*};
}

selects!(Select<E> SelectTwo<E, F> SelectTwoMany<E, F>);

impl Dependency<ByName> for &str {
    fn add_to(self, dependencies: &mut Dependencies) {
        dependencies.tags.push(self.into());
    }
}
