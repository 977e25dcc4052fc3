//! Bulk writes that invalidate each table as a whole, twice: before the first of them and after
//! the last.
//!
//! In between nothing that reads the table is stored, by any process: here the table is in doubt,
//! and in a store that is shared its tag is blocked. So no write in between has to bump anything,
//! and none can leave anything stale.

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::DbErr;

use crate::cache::{Engine, QueryCache};
use crate::change::{Bump, Change, Changes, Effect};
use crate::database::{Database, Understanding};
use crate::event::Cause;
use crate::fault::{Fault, broken};
use crate::rules::{Writer, acknowledged};
use crate::schema::Name;
use crate::store::{Unique, unique};
use crate::sync::{Mutex, lock};
use crate::tag::Tag;

/// So long a block is relied on, in milliseconds; a store keeps one for five minutes.
const TRUSTED_MS: u64 = 60_000;

tokio::task_local! {
    static SUSPENDED: Arc<Suspension>;
}

/// Ends with the last write that it is for, which may go on without its caller.
pub(crate) struct Suspension {
    engine: Arc<Engine>,
    /// Names it in the store.
    who: Unique,
    held: Mutex<Vec<Held>>,
    /// One at a time holds tables: whoever comes second must not write before they are held.
    holding: tokio::sync::Mutex<()>,
}

/// The tables of one database.
struct Held {
    database: Arc<Database>,
    tables: BTreeSet<Name>,
    since_ms: u64,
}

/// The innermost one that this task is in.
pub(crate) fn suspension(engine: &Arc<Engine>) -> Option<Arc<Suspension>> {
    let own = |suspension: &Arc<Suspension>| Arc::ptr_eq(&suspension.engine, engine);
    SUSPENDED.try_with(Clone::clone).ok().filter(own)
}

impl Suspension {
    /// Holds the tables of a write before it is sent. `false`: it does not say them all, so it is
    /// a write as any other.
    ///
    /// # Errors
    ///
    /// As of any write that the store can't be told of.
    pub(crate) async fn hold(
        &self,
        database: &Arc<Database>,
        understanding: &Arc<Understanding>,
        bump: &Bump,
    ) -> Result<bool, DbErr> {
        let of_tables = |tag: &Tag| !matches!(tag, Tag::All | Tag::User(_) | Tag::Family(..));
        if bump.tables.is_empty() || !bump.tags.iter().all(of_tables) {
            return Ok(false);
        }
        // Where others can't be held off for certain, each write invalidates by itself.
        if self.engine.shared.as_ref().is_some_and(|shared| !shared.holds_off()) {
            return Ok(false);
        }
        let _one_at_a_time = self.holding.lock().await;
        let now_ms = self.engine.clock.now_ms();
        let new = {
            let mut held = lock(&self.held);
            let position = held.iter().position(|held| Arc::ptr_eq(&held.database, database));
            let position = position.unwrap_or_else(|| {
                let (database, tables) = (database.clone(), BTreeSet::new());
                held.push(Held { database, tables, since_ms: now_ms });
                held.len() - 1
            });
            let held = &mut held[position];
            let trusted = now_ms.saturating_sub(held.since_ms) < TRUSTED_MS;
            let is_new = |table: &&Name| !held.tables.contains(*table);
            let new: Vec<_> = bump.tables.iter().filter(is_new).cloned().collect();
            held.tables.extend(new.iter().cloned());
            if !trusted {
                held.since_ms = now_ms;
                self.block(&held.tables, true);
            }
            new
        };
        if !new.is_empty() {
            if !broken(Fault::SuspendForgets) {
                self.engine.doubt(&new, true);
                self.block(&new, true);
            }
            self.bump(database, understanding, &new);
        }
        self.engine.delivered().await?;
        Ok(true)
    }

    /// A write took longer than a block is relied on.
    pub(crate) async fn wrote(
        &self,
        database: &Arc<Database>,
        understanding: &Arc<Understanding>,
    ) -> Result<(), DbErr> {
        let now_ms = self.engine.clock.now_ms();
        let again: Vec<_> = lock(&self.held)
            .iter()
            .filter(|held| now_ms.saturating_sub(held.since_ms) >= TRUSTED_MS)
            .flat_map(|held| held.tables.iter().cloned())
            .collect();
        if again.is_empty() || self.engine.shared.is_none() {
            return Ok(());
        }
        self.block(&again, true);
        self.bump(database, understanding, &again);
        self.engine.delivered().await
    }

    fn bump<'t>(
        &self,
        database: &Database,
        understanding: &Arc<Understanding>,
        tables: impl IntoIterator<Item = &'t Name>,
    ) {
        let changes = changes(tables);
        let mut bump = Bump::default();
        for change in &changes.list {
            bump.add(change, &understanding.schema);
        }
        database.bump(understanding, &bump, || Cause::Suspended);
    }

    fn block<'t>(&self, tables: impl IntoIterator<Item = &'t Name>, begins: bool) {
        if let Some(shared) = &self.engine.shared {
            let tags = tables.into_iter().map(|table| Tag::Whole(table.clone()).id());
            shared.delivery.block(tags, self.who, begins);
        }
    }
}

impl Drop for Suspension {
    fn drop(&mut self) {
        for Held { database, tables, .. } in std::mem::take(&mut *lock(&self.held)) {
            let understanding = database.current();
            self.bump(&database, &understanding, &tables);
            self.block(&tables, false);
            let names: Vec<_> = tables.iter().cloned().collect();
            if !broken(Fault::SuspendForgets) {
                self.engine.doubt(&names, false);
            }
            database.committed(&understanding, Some(&changes(&tables)));
        }
    }
}

fn changes<'t>(tables: impl IntoIterator<Item = &'t Name>) -> Changes {
    let unknown = |table: &Name| Change { table: table.clone(), effect: Effect::Unknown };
    Changes { list: tables.into_iter().map(unknown).collect(), more: false }
}

impl QueryCache {
    /// Runs a bulk import, or any other work that writes much. Its writes through this cache's
    /// connections do not invalidate one by one: each table that they touch is invalidated as a
    /// whole before the first of them and once more at the end, also if the work fails, panics or
    /// is dropped. In between nothing that reads these tables is cached, in no process that shares
    /// the store, so nothing is stale meanwhile. Rules are told once a table, at the end, that it
    /// changed.
    ///
    /// This is about the task that runs the work: what tasks that it spawns write invalidates as
    /// always, and so does what was not understood or changes the schema. If another process
    /// changes the schema meanwhile, what the writes then change by new foreign keys and triggers
    /// may be seen by the cache only at the end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::{ConnectionTrait, Database, DbErr};
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY)").await?;
    ///
    /// cache
    ///     .suspend(async {
    ///         for id in 0..100 {
    ///             db.execute_unprepared(&format!("INSERT INTO cake VALUES ({id})")).await?;
    ///         }
    ///         Ok::<_, DbErr>(())
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn suspend<F: Future>(&self, work: F) -> F::Output {
        let engine = self.engine.clone();
        let suspension = Arc::new(Suspension {
            engine: engine.clone(),
            who: unique(),
            held: Mutex::new(Vec::new()),
            holding: tokio::sync::Mutex::default(),
        });
        let mut output = None;
        let whole = async {
            output = Some(SUSPENDED.scope(suspension.clone(), work).await);
            drop(suspension);
            self.engine.delivered().await
        };
        // That the store could not be told is told by an event.
        let _ = Box::pin(acknowledged(engine, Writer::default(), whole)).await;
        match output {
            Some(output) => output,
            // Only if the work did not end.
            None => std::future::pending().await,
        }
    }
}
