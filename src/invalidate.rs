//! Invalidating by hand: whole families, rows, entities, names.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query, TableRef};
use sea_orm::{DbBackend, EntityTrait, PrimaryKeyTrait, QueryTrait, Statement};

use crate::cache::{Engine, QueryCache};
use crate::change::{Bump, Change, Effect, Row};
use crate::database::{Database, Understanding};
use crate::depend::Plan;
use crate::effect::{Known, changes};
use crate::error::Error;
use crate::event::Cause;
use crate::key::Family;
use crate::schema::Schema;
use crate::shared::Under;
use crate::sql::facts::Analysis;
use crate::tag::Tag;
use crate::value_name::{matching, value_segment};

/// What is to be invalidated. However much that is, it costs a few bumps: nothing is searched for.
///
/// Give it to [`QueryCache::invalidate`], to [`CachedTransaction::invalidate`](crate::CachedTransaction::invalidate), where it waits for
/// the commit, or to [a rule](crate::Rules).
///
/// ```
/// # mod cake {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "cake")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use sea_orm_cache::Invalidate;
///
/// let invalidate = Invalidate::lists::<cake::Entity>().and(Invalidate::tag("homepage"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Invalidate {
    targets: Vec<Target>,
}

#[derive(Clone)]
enum Target {
    Tag(Tag),
    /// A family's tables whose names match.
    Matching(Family, String),
    /// Everything that reads the tables of a query.
    Tables(Build),
    /// The row that a DELETE names.
    Row(Build),
}

type Build = Arc<dyn Fn(DbBackend) -> Statement + Send + Sync>;

impl Invalidate {
    fn one(target: Target) -> Self {
        Self { targets: vec![target] }
    }

    fn family<E: EntityTrait>(families: &[Family]) -> Self {
        let table: Arc<str> = E::default().table_name().into();
        let tag = |family: &Family| Target::Tag(Tag::Family(*family, table.clone()));
        Self { targets: families.iter().map(tag).collect() }
    }

    /// What was read with `one`, by whatever condition.
    pub fn models<E: EntityTrait>() -> Self {
        Self::family::<E>(&[Family::Model])
    }

    /// What was read with `all`, and pages.
    pub fn lists<E: EntityTrait>() -> Self {
        Self::family::<E>(&[Family::List, Family::Page])
    }

    /// What was read with `count` or `exists`, and totals of pages.
    pub fn counts<E: EntityTrait>() -> Self {
        Self::family::<E>(&[Family::Count])
    }

    /// What of this entity was loaded for models of others.
    pub fn loads<E: EntityTrait>() -> Self {
        Self::family::<E>(&[Family::Related])
    }

    /// Everything that the entity's table is read for, joins and computed values included.
    pub fn entity<E: EntityTrait>() -> Self {
        Self::one(Target::Tables(Arc::new(|backend| E::find().build(backend))))
    }

    /// The same for a table that no type names.
    pub(crate) fn table(table: TableRef) -> Self {
        let select = Query::select().expr(Expr::val(1)).from(table).take();
        Self::one(Target::Tables(Arc::new(move |backend| backend.build(&select))))
    }

    /// Everything that a change of this row could change, whichever it is: as if it had been
    /// inserted, updated in every column, and deleted. For a write that the cache did not see.
    pub fn row<E, K>(key: K) -> Self
    where
        E: EntityTrait,
        K: Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
    {
        let delete = E::delete_by_id(key);
        Self::one(Target::Row(Arc::new(move |backend| delete.build(backend))))
    }

    /// Everything that was marked with this name by [`tag`](crate::Cached::tag).
    pub fn tag(name: &str) -> Self {
        Self::one(Target::Tag(Tag::User(name.into())))
    }

    /// The computed values of this name, whatever their arguments.
    pub fn value(name: &str) -> Self {
        Self::one(Target::Tag(Tag::Family(Family::Value, value_segment(name).into())))
    }

