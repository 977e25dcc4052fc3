//! The stores that are put to the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm_cache::store::{
    Bumps, DatabaseStore, DatabaseStoreConfig, Found, Got, Kept, Mark, Marked, OpendalConfig,
    OpendalStore, Put, RedisConfig, RedisStore, Store, TagId, Unique,
};
use sea_orm_cache::{Family, Key};

use crate::support::redis::Server;
use crate::support::servers::{Backend, TestDb};

/// A store of a cache of its own, with what a test does to it.
pub struct Subject {
    pub name: &'static str,
    pub store: Arc<dyn Store>,
    prefix: String,
    _server: Option<Server>,
    _folder: Option<tempfile::TempDir>,
    _database: Option<TestDb>,
}

/// Something that was never used before.
pub fn fresh() -> Unique {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    (number | u128::from(std::process::id()) << 64).to_le_bytes()
}

fn prefix() -> String {
    format!("t{:x}", u128::from_le_bytes(fresh()))
}

pub fn ids(numbers: &[u64]) -> Vec<TagId> {
    numbers.iter().copied().map(TagId).collect()
}

pub fn urls(name: &str) -> Option<Vec<String>> {
    let urls = std::env::var(name).ok().map(|all| all.split(',').map(str::to_owned).collect());
    assert!(urls.is_some() || std::env::var("REQUIRE_SERVERS").is_err(), "{name} is not set");
    if urls.is_none() {
        println!("left out: {name} is not set (scripts/with-servers sets it)");
    }
    urls
}

/// Every store that can be reached.
pub async fn all() -> Vec<Subject> {
    let mut all = Vec::new();
    if crate::support::redis::is_there() {
        let server = Server::start(&[]).await;
        let mut subject = Subject::redis("Redis", RedisConfig::new(server.url())).await;
        subject._server = Some(server);
        all.push(subject);
    }
    if let Some(urls) = urls("REDIS_SENTINEL_URLS") {
        let name = std::env::var("REDIS_SENTINEL_MASTER").expect("a name");
        all.push(Subject::redis("Sentinel", RedisConfig::sentinel(urls, &name)).await);
    }
    if let Some(urls) = urls("REDIS_CLUSTER_URLS") {
        all.push(Subject::redis("Cluster", RedisConfig::cluster(urls)).await);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut subject = Subject::opendal("files", OpendalConfig::filesystem(folder.path())).await;
    subject._folder = Some(folder);
    all.push(subject);
    if let Some(urls) = urls("MEMCACHED_URL") {
        all.push(Subject::opendal("Memcached", OpendalConfig::memcached(&urls[0])).await);
    }
    for backend in Backend::reachable() {
        all.push(Subject::database(backend).await);
    }
    all
}

impl Subject {
    async fn redis(name: &'static str, config: RedisConfig) -> Self {
        let prefix = prefix();
        let store = RedisStore::new(config, &prefix, 1).expect("a store");
        Self::of(name, Arc::new(store), &prefix).await
    }

    async fn opendal(name: &'static str, config: OpendalConfig) -> Self {
        let prefix = prefix();
        let store = OpendalStore::new(config, &prefix, 1).expect("a store");
        Self::of(name, Arc::new(store), &prefix).await
    }

    pub async fn of(name: &'static str, store: Arc<dyn Store>, prefix: &str) -> Self {
        store.connect().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name,
            store,
            prefix: prefix.to_owned(),
            _server: None,
            _folder: None,
            _database: None,
        }
    }

    async fn database(backend: Backend) -> Self {
        let database = TestDb::new(backend).await;
        let config = DatabaseStoreConfig::new(database.pool(4).await).create_tables();
        let prefix = prefix();
        let store = DatabaseStore::new(config, &prefix, 1).expect("a store");
        let name = match backend {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::MySql => "MariaDB",
        };
        let mut subject = Self::of(name, Arc::new(store), &prefix).await;
        subject._database = Some(database);
        subject
    }

    pub fn key(&self, number: u8) -> Key {
        Key::new(&self.prefix, 1, Family::List, "book", [number; 32])
    }

    pub async fn mark(&self, tags: &[u64]) -> Marked {
        let mark =
            Mark { entry: None, ids: &ids(tags), create: fresh(), keep_ms: 60_000, lease: None };
        self.store.mark(mark).await.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Puts an entry that depends on tags 1 and 2, and late on 3, under guard 9.
    pub async fn fill(&self, key: &Key) -> Unique {
        let marked = self.mark(&[1, 2, 9]).await;
        let (fill, kept) = self.put(key, &marked).await;
        assert_eq!(kept, Kept::Stored, "{}", self.name);
        fill
    }

    /// The same after a mark of 1, 2 and 9.
    pub async fn put(&self, key: &Key, marked: &Marked) -> (Unique, Kept) {
        let versions: Vec<_> = marked.versions.iter().map(|v| v.expect("a version")).collect();
        let fill = fresh();
        let put = Put {
            key,
            fill,
            epoch: marked.epoch,
            guards: &[(TagId(9), versions[2])],
            ids: &ids(&[1, 2]),
            versions: &versions[..2],
            late: &ids(&[3]),
            body: b"value",
            age_ms: 500,
            ttl_ms: 60_000,
            keep_ms: 120_000,
            replace: false,
            token: None,
        };
        let kept = self.store.put(put).await;
        (fill, kept.unwrap_or_else(|error| panic!("{}: {error}", self.name)))
    }

    pub async fn get(&self, key: &Key) -> Got {
        self.store.get(key, None).await.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    pub async fn found(&self, key: &Key) -> Found {
        match self.get(key).await {
            Got::Found(found) => found,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    pub async fn bump(&self, tags: &[u64]) {
        let bumps = Bumps { ids: &ids(tags), message: b"bumped", ..Bumps::default() };
        let bumped = self.store.bump(bumps).await;
        bumped.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }
}
