//! A cached read, from lookup to fill.
//!
//! The order of steps is the protocol whose every variation was found stale by exploring all
//! interleavings (`tests/protocol_model`):
//! 1. the state of every table's guard, and versions of the tags that apply to any result;
//! 2. the SQL, outside any transaction;
//! 3. versions of the tags that depend on the result: its rows, and what else could enter it;
//! 4. the guards again: a bump in between that touched one of the entry's tags refuses the fill;
//! 5. the entry is stored with the versions from 1 and 3.
//!
//! Step 3 may come after the SQL because a guard's record names every tag of its write, and is
//! written before any of them is bumped: a bump that step 3 came too late for is seen by step 4.

use std::any::{Any, type_name};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use crate::cache::Engine;
use crate::call::{Call, Want};
use crate::database::{Database, Understanding};
use crate::depend::Plan;
use crate::event::{Event, Reason};
use crate::fault::{Fault, broken};
use crate::flight::{Role, landed};
use crate::key::{Digest, Family, Key};
use crate::schema::Name;
use crate::sql::facts::{Analysis, ReadFacts};
use crate::stats::{Counters, count};
use crate::store::{ENTRY_OVERHEAD, Entry};
use crate::tag::{Tag, TagId};
use crate::versions::{Mark, Stamps};

/// How often a task waits for another's load before it asks the database itself.
const JOINS: usize = 3;

/// One cached read.
pub(crate) struct Read<'r, C> {
    pub(crate) database: &'r Arc<Database>,
    /// The connection for what is not cached.
    pub(crate) conn: &'r C,
    /// The one for a miss that reads these tables.
    pub(crate) nearest: &'r (dyn Fn(&[Name]) -> &'r C + Sync),
    /// Is it in a transaction that may see what others don't?
    pub(crate) in_transaction: &'r (dyn Fn() -> bool + Sync),
    /// May the catalog be read now, through another connection of the pool?
    pub(crate) may_load: bool,
    pub(crate) scope: Option<&'r str>,
    pub(crate) family: Family,
    pub(crate) table: &'r str,
    pub(crate) query: &'r SelectStatement,
    pub(crate) options: &'r Options,
}

/// What a query asks for beside its SQL.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    pub(crate) mode: Mode,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) scope: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Cached,
    Bypass,
    Refresh,
}

/// A typed result and what it keeps on the heap, in bytes, its own size not included.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    pub(crate) heap_bytes: usize,
}

/// Turns rows into the result.
pub(crate) trait Decode<T>: Fn(&[QueryResult]) -> Result<Decoded<T>, DbErr> + Sync {}
impl<T, F: Fn(&[QueryResult]) -> Result<Decoded<T>, DbErr> + Sync> Decode<T> for F {}

/// What one attempt to fill gave.
struct Loaded<T> {
    value: Arc<T>,
    entry: Result<Arc<Entry>, Reason>,
}