    /// What a pattern of keys names: `family:table:*`, where `*` stands for anything and `?` for one
    /// character, without the prefix and version of the cache. `list:book:*` is the lists and
    /// nothing else of `book`, `*:book` is all of its families, `count:*` all counts, `value:top` the
    /// computed values of that name.
    ///
    /// Tables are those that a connected database lists or that this cache has read. Behind `value:`
    /// stands all of a value's name: `value:dashboard:*` is what is named `dashboard` or begins with
    /// `dashboard:`. Values are told apart up to the last `:` before the first `*` or `?`, so
    /// `value:dashboard:4?` ends these as well, and `value:dash*` ends all values. None of that looks
    /// for entries: it takes as long for one as for a million, in all processes.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it names no family, or picks among the entries of one.
    ///
    /// ```
    /// use sea_orm_cache::Invalidate;
    ///
    /// # fn main() -> Result<(), sea_orm_cache::Error> {
    /// let lists = Invalidate::pattern("list:book:*")?;
    /// assert!(Invalidate::pattern("lists:book:*").is_err());
    /// # Ok(()) }
    /// ```
    pub fn pattern(pattern: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::config(format!("pattern {pattern:?}: {why}"));
        if pattern == "*" {
            return Ok(Self::all());
        }
        let (family, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
        let (table, entry) = rest.split_once(':').unwrap_or((rest, "*"));
        let mut targets = Vec::new();
        for of in Family::ALL.into_iter().filter(|of| matches(family, of.name())) {
            match of {
                Family::Value => targets.extend(matching(rest).into_iter().map(Target::Tag)),
                _ if entry != "*" => {
                    return Err(wrong("entries of one table are not named apart: end it with *"));
                }
                _ if table.contains(['*', '?']) => {
                    targets.push(Target::Matching(of, table.to_owned()));
                }
                _ => targets.push(Target::Tag(Tag::Family(of, table.into()))),
            }
        }
        if targets.is_empty() {
            let known = Family::ALL.map(Family::name).join(", ");
            return Err(wrong(&format!("no such family; there are {known}")));
        }
        Ok(Self { targets })
    }

    /// Everything.
    pub fn all() -> Self {
        Self::one(Target::Tag(Tag::All))
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.targets.extend(other.targets);
        self
    }

    /// What it bumps, and under which schema that was found.
    pub(crate) fn bump(&self, engine: &Engine) -> (Bump, Under) {
        let mut bump = Bump::default();
        let mut under = Under::Any;
        let mut known: Option<Vec<(Arc<Database>, Arc<Understanding>)>> = None;
        for target in &self.targets {
            let build = match target {
                Target::Tag(tag) => {
                    bump.push(tag.clone());
                    continue;
                }
                Target::Matching(family, pattern) => {
                    for table in engine.tables() {
                        if matches(pattern, &table) {
                            bump.push(Tag::Family(*family, table));
                        }
                    }
                    continue;
                }
                Target::Tables(build) | Target::Row(build) => build,
            };
            let known = known.get_or_insert_with(|| {
                let current = |database: Arc<Database>| (database.clone(), database.current());
                engine.connected().into_iter().map(current).collect()
            });
            let mut found = false;
            for (database, understanding) in known.iter() {
                let part = target.bump_in(&build(database.backend), understanding);
                found |= part.is_some();
                bump.merge(part.unwrap_or_default());
            }
            let version = |(database, known): &(Arc<Database>, _)| database.version_of(known);
            let versions: Vec<_> = known.iter().map(version).collect();
            let same = versions.iter().all(|version| *version == versions[0]);
            under = Under::Schema(versions.first().copied().flatten().filter(|_| same));
            if !found || known.iter().any(|(_, understanding)| !understanding.schema.known) {
                // Nobody here knows the table, or what its slices are, but others may.
                bump.push(Tag::All);
            }
        }
        (bump, under)
    }
}

/// Does a text match a pattern, in which `*` stands for anything and `?` for one character?
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Behind the last star, and where the text goes on if that stands for one more character.
    let mut again = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                again = Some((at, seen + 1));
            }
            Some(one) if *one == '?' || *one == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star, next)) = again else { return false };
                (at, seen) = (star, next);
                again = Some((star, next + 1));
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

impl Engine {
    /// The tables that entries may be named after, as far as is known here.
    fn tables(&self) -> HashSet<Arc<str>> {
        let mut tables: HashSet<Arc<str>> = self.stats.tables();
        for database in self.connected() {
            let known = database.current();
            let names = known.schema.tables.keys().chain(known.schema.views.keys());
            tables.extend(names.map(|name| name.rsplit('.').next().unwrap_or(name).into()));
        }
        tables
    }
}

impl Target {
    /// `None` if this database has no such table.
    fn bump_in(&self, statement: &Statement, understanding: &Understanding) -> Option<Bump> {
        let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
        let schema = &understanding.schema;
        let mut bump = Bump::default();
        match &*understanding.analyze(&statement.sql) {
            Analysis::Read(facts) if facts.uncacheable.is_none() => {
                for table in Plan::whole(facts, values, schema).tables {
                    bump.add(&Change { table, effect: Effect::Unknown }, schema);
                }
            }
            Analysis::Write(facts) => {
                let deletes = facts.iter().flat_map(|facts| {
                    schema
                        .table(&facts.table)
                        .is_some()
                        .then(|| changes(facts, values, Known::default(), schema))
                });
                for change in deletes.flatten() {
                    any_change(&change, schema).iter().for_each(|one| bump.add(one, schema));
                }
            }
            _ => return None,
        }
        (!bump.is_empty()).then_some(bump)
    }
}

