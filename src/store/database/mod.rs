//! Entries and versions in tables of the user's own database.
//!
//! | table | a row |
//! |---|---|
//! | `…` | an entry: its value, its tags with their versions, when it ends |
//! | `…_version` | a tag: its version, or who blocks it |
//! | `…_cell` | a single value with the right to fill it, a lock, or the right to load an entry |
//! | `…_epoch` | one in all: the name of the store's history |
//!
//! A hit is one statement, which compares each version that the entry was put with by a look-up.
//!
//! # Why nothing is stale
//!
//! Every statement is a transaction of its own. What a database lets two such do beside each other
//! differs, so the proof asks little of it: a statement sees what was committed before it began
//! (any isolation level), and what one has deleted is gone for all that begin after it.
//!
//! * *Marked tags.* Versions are created by one statement, and read by a later one: so whoever has
//!   a version, it was committed before. Let a bump's (last) DELETE begin at *d*, which is after its
//!   write was committed. A version committed before *d* is deleted. One that was committed after
//!   *d* was read after *d*, so what was loaded under it has the write.
//! * *Late tags* get their versions after the load, so for them that is not enough: a load from
//!   before the write could find, or create, a version while the DELETE is under way, which then does
//!   not see it (PostgreSQL and InnoDB look at rows as of the statement's begin, or in their order), and
//!   the guards not yet deleted. Therefore **a bump deletes twice**, the second time after the first is
//!   committed. `put` reads the late versions, and not before them the guards. If a guard was still
//!   there then, the first DELETE was not committed, so the second begins later than those versions
//!   were committed, and deletes them. If not, the entry is refused. SQLite has one writer at a time:
//!   a version is created before the whole DELETE or after it, and once is enough.
//! * So `put` need not look at guards and write the entry in one moment: an entry that is written
//!   later carries versions that are gone.
//! * No version is used twice. The one to create is new in each call. It is not sent again after an
//!   answer was lost; after the database took the statement back another one is.
//! * A blocked tag's row has no version, which is set by one statement that waits for whoever is just
//!   creating one. A bump leaves it alone.
//!
//! # Epochs: when the database's state goes back in time
//!
//! The name of the present history is not the row of `…_epoch` alone, since that would go back with
//! the rest. It is computed in each statement, by the server that runs it, from
//!
//! * PostgreSQL: that row, in an *unlogged* table, which the server empties after a crash and which
//!   neither replicas nor base backups have; the table's own number, which is another in a restored
//!   dump; and when the server was started.
//! * MySQL, MariaDB: that row, in a table of the MEMORY engine, which is empty after each start; and
//!   the server's id, host and port, which a replica does not share. While `read_only` is set
//!   there is no name at all, so a primary that was replaced answers nothing. A dump that is loaded
//!   into the server it is of is not noticed.
//! * SQLite: that row, and the machine's boot (on Linux), so what a power failure may have taken back
//!   is not believed. A copy that is put in the file's place while nobody has it open is not noticed:
//!   delete the file instead, or the row.
//!
//! An entry from another history does not answer, and what was marked in one is not put in another.
//! What can't be seen is two primaries at once that both take writes.
//!
//! # Time
//!
//! Whatever ends, ends by the database's clock, in the same statement that looks at it.

mod bump;
mod cells;
mod config;
mod cull;
mod dialect;
mod entries;
mod lease;
mod probe;
mod schema;
mod sql;
mod talk;
mod versions;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use self::config::DatabaseStoreConfig;
pub use self::cull::Culled;
use self::dialect::Dialect;
use self::schema::Names;
pub use self::schema::{create_statements, drop_statements};
use self::sql::Sql;
use self::talk::Talk;
use super::{
    Bumped, Bumps, Cells, FillId, Got, Kept, Listener, Mark, Marked, Put, Store, StoreError, Turn,
    Unique,
};
use crate::error::Error;
use crate::key::{Key, PROTOCOL};

/// Entries and versions in tables of a database. What [`QueryCacheBuilder::database`] makes of a
/// [`DatabaseStoreConfig`]; by itself it is for tests, and for [`cull`](Self::cull).
///
/// [`QueryCacheBuilder::database`]: crate::QueryCacheBuilder::database
pub struct DatabaseStore {
    inner: Arc<Inner>,
    /// Removes what has expired, from the first connect on.
    background: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    talk: Talk,
    names: Names,
    sql: Sql,
    /// What this cache's tags are told from others' by.
    salt: u64,
    create: bool,
    unlogged: bool,
    max_bytes: u64,
    cull_every: Duration,
    /// Bytes that were written since somebody looked how many there are.
    written: AtomicU64,
    wake: Arc<Notify>,
}