impl<C: ConnectionTrait> Read<'_, C> {
    /// The result: from an entry that is valid now, or from the database.
    pub(crate) async fn fetch<T, D>(&self, decode: D) -> Result<Arc<T>, DbErr>
    where
        T: Any + Send + Sync,
        D: Decode<T>,
    {
        let engine = &*self.database.engine;
        let statement = self.database.backend.build(self.query);
        if let Some(reason) = self.bypassed() {
            return self.bypass(&statement, reason, decode).await;
        }
        let scope = self.options.scope.as_deref().or(self.scope);
        let tags = &self.options.tags;
        let digest = self.database.digest(type_name::<T>(), scope, tags, &statement);
        if self.options.mode == Mode::Cached
            && let Some((entry, value)) = lookup(engine, &digest, self.ttl_ms())
        {
            count(&entry.counters.hits);
            engine.tell(|| Event::Hit { key: &entry.key });
            return Ok(value);
        }
        self.miss(statement, digest, decode).await
    }

    fn bypassed(&self) -> Option<Reason> {
        if self.options.mode == Mode::Bypass {
            return Some(Reason::Requested);
        }
        if self.is_private() {
            return Some(Reason::InTransaction);
        }
        if self.ttl().is_zero() {
            return Some(Reason::ZeroTtl);
        }
        self.database.raw_state().err()
    }

    fn is_private(&self) -> bool {
        (self.in_transaction)() && !broken(Fault::HitInTransaction)
    }

    /// Why the result must not be stored, as far as the text tells.
    async fn uncacheable(&self, sql: &str) -> Option<Reason> {
        let reason = match &*self.database.fresh_if(self.may_load).await.analyze(sql) {
            Analysis::Read(facts) => self.refusal(facts)?,
            _ => Reason::NotARead,
        };
        if let Reason::UnknownTable(_) = reason {
            self.database.doubt_catalog();
        }
        Some(reason)
    }

    /// Why this connection must not keep the result of such a query, if so.
    fn refusal(&self, facts: &ReadFacts) -> Option<Reason> {
        let scoped = self.options.scope.is_some() || self.scope.is_some();
        let hidden = facts.row_security.clone().filter(|_| !scoped);
        facts.uncacheable.clone().or(hidden.map(Reason::RowSecurity))
    }

    fn ttl(&self) -> Duration {
        self.options.ttl.unwrap_or(self.database.engine.default_ttl)
    }

    /// At least one millisecond, since zero is no TTL at all.
    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.ttl().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    async fn bypass<T, D: Decode<T>>(
        &self,
        statement: &Statement,
        reason: Reason,
        decode: D,
    ) -> Result<Arc<T>, DbErr> {
        count(&self.database.engine.stats.of(self.table).bypassed);
        self.database.engine.tell(|| Event::Bypass { sql: &statement.sql, reason: &reason });
        let rows = self.ask(self.conn, statement).await?;
        Ok(Arc::new(decode(&rows)?.value))
    }

    async fn ask(&self, conn: &C, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let call = Call::Typed(self.query, statement.clone());
        call.send_read(conn, Want::Rows, self.database.typed_only).await?.rows()
    }

    #[inline(never)]
    async fn miss<T, D>(
        &self,
        statement: Statement,
        digest: Digest,
        decode: D,
    ) -> Result<Arc<T>, DbErr>
    where
        T: Any + Send + Sync,
        D: Decode<T>,
    {
        let engine = &*self.database.engine;
        if let Some(reason) = self.uncacheable(&statement.sql).await {
            return self.bypass(&statement, reason, decode).await;
        }
        let counters = engine.stats.of(self.table);
        count(&counters.misses);
        let key = self.key(digest, &counters);
        engine.tell(|| Event::Miss { key: &key });
        let attempt = Attempt { read: self, statement: &statement, key, counters };
        if self.options.mode == Mode::Cached {
            for _ in 0..JOINS {
                match engine.flights.board(&digest) {
                    Role::Join(flight) => {
                        let Some(landed) = landed(flight).await else { continue };
                        let Some(entry) = landed else { break };
                        // Its load may have begun before a write that we must see.
                        if engine.versions.hold(&entry.stamps)
                            && let Ok(value) = entry.value.clone().downcast::<T>()
                        {
                            return Ok(value);
                        }
                    }
                    Role::Lead(leader) => {
                        // Somebody may have landed between our lookup and now.
                        if let Some((_, value)) = lookup(engine, &digest, self.ttl_ms()) {
                            return Ok(value);
                        }
                        let loaded = attempt.load(&decode).await?;
                        match loaded.entry {
                            Ok(entry) => leader.land(Some(entry)),
                            Err(reason) if reason.passes() => {}
                            Err(_) => leader.land(None),
                        }
                        return Ok(loaded.value);
                    }
                }
            }
        }
        Ok(attempt.load(&decode).await?.value)
    }

    fn key(&self, digest: Digest, counters: &Counters) -> Key {
        let engine = &self.database.engine;
        Key {
            prefix: engine.prefix.clone(),
            version: engine.version,
            family: self.family,
            table: counters.table.clone(),
            digest,
        }
    }
}

fn lookup<T: Any + Send + Sync>(
    engine: &Engine,
    digest: &Digest,
    ttl_ms: u64,
) -> Option<(Arc<Entry>, Arc<T>)> {
    let entry = engine.lookup(digest, ttl_ms)?;
    let value = entry.value.clone().downcast::<T>().ok()?;
    Some((entry, value))
}

struct Attempt<'a, 'r, C> {
    read: &'a Read<'r, C>,
    statement: &'a Statement,
    key: Key,
    counters: Arc<Counters>,
}

/// Step 1: everything that is read before the SQL.
struct Before {
    plan: Plan,
    marks: Vec<Mark>,
    tags: Tags,
    raw_state: usize,
    /// An entry is as old as its query's start.
    filled_ms: u64,
}

/// Tags with their versions.
struct Tags {
    ids: Vec<TagId>,
    stamps: Stamps,
}

impl Tags {
    fn add<'t>(&mut self, engine: &Engine, tags: impl IntoIterator<Item = &'t Tag>) {
        for id in tags.into_iter().map(Tag::id) {
            engine.versions.stamp(id, &mut self.stamps);
            self.ids.push(id);
        }
    }
}

impl<C: ConnectionTrait> Attempt<'_, '_, C> {
    fn engine(&self) -> &Engine {
        &self.read.database.engine
    }

