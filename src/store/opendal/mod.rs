//! Entries and versions in files, through Apache OpenDAL: in a folder of one machine, in Memcached,
//! or in whatever else an operator is for.
//!
//! A service of OpenDAL's reads, replaces and removes one file at a time, and no more. What holds
//! without anything that is atomic over several of them, and why:
//!
//! - **A version is written once.** It is new with each write, and its file takes its place as a
//!   whole. Nobody repeats a write of a version, neither to let it live longer nor after an error: a
//!   write that comes after a bump would make valid what that ended. One that came to nothing in time
//!   may still arrive, once; who wrote it has had an error and rests nothing on it, and for who finds
//!   it later it is as new as any. So no `RetryLayer`. Of two who create the version of one tag at
//!   the same moment the later counts, and what the other one puts is not valid.
//! - **Once a version is gone it is gone for ever**, so it does not matter that `get` looks at several
//!   one after the other, only that it does so after it has read the entry.
//! - **`put` takes late versions before it compares the guards**, and **`bump` deletes everything
//!   twice**: if the guards held, the first time was not over when the late versions were taken, so
//!   the second time ends them.
//! - **Whoever blocks a tag writes that first and then deletes its version; `mark` looks for blocks
//!   after it has the version.** So it gives none that is used while the tag is blocked.
//! - **The right to load** is best effort: nothing rests on it.
//! - **Missing is never equal**, so evictions, restarts and [`cull`](OpendalStore::cull) only cost
//!   work.
//!
//! `interleavings.rs` goes through the orders in which such calls can meet, and shows each of these
//! rules to be needed.
//!
//! | | files of one machine | Memcached | another operator |
//! |---|---|---|---|
//! | declares | [`Full`](Consistency::Full) | [`PerKey`](Consistency::PerKey) | [`Eventual`](Consistency::Eventual) |
//! | who looks after an acknowledged write sees it | yes, by the kernel | yes, one server | not known |
//! | a file appears as a whole | yes, it is renamed | yes | not known |
//! | blocks | a file each | all in one: two at the same moment may lose one, an eviction all | as it can list folders |
//! | the right to load | one has it (`O_EXCL`) | best effort | if it can create what is missing |
//! | a state from before comes back | after a crash; the epoch is the kernel's boot id | never: it starts empty | not known |
//! | time | the system's clock, one for all | the server's: nothing lives longer, whatever the clocks | the clocks of those who share it |
//! | cost of a request | some system calls; a new file waits for the disk | two round trips: OpenDAL's pool tries each connection first | its own |
//! | old files | removed in the background | go by themselves | removed if it lists folders |
//!
//! What remains: a system clock that is set back lets entries in files live longer by as much, and a
//! folder that somebody restores while the machine runs, or together with the machine from a
//! snapshot, may have anything in it. A folder in a file
//! system of a network, or on a system where that can't be told, is only
//! [`Eventual`](Consistency::Eventual): it keeps copies of its own that may be out of date. And no
//! service has counters or locks, so there is no place for [`Kv`](crate::Kv): its values would need
//! what is atomic.

mod blocks;
mod config;
mod cull;
mod failure;
mod files;
mod format;
#[cfg(all(test, feature = "__mutation", not(feature = "__shuttle")))]
mod interleavings;
mod lease;
mod local;
mod protocol;
#[cfg(unix)]
mod relay;
#[cfg(not(unix))]
#[path = "no_relay.rs"]
mod relay;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;

pub use self::config::OpendalConfig;
use self::cull::{Round, Step};
use self::files::{Files, Life, Service};
use self::protocol::{Core, folder};
use self::relay::Relay;
use super::{
    Bumped, Bumps, Consistency, Epoch, FillId, Got, Kept, Listener, Mark, Marked, Put, Store,
    StoreError, Unique, unique,
};
use crate::error::Error;
use crate::key::{Key, hex};
use crate::sync::{Mutex, lock};

/// In which history files are that end with the service, or of which that is not known.
const ONE_HISTORY: Epoch = *b"sea-orm-cache/od";

/// How many files are looked at every so often; more often while many are of no use.
const CULL_FILES: usize = 500;
const CULL_PAUSE: Duration = Duration::from_secs(10);
const CULL_PAUSE_BUSY: Duration = Duration::from_secs(1);

/// More time for each tag that a call is about.
const FOR_EACH: Duration = Duration::from_millis(2);

/// Entries and versions in files. What [`QueryCacheBuilder::opendal`] makes of an
/// [`OpendalConfig`]; by itself it is for tests.
///
/// [`QueryCacheBuilder::opendal`]: crate::QueryCacheBuilder::opendal
pub struct OpendalStore {
    inner: Arc<Inner>,
    culling: Mutex<Option<JoinHandle<()>>>,
    relay: Mutex<Option<Relay>>,
}

struct Inner {
    config: Arc<OpendalConfig>,
    consistency: Consistency,
    why: Option<String>,
    folder: String,
    epoch: Epoch,
    core: RwLock<Arc<Core<Service>>>,
    round: tokio::sync::Mutex<Round>,
}

impl fmt::Debug for OpendalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpendalStore({:?}", self.inner.config)?;
        match &self.inner.why {
            Some(why) => write!(f, ", of which {why})"),
            None => f.write_str(")"),
        }
    }
}