/// Whatever may have happened to the rows of a DELETE.
pub(crate) fn any_change(delete: &Change, schema: &Schema) -> Vec<Change> {
    let table = delete.table.clone();
    let (Effect::Delete(rows), Some(known)) = (&delete.effect, schema.table(&table)) else {
        return vec![Change { table, effect: Effect::Unknown }];
    };
    let both = |row: &Row| Row { before: row.before.clone(), after: row.before.clone() };
    let rows: Vec<_> = rows.iter().map(both).collect();
    let is_key = |name: &Arc<str>| known.primary_key().any(|key| key.name == *name);
    let set = known.columns.iter().map(|column| column.name.clone());
    let set = set.filter(|name| !is_key(name)).collect();
    [Effect::Insert(rows.clone()), Effect::Delete(rows.clone()), Effect::Update { set, rows }]
        .map(|effect| Change { table: table.clone(), effect })
        .into()
}

impl QueryCache {
    /// Invalidates this, in all processes that share a store, too, once it returns. A store that is
    /// away is told as soon as it is back; an event says so.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use sea_orm_cache::{Invalidate, QueryCache};
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// cache.invalidate(Invalidate::tag("homepage").and(Invalidate::value("dashboard"))).await;
    /// # Ok(()) }
    /// ```
    pub async fn invalidate(&self, what: Invalidate) {
        let (bump, under) = what.bump(&self.engine);
        self.engine.bump_under(&bump, under, || Cause::Requested);
        // That it could not be delivered is told by an event.
        let _ = self.engine.delivered().await;
    }

    /// Invalidates what was read of an entity with `one`: [`Invalidate::models`].
    pub async fn invalidate_models<E: EntityTrait>(&self) {
        self.invalidate(Invalidate::models::<E>()).await;
    }

    /// Invalidates lists and pages of an entity: [`Invalidate::lists`].
    pub async fn invalidate_lists<E: EntityTrait>(&self) {
        self.invalidate(Invalidate::lists::<E>()).await;
    }

    /// Invalidates counts of an entity's rows: [`Invalidate::counts`].
    pub async fn invalidate_counts<E: EntityTrait>(&self) {
        self.invalidate(Invalidate::counts::<E>()).await;
    }

    /// Invalidates what was loaded of an entity for models of others: [`Invalidate::loads`].
    pub async fn invalidate_related<E: EntityTrait>(&self) {
        self.invalidate(Invalidate::loads::<E>()).await;
    }

    /// Invalidates everything that a change of this row could change: [`Invalidate::row`].
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.invalidate_row::<cake::Entity>(5).await;
    /// # Ok(()) }
    /// ```
    pub async fn invalidate_row<E: EntityTrait>(
        &self,
        key: impl Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType>,
    ) {
        self.invalidate(Invalidate::row::<E, _>(key)).await;
    }

    /// Invalidates everything that an entity's table is read for: [`Invalidate::entity`].
    pub async fn invalidate_entity<E: EntityTrait>(&self) {
        self.invalidate(Invalidate::entity::<E>()).await;
    }

    /// Invalidates the computed values of this name: [`Invalidate::value`].
    pub async fn invalidate_value(&self, name: &str) {
        self.invalidate(Invalidate::value(name)).await;
    }

    /// Invalidates what a pattern of keys names: [`Invalidate::pattern`].
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if it names nothing.
    pub async fn invalidate_pattern(&self, pattern: &str) -> Result<(), Error> {
        self.invalidate(Invalidate::pattern(pattern)?).await;
        Ok(())
    }

    /// Invalidates every entry that a query marked with this name
    /// ([`tag`](crate::Cached::tag)), whatever the number of entries.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// sea_orm_cache::QueryCache::builder().build().await?.invalidate_tag("homepage").await;
    /// # Ok(()) }
    /// ```
    pub async fn invalidate_tag(&self, name: &str) {
        self.invalidate(Invalidate::tag(name)).await;
    }

    /// Invalidates every entry of this prefix and version.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// sea_orm_cache::QueryCache::builder().build().await?.invalidate_all().await;
    /// # Ok(()) }
    /// ```
    pub async fn invalidate_all(&self) {
        self.invalidate(Invalidate::all()).await;
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag}"),
            Self::Matching(family, pattern) => write!(f, "{family}:{pattern}"),
            Self::Tables(build) | Self::Row(build) => {
                write!(f, "{}", build(DbBackend::Postgres))
            }
        }
    }
}