    /// Asks the database, and stores the result if that is safe.
    async fn load<T, D>(&self, decode: &D) -> Result<Loaded<T>, DbErr>
    where
        T: Any + Send + Sync,
        D: Decode<T>,
    {
        // Before anything that the entry will rest on, the schema included.
        let start = self.engine().versions.start();
        let understanding = self.read.database.fresh_if(self.read.may_load).await;
        let analysis = understanding.analyze(&self.statement.sql);
        let before = match &*analysis {
            Analysis::Read(facts) => self.before(facts, start, &understanding),
            _ => Err(Reason::NotARead),
        };
        // Chosen after step 1: it has seen whatever these versions stand for.
        let conn = match &before {
            Ok(before) => (self.read.nearest)(&before.plan.tables),
            Err(_) => self.read.conn,
        };
        let rows = self.read.ask(conn, self.statement).await?;
        let decoded = decode(&rows)?;
        let value = Arc::new(decoded.value);
        let bytes = size_of::<T>() + decoded.heap_bytes;
        let stored = before.and_then(|before| self.store(before, &rows, value.clone(), bytes));
        if let Err(reason) = &stored {
            count(&self.counters.refused);
            self.engine().tell(|| Event::FillRefused { key: &self.key, reason });
        }
        Ok(Loaded { value, entry: stored })
    }

    fn before(
        &self,
        facts: &ReadFacts,
        start: Stamps,
        understanding: &Understanding,
    ) -> Result<Before, Reason> {
        if let Some(reason) = self.read.refusal(facts) {
            return Err(reason);
        }
        let raw_state = self.read.database.raw_state()?;
        let values = self.statement.values.as_ref().map_or(&[][..], |values| &values.0);
        let plan = Plan::new(facts, values, &understanding.schema);
        let engine = self.engine();
        let marks = plan.tables.iter().map(|table| engine.versions.mark(table)).collect();
        let user: Vec<_> = self.read.options.tags.iter().cloned().map(Tag::User).collect();
        let mut tags = Tags { ids: Vec::new(), stamps: start };
        tags.add(engine, plan.always.iter().chain(&user));
        let filled_ms = engine.clock.now_ms();
        Ok(Before { plan, marks, tags, raw_state, filled_ms })
    }

    /// Steps 3 to 5.
    fn store<T: Any + Send + Sync>(
        &self,
        mut before: Before,
        rows: &[QueryResult],
        value: Arc<T>,
        bytes: usize,
    ) -> Result<Arc<Entry>, Reason> {
        let engine = self.engine();
        if broken(Fault::StampAfterSql) {
            before = self.stamped_again(before);
        }
        let mut chosen = Vec::new();
        for by_rows in &before.plan.rows {
            chosen.extend(by_rows.choose(rows)?);
        }
        before.tags.add(engine, &chosen);
        engine.versions.check(&before.marks, &before.tags.ids)?;
        if self.read.database.raw_state()? != before.raw_state {
            return Err(Reason::RawTransaction);
        }
        if self.read.is_private() {
            // It wrote while the query ran.
            return Err(Reason::InTransaction);
        }
        let stamps = before.tags.stamps.shrink();
        let bytes = bytes + stamps.bytes() + ENTRY_OVERHEAD;
        if bytes > engine.store.max_entry_bytes() {
            return Err(Reason::TooLarge { bytes });
        }
        let entry = Arc::new(Entry {
            key: self.key.clone(),
            value,
            stamps,
            filled_ms: before.filled_ms,
            ttl_ms: self.read.ttl_ms(),
            bytes,
            counters: self.counters.clone(),
        });
        engine.store.insert(entry.clone());
        count(&self.counters.fills);
        engine.tell_fill(&entry, || all_tags(&before.plan, chosen, &self.read.options.tags));
        Ok(entry)
    }

    /// Only for the mutation tests: what goes wrong if step 1 comes after the SQL.
    fn stamped_again(&self, before: Before) -> Before {
        let engine = self.engine();
        let marks = before.plan.tables.iter().map(|table| engine.versions.mark(table)).collect();
        let mut tags = Tags { ids: Vec::new(), stamps: engine.versions.start() };
        tags.add(engine, &before.plan.always);
        Before { marks, tags, ..before }
    }
}

/// What an entry depends on, for an event.
fn all_tags(plan: &Plan, chosen: Vec<Tag>, user: &[Arc<str>]) -> Vec<Tag> {
    let user = user.iter().cloned().map(Tag::User);
    [Tag::All].into_iter().chain(plan.always.iter().cloned()).chain(chosen).chain(user).collect()
}

impl Engine {
    fn tell_fill(&self, entry: &Entry, tags: impl FnOnce() -> Vec<Tag>) {
        if let Some(observer) = &self.observer {
            let tags = tags();
            observer.on_event(&Event::Fill { key: &entry.key, tags: &tags, bytes: entry.bytes });
        }
    }
}
