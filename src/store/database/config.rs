//! Which database, and how much of it.

use std::fmt;
use std::time::Duration;

use sea_orm::DatabaseConnection;

/// Which database holds what processes share, and how much of it. Give one to
/// [`QueryCacheBuilder::database`](crate::QueryCacheBuilder::database).
///
/// The connection is a plain one of SeaORM's own, never one that a cache wraps: what goes through it
/// is the cache's own business. Best is a pool of its own, so that it waits for nobody's transaction.
/// For SQLite have a file of its own, in WAL mode: a file has one writer at a time, and in that of
/// your data each transaction that is open would make the cache wait. A database in memory is for tests,
/// and for one connection: each connection has another.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sea_orm::Database;
/// use sea_orm_cache::QueryCache;
/// use sea_orm_cache::store::DatabaseStoreConfig;
///
/// let own = Database::connect("sqlite::memory:").await?;
/// let config = DatabaseStoreConfig::new(own).table("cache_entries").create_tables();
/// let cache = QueryCache::builder().prefix("shop").database(config).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DatabaseStoreConfig {
    pub(super) connection: DatabaseConnection,
    pub(super) table: String,
    pub(super) create: bool,
    pub(super) unlogged: bool,
    pub(super) max_bytes: u64,
    pub(super) timeout: Duration,
    pub(super) cull_every: Duration,
}

impl DatabaseStoreConfig {
    /// The database behind this connection, in tables named `sea_orm_cache…`.
    pub fn new(connection: DatabaseConnection) -> Self {
        Self {
            connection,
            table: "sea_orm_cache".to_owned(),
            create: false,
            unlogged: false,
            // What a small database can spare, and more than most caches fill.
            max_bytes: 256 << 20,
            // Longer than any statement of ours takes where nothing is wrong.
            timeout: Duration::from_secs(1),
            // What has expired takes up room no longer than this.
            cull_every: Duration::from_secs(10),
        }
    }

    /// The table of entries; three more have names that begin with it. Letters, digits and `_`, at
    /// most 40, on servers perhaps behind the name of a schema and a dot. The default is
    /// `sea_orm_cache`.
    pub fn table(mut self, table: &str) -> Self {
        self.table = table.to_owned();
        self
    }

    /// Makes the tables if they are missing, each time that it connects. Without this a migration has
    /// to, and connecting says so; [`create_statements`](super::create_statements) gives what it needs.
    pub fn create_tables(mut self) -> Self {
        self.create = true;
        self
    }

    /// With [`create_tables`](Self::create_tables) on PostgreSQL: makes tables that are not written
    /// to its log. Writes cost less, and after a crash the cache is empty.
    pub fn unlogged(mut self) -> Self {
        self.unlogged = true;
        self
    }

    /// How many bytes entries and single values may take, of all caches in these tables; past it
    /// those go first that would end first. Looked at in the background, so for some seconds it may be
    /// more, and versions of tags, about 100 bytes each, come on top. The default is 256 MiB.
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How long a call may take, all its statements and attempts together, before the database
    /// counts as away. The default is 1 second.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often one of the processes removes what has expired and what is over the limit. The
    /// default is 10 seconds.
    pub fn cull_every(mut self, pause: Duration) -> Self {
        self.cull_every = pause;
        self
    }
}

impl fmt::Debug for DatabaseStoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseStoreConfig")
            .field("backend", &self.connection.get_database_backend())
            .field("table", &self.table)
            .field("max_bytes", &self.max_bytes)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
