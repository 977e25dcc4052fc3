//! Redis goes away, and comes back: nobody notices but by the time it takes.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_cache::{Coherence, WhenAway};

use crate::coherent::prices;
use crate::processes::{Process, World};
use crate::support::redis::{Server, eventually, is_there};

async fn back(process: &Process) {
    eventually("the store is back", async || !process.away()).await;
}

#[tokio::test]
async fn without_redis_reads_and_writes_go_on_and_nothing_is_stale() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let (one, two) = (world.process(coherence).await, world.process(coherence).await);
        prices(&one.db, 1).await;
        prices(&two.db, 1).await;
        world.redis.kill9();
        for price in 0..20 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            assert_eq!(prices(&one.db, 1).await, [price, 200]);
        }
        assert!(one.away());
        let told = one.log.take();
        let count = |words: &str| told.iter().filter(|line| line.contains(words)).count();
        assert!(count("the store is away: ") >= 1, "{told:?}");
        assert!(count("a write was acknowledged") >= 19, "{told:?}");
        world.redis.restart().await;
        back(&one).await;
        // The other one finds out by itself, or by its next read.
        eventually("the other sees it", async || prices(&two.db, 1).await == [19, 200]).await;
        back(&two).await;
        eventually("it is cached again", async || {
            let hits = one.hits();
            prices(&one.db, 1).await == [19, 200] && one.hits() > hits
        })
        .await;
        assert_eq!(one.cache.stats().store.expect("a store").undelivered, 0);
    }
}

#[tokio::test]
async fn what_a_process_writes_while_it_is_cut_off_is_told_when_it_is_back() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let proxy = world.redis.proxy().await;
        let url = format!("redis://127.0.0.1:{}", proxy.port);
        let one = world.process_at(&url, |builder| builder.coherence(coherence)).await;
        let two = world.process(coherence).await;
        prices(&one.db, 1).await;
        prices(&two.db, 1).await;
        proxy.refuse(true);
        for price in 0..10 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            // In the process itself nothing is stale.
            assert_eq!(prices(&one.db, 1).await, [price, 200]);
            assert_eq!(prices(&one.db, 1).await, [price, 200]);
        }
        assert!(one.away());
        assert!(one.cache.stats().store.expect("a store").undelivered > 0);
        // Nothing has told the other one.
        assert_eq!(prices(&two.db, 1).await, [100, 200]);
        proxy.refuse(false);
        back(&one).await;
        if coherence == Coherence::Strong {
            assert_eq!(prices(&two.db, 1).await, [9, 200]);
        }
        eventually("the other hears of it", async || prices(&two.db, 1).await == [9, 200]).await;
    }
}

#[tokio::test]
async fn memory_does_not_answer_when_the_channel_is_silent_for_longer_than_the_bound() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let one = world.process(Coherence::bounded()).await;
    prices(&one.db, 1).await;
    prices(&one.db, 1).await;
    assert_eq!(one.hits(), 1);
    world.redis.pause().await;
    one.clock.advance(Duration::from_millis(900));
    one.plain.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.expect("written");
    // Still within the bound.
    assert_eq!(prices(&one.db, 1).await, [100, 200]);
    one.clock.advance(Duration::from_millis(101));
    assert_eq!(prices(&one.db, 1).await, [1, 200]);
    world.redis.resume();
    back(&one).await;
}

#[tokio::test]
async fn who_reconnects_forgets_what_it_had() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let one = world.process(Coherence::bounded()).await;
    let two = world.process(Coherence::bounded()).await;
    prices(&one.db, 1).await;
    assert_eq!(one.cache.count_valid(), 1);
    world.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    eventually("memory is forgotten", async || one.cache.count_valid() == 0).await;
    let told = one.log.take();
    assert!(told.iter().any(|line| line.contains("other processes are not heard")), "{told:?}");
    two.sql("UPDATE book SET price = 3 WHERE id = 1").await;
    eventually("it listens again", async || {
        one.cache.stats().store.expect("a store").behind_ms.is_some()
    })
    .await;
    assert_eq!(prices(&one.db, 1).await, [3, 200]);
}

