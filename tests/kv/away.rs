//! Redis goes away: reads find nothing, writes say so, and nobody waits.

use std::time::{Duration, Instant};

use sea_orm_cache::prelude::*;
use sea_orm_cache::store::{NullStore, RedisConfig};
use sea_orm_cache::{Error, Kv};

use crate::places::MINUTE;
use crate::support::redis::{Server, eventually, is_there};

/// One of each kind that writes.
async fn writes(kv: &Kv) -> Vec<Result<(), Error>> {
    vec![
        kv.set("k", "value", MINUTE).await,
        kv.set_many([("a", "1"), ("b", "2")], MINUTE).await,
        kv.add("l", "value", MINUTE).await.map(drop),
        kv.touch("k", MINUTE).await.map(drop),
        kv.incr("n", 1, MINUTE).await.map(drop),
        kv.decr("n", 1, MINUTE).await.map(drop),
        kv.delete("k").await.map(drop),
        kv.delete_many(["k"]).await.map(drop),
        kv.clear().await,
        kv.lock("l", MINUTE).await.map(drop),
    ]
}

async fn nothing_is_found_and_writes_say_why(kv: &Kv) {
    assert_eq!(kv.get::<String>("k").await, None);
    assert_eq!(kv.get_many::<String>(["k", "l"]).await, [None, None]);
    assert_eq!(kv.ttl("k").await, None);
    for error in writes(kv).await {
        let error = error.expect_err("away");
        assert!(error.is_store() && error.to_string().contains("store"), "{error}");
    }
    let loaded = kv.get_or_set("k", MINUTE, async || Ok::<_, ()>("loaded".to_owned())).await;
    assert_eq!(loaded.as_deref(), Ok("loaded"));
}

#[tokio::test]
async fn a_redis_that_is_away_costs_no_time_and_comes_back() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    let config = RedisConfig::new(server.url());
    let cache = QueryCache::builder().redis(config).build().await.expect("a cache");
    let kv = cache.kv();
    kv.set("k", "value", MINUTE).await.expect("set");
    let lock = kv.lock("l", MINUTE).await.expect("asked").expect("got");
    server.kill9();
    nothing_is_found_and_writes_say_why(&kv).await;
    assert!(cache.stats().store.expect("a store").away);
    assert!(lock.release().await.expect_err("unknown").is_store());
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(kv.get::<String>("k").await, None);
        assert!(kv.set("k", "value", MINUTE).await.is_err());
    }
    // Two thousand; with a connection attempt each it would be many seconds.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    server.restart().await;
    eventually("it is back", async || kv.set("k", "again", MINUTE).await.is_ok()).await;
    assert_eq!(kv.get::<String>("k").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_waited_for_once() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]).await;
    let config = RedisConfig::new(server.url()).response_timeout(Duration::from_millis(100));
    let cache = QueryCache::builder().redis(config).build().await.expect("a cache");
    let kv = cache.kv();
    kv.set("k", "value", MINUTE).await.expect("set");
    server.pause().await;
    let start = Instant::now();
    for _ in 0..100 {
        nothing_is_found_and_writes_say_why(&kv).await;
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    server.resume();
    eventually("it is back", async || kv.get::<String>("k").await.is_some()).await;
}

#[tokio::test]
async fn a_redis_that_is_full_refuses_and_is_not_away() {
    if !is_there() {
        return;
    }
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let config = RedisConfig::new(server.url());
    let cache = QueryCache::builder().redis(config).build().await.expect("a cache");
    let kv = cache.kv();
    kv.set("k", "value", MINUTE).await.expect("set");
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = kv.set("k", "value", MINUTE).await.expect_err("full");
    assert!(error.is_store() && error.to_string().contains("memory"), "{error}");
    let loaded = kv.get_or_set("l", MINUTE, async || Ok::<_, ()>("loaded".to_owned())).await;
    assert_eq!(loaded.as_deref(), Ok("loaded"));
    assert!(!cache.stats().store.expect("a store").away);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    kv.set("k", "value", MINUTE).await.expect("set");
}

#[tokio::test]
async fn a_store_without_a_place_for_values_says_so() {
    let cache = QueryCache::builder().store(NullStore).build().await.expect("a cache");
    nothing_is_found_and_writes_say_why(&cache.kv()).await;
    assert!(!cache.stats().store.expect("a store").away);
}
