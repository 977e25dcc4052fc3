//! How much of the contract a store keeps.

use std::fmt;

/// What a store promises about what it was told, from the least to all of it.
///
/// The cache's own promise, that a read which starts after a write was acknowledged never returns
/// what was before, rests on the store's. So
/// [`build`](crate::QueryCacheBuilder::build) takes a store that promises less than
/// [`Full`](Self::Full) only if
/// [`weaker_consistency`](crate::QueryCacheBuilder::weaker_consistency) names that.
///
/// ```
/// use sea_orm_cache::store::{Consistency, NullStore, Store};
///
/// assert_eq!(NullStore.consistency(), Consistency::Full);
/// assert!(Consistency::Eventual < Consistency::PerKey && Consistency::PerKey < Consistency::Full);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Consistency {
    /// Nothing is known about it: after a write was acknowledged it may still answer with what was
    /// before. An entry's TTL is the only bound, as far as the clocks of those who share the store
    /// agree.
    Eventual,
    /// Whoever looks after a call has returned sees what it did, key by key, and a write arrives
    /// at most once. But nothing changes a value in one step, and any key may be gone at any
    /// moment, also one that *holds others off* while a schema is changed: two schema changes at
    /// the same moment, or one whose mark was evicted, may leave other processes' writes
    /// understood under the old schema until that change is over. Everything else holds. (A
    /// [`suspend`](crate::QueryCache::suspend)ed write invalidates by itself here, since it can't
    /// hold others off.)
    PerKey,
    /// The whole [contract](crate::store#the-contract).
    Full,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eventual => "it may answer with what was before a write that was acknowledged",
            Self::PerKey => {
                "it changes no value in one step, so that processes which change a schema at the \
                 same moment may not hold each other off"
            }
            Self::Full => "it keeps the whole contract",
        })
    }
}
