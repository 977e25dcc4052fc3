//! Single values, counters and locks, for [`Kv`](crate::Kv).

use async_trait::async_trait;

use super::{StoreError, Unique};

/// Keeps bytes under keys, each by itself, and for some time only.
///
/// # The contract
///
/// 1. Each call on one key is atomic, and is done when it returns. Calls on different keys have
///    nothing to do with each other.
/// 2. Whatever is under a key may be gone at any moment: its time was over, or there was no room.
///    It never comes back after it was replaced or removed, as far as the store can promise that.
/// 3. A *lease* on a key is the right to fill it. Whoever asks while it is out shares it, and it
///    ends with every write to that key: so a value that was computed before a write never
///    replaces what was written, and of several that compute at once the first one's is kept.
/// 4. A counter is an `i64` as decimal text. Everything else is none.
/// 5. The tokens of one lock grow with each who gets it, also after the lock itself is gone.
/// 6. What is read may be anything; what is not bytes of ours is "nothing is there".
/// 7. Each call ends within the store's own time limit. An error says nothing of what was done.
///
/// Times to live are in milliseconds, and never 0 unless it is said what that means. In each key
/// the part in braces, which is never empty, tells all that belongs to it: a store that spreads
/// keys may go by it.
#[async_trait]
pub trait Cells: Send + Sync {
    /// What is under a key.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts bytes under a key; `false` if things are not as `when` wants them.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn set(
        &self,
        key: &str,
        bytes: &[u8],
        ttl_ms: u64,
        when: When,
    ) -> Result<bool, StoreError>;

    /// Removes what is under a key; `false` if nothing was.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn delete(&self, key: &str) -> Result<bool, StoreError>;

    /// Begins the time of what is under a key anew; `false` if nothing is. 0 removes it.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn touch(&self, key: &str, ttl_ms: u64) -> Result<bool, StoreError>;

    /// How many milliseconds are left of what is under a key.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn ttl_ms(&self, key: &str) -> Result<Option<u64>, StoreError>;

    /// Adds to a counter. One that is missing begins at 0, and with this time to live; with 0 it
    /// is not kept. The time of one that is there goes on.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn incr(&self, key: &str, by: i64, ttl_ms: u64) -> Result<Counted, StoreError>;

    /// The token of the right to fill a key, this one unless it is out already, and what is there.
    /// It ends after so many milliseconds from now.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn lease(
        &self,
        key: &str,
        token: &Unique,
        ttl_ms: u64,
    ) -> Result<(Unique, Option<Vec<u8>>), StoreError>;

    /// The token of a lock that the caller has from now on; `None` if somebody has it.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn lock(&self, key: &str, ttl_ms: u64) -> Result<Option<u64>, StoreError>;

    /// Gives a lock back; `false` if the one with this token has it no more.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn unlock(&self, key: &str, token: u64) -> Result<bool, StoreError>;
}

/// When bytes are put under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Whatever is there.
    Always,
    /// If nothing is there.
    Absent,
    /// If the one with this token still has the right to fill it.
    Leased(Unique),
}

/// What became of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It is this now.
    Now(i64),
    /// It would not fit; it is as it was.
    Overflow,
    /// There is something else.
    NoCounter,
}