impl DatabaseStore {
    /// A store for the cache of this prefix and version. Does not ask the database yet.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if the table's name is wrong, or the database of another kind.
    pub fn new(config: DatabaseStoreConfig, prefix: &str, version: u32) -> Result<Self, Error> {
        let dialect = Dialect::of(config.connection.get_database_backend())?;
        let names = Names::new(dialect, &config.table)?;
        let salt = Sha256::digest(format!("{prefix}:v{version}:{PROTOCOL}"));
        let inner = Inner {
            sql: Sql::new(&names, &boot()),
            talk: Talk::new(config.connection, dialect, config.timeout),
            names,
            salt: u64::from_le_bytes(std::array::from_fn(|byte| salt[byte])),
            create: config.create,
            unlogged: config.unlogged,
            max_bytes: config.max_bytes,
            cull_every: config.cull_every,
            written: AtomicU64::new(0),
            wake: Arc::default(),
        };
        Ok(Self { inner: Arc::new(inner), background: Mutex::default() })
    }

    /// Removes what has expired and what is over the limit, now, and tells how much that was. A task
    /// in the background does it from time to time; where that is not wanted, a job of the user's may.
    ///
    /// # Errors
    ///
    /// What the database said; some may be removed by then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::Database;
    /// use sea_orm_cache::store::{DatabaseStore, DatabaseStoreConfig, Store};
    ///
    /// let own = Database::connect("sqlite::memory:").await?;
    /// let store = DatabaseStore::new(DatabaseStoreConfig::new(own).create_tables(), "shop", 1)?;
    /// store.connect().await?;
    /// assert_eq!(store.cull().await?.evicted, 0);
    /// # Ok(()) }
    /// ```
    pub async fn cull(&self) -> Result<Culled, StoreError> {
        self.inner.cull().await
    }

    fn begin_background(&self) {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        // One whose runtime is gone has ended.
        if background.as_ref().is_none_or(JoinHandle::is_finished) {
            *background = Some(tokio::spawn(cull::run(Arc::downgrade(&self.inner))));
        }
    }
}

/// What tells this start of the machine from others, as 16 hexadecimal digits; for SQLite.
fn boot() -> String {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    crate::key::hex(&Sha256::digest(boot)[..8])
}

impl fmt::Debug for DatabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseStore")
            .field("dialect", &self.inner.talk.dialect)
            .field("table", &self.inner.names.entries)
            .finish_non_exhaustive()
    }
}

impl Drop for DatabaseStore {
    fn drop(&mut self) {
        let background = self.background.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = background {
            task.abort();
        }
    }
}

#[async_trait]
impl Store for DatabaseStore {
    async fn connect(&self) -> Result<(), StoreError> {
        self.inner.connect().await?;
        self.begin_background();
        Ok(())
    }

    async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        self.inner.talk.within(self.inner.get(key, known)).await
    }

    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        self.inner.talk.within(self.inner.mark(mark)).await
    }

    async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        self.inner.talk.within(self.inner.put(put)).await
    }

    async fn release(&self, key: &Key, token: &Unique, never: bool) -> Result<(), StoreError> {
        self.inner.talk.within(self.inner.release(key, token, never)).await
    }

    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.inner.talk.within(self.inner.remove(key)).await
    }

    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        self.inner.talk.within(self.inner.bump(bump)).await
    }

    fn tells(&self) -> bool {
        false
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError> {
        Err(StoreError::unsupported("a database tells nobody of bumps"))
    }

    fn cells(&self) -> Option<&dyn Cells> {
        Some(self)
    }
}

impl Inner {
    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        if let Some(key) = mark.entry
            && let Got::Found(found) = self.get(key, None).await?
        {
            return Ok(Marked::found(found));
        }
        let turn = match &mark.lease {
            Some(lease) => self.take(lease).await?,
            None => Turn::Free,
        };
        let tags = self.tags(mark.ids);
        let (look, created) = self.versions(&[], &tags, &tags, mark.create, mark.keep_ms).await?;
        Ok(Marked {
            found: None,
            epoch: Self::epoch(&look.epoch)?,
            versions: tags.iter().map(|tag| look.version_or(*tag, created)).collect(),
            turn,
        })
    }
}
