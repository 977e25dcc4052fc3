//! The engine that joins the mechanisms, and the handle that users hold.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement, TransactionTrait};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::builder::QueryCacheBuilder;
use crate::change::Bump;
use crate::clock::Clock;
use crate::codec::Packing;
use crate::connection::CachedConnection;
use crate::database::{Database, RootOf};
use crate::declare::Declarations;
use crate::error::Error;
use crate::event::{Cause, Event, Observer};
use crate::explain::Explanation;
use crate::flight::{Flights, Refreshes};
use crate::key::Digest;
use crate::kv::Registry as KvRegistry;
use crate::memory::{Entry, Kind, Memory};
use crate::outbox::{self, OutboxConfig};
use crate::replica::LastBumps;
use crate::rules::Registry;
use crate::schema::Name;
use crate::shared::{Shared, Under};
use crate::stats::{self, OutboxStats, Stats, count};
use crate::versions::Versions;

/// A cache for query results. Cheap to clone; all clones are the same cache.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// use sea_orm_cache::prelude::*;
///
/// let cache = QueryCache::builder().prefix("shop").max_bytes(16 << 20).build().await?;
/// let clone = cache.clone();
/// assert_eq!(clone.stats().entries, 0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct QueryCache {
    pub(crate) engine: Arc<Engine>,
}

pub(crate) struct Engine {
    pub(crate) prefix: Arc<str>,
    pub(crate) version: u32,
    pub(crate) default_ttl: Duration,
    pub(crate) ttl_jitter: f64,
    pub(crate) packing: Packing,
    pub(crate) check_codec: bool,
    pub(crate) capture: Capture,
    pub(crate) memory: Memory,
    pub(crate) shared: Option<Shared>,
    pub(crate) versions: Versions,
    pub(crate) flights: Flights,
    pub(crate) refreshes: Refreshes,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) stats: stats::Registry,
    pub(crate) kv: KvRegistry,
    pub(crate) outbox: Option<OutboxConfig>,
    databases: Mutex<Vec<Weak<Database>>>,
    /// The names of all that were ever connected, and a digest of them.
    identities: RwLock<(BTreeSet<String>, Digest)>,
    pub(crate) declarations: RwLock<Declarations>,
    /// A part of every key; see `policy::rulings`.
    pub(crate) rulings: AtomicU64,
    pub(crate) last_bumps: LastBumps,
    pub(crate) rules: Registry,
    /// Counts the loads that began.
    loads: AtomicU64,
    /// Changes of some database's schema that are under way.
    pub(crate) schema_changes: AtomicUsize,
}

/// When the rows of an UPDATE or DELETE are read before it, so that only what shows them is
/// invalidated. Reading them costs a transaction and a query around the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Capture {
    /// Never: a write whose rows its own text does not tell invalidates more.
    Never,
    /// Only if some cached result would be invalidated for want of it. The default: it costs
    /// nothing where nobody would gain.
    #[default]
    Auto,
    /// For every UPDATE and DELETE whose rows are not known otherwise.
    Always,
}

impl Engine {
    pub(crate) fn new(builder: QueryCacheBuilder, shared: Option<Shared>) -> Self {
        Self {
            prefix: builder.prefix,
            version: builder.version,
            default_ttl: builder.default_ttl,
            ttl_jitter: builder.ttl_jitter,
            packing: builder.packing,
            check_codec: builder.check_codec,
            capture: builder.capture,
            memory: Memory::new(builder.max_bytes),
            // One version for each 128 bytes of entries: more than entries of any shape need.
            versions: Versions::new(
                (builder.max_bytes / 128).clamp(1 << 12, 1 << 22),
                shared.is_some(),
            ),
            shared,
            flights: Flights::default(),
            refreshes: Refreshes::default(),
            clock: builder.clock,
            observer: builder.observer,
            stats: stats::Registry::default(),
            kv: KvRegistry::new(builder.named, builder.default_ttl),
            outbox: builder.outbox,
            databases: Mutex::default(),
            identities: RwLock::default(),
            declarations: RwLock::default(),
            rulings: AtomicU64::new(0),
            last_bumps: LastBumps::default(),
            rules: Registry::default(),
            loads: AtomicU64::new(0),
            schema_changes: AtomicUsize::new(0),
        }
    }

