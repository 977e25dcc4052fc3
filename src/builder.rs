//! Settings of a cache.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Capture, Engine, QueryCache};
use crate::clock::{Clock, SystemClock};
use crate::codec::{Compression, Packing};
use crate::error::Error;
use crate::event::Observer;
use crate::kv::KvConfig;
use crate::outbox::OutboxConfig;
use crate::shared::{Coherence, Shared, WhenAway};
use crate::store::{Consistency, DatabaseStore, DatabaseStoreConfig, Store};
#[cfg(feature = "opendal")]
use crate::store::{OpendalConfig, OpendalStore};
#[cfg(feature = "redis")]
use crate::store::{RedisConfig, RedisStore};

/// Memory would be bypassed most of the time.
const SHORTEST_BOUND: Duration = Duration::from_millis(20);

/// Builds a [`QueryCache`]. Every setting has a default.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// use std::time::Duration;
/// use sea_orm_cache::{Event, QueryCache};
///
/// let cache = QueryCache::builder()
///     .prefix("shop")
///     .version(2)
///     .default_ttl(Duration::from_secs(300))
///     .max_bytes(64 << 20)
///     .observer(|event: &Event<'_>| eprintln!("{event}"))
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct QueryCacheBuilder {
    pub(crate) prefix: Arc<str>,
    pub(crate) version: u32,
    pub(crate) default_ttl: Duration,
    pub(crate) ttl_jitter: f64,
    pub(crate) max_bytes: usize,
    pub(crate) packing: Packing,
    pub(crate) check_codec: bool,
    pub(crate) capture: Capture,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) named: BTreeMap<String, KvConfig>,
    pub(crate) outbox: Option<OutboxConfig>,
    store: Option<Behind>,
    consistency: Consistency,
    coherence: Coherence,
    when_away: WhenAway,
}

/// What lies behind the memory tier.
enum Behind {
    Store(Arc<dyn Store>),
    Database(Box<DatabaseStoreConfig>),
    #[cfg(feature = "redis")]
    Redis(Box<RedisConfig>),
    #[cfg(feature = "opendal")]
    Opendal(Box<OpendalConfig>),
}

impl Default for QueryCacheBuilder {
    fn default() -> Self {
        Self {
            prefix: "sea-orm".into(),
            version: 1,
            // Long enough to be worth it; what the cache can't see is stale no longer than this.
            default_ttl: Duration::from_secs(300),
            // Some 50,000 small lists, and little beside a web server's own memory.
            max_bytes: 64 << 20,
            // Enough that a thousand entries of one warm-up end over half a minute of 5.
            ttl_jitter: 0.1,
            packing: Packing {
                compression: Compression::default(),
                // Below, there is little to gain, and most results are that small.
                compress_from: 2 << 10,
                // More rows than one wants to read at once, yet no harm to anybody's store.
                max_bytes: 8 << 20,
            },
            check_codec: false,
            capture: Capture::Auto,
            clock: Arc::new(SystemClock::default()),
            observer: None,
            named: BTreeMap::new(),
            outbox: None,
            store: None,
            // The cache's own promise rests on it.
            consistency: Consistency::Full,
            coherence: Coherence::default(),
            when_away: WhenAway::default(),
        }
    }
}

