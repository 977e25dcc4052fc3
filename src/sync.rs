//! The synchronisation primitives of the memory tier: the standard library's, or under the hidden
//! feature `__shuttle` those of `shuttle`, which explores their interleavings.

#[cfg(not(feature = "__shuttle"))]
mod imp {
    pub(crate) use std::sync::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

#[cfg(feature = "__shuttle")]
mod imp {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

pub(crate) use imp::*;

/// Locks, and takes over after a panic: what these locks guard is consistent between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> impl std::ops::DerefMut<Target = T> + '_ {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
