//! Where entries and versions live that several processes share.
//!
//! # The contract
//!
//! A store keeps two things: *versions*, one for each tag that some entry depends on, and *entries*,
//! each with the versions it was made with. What it must promise, whatever happens to it:
//!
//! 1. A version is 16 bytes that were never used before. [`mark`](Store::mark) and
//!    [`put`](Store::put) create the ones that are missing; [`bump`](Store::bump) deletes them.
//! 2. An entry answers only if each of its versions is there and equal. A missing version is never
//!    equal to anything: so entries and versions may be evicted, or all be lost, at any moment.
//! 3. Each of the four is atomic, or as good as: `get` looks at the versions after the entry, and
//!    `put` at the guards not before it takes the versions of its late tags.
//! 4. An [`Epoch`] names one uninterrupted history of the store. Where its state can go back in
//!    time (a restart from an old snapshot, a failover to a replica that lagged), the epoch
//!    changes: `put` refuses what was marked in another one, and `get` what was put in another one.
//! 5. A version lives at least as long as the entries that use it are allowed to (`keep_ms`).
//!    Nothing stays behind for tags that nobody depends on.
//! 6. What is read back may be anything: somebody else's key, damaged bytes. That is "nothing is
//!    there", never an error and never a panic.
//! 7. Each call ends within the store's own time limit. An error says nothing of what was done:
//!    calls may be repeated.
//!
//! A store that can't promise all of it says so by its [`Consistency`], and is used only by who asks
//! for that by name.

mod cells;
mod consistency;
pub mod database;
mod null;
#[cfg(feature = "opendal")]
mod opendal;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

pub use self::cells::{Cells, Counted, When};
pub use self::consistency::Consistency;
pub use self::database::{DatabaseStore, DatabaseStoreConfig};
pub use self::null::NullStore;
#[cfg(feature = "opendal")]
pub use self::opendal::{OpendalConfig, OpendalStore};
#[cfg(feature = "redis")]
pub use self::redis::{RedisConfig, RedisStore};
use crate::key::Key;
pub use crate::tag::TagId;

/// A version of a tag, and whatever else must never be the same twice.
pub type Unique = [u8; 16];

/// Names one entry among all that were ever put under its key.
pub type FillId = Unique;

/// Names one uninterrupted history of a store.
pub type Epoch = [u8; 16];

/// How many tags an entry in a store may depend on.
pub const MAX_TAGS: usize = 4_000;

/// Keeps entries and versions for several processes. See the module's contract.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Connects, or connects again after an error. Only one task calls it at a time.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn connect(&self) -> Result<(), StoreError>;

    /// The entry under a key, if it is valid now. `known`: the caller has that one, so its bytes
    /// need not be sent.
    ///
    /// # Errors
    ///
    /// What the store said. That nothing usable is there is none.
    async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError>;

    /// A valid entry, as [`get`](Self::get) finds it; or else the current versions of tags, those
    /// that are missing created, and perhaps the right to load.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError>;

    /// Stores an entry if its guards still are what they were when they were marked. Gives the
    /// right to load back.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError>;

    /// Ends a right to load that led to nothing. `never`: nor will the next attempt.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn release(&self, key: &Key, token: &Unique, never: bool) -> Result<(), StoreError>;

    /// Removes whatever is under a key.
    ///
    /// # Errors
    ///
    /// What the store said.
    async fn remove(&self, key: &Key) -> Result<(), StoreError>;

    /// Deletes the versions of tags, then tells everybody who listens.
    ///
    /// # Errors
    ///
    /// What the store said; then it may have been done, or not.
    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError>;

    /// How much of the contract it keeps: all of it, unless it says otherwise.
    fn consistency(&self) -> Consistency {
        Consistency::Full
    }

    /// Does it tell who [listens](Self::listen)? Without that only [`Coherence::Strong`] is possible.
    ///
    /// [`Coherence::Strong`]: crate::Coherence::Strong
    fn tells(&self) -> bool {
        true
    }

    /// From now on hears what is told, all of it and in its order.
    ///
    /// # Errors
    ///
    /// What the store said, or [`StoreError::unsupported`].
    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError>;

    /// Where single values live, for [`Kv`](crate::Kv), if this store has such a place.
    fn cells(&self) -> Option<&dyn Cells> {
        None
    }
}

/// One who hears everything, or learns that he may have missed something.
#[async_trait]
pub trait Listener: Send {
    /// The next message; `None` as soon as one may have been lost. May be dropped while it waits.
    async fn next(&mut self) -> Option<Vec<u8>>;

    /// All messages that were told before the call and that [`next`](Self::next) has not given;
    /// `None` if one may have been lost.
    async fn catch_up(&mut self) -> Option<Vec<Vec<u8>>>;
}

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// No valid entry.
    Nothing,
    /// The one that the caller has, and it is valid.
    Same,
    /// This one, and it is valid.
    Found(Found),
}

