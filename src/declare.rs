//! What the user says about the database that its catalog does not tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use sea_orm::EntityTrait;
use sha2::{Digest as _, Sha256};
use sqlparser::ast::Ident;

use crate::cache::{Engine, QueryCache};
use crate::entity::{EntityName, EntityPolicy};
use crate::fault::{Fault, broken};
use crate::schema::{KeyClass, Name, Routine, Schema, View};
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
    pub(crate) policies: BTreeMap<EntityName, EntityPolicy>,
}

/// A key column that was declared and can't be one.
pub(crate) struct KeyIgnored {
    pub(crate) table: Name,
    pub(crate) column: Name,
    pub(crate) why: &'static str,
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
        let mut ignored = Vec::new();
        for (name, policy) in &self.policies {
            let found = dialect.entity_table(name.schema.as_deref(), &name.table, schema);
            if let Some(table) = found {
                rule(policy, &table, schema);
                ignored.extend(add_keys(policy, &table, schema, dialect, alone));
            }
        }
        ignored
    }

    /// What of the policies decides on what an entry rests: caches that differ in it share none.
    /// Zero: nothing.
    fn rulings(&self) -> u64 {
        let ruled = self.policies.iter().filter(|(_, policy)| policy.rules());
        let ruled: Vec<_> =
            ruled.map(|(name, policy)| (name, policy.no_cache, &policy.tags)).collect();
        if ruled.is_empty() {
            return 0;
        }
        let digest = Sha256::digest(format!("{ruled:?}"));
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Notes what counts for each query that reads this table, or the one that it is a part of.
fn rule(policy: &EntityPolicy, table: &Name, schema: &mut Schema) {
    if !policy.rules() {
        return;
    }
    let whole = schema.table(table).and_then(|table| table.part_of.clone());
    for name in [table.clone()].into_iter().chain(whole) {
        let ruling = schema.rulings.entry(name).or_default();
        ruling.no_cache |= policy.no_cache;
        ruling.tags.extend(policy.tags.iter().cloned());
    }
}

/// Makes the columns that an entity declares keys of their table, where they can be told apart.
fn add_keys(
    policy: &EntityPolicy,
    name: &Name,
    schema: &mut Schema,
    dialect: Dialect,
    alone: bool,
) -> Vec<KeyIgnored> {
    let Some(table) = schema.tables.get_mut(name) else { return Vec::new() };
    let primary: Vec<Name> = table.primary_key().map(|column| column.name.clone()).collect();
    let mut ignored = Vec::new();
    let exact = policy.keys.iter().map(|column| (column, false));
    let folded = policy.case_insensitive.iter().map(|column| (column, true));
    for (column, fold) in exact.chain(folded) {
        let column = dialect.fold(&Ident::with_quote('"', &**column));
        let Some(found) = table.columns.iter_mut().find(|known| known.name == column) else {
            continue;
        };
        let why = match found.folds {
            _ if !alone => Some("another process that shares the store may not know of it"),
            // Rows with keys that differ in case alone would be one.
            _ if fold && primary.contains(&column) && !broken(Fault::FoldedPrimaryKeys) => {
                Some("it is of the primary key")
            }
            Some(folds) if fold => {
                found.class = KeyClass::Folded(folds);
                None
            }
            _ if found.class == KeyClass::None => Some("how it compares values is not known"),
            _ => None,
        };
        found.is_key |= why.is_none();
        ignored.extend(why.map(|why| KeyIgnored { table: name.clone(), column, why }));
    }
    ignored
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
        self.rulings.store(all.rulings(), Ordering::SeqCst);
    }
}