impl QueryCacheBuilder {
    /// The first part of every key, to keep applications apart that share a store. Letters,
    /// digits, `-`, `_` and `.`; the default is `sea-orm`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The version of the application's data format: with another one, older entries are never
    /// used. The default is 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The TTL of queries that do not give their own. The default is 5 minutes.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = ttl;
        self
    }

    /// How many bytes entries may take in memory, at most; past it the least useful go. Beside
    /// them the versions of tags take a sixteenth of this, but at most 32 MiB. 0 stores nothing.
    /// The default is 64 MiB.
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// How much shorter than its TTL an entry may live, as a part of it from 0 to 1: each one's
    /// time is shortened by chance, up to this part, so that entries that were filled together do
    /// not all end at once. No entry lives longer than its TTL. The default is 0.1.
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.ttl_jitter = part;
        self
    }

    /// The largest result that is stored, in bytes; larger ones are read each time, and
    /// [`Event::FillRefused`](crate::Event::FillRefused) tells it. The default is 8 MiB, and the
    /// memory tier takes none that is larger than 4 MiB or a 64th of its budget, whichever is more.
    pub fn max_entry_bytes(mut self, max_bytes: usize) -> Self {
        self.packing.max_bytes = max_bytes;
        self
    }

    /// How results of at least `from_bytes` bytes are compressed in stores that hold bytes. The
    /// memory tier holds values, and compresses nothing. The default is not at all.
    pub fn compression(mut self, compression: Compression, from_bytes: usize) -> Self {
        self.packing.compression = compression;
        self.packing.compress_from = from_bytes;
        self
    }

    /// Sends every result through the codec before it is stored, as a store that holds bytes
    /// would, so that tests on the memory tier alone see what such a store would give back. A
    /// result that does not come back the same is not stored, and
    /// [`Event::FillRefused`](crate::Event::FillRefused) tells it. For tests: it costs time.
    pub fn check_codec(mut self, check: bool) -> Self {
        self.check_codec = check;
        self
    }

    /// When the rows of a write are read before it. The default is [`Capture::Auto`].
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = capture;
        self
    }

    /// The clock by which entries expire, for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who is told what the cache does.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Shares entries and invalidations with every process whose cache has the same prefix,
    /// version and Redis. The default is memory only.
    ///
    /// ```
    /// use sea_orm_cache::QueryCache;
    /// use sea_orm_cache::store::RedisConfig;
    ///
    /// let builder = QueryCache::builder().redis(RedisConfig::new("redis://127.0.0.1/"));
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis(mut self, config: RedisConfig) -> Self {
        self.store = Some(Behind::Redis(config.into()));
        self
    }

    /// The same through a service of Apache OpenDAL's: files of one machine, or Memcached. It does
    /// not tell of writes, so there is [`Coherence::Strong`] alone, and it has no place for
    /// [`Kv`](crate::Kv).
    ///
    /// ```
    /// use sea_orm_cache::QueryCache;
    /// use sea_orm_cache::store::OpendalConfig;
    ///
    /// let folder = std::env::temp_dir().join("sea-orm-cache-doc");
    /// let builder = QueryCache::builder().opendal(OpendalConfig::filesystem(folder));
    /// ```
    #[cfg(feature = "opendal")]
    pub fn opendal(mut self, config: OpendalConfig) -> Self {
        self.store = Some(Behind::Opendal(config.into()));
        self
    }

    /// Shares entries and invalidations with every process whose cache has the same prefix,
    /// version and tables in a database, which may be the one that is cached: for who has no Redis.
    /// [`Coherence::Strong`] only.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::Database;
    /// use sea_orm_cache::QueryCache;
    /// use sea_orm_cache::store::DatabaseStoreConfig;
    ///
    /// let own = Database::connect("sqlite::memory:").await?;
    /// let config = DatabaseStoreConfig::new(own).table("cache_entries").create_tables();
    /// let cache = QueryCache::builder().database(config).build().await?;
    /// # Ok(()) }
    /// ```
    pub fn database(mut self, config: DatabaseStoreConfig) -> Self {
        self.store = Some(Behind::Database(config.into()));
        self
    }

    /// The same with a store of another kind.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Behind::Store(Arc::new(store)));
        self
    }

    /// Takes a store also if it promises no more than this, and so gives up a part of what the cache
    /// promises: [`Consistency`] says which. Without it such a store is refused.
    ///
    /// ```
    /// use sea_orm_cache::QueryCache;
    /// use sea_orm_cache::store::Consistency;
    ///
    /// let builder = QueryCache::builder().weaker_consistency(Consistency::PerKey);
    /// ```
    pub fn weaker_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// A cache of single values apart from [`QueryCache::kv`], with a TTL and limits of its own;
    /// [`QueryCache::kv_named`] gives it. Its name is of letters, digits, `-`, `_` and `.`. Of two
    /// with the same name the later one counts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sea_orm_cache::{KvConfig, QueryCache};
    ///
    /// let sessions = KvConfig::new().ttl(Duration::from_secs(1800));
    /// let builder = QueryCache::builder().named("sessions", sessions);
    /// ```
    pub fn named(mut self, name: &str, config: KvConfig) -> Self {
        self.named.insert(name.to_owned(), config);
        self
    }

    /// Listens to what other programs write, in each database that is connected; and, if it is asked
    /// for, keeps what our own transactions invalidate where a crash can't lose it. The default is
    /// not to: then what others write is seen when the TTL is over.
    ///
    /// ```
    /// use sea_orm_cache::{OutboxConfig, QueryCache};
    ///
    /// let builder = QueryCache::builder().outbox(OutboxConfig::new());
    /// ```
    pub fn outbox(mut self, config: OutboxConfig) -> Self {
        self.outbox = Some(config);
        self
    }

    /// When memory may answer although other processes write. The default is
    /// [`Coherence::Strong`].
    pub fn coherence(mut self, coherence: Coherence) -> Self {
        self.coherence = coherence;
        self
    }

    /// What becomes of a write while the store is away. The default is [`WhenAway::Proceed`].
    pub fn when_away(mut self, when_away: WhenAway) -> Self {
        self.when_away = when_away;
        self
    }

    /// Builds the cache. With a store it connects; one that can't be reached is away, as it may be
    /// later, and an event tells it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if a setting is wrong, the message names it, or if the store does not
    /// let us in, or promises less than [was asked for](Self::weaker_consistency); with a store, [`Error::is_no_runtime`] outside a Tokio runtime.
    pub async fn build(mut self) -> Result<QueryCache, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let names = self.named.keys().map(|name| ("the name of a cache", &**name));
        for (what, name) in names.chain([("prefix", &*self.prefix)]) {
            if name.is_empty() || !name.chars().all(allowed) {
                return Err(Error::config(format!(
                    "{what}: {name:?} must be made of letters, digits, '-', '_' and '.'"
                )));
            }
        }
        if !(0.0..=1.0).contains(&self.ttl_jitter) {
            return Err(Error::config(format!(
                "ttl_jitter {} must be between 0 and 1",
                self.ttl_jitter
            )));
        }
        if let Coherence::Bounded(bound) = self.coherence
            && bound < SHORTEST_BOUND
        {
            return Err(Error::config(format!(
                "coherence: a bound of {bound:?} is shorter than {SHORTEST_BOUND:?}, in which no \
                 answer can be had for certain; use Coherence::Strong"
            )));
        }
        if let Some(outbox) = &self.outbox {
            outbox.check()?;
        }
        let store = match self.store.take() {
            None => None,
            Some(Behind::Store(store)) => Some(store),
            Some(Behind::Database(config)) => {
                Some(Arc::new(DatabaseStore::new(*config, &self.prefix, self.version)?) as Arc<_>)
            }
            #[cfg(feature = "redis")]
            Some(Behind::Redis(config)) => {
                Some(Arc::new(RedisStore::new(*config, &self.prefix, self.version)?) as Arc<_>)
            }
            #[cfg(feature = "opendal")]
            Some(Behind::Opendal(config)) => {
                Some(Arc::new(OpendalStore::new(*config, &self.prefix, self.version)?) as Arc<_>)
            }
        };
        if let Some(store) = &store {
            let promised = store.consistency();
            if promised < self.consistency {
                return Err(Error::config(format!(
                    "{store:?} promises too little ({promised:?}): {promised}; to use it all the                      same say weaker_consistency(Consistency::{promised:?})"
                )));
            }
        }
        let shared = store.map(|store| Shared::new(store, self.coherence, self.when_away));
        let engine = Arc::new(Engine::new(self, shared));
        Shared::start(&engine).await?;
        Ok(QueryCache { engine })
    }
}

impl std::fmt::Debug for QueryCacheBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryCacheBuilder")
            .field("prefix", &self.prefix)
            .field("version", &self.version)
            .field("default_ttl", &self.default_ttl)
            .field("ttl_jitter", &self.ttl_jitter)
            .field("max_bytes", &self.max_bytes)
            .field("packing", &self.packing)
            .field("check_codec", &self.check_codec)
            .field("capture", &self.capture)
            .finish_non_exhaustive()
    }
}