/// A valid entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which one it is.
    pub fill: FillId,
    /// The tags it depends on.
    pub ids: Vec<TagId>,
    /// How long ago it was put, in milliseconds.
    pub age_ms: u64,
    /// After how many milliseconds in all it ends.
    pub ttl_ms: u64,
    /// The value.
    pub body: Vec<u8>,
}

/// Asks for versions.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// Unless there is an entry under this key.
    pub entry: Option<&'a Key>,
    /// Whose.
    pub ids: &'a [TagId],
    /// The version of those that are missing.
    pub create: Unique,
    /// How long versions must be kept, in milliseconds.
    pub keep_ms: u64,
    /// Asks for the right to load, too.
    pub lease: Option<Lease<'a>>,
}

/// The right to load what belongs under a key, so that others wait.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// The entry's key.
    pub key: &'a Key,
    /// Who has it.
    pub token: Unique,
    /// For how long at most, in milliseconds.
    pub ms: u64,
}

/// Versions at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The entry that made it unnecessary.
    pub found: Option<Found>,
    /// The history in which that moment was.
    pub epoch: Epoch,
    /// One for each tag; `None` where [`block`](Bumps::block) holds.
    pub versions: Vec<Option<Unique>>,
    /// What became of the request for the right to load.
    pub turn: Turn,
}

impl Marked {
    /// There is an entry.
    pub fn found(found: Found) -> Self {
        Self { found: Some(found), epoch: [0; 16], versions: Vec::new(), turn: Turn::Theirs }
    }
}

/// Whose turn it is to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The caller's, until the lease is over.
    Ours,
    /// Somebody else's, who will put the entry.
    Theirs,
    /// Everybody's, since such a result is not stored; or nobody asked.
    Free,
}

/// An entry to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Under this key.
    pub key: &'a Key,
    /// Its name, and the version of late tags that are missing.
    pub fill: FillId,
    /// That of all its marks.
    pub epoch: Epoch,
    /// Tags that must still have these versions.
    pub guards: &'a [(TagId, Unique)],
    /// The tags it depends on, that were marked.
    pub ids: &'a [TagId],
    /// Their versions.
    pub versions: &'a [Unique],
    /// Tags that it depends on, too, and that were not marked.
    pub late: &'a [TagId],
    /// The value.
    pub body: &'a [u8],
    /// How old it was when it was read, in milliseconds.
    pub age_ms: u64,
    /// After how many milliseconds in all it ends.
    pub ttl_ms: u64,
    /// How long versions must be kept, in milliseconds.
    pub keep_ms: u64,
    /// Also where there is a valid entry by now, of another load.
    pub replace: bool,
    /// The caller's right to load, which ends.
    pub token: Option<Unique>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    Stored,
    /// A guard has moved, or the store's history was interrupted, or there is another entry.
    Refused,
}

/// Tags that have changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bumps<'a> {
    /// Their versions are deleted.
    pub ids: &'a [TagId],
    /// These have none until each who blocked them has unblocked them, or for five minutes.
    pub block: &'a [(TagId, Unique)],
    /// These are no longer blocked by these.
    pub unblock: &'a [(TagId, Unique)],
    /// These versions are asked for.
    pub watch: &'a [TagId],
    /// For everybody who listens; empty: nothing.
    pub message: &'a [u8],
}

/// What a bump found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bumped {
    /// The versions that were asked for, after the bump; `None` if missing or blocked.
    pub watched: Vec<Option<Unique>>,
}

/// Why a store did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    kind: ErrorKind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    Away,
    Refused,
    Denied,
    Unsupported,
}

impl StoreError {
    /// It can't be reached, or is not in a state to answer.
    pub fn away(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Away, text: text.into() }
    }

    /// It answers, but does not do this: it is full, for example.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, text: text.into() }
    }

    /// It does not let us in.
    pub fn denied(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Denied, text: text.into() }
    }

    /// It has no such thing.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, text: text.into() }
    }

    /// Does it answer, and only not do this?
    pub fn is_refused(&self) -> bool {
        self.kind == ErrorKind::Refused
    }

    /// Does it not let us in?
    pub fn is_denied(&self) -> bool {
        self.kind == ErrorKind::Denied
    }

    /// Does it lack this?
    pub fn is_unsupported(&self) -> bool {
        self.kind == ErrorKind::Unsupported
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for StoreError {}

/// A number that no process ever had before: 64 bits of the operating system's chance for the
/// process, and a count.
pub(crate) fn unique() -> Unique {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut unique = [0; 16];
    unique[..8].copy_from_slice(&process().to_le_bytes());
    unique[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    unique
}

/// This process, among all that share a store.
pub(crate) fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| RandomState::new().build_hasher().finish())
}
