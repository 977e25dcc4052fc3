//! What the user says about the database that its catalog does not tell.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use sea_orm::EntityTrait;

use crate::cache::{Engine, QueryCache};
use crate::policy::{self, KeyIgnored, Policies};
use crate::schema::{Name, Routine, Schema, View};
use crate::sql::facts::{Analysis, WriteFacts};
use crate::sql::{self, Dialect};

/// What was declared, by the names that SQL uses: `table`, or `schema.table` where a bare name does
/// not find it.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    /// What the triggers on a table write.
    triggers: HashMap<Name, Vec<Name>>,
    /// The tables that a view shows.
    views: HashMap<Name, Vec<Name>>,
    /// The tables that a function reads.
    functions: HashMap<Name, Vec<Name>>,
    /// What entities say, by the names of their tables.
    pub(crate) policies: Policies,
}

/// Says what the database's catalog does not: see [`QueryCache::declare`]. What is said counts from
/// then on, for every connection of the cache, and invalidates every entry once.
///
/// Tables are named as in SQL: `stock`, or `audit.stock` where a bare name does not find it.
#[derive(Debug)]
pub struct Declare<'c> {
    cache: &'c QueryCache,
}

impl Declarations {
    /// Completes what the catalog told, and says which keys it could not use. `alone`: no other
    /// process writes the same tables through a cache.
    pub(crate) fn complete(
        &self,
        schema: &mut Schema,
        dialect: Dialect,
        alone: bool,
    ) -> Vec<KeyIgnored> {
        let mut known = Vec::new();
        for (at, trigger) in schema.triggers.iter().enumerate() {
            let written = self.triggers.get(&trigger.table).filter(|_| trigger.writes.is_none());
            let tables =
                written.map(|written| written.iter().map(|of| wholly(of, schema, dialect)));
            // One name that can't be found leaves everything unknown, as the event will say.
            if let Some(Some(writes)) = tables.map(Iterator::collect::<Option<Vec<_>>>) {
                known.push((at, writes.concat()));
            }
        }
        for (at, writes) in known {
            schema.triggers[at].writes = Some(writes);
        }
        for (view, tables) in &self.views {
            let Some(view) = schema.views.get_mut(view) else { continue };
            // Every column of every table, in no particular order: what shows it depends on all.
            let from: Vec<_> = tables.iter().map(|table| spelled(table, dialect)).collect();
            let sql = format!("CREATE VIEW v AS SELECT * FROM {}", from.join(", "));
            *view = View { sql, declared: true };
        }
        for (function, tables) in &self.functions {
            let routine = Routine { may_write: false, reads: Some(tables.clone()) };
            schema.routines.insert(function.clone(), routine);
        }
        policy::apply(&self.policies, schema, dialect, alone)
    }
}

/// What a write to this table, partition or view means, by its name in SQL or in the catalog.
fn wholly(name: &str, schema: &Schema, dialect: Dialect) -> Option<Vec<WriteFacts>> {
    if let Some(table) = schema.table(name) {
        return Some(vec![WriteFacts::unknown(table.name.clone())]);
    }
    match sql::analyze(&format!("DELETE FROM {name}"), dialect, schema) {
        Analysis::Write(facts) => {
            Some(facts.into_iter().map(|facts| WriteFacts::unknown(facts.table)).collect())
        }
        _ => None,
    }
}

fn spelled(table: &str, dialect: Dialect) -> String {
    let parts: Vec<_> = table.split('.').map(|part| dialect.quote(part)).collect();
    parts.join(".")
}

fn names<N: AsRef<str>>(tables: impl IntoIterator<Item = N>) -> Vec<Name> {
    tables.into_iter().map(|table| table.as_ref().into()).collect()
}

/// The name under which the catalog lists an entity's table, with its schema only if it has one.
fn table_of<E: EntityTrait>() -> (Name, Option<Name>) {
    let entity = E::default();
    let full = entity.schema_name().map(|of| sql::qualified(of, entity.table_name()));
    (entity.table_name().into(), full)
}

impl Declare<'_> {
    /// The triggers on an entity's table write these tables (and nothing else). Without it, a write
    /// to a table whose triggers can't be understood invalidates everything; that is every one on
    /// PostgreSQL, where they are written in a language of their own. The event
    /// [`UnknownTriggers`](crate::Event::UnknownTriggers) at `connect` gives the line to write.
    ///
    /// What a trigger's writes bring about in turn (foreign keys, more triggers) need not be named.
    /// A trigger that only changes the row itself writes `[]`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// # mod order_item {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "order_item")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.declare().trigger_writes::<order_item::Entity>(["order", "stock"]);
    /// # Ok(()) }
    /// ```
    pub fn trigger_writes<E: EntityTrait>(
        self,
        tables: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let (written, (table, full)) = (names(tables), table_of::<E>());
        self.with(|all| {
            full.into_iter().for_each(|full| drop(all.triggers.insert(full, written.clone())));
            all.triggers.insert(table, written);
        })
    }

    /// A view shows nothing but rows of these tables: for a view whose definition can't be
    /// understood. Its results then depend on these tables as a whole.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.declare().view_reads("bestseller", ["book", "sale"]);
    /// # Ok(()) }
    /// ```
    pub fn view_reads(self, view: &str, tables: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let tables = names(tables);
        self.with(|all| drop(all.views.insert(view.into(), tables)))
    }

    /// A function gives the same value for the same arguments as long as these tables do not
    /// change, and writes nothing: so queries that call it may be cached.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.declare().function_reads("price_in", ["currency"]).function_reads("slugify", [""; 0]);
    /// # Ok(()) }
    /// ```
    pub fn function_reads(
        self,
        function: &str,
        tables: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let tables = names(tables);
        self.with(|all| drop(all.functions.insert(function.into(), tables)))
    }

    fn with(self, add: impl FnOnce(&mut Declarations)) -> Self {
        self.cache.engine.declare(add);
        self
    }
}

impl QueryCache {
    /// Says what the database's catalog does not tell: what triggers write, what views and
    /// functions read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.declare().function_reads("slugify", [""; 0]);
    /// # Ok(()) }
    /// ```
    pub fn declare(&self) -> Declare<'_> {
        Declare { cache: self }
    }
}

impl Engine {
    /// What statements mean is read anew, and whatever was made under the old meaning forgotten.
    pub(crate) fn declare(&self, add: impl FnOnce(&mut Declarations)) {
        let mut all = self.declarations.write().unwrap_or_else(PoisonError::into_inner);
        add(&mut all);
        self.forget_schemas();
        // Each process declares for itself.
        self.forget_entries();
        // Last: what has this in its key must rest on what is said now.
        self.rulings.store(policy::rulings(&all.policies), Ordering::SeqCst);
    }
}