impl OpendalStore {
    /// A store for the cache of this prefix and version. Does not connect yet; a folder is made if
    /// it is missing.
    ///
    /// ```
    /// use sea_orm_cache::store::{OpendalConfig, OpendalStore};
    ///
    /// let folder = std::env::temp_dir().join("sea-orm-cache-doc");
    /// let store = OpendalStore::new(OpendalConfig::filesystem(folder), "shop", 1)?;
    /// # Ok::<(), sea_orm_cache::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the address is wrong, or the folder can't be made.
    pub fn new(config: OpendalConfig, prefix: &str, version: u32) -> Result<Self, Error> {
        let config = Arc::new(config);
        let files = Service::open(&config, None)?;
        let (consistency, why) = config.promises();
        let epoch = local::boot().filter(|_| consistency == Consistency::Full);
        let (folder, epoch) = (folder(prefix, version), epoch.unwrap_or(ONE_HISTORY));
        let core = core(files, &config, &folder, epoch);
        let core = RwLock::new(Arc::new(core));
        let round = tokio::sync::Mutex::default();
        let inner = Inner { config, consistency, why, folder, epoch, core, round };
        Ok(Self { inner: Arc::new(inner), culling: Mutex::default(), relay: Mutex::default() })
    }

    /// Looks at so many files at most, where it left off, and removes those that are of no use any
    /// more: the number of those. It happens by itself, in the background, as long as the store is
    /// in use; this is for who wants it at other times.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm_cache::store::{OpendalConfig, OpendalStore};
    ///
    /// let folder = std::env::temp_dir().join("sea-orm-cache-doc");
    /// let store = OpendalStore::new(OpendalConfig::filesystem(folder), "shop", 1)?;
    /// store.cull(1_000).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What the service said.
    pub async fn cull(&self, files: usize) -> Result<usize, StoreError> {
        Ok(self.inner.cull(files).await?.removed)
    }

    fn core(&self) -> Arc<Core<Service>> {
        self.inner.core()
    }

    /// The address by which a server is reached that has another one.
    fn way(&self) -> Option<Arc<str>> {
        let address = self.inner.config.tcp()?;
        let mut relay = lock(&self.relay);
        if relay.as_ref().is_none_or(|relay| !relay.is_open()) {
            *relay = Relay::to(address);
        }
        relay.as_ref().map(|relay| relay.endpoint().into())
    }

    /// Ends within the time for so many tags. What was begun goes on, and has its effect once at
    /// most.
    async fn within<T>(
        &self,
        tags: usize,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let tags = u32::try_from(tags).unwrap_or(u32::MAX);
        let limit = self.inner.config.timeout.saturating_add(FOR_EACH.saturating_mul(tags));
        let late = |_| StoreError::away(format!("no answer within {limit:?}"));
        tokio::time::timeout(limit, call).await.map_err(late)?
    }
}

impl Drop for OpendalStore {
    fn drop(&mut self) {
        let culling = self.culling.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(culling) = culling.take() {
            culling.abort();
        }
    }
}

fn core(files: Service, config: &OpendalConfig, folder: &str, epoch: Epoch) -> Core<Service> {
    Core { files, folder: folder.to_owned(), epoch, one_clock: !config.ends_files() }
}

impl Inner {
    fn core(&self) -> Arc<Core<Service>> {
        self.core.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn cull(&self, files: usize) -> Result<Step, StoreError> {
        if self.config.ends_files() {
            return Ok(Step { round_over: true, ..Step::default() });
        }
        let mut round = self.round.lock().await;
        self.core().cull(&mut round, files, self.config.aside()).await
    }
}

/// May we do what we shall have to? A file of our own is written, read and removed.
async fn try_all(core: &Core<Service>) -> Result<(), StoreError> {
    const MOMENT: Life = Life::AtMost(1_000);
    let place = format!("{}/p/{}", core.folder, hex(&unique()));
    let written = core.files.write(place.clone(), b"?".to_vec(), MOMENT).await;
    match written {
        // It is there, and perhaps full: versions can be deleted all the same.
        Err(error) if error.is_refused() => {}
        written => written?,
    }
    core.files.read(place.clone(), None).await?;
    core.files.delete(place).await
}

async fn cull_for_ever(store: Weak<Inner>) {
    let mut pause = CULL_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(store) = store.upgrade() else { return };
        // A service that is away is so for the cache, too, which tells it.
        let step = store.cull(CULL_FILES).await.unwrap_or_default();
        let many = step.removed * 4 > CULL_FILES;
        pause = if many { CULL_PAUSE_BUSY } else { CULL_PAUSE };
    }
}

#[async_trait]
impl Store for OpendalStore {
    async fn connect(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        // On connections of its own: of the old ones some may wait for what will never come.
        let files = Service::open(&inner.config, self.way());
        let files = files.map_err(|error| StoreError::away(error.to_string()))?;
        let core = Arc::new(core(files, &inner.config, &inner.folder, inner.epoch));
        self.within(0, try_all(&core)).await?;
        *inner.core.write().unwrap_or_else(PoisonError::into_inner) = core;
        if !inner.config.ends_files() {
            lock(&self.culling)
                .get_or_insert_with(|| tokio::spawn(cull_for_ever(Arc::downgrade(inner))));
        }
        Ok(())
    }

    async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        self.within(0, self.core().get(key, known)).await
    }

    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        self.within(mark.ids.len(), self.core().mark(mark)).await
    }

    async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        self.within(put.late.len() + put.guards.len(), self.core().put(put)).await
    }

    async fn release(&self, key: &Key, token: &Unique, never: bool) -> Result<(), StoreError> {
        self.within(0, self.core().give_back(&key.digest, token, never)).await
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.within(0, self.core().remove(key)).await
    }

    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        let tags = bump.ids.len() + bump.block.len() + bump.unblock.len();
        self.within(tags, self.core().bump(bump)).await
    }

    fn consistency(&self) -> Consistency {
        self.inner.consistency
    }

    fn tells(&self) -> bool {
        false
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError> {
        Err(StoreError::unsupported("files tell nobody that they changed"))
    }
}
