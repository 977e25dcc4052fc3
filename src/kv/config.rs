//! The settings of caches of single values, and the caches that a builder named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;

use super::memory::MemoryCells;
use crate::store::Unique;
use crate::tag::TagId;

/// How many views' generations a process remembers, in each named cache. Without a store, what was
/// in a view whose generation is forgotten is gone.
const MAX_VIEWS: u64 = 1 << 16;

/// Settings of a cache of single values. Every setting has a default.
///
/// ```
/// use std::time::Duration;
/// use sea_orm_cache::{KvConfig, QueryCache};
///
/// let sessions = KvConfig::new().ttl(Duration::from_secs(1800)).max_bytes(8 << 20);
/// let builder = QueryCache::builder().named("sessions", sessions);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct KvConfig {
    ttl: Option<Duration>,
    max_bytes: usize,
    max_value_bytes: usize,
}

impl Default for KvConfig {
    fn default() -> Self {
        // A quarter of what queries have; as for them, no value that does anybody harm.
        Self { ttl: None, max_bytes: 16 << 20, max_value_bytes: 8 << 20 }
    }
}

impl KvConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The TTL of values that are given none. The default is
    /// [`QueryCacheBuilder::default_ttl`](crate::QueryCacheBuilder::default_ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How many bytes the values may take in memory, at most; past it the least useful go. The
    /// default is 16 MiB. With a store nothing lies in memory, and the store's own limit counts.
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The largest value that is stored, in bytes; larger ones are errors
    /// ([`Error::is_value`](crate::Error::is_value)). The default is 8 MiB, and memory takes none that is larger than
    /// 4 MiB or a 64th of its budget, whichever is more.
    pub fn max_value_bytes(mut self, max_bytes: usize) -> Self {
        self.max_value_bytes = max_bytes;
        self
    }
}

/// All caches of single values.
pub(crate) struct Registry {
    pub(super) unnamed: Arc<Named>,
    pub(super) named: BTreeMap<String, Arc<Named>>,
}

/// One of them.
pub(crate) struct Named {
    pub(super) ttl: Duration,
    pub(super) max_bytes: usize,
    pub(super) max_value_bytes: usize,
    /// Made when it is needed first: a store needs none.
    pub(super) memory: OnceLock<MemoryCells>,
    /// Of the views: in memory the generations themselves, with a store what it said last.
    pub(super) generations: Cache<TagId, Unique>,
}

impl Registry {
    pub(crate) fn new(configs: BTreeMap<String, KvConfig>, default_ttl: Duration) -> Self {
        let named = |config: KvConfig| {
            Arc::new(Named {
                ttl: config.ttl.unwrap_or(default_ttl),
                max_bytes: config.max_bytes,
                max_value_bytes: config.max_value_bytes,
                memory: OnceLock::new(),
                generations: Cache::with_weighter(16, MAX_VIEWS, UnitWeighter),
            })
        };
        Self {
            unnamed: named(KvConfig::default()),
            named: configs.into_iter().map(|(name, config)| (name, named(config))).collect(),
        }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
