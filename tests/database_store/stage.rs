//! A store on a database of its own, with what a test does to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sea_orm_cache::store::{
    Bumps, DatabaseStore, DatabaseStoreConfig, Got, Kept, Mark, Marked, Put, Store, TagId, Unique,
};
use sea_orm_cache::{Family, Key};

use crate::support::servers::{Backend, TestDb};

pub struct Stage {
    pub backend: Backend,
    pub store: DatabaseStore,
    pub pool: DatabaseConnection,
    pub database: TestDb,
}

pub fn fresh() -> Unique {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    (number | u128::from(std::process::id()) << 64).to_le_bytes()
}

pub fn key(number: u64) -> Key {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    Key::new("shop", 1, Family::List, "book", digest)
}

/// One for each database.
pub async fn all() -> Vec<Stage> {
    let mut all = Vec::new();
    for backend in Backend::reachable() {
        all.push(Stage::new(backend, |config| config).await);
    }
    all
}

impl Stage {
    pub async fn new(
        backend: Backend,
        set: impl FnOnce(DatabaseStoreConfig) -> DatabaseStoreConfig,
    ) -> Self {
        let database = TestDb::new(backend).await;
        let pool = database.pool(8).await;
        let config = DatabaseStoreConfig::new(pool.clone()).table("entry").create_tables();
        let store = DatabaseStore::new(set(config), "shop", 1).expect("a store");
        store.connect().await.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        Self { backend, store, pool, database }
    }

    /// Another store in the same tables, as another process has it.
    pub async fn another(&self) -> DatabaseStore {
        let config = DatabaseStoreConfig::new(self.database.pool(4).await).table("entry");
        let config = config.timeout(Duration::from_secs(20));
        let store = DatabaseStore::new(config, "shop", 1).expect("a store");
        store.connect().await.expect("connected");
        store
    }

    pub async fn sql(&self, sql: &str) -> u64 {
        let done = self.pool.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.pool.get_database_backend(), sql);
        let row = self.pool.query_one_raw(statement).await.expect("an answer").expect("a row");
        row.try_get_by_index(0).expect("a number")
    }

    /// Where the entries lie, in hexadecimal digits.
    pub async fn ids(&self) -> Vec<String> {
        let backend = self.pool.get_database_backend();
        let statement = Statement::from_string(backend, "SELECT id FROM entry");
        let rows = self.pool.query_all_raw(statement).await.expect("rows");
        let id = |row: &sea_orm::QueryResult| row.try_get_by_index::<Vec<u8>>(0).expect("bytes");
        rows.iter().map(|row| id(row).iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    }

    pub async fn get(&self, key: &Key) -> Got {
        self.store
            .get(key, None)
            .await
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.backend))
    }
}

pub async fn mark(store: &dyn Store, tags: &[u64]) -> Marked {
    let ids: Vec<_> = tags.iter().copied().map(TagId).collect();
    let mark = Mark { entry: None, ids: &ids, create: fresh(), keep_ms: 60_000, lease: None };
    store.mark(mark).await.expect("marked")
}

/// Depends on `tags`, which were marked, and late on others, under guards that were marked behind.
pub async fn put(
    store: &dyn Store,
    key: &Key,
    marked: &Marked,
    tags: &[u64],
    late: &[u64],
    guards: &[u64],
    body: &[u8],
) -> Kept {
    let ids = |tags: &[u64]| tags.iter().copied().map(TagId).collect::<Vec<_>>();
    let versions: Vec<_> = marked.versions.iter().map(|v| v.expect("a version")).collect();
    let (own, guarded) = versions.split_at(tags.len());
    let guards: Vec<_> = ids(guards).into_iter().zip(guarded.iter().copied()).collect();
    let put = Put {
        key,
        fill: fresh(),
        epoch: marked.epoch,
        guards: &guards,
        ids: &ids(tags),
        versions: own,
        late: &ids(late),
        body,
        age_ms: 0,
        ttl_ms: 60_000,
        keep_ms: 60_000,
        replace: true,
        token: None,
    };
    store.put(put).await.expect("put")
}

/// An entry that depends on tags 1 and 2.
pub async fn fill(store: &dyn Store, key: &Key, body: &[u8]) {
    let marked = mark(store, &[1, 2]).await;
    assert_eq!(put(store, key, &marked, &[1, 2], &[], &[], body).await, Kept::Stored);
}

pub async fn bump(store: &dyn Store, tags: &[u64]) {
    let ids: Vec<_> = tags.iter().copied().map(TagId).collect();
    store.bump(Bumps { ids: &ids, ..Bumps::default() }).await.expect("bumped");
}
