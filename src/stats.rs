//! Counters: what the cache did, for all entities and for each one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// The counters of one entity. Relaxed: they are read for people, never to decide anything.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) table: Arc<str>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) fills: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) bypassed: AtomicU64,
    /// Lookups that found an entry whose tags were bumped.
    pub(crate) invalid: AtomicU64,
    /// Lookups that found an entry whose time was over.
    pub(crate) expired: AtomicU64,
    pub(crate) stale: AtomicU64,
    /// How long the last load took.
    pub(crate) load_ms: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: RwLock<BTreeMap<Arc<str>, Arc<Counters>>>,
    pub(crate) bumps: AtomicU64,
    pub(crate) captures: AtomicU64,
    /// Pieces of work that go on without a caller.
    pub(crate) background: AtomicU64,
}

/// What a cache did since it was built.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// let cache = sea_orm_cache::QueryCache::builder().build().await?;
/// assert_eq!(cache.stats().total.hits, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// All entities together.
    pub total: EntityStats,
    /// Each entity, by its table's name.
    pub entities: BTreeMap<String, EntityStats>,
    /// How often tags were bumped: once for each write or commit.
    pub bumps: u64,
    /// How often the rows of a write were read before it.
    pub captures: u64,
    /// What goes on without a caller now: writes that are being finished although theirs went away,
    /// and refreshes.
    pub background: u64,
    /// Entries in memory, the invalid ones that were not replaced yet included.
    pub entries: usize,
    /// What these count against the budget, in bytes.
    pub bytes: usize,
    /// The store that processes share, if there is one.
    pub store: Option<StoreStats>,
    /// What is heard of other programs' writes, if the cache listens; of several databases together,
    /// the largest numbers.
    pub outbox: Option<OutboxStats>,
}

/// What is heard of other programs' writes. See [`OutboxConfig`](crate::OutboxConfig).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStats {
    /// This process listens; of several that share a store one does.
    pub listening: bool,
    /// How many notes it has heard.
    pub notes: u64,
    /// How old the oldest note of the last batch was when it was heard, in milliseconds.
    pub lag_ms: u64,
    /// How long ago the moment is up to which everything is known, in milliseconds. `None`: there is
    /// none yet, so cached queries ask the database.
    pub behind_ms: Option<u64>,
}

impl OutboxStats {
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            listening: self.listening && other.listening,
            notes: self.notes + other.notes,
            lag_ms: self.lag_ms.max(other.lag_ms),
            behind_ms: self.behind_ms.zip(other.behind_ms).map(|(one, two)| one.max(two)),
        }
    }
}

/// The state of a store that processes share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// It can't be reached: reads go to the database.
    pub away: bool,
    /// Reads that it answered with an entry that was not in memory.
    pub fetched: u64,
    /// Reads answered from memory after it confirmed that the entry is valid.
    pub confirmed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// How many tags it has yet to be told of.
    pub undelivered: usize,
    /// How far what is known of others' writes may be behind, in milliseconds. `None`: nothing is
    /// known, so memory does not answer by itself.
    pub behind_ms: Option<u64>,
}

/// What happened to the queries of one entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityStats {
    /// Reads answered by an entry.
    pub hits: u64,
    /// Reads that found no valid entry.
    pub misses: u64,
    /// Results stored.
    pub fills: u64,
    /// Results read but not stored.
    pub refused: u64,
    /// Cached reads that went straight to the database.
    pub bypassed: u64,
    /// Misses because the entry's data changed.
    pub invalid: u64,
    /// Misses because the entry's time was over.
    pub expired: u64,
    /// Reads answered by an entry that was not valid any more, as was asked for.
    pub stale: u64,
}

impl EntityStats {
    /// Hits among all lookups, from 0 to 1; 0 if there were none.
    ///
    /// ```
    /// assert_eq!(sea_orm_cache::EntityStats::default().hit_rate(), 0.0);
    /// ```
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            lookups => self.hits as f64 / lookups as f64,
        }
    }
}

impl Registry {
    /// The tables that were read.
    pub(crate) fn tables(&self) -> std::collections::HashSet<Arc<str>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.keys().cloned().collect()
    }

    pub(crate) fn of(&self, table: &str) -> Arc<Counters> {
        if let Some(known) = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(table) {
            return known.clone();
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let table: Arc<str> = table.into();
        let new = || Arc::new(Counters::new(table.clone()));
        tables.entry(table.clone()).or_insert_with(new).clone()
    }

    pub(crate) fn snapshot(&self, entries: usize, bytes: usize) -> Stats {
        let mut stats = Stats {
            bumps: self.bumps.load(Relaxed),
            captures: self.captures.load(Relaxed),
            background: self.background.load(std::sync::atomic::Ordering::SeqCst),
            entries,
            bytes,
            ..Stats::default()
        };
        for (table, counters) in self.tables.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let one = counters.snapshot();
            stats.total.hits += one.hits;
            stats.total.misses += one.misses;
            stats.total.fills += one.fills;
            stats.total.refused += one.refused;
            stats.total.bypassed += one.bypassed;
            stats.total.invalid += one.invalid;
            stats.total.expired += one.expired;
            stats.total.stale += one.stale;
            stats.entities.insert(table.to_string(), one);
        }
        stats
    }
}

impl Counters {
    fn new(table: Arc<str>) -> Self {
        Self {
            table,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            fills: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bypassed: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            load_ms: AtomicU64::new(0),
        }
    }

    fn snapshot(&self) -> EntityStats {
        EntityStats {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            fills: self.fills.load(Relaxed),
            refused: self.refused.load(Relaxed),
            bypassed: self.bypassed.load(Relaxed),
            invalid: self.invalid.load(Relaxed),
            expired: self.expired.load(Relaxed),
            stale: self.stale.load(Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