    /// Tells the observer, if there is one; the event is not built otherwise.
    #[inline]
    pub(crate) fn tell<'e>(&self, event: impl FnOnce() -> Event<'e>) {
        if let Some(observer) = &self.observer {
            observer.on_event(&event());
        }
    }

    pub(crate) fn bump(&self, bump: &Bump, cause: impl FnOnce() -> Cause) {
        self.bump_under(bump, Under::Schema(None), cause);
    }

    pub(crate) fn bump_under(&self, bump: &Bump, under: Under, cause: impl FnOnce() -> Cause) {
        if bump.is_empty() {
            return;
        }
        self.last_bumps.note(bump, self.clock.now_ms());
        self.versions.bump(bump);
        if let Some(shared) = &self.shared {
            shared.delivery.push(&bump.ids, under);
        }
        count(&self.stats.bumps);
        if let Some(observer) = &self.observer {
            observer.on_event(&Event::Bump { cause: &cause(), tags: &bump.tags });
        }
    }

    fn add(&self, database: &Arc<Database>) {
        let mut all = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(database));
    }

    pub(crate) fn connected(&self) -> Vec<Arc<Database>> {
        let all = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Which databases there are. What a value is said to depend on is looked up in all of them, so
    /// one that was made before another was connected is not asked for any more.
    pub(crate) fn identities(&self) -> Digest {
        self.identities.read().unwrap_or_else(PoisonError::into_inner).1
    }

    fn identify(&self, identity: String) {
        let mut identities = self.identities.write().unwrap_or_else(PoisonError::into_inner);
        identities.0.insert(identity);
        let mut hash = Sha256::new();
        for identity in &identities.0 {
            hash.update((identity.len() as u64).to_le_bytes());
            hash.update(identity);
        }
        identities.1 = hash.finalize().into();
    }

    pub(crate) fn doubt(&self, tables: &[Name], begins: bool) {
        self.versions.doubt(tables, begins);
        self.tell(|| Event::Doubt { tables, begins });
    }

    pub(crate) fn forget_schemas(&self) {
        self.connected().iter().for_each(|database| database.forget_schema());
    }

    /// A valid entry of this kind, or nothing.
    #[inline]
    pub(crate) fn lookup(&self, digest: &Digest, kind: Kind) -> Option<Arc<Entry>> {
        let entry = self.memory.get(digest)?;
        if entry.kind != kind {
            return None;
        }
        let expired = self.age_ms(&entry) >= entry.ttl_ms;
        if !expired && self.versions.hold(&entry.stamps) {
            return Some(entry);
        }
        if !entry.ended.swap(true, Ordering::Relaxed) {
            let counters = &entry.counters;
            count(if expired { &counters.expired } else { &counters.invalid });
        }
        self.discard(&entry);
        None
    }

    /// Forgets an entry that is not valid, unless it may still be of use.
    pub(crate) fn discard(&self, entry: &Arc<Entry>) {
        let keep_ms = entry.keep_ms.load(Ordering::Relaxed);
        if self.age_ms(entry) > keep_ms || keep_ms == 0 {
            self.memory.remove(entry);
        }
    }

    /// A number for a load that begins now.
    pub(crate) fn next_load(&self) -> u64 {
        self.loads.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn age_ms(&self, entry: &Entry) -> u64 {
        self.clock.now_ms().saturating_sub(entry.filled_ms)
    }

    /// What an entry may count, in bytes.
    pub(crate) fn max_entry_bytes(&self) -> usize {
        self.memory.max_entry_bytes().min(self.packing.max_bytes)
    }

    /// A TTL made shorter by chance, so that entries that were filled together do not end together.
    pub(crate) fn spread(&self, ttl_ms: u64) -> u64 {
        if self.ttl_jitter == 0.0 {
            return ttl_ms;
        }
        (ttl_ms as f64 * (1.0 - self.ttl_jitter * fastrand::f64())) as u64
    }
}

impl QueryCache {
    /// Starts building a cache.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> QueryCacheBuilder {
        QueryCacheBuilder::default()
    }

    /// Wraps a connection: its reads can be cached, and its writes invalidate. Reads the
    /// database's catalog once.
    ///
    /// A catalog that can't be read is not an error: the connection works, every write through it
    /// invalidates everything, and an event says so.
    ///
    /// # Errors
    ///
    /// [`Error::is_no_runtime`] outside a Tokio runtime, [`Error::is_database`] if the database
    /// does not answer at all, [`Error::is_config`] if it lacks the outbox that the builder asks for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::Database;
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect<C>(&self, connection: C) -> Result<CachedConnection<C>, Error>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
    {
        self.connect_named(connection, None).await
    }

    /// The same for a database that you name, where processes that share a store would not know
    /// it as one: because they reach it by other addresses, or it does not tell who it is. That it
    /// is one is a promise of yours, and so is that its sessions are set up alike (time zone,
    /// `search_path`, role): entries are shared by all connections of a name.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::Database;
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect_as("orders", Database::connect("sqlite::memory:").await?).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_as<C>(
        &self,
        name: &str,
        connection: C,
    ) -> Result<CachedConnection<C>, Error>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
    {
        self.connect_named(connection, Some(name)).await
    }

    async fn connect_named<C>(
        &self,
        connection: C,
        name: Option<&str>,
    ) -> Result<CachedConnection<C>, Error>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
        let inner = Arc::new(connection);
        let (identity, typed_only) = crate::catalog::identity(&*inner).await?;
        let identity = name.map_or(identity, |name| format!("named {name}"));
        let root = Arc::new(RootOf(inner.clone()));
        let backend = inner.get_database_backend();
        let engine = self.engine.clone();
        let database = Database::new(engine, backend, &identity, typed_only, root, runtime);
        let database = Arc::new(database);
        if let Some(follower) = &database.follower {
            follower.check(&database).await?;
        }
        database.load().await;
        self.engine.identify(identity);
        self.engine.add(&database);
        outbox::begin(&database, &*inner).await;
        Ok(CachedConnection::new(inner, database))
    }

    /// What the cache did so far.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let stats = sea_orm_cache::QueryCache::builder().build().await?.stats();
    /// println!("{:.1}% hits", 100.0 * stats.total.hit_rate());
    /// # Ok(()) }
    /// ```
    pub fn stats(&self) -> Stats {
        let engine = &self.engine;
        let mut stats = engine.stats.snapshot(engine.memory.len(), engine.memory.bytes());
        let now_ms = engine.clock.now_ms();
        stats.store = engine.shared.as_ref().map(|shared| shared.stats(now_ms));
        let followers = engine.connected();
        let followers = followers.iter().filter_map(|database| database.follower.as_ref());
        stats.outbox = followers.map(|follower| follower.stats(now_ms)).reduce(OutboxStats::join);
        stats
    }

    /// How many entries would answer a read now. Walks all entries: for tests and diagnostics.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// assert_eq!(sea_orm_cache::QueryCache::builder().build().await?.count_valid(), 0);
    /// # Ok(()) }
    /// ```
    pub fn count_valid(&self) -> usize {
        let valid = |entry: &Arc<Entry>| {
            self.engine.age_ms(entry) < entry.ttl_ms && self.engine.versions.hold(&entry.stamps)
        };
        self.engine.memory.iter().filter(valid).count()
    }

    /// What a query would depend on, or why it would not be cached; for a write, what it would
    /// bump. Consults the catalog of a database of this backend that was connected; without one
    /// a write bumps everything.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// use sea_orm::{DbBackend, EntityTrait};
    ///
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// println!("{}", cache.explain(&cake::Entity::find_by_id(5), DbBackend::Sqlite));
    /// # Ok(()) }
    /// ```
    pub fn explain<Q: QueryTrait>(&self, query: &Q, backend: DbBackend) -> Explanation {
        self.explain_statement(&query.build(backend))
    }

    /// The same for a statement in SQL.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use sea_orm::{DbBackend, Statement};
    ///
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// let statement = Statement::from_string(DbBackend::Sqlite, "SELECT random()");
    /// let explanation = cache.explain_statement(&statement);
    /// assert!(explanation.uncacheable().is_some());
    /// # Ok(()) }
    /// ```
    pub fn explain_statement(&self, statement: &Statement) -> Explanation {
        let all = self.engine.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connected = all.iter().filter_map(Weak::upgrade);
        let database = connected.find(|database| database.backend == statement.db_backend);
        drop(connected);
        drop(all);
        Explanation::new(statement, database.map(|database| database.current()))
    }
}

impl std::fmt::Debug for QueryCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryCache")
            .field("prefix", &self.engine.prefix)
            .field("version", &self.engine.version)
            .field("entries", &self.engine.memory.len())
            .finish_non_exhaustive()
    }
}
