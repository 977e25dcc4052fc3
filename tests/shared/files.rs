//! Processes that share a folder, or a Memcached.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use sea_orm_cache::store::{Consistency, OpendalConfig};
use sea_orm_cache::{ManualClock, QueryCacheBuilder};

use crate::coherent::prices;
use crate::processes::Process;
use crate::support::{File, Log, SCHEMA, checked};

/// A place that two processes can share.
struct Place {
    name: &'static str,
    config: OpendalConfig,
    prefix: String,
    promises: Consistency,
    _folder: Option<tempfile::TempDir>,
}

fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = OpendalConfig::filesystem(folder.path());
    let mut all = vec![Place {
        name: "files",
        config,
        prefix: "sea-orm".into(),
        promises: Consistency::Full,
        _folder: Some(folder),
    }];
    match std::env::var("MEMCACHED_URL") {
        Ok(url) => all.push(Place {
            name: "Memcached",
            config: OpendalConfig::memcached(url),
            prefix: format!("m{:x}", fastrand::u64(..)),
            promises: Consistency::PerKey,
            _folder: None,
        }),
        Err(_) => {
            assert!(std::env::var("REQUIRE_SERVERS").is_err(), "MEMCACHED_URL is not set");
            println!("left out: MEMCACHED_URL is not set (scripts/with-servers sets it)");
        }
    }
    all
}

impl Place {
    async fn process(&self, file: &File) -> Process {
        let (clock, log) = (Arc::new(ManualClock::default()), Log::default());
        let set = |builder: QueryCacheBuilder| match self.promises {
            // It needs no leave.
            Consistency::Full => builder,
            less => builder.weaker_consistency(less),
        };
        let builder = checked()
            .prefix(&self.prefix)
            .opendal(self.config.clone())
            .coherence(sea_orm_cache::Coherence::Strong)
            .clock(clock.clone())
            .ttl_jitter(0.0)
            .observer(log.observer());
        let cache = set(builder).build().await.expect("a cache");
        let plain = file.pool(4).await;
        let db = cache.connect(plain.clone()).await.expect("a connection");
        log.take();
        Process { cache, db, plain, clock, log }
    }
}

async fn bookshop() -> File {
    let file = File::new();
    file.pool(1).await.execute_unprepared(SCHEMA).await.expect("the schema");
    file
}

#[tokio::test]
async fn what_one_process_fills_another_hits_and_what_one_writes_none_answers_any_more() {
    for place in places() {
        let file = bookshop().await;
        let (one, two) = (place.process(&file).await, place.process(&file).await);
        assert_eq!(prices(&one.db, 1).await, [100, 200]);
        assert_eq!(prices(&two.db, 1).await, [100, 200]);
        // From the store, and then from memory.
        assert_eq!(prices(&two.db, 1).await, [100, 200]);
        assert_eq!((one.hits(), two.hits()), (0, 2), "{}: {:?}", place.name, two.log.take());
        for price in 0..20 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            assert_eq!(prices(&two.db, 1).await, [price, 200], "{}", place.name);
            assert_eq!(prices(&two.db, 1).await, [price, 200], "{}", place.name);
            assert_eq!(prices(&one.db, 1).await, [price, 200], "{}", place.name);
            two.sql(&format!("UPDATE book SET price = {price} + 1000 WHERE id = 1")).await;
            assert_eq!(prices(&one.db, 1).await, [price + 1000, 200], "{}", place.name);
        }
        // What was not touched stays.
        prices(&one.db, 2).await;
        let hits = two.hits();
        one.sql("UPDATE book SET price = 7 WHERE id = 1").await;
        prices(&two.db, 2).await;
        assert_eq!(two.hits(), hits + 1, "{}: {:?}", place.name, two.log.take());
        assert!(!one.away() && !two.away(), "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_of_several_processes_never_see_what_was_before_an_acknowledged_write() {
    use std::sync::atomic::{AtomicI32, Ordering};

    for place in places() {
        let file = bookshop().await;
        let acknowledged = Arc::new(AtomicI32::new(0));
        let mut readers = tokio::task::JoinSet::new();
        let writer = place.process(&file).await;
        writer.sql("UPDATE book SET price = 0 WHERE id = 1").await;
        for _ in 0..3 {
            let process = Arc::new(place.process(&file).await);
            for _ in 0..2 {
                let (process, acknowledged) = (process.clone(), acknowledged.clone());
                readers.spawn(async move {
                    let mut seen = 0;
                    while seen < 60 {
                        let floor = acknowledged.load(Ordering::SeqCst);
                        seen = prices(&process.db, 1).await[0];
                        assert!(seen >= floor, "{seen}, where {floor} was acknowledged");
                    }
                    process.hits()
                });
            }
        }
        for price in 1..=60 {
            writer.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            acknowledged.store(price, Ordering::SeqCst);
        }
        let mut hits = 0;
        while let Some(read) = readers.join_next().await {
            hits += read.unwrap_or_else(|error| panic!("{}: {error}", place.name));
        }
        assert!(hits > 0, "{}", place.name);
    }
}

/// Where others can't be held off for certain, each write invalidates by itself.
#[tokio::test]
async fn what_is_suspended_is_not_stale_meanwhile() {
    for place in places() {
        let file = bookshop().await;
        let (one, two) = (place.process(&file).await, place.process(&file).await);
        let import = async {
            for price in 1..5 {
                one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
                assert_eq!(prices(&two.db, 1).await, [price, 200], "{}", place.name);
                assert_eq!(prices(&one.db, 1).await, [price, 200], "{}", place.name);
            }
        };
        one.cache.suspend(import).await;
        assert_eq!(prices(&two.db, 1).await, [4, 200], "{}", place.name);
        let hits = two.hits();
        prices(&two.db, 1).await;
        assert_eq!(two.hits(), hits + 1, "{}: {:?}", place.name, two.log.take());
    }
}

#[tokio::test]
async fn a_schema_that_another_process_changes_is_read_again() {
    for place in places() {
        let file = bookshop().await;
        let (one, two) = (place.process(&file).await, place.process(&file).await);
        prices(&two.db, 1).await;
        one.sql(
            "CREATE TRIGGER renames AFTER UPDATE ON review
             BEGIN UPDATE book SET price = 77 WHERE id = 1; END",
        )
        .await;
        assert_eq!(prices(&two.db, 1).await, [100, 200], "{}", place.name);
        assert_eq!(prices(&one.db, 1).await, [100, 200], "{}", place.name);
        // What this process knew of the schema does not say that it changes books.
        two.sql("UPDATE review SET rating = 1 WHERE id = 1").await;
        assert_eq!(prices(&two.db, 1).await, [77, 200], "{}", place.name);
        assert_eq!(prices(&one.db, 1).await, [77, 200], "{}", place.name);
    }
}

#[tokio::test]
async fn there_is_no_place_for_single_values() {
    let file = bookshop().await;
    let place = places().swap_remove(0);
    let one = place.process(&file).await;
    let minute = std::time::Duration::from_secs(60);
    let error = one.cache.kv().set("k", &1, minute).await.expect_err("no place");
    assert!(error.is_store(), "{error}");
    assert_eq!(one.cache.kv().get::<i32>("k").await, None);
    assert!(!one.away(), "nobody takes it for away");
}