#[tokio::test]
async fn refuse_sends_no_write_while_the_store_is_away() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let proxy = world.redis.proxy().await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let one = world.process_at(&url, |builder| builder.when_away(WhenAway::Refuse)).await;
    let transaction = one.db.begin().await.expect("begun");
    transaction.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.expect("sent");
    // Goes away during this one: it is done, and the error says so.
    proxy.refuse(true);
    let error = one.db.execute_unprepared("UPDATE author SET name = 'X' WHERE id = 1").await;
    // SQLite lets only one write at a time.
    let error = error.expect_err("refused or busy").to_string();
    assert!(error.contains("was done") || error.contains("locked"), "{error}");
    eventually("it is noticed", async || {
        prices(&one.db, 1).await;
        one.away()
    })
    .await;
    let error = transaction.commit().await.expect_err("refused").to_string();
    assert!(error.contains("not sent"), "{error}");
    let error = one.db.execute_unprepared("UPDATE book SET price = 2 WHERE id = 1").await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("not sent") && error.contains("WhenAway::Refuse"), "{error}");
    assert_eq!(prices(&one.db, 1).await, [100, 200]);
    proxy.refuse(false);
    back(&one).await;
    one.sql("UPDATE book SET price = 3 WHERE id = 1").await;
    assert_eq!(prices(&one.db, 1).await, [3, 200]);
}

#[tokio::test]
async fn a_cache_whose_redis_is_not_there_yet_begins_without_it() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    world.redis.kill9();
    let one = world.process_at(&world.redis.url(), |builder| builder).await;
    assert!(one.away());
    assert_eq!(prices(&one.db, 1).await, [100, 200]);
    one.sql("UPDATE book SET price = 3 WHERE id = 1").await;
    assert_eq!(prices(&one.db, 1).await, [3, 200]);
    world.redis.restart().await;
    back(&one).await;
    prices(&one.db, 1).await;
    eventually("it is cached", async || {
        let hits = one.hits();
        prices(&one.db, 1).await == [3, 200] && one.hits() > hits
    })
    .await;
}

#[tokio::test]
async fn flushed_evicted_and_expired_keys_are_misses() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    for round in 0..5 {
        assert_eq!(prices(&one.db, 1).await, [100 + round, 200]);
        match round {
            0 | 1 => drop(world.redis.command(&["FLUSHALL"]).await),
            // Some of the keys, as if they had been evicted.
            _ => {
                for _ in 0..6 {
                    let key = world.redis.command(&["RANDOMKEY"]).await.to_string();
                    let script = "return redis.call('DEL', redis.call('RANDOMKEY'))";
                    assert!(!key.is_empty());
                    world.redis.command(&["EVAL", script, "0"]).await;
                }
            }
        }
        let change = format!("UPDATE book SET price = {} WHERE id = 1", 101 + round);
        two.sql(&change).await;
        assert_eq!(prices(&one.db, 1).await, [101 + round, 200]);
        assert_eq!(prices(&two.db, 1).await, [101 + round, 200]);
    }
}

#[tokio::test]
async fn a_redis_that_is_full_or_may_not_be_written_fails_no_query() {
    if !is_there() {
        return;
    }
    for policy in ["noeviction", "allkeys-lru", "volatile-ttl", "allkeys-random"] {
        let world = World::with(&["--maxmemory-policy", policy]).await;
        let one = world.process(Coherence::Strong).await;
        world.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
        for price in 0..10 {
            one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
            assert_eq!(prices(&one.db, 1).await, [price, 200], "{policy}");
            assert_eq!(prices(&one.db, 1).await, [price, 200], "{policy}");
        }
        world.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
        // The catalog is read again at most once a second.
        one.clock.advance(Duration::from_secs(1));
        eventually("it is cached", async || {
            let hits = one.hits();
            prices(&one.db, 1).await == [9, 200] && one.hits() > hits
        })
        .await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_show_it() {
    use sea_orm_cache::QueryCache;
    use sea_orm_cache::store::RedisConfig;

    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    server.command(&["CONFIG", "SET", "requirepass", "right"]).await;
    let port = server.port;
    for url in [format!("redis://:s3cr3t@127.0.0.1:{port}"), format!("redis://127.0.0.1:{port}")] {
        let config = RedisConfig::new(url);
        assert!(!format!("{config:?}").contains("s3cr3t"), "{config:?}");
        let log = crate::support::Log::default();
        let builder = QueryCache::builder().redis(config).observer(log.observer());
        assert!(!format!("{builder:?}").contains("s3cr3t"));
        let Err(error) = builder.build().await else { panic!("{:?}", log.take()) };
        assert!(error.is_config(), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
    let right = RedisConfig::new(format!("redis://127.0.0.1:{port}")).user("default", "right");
    let cache = QueryCache::builder().redis(right).build().await.expect("let in");
    assert!(!cache.stats().store.expect("a store").away);
    for wrong in ["http://:s3cr3t@x", "redis//:s3cr3t", "", "redis://:s3cr3t@host:notaport"] {
        let error = QueryCache::builder().redis(RedisConfig::new(wrong)).build().await;
        let error = error.expect_err("no address");
        assert!(error.is_config() && error.to_string().contains("address 1"), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
}
