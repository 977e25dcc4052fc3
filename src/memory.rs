//! The memory tier: typed values behind `Arc`, bounded by bytes.

use std::any::{Any, TypeId};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::key::{Digest, Key};
use crate::stats::Counters;
use crate::store::FillId;
use crate::tag::Tag;
use crate::versions::Stamps;

/// How rows became a value, which its type alone does not say: the codec, and whose models were
/// asked about.
pub(crate) type Kind = (TypeId, Option<TypeId>);

/// One cached result.
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) kind: Kind,
    /// Which load it is of: a later one is from a later state of the database.
    pub(crate) order: u64,
    /// The typed value itself, behind its own `Arc`: a hit clones the pointer.
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    pub(crate) stamps: Stamps,
    /// Which entry of the store it is the same as, if there is a store and it took it.
    pub(crate) fill: Option<FillId>,
    pub(crate) filled_ms: u64,
    pub(crate) ttl_ms: u64,
    /// How old it may get and still be of use to those who take old answers, too.
    pub(crate) keep_ms: AtomicU64,
    /// That it is not valid any more was counted.
    pub(crate) ended: AtomicBool,
    /// How long it took to load.
    pub(crate) load_ms: u64,
    /// The tags' own names, if somebody wanted to know them when it was filled.
    pub(crate) tags: Option<Arc<[Tag]>>,
    /// What it counts against the budget.
    pub(crate) bytes: usize,
    pub(crate) counters: Arc<Counters>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.key, self.bytes)
    }
}

/// What an entry costs beside its value and its stamps: the `Entry` itself, the value's and the
/// entry's reference counts, the digest as a key, and `quick_cache`'s slot and hash table place.
pub(crate) const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 16 + 16 + size_of::<Digest>() + 48;

/// A shard smaller than this would refuse values that the whole budget has room for.
const MIN_SHARD_BYTES: usize = 4 << 20;

/// The share of a shard for what is used often: nothing heavier than it is kept.
const HOT: f64 = 0.97;

/// An average entry, for the size of `quick_cache`'s tables.
const TYPICAL_ENTRY_BYTES: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Digest, Arc<Entry>> for Bytes {
    fn weight(&self, _: &Digest, entry: &Arc<Entry>) -> u64 {
        entry.bytes as u64
    }
}

#[derive(Debug)]
pub(crate) struct Memory {
    entries: Cache<Digest, Arc<Entry>, Bytes>,
}

/// A cache of so many bytes.
pub(crate) fn bounded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    max_bytes: usize,
    weighter: W,
) -> Cache<K, V, W> {
    let mut options = OptionsBuilder::new();
    options
        .weight_capacity(max_bytes as u64)
        .estimated_items_capacity((max_bytes / TYPICAL_ENTRY_BYTES).clamp(16, 1 << 20))
        .hot_allocation(HOT)
        .shards((max_bytes / MIN_SHARD_BYTES).clamp(1, 64));
    match options.build() {
        Ok(options) => Cache::with_options(
            options,
            weighter,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        // Only a missing option fails, and both are set.
        Err(_) => Cache::with_weighter(16, max_bytes as u64, weighter),
    }
}

/// The heaviest that such a cache keeps, in bytes.
pub(crate) fn heaviest<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    cache: &Cache<K, V, W>,
) -> usize {
    (cache.shard_capacity() as f64 * HOT) as usize
}

impl Memory {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { entries: bounded(max_bytes, Bytes) }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<Entry>> {
        self.entries.get(digest)
    }

    /// The largest entry that is accepted, in bytes.
    pub(crate) fn max_entry_bytes(&self) -> usize {
        heaviest(&self.entries)
    }

    /// Stores an entry, unless one of a later load is there.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        let later = |there: &Arc<Entry>| there.order > entry.order && there.kind == entry.kind;
        if !self.entries.peek(&entry.key.digest).as_ref().is_some_and(later) {
            self.entries.insert(entry.key.digest, entry);
        }
    }

    /// Removes whatever is stored under this key.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.entries.remove(digest);
    }

    /// Removes this very entry, not one that took its place.
    pub(crate) fn remove(&self, entry: &Arc<Entry>) {
        self.entries.remove_if(&entry.key.digest, |current| Arc::ptr_eq(current, entry));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes that the entries count for.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.weight() as usize
    }

    /// Every entry, in no order, while others come and go.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Arc<Entry>> + '_ {
        self.entries.iter().map(|(_, entry)| entry)
    }
}
