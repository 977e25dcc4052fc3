//! Where entries live.

mod memory;

use std::any::{Any, TypeId};
use std::sync::Arc;

pub(crate) use memory::{ENTRY_OVERHEAD, Memory};

use crate::key::Key;
use crate::stats::Counters;
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
    pub(crate) filled_ms: u64,
    pub(crate) ttl_ms: u64,
    /// What it counts against the budget.
    pub(crate) bytes: usize,
    pub(crate) counters: Arc<Counters>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.key, self.bytes)
    }
}
