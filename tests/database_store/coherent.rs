//! Several caches in one process, as several processes have them, over one store in a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter,
    Set, TransactionTrait,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::DatabaseStoreConfig;
use sea_orm_cache::{CacheSource, Coherence};
use tokio::task::JoinSet;

use crate::support::redis::eventually;
use crate::support::servers::{Backend, TestDb};
use crate::support::{File, Log, SCHEMA, TTL, book, checked};

struct World {
    backend: Backend,
    data: File,
    store: TestDb,
    /// The store is in the file of the data.
    same: bool,
}

struct Process {
    cache: QueryCache,
    db: CachedConnection,
    log: Log,
    store: DatabaseConnection,
}

impl World {
    async fn new(backend: Backend, same: bool) -> Self {
        let data = File::new();
        data.pool(1).await.execute_unprepared(SCHEMA).await.expect("the schema");
        Self { backend, data, store: TestDb::new(backend).await, same }
    }

    async fn all() -> Vec<Self> {
        let mut all = vec![Self::new(Backend::Sqlite, true).await];
        for backend in Backend::reachable() {
            all.push(Self::new(backend, false).await);
        }
        all
    }

    async fn process(&self) -> Process {
        let log = Log::default();
        let store = if self.same { self.data.pool(4).await } else { self.store.pool(4).await };
        let config = DatabaseStoreConfig::new(store.clone()).table("entry").create_tables();
        let builder = checked().prefix("shop").ttl_jitter(0.0).observer(log.observer());
        let cache = builder.database(config).build().await.expect("a cache");
        let db = cache.connect(self.data.pool(4).await).await.expect("a connection");
        log.take();
        Process { cache, db, log, store }
    }
}

impl Process {
    async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }
}

async fn prices(db: &impl CacheSource, author: i32) -> Vec<i32> {
    let query = book::Entity::find().filter(book::Column::AuthorId.eq(author));
    let books = query.cached(TTL).all(db).await.expect("books");
    books.into_iter().map(|book| book.price).collect()
}

#[tokio::test]
async fn what_one_process_fills_another_hits() {
    for world in World::all().await {
        let (one, two) = (world.process().await, world.process().await);
        assert_eq!(prices(&one.db, 1).await, [100, 200]);
        assert_eq!(one.hits(), 0, "{:?}", one.log.take());
        assert_eq!(prices(&two.db, 1).await, [100, 200]);
        assert_eq!(two.hits(), 1, "{:?} {:?} {:?}", world.backend, one.log.take(), two.log.take());
        // Now it is in memory, too, and the store confirms it.
        assert_eq!(prices(&two.db, 1).await, [100, 200]);
        assert_eq!((two.hits(), two.cache.stats().entries), (2, 1));
        assert_eq!(two.cache.stats().store.expect("a store").confirmed, 1);
    }
}

#[tokio::test]
async fn nothing_answers_that_another_process_has_overwritten() {
    for world in World::all().await {
        let (one, two) = (world.process().await, world.process().await);
        for price in 0..15 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            for process in [&two, &two, &one] {
                assert_eq!(prices(&process.db, 1).await, [price, 200], "{:?}", world.backend);
            }
            let change =
                book::ActiveModel { id: Set(1), price: Set(price + 1_000), ..Default::default() };
            change.update(&two.db).await.expect("written");
            assert_eq!(prices(&one.db, 1).await, [price + 1_000, 200], "{:?}", world.backend);
        }
        // What was not touched stays.
        prices(&one.db, 2).await;
        let hits = two.hits();
        one.sql("UPDATE book SET price = 7 WHERE id = 1").await;
        prices(&two.db, 2).await;
        assert_eq!(two.hits(), hits + 1, "{:?} {:?}", world.backend, two.log.take());
    }
}

#[tokio::test]
async fn a_transaction_of_another_process_is_seen_from_its_commit_on() {
    for world in World::all().await {
        let (one, two) = (world.process().await, world.process().await);
        prices(&two.db, 1).await;
        let transaction = one.db.begin().await.expect("begun");
        let write = book::ActiveModel { id: Set(1), price: Set(5), ..Default::default() };
        write.update(&transaction).await.expect("written");
        assert_eq!(prices(&two.db, 1).await, [100, 200], "{:?}", world.backend);
        transaction.commit().await.expect("committed");
        assert_eq!(prices(&two.db, 1).await, [5, 200], "{:?}", world.backend);
    }
}

#[tokio::test]
async fn a_store_that_is_away_fails_nothing_and_comes_back() {
    for world in World::all().await {
        let (one, two) = (world.process().await, world.process().await);
        prices(&two.db, 1).await;
        one.store
            .execute_unprepared("ALTER TABLE entry_version RENAME TO away")
            .await
            .expect("away");
        for price in 0..5 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            assert_eq!(prices(&one.db, 1).await, [price, 200], "{:?}", world.backend);
            // The other one may be back before it was told.
            assert_eq!(prices(&two.db, 1).await.len(), 2, "{:?}", world.backend);
        }
        // With `create_tables` it may be back by now.
        assert!(one.cache.stats().store.expect("a store").failed > 0 || !one.log.take().is_empty());
        // Then an empty one stands there.
        let back = "ALTER TABLE away RENAME TO entry_version";
        let _ = one.store.execute_unprepared("DROP TABLE IF EXISTS entry_version").await;
        let _ = one.store.execute_unprepared(back).await;
        eventually("it is back", async || !one.cache.stats().store.expect("a store").away).await;
        assert_eq!(one.cache.stats().store.expect("a store").undelivered, 0);
        eventually("the other is, too", async || {
            assert_eq!(prices(&two.db, 1).await, [4, 200], "{:?}", world.backend);
            !two.cache.stats().store.expect("a store").away
        })
        .await;
        eventually("it is cached again", async || {
            let hits = one.hits();
            prices(&one.db, 1).await == [4, 200] && one.hits() > hits
        })
        .await;
    }
}

#[tokio::test]
async fn only_strong_coherence_is_to_be_had() {
    let world = World::new(Backend::Sqlite, false).await;
    let config = DatabaseStoreConfig::new(world.store.pool(1).await).create_tables();
    let builder = QueryCache::builder().database(config).coherence(Coherence::bounded());
    let error = builder.build().await.expect_err("nobody tells");
    assert!(error.is_config() && error.to_string().contains("Coherence::Strong"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_of_two_processes_read_nothing_stale() {
    const WRITES: i64 = 60;
    for world in World::all().await {
        let processes = [Arc::new(world.process().await), Arc::new(world.process().await)];
        let acked = Arc::new(AtomicI64::new(-1));
        let mut tasks = JoinSet::new();
        let (writer, done) = (processes[0].clone(), acked.clone());
        tasks.spawn(async move {
            for price in 0..WRITES {
                writer.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
                done.store(price, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
        for number in 0..6 {
            let (process, acked) = (processes[number % 2].clone(), acked.clone());
            let backend = world.backend;
            tasks.spawn(async move {
                while acked.load(Ordering::SeqCst) < WRITES - 1 {
                    let known = acked.load(Ordering::SeqCst);
                    let read = i64::from(prices(&process.db, 1).await[0]);
                    let fresh = read >= known && (read < WRITES || known < 0);
                    assert!(fresh, "{backend:?}: {read} after {known}");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("nothing stale");
        }
    }
}
