//! Views and named caches are apart, and end apart.

use std::time::Duration;

use sea_orm_cache::{Kv, KvConfig, QueryCache};

use crate::places::{MINUTE, all};

async fn is_there(kv: &Kv) -> bool {
    kv.get::<String>("k").await.is_some()
}

#[tokio::test]
async fn views_are_apart_and_a_clear_ends_its_own_and_those_within() {
    for place in all().await {
        let sessions = place.cache.kv_named("sessions").expect("named");
        let kv = place.kv();
        let users = kv.prefixed("user:");
        let views = [
            kv.clone(),
            kv.version(2),
            kv.version(3),
            users.clone(),
            users.version(2),
            users.prefixed("a"),
            kv.prefixed("user:a"),
            kv.prefixed("v2"),
            kv.version(2).prefixed("user:"),
            sessions.clone(),
            sessions.prefixed("user:"),
            place.cache.kv_named("rates").expect("named"),
        ];
        for (number, view) in views.iter().enumerate() {
            assert!(!is_there(view).await, "{} {number}", place.name);
            view.set("k", &number.to_string(), MINUTE).await.expect("set");
        }
        for (number, view) in views.iter().enumerate() {
            assert_eq!(view.get("k").await, Some(number.to_string()), "{}", place.name);
        }
        // Made anew, it is the same view.
        assert!(is_there(&place.kv().prefixed("user:").version(2)).await);
        let left = async || {
            let mut left = Vec::new();
            for (number, view) in views.iter().enumerate() {
                if is_there(view).await {
                    left.push(number);
                }
            }
            left
        };
        users.clear().await.expect("cleared");
        assert_eq!(left().await, [0, 1, 2, 6, 7, 8, 9, 10, 11], "{}", place.name);
        kv.version(2).clear().await.expect("cleared");
        assert_eq!(left().await, [0, 2, 6, 7, 9, 10, 11], "{}", place.name);
        kv.clear().await.expect("cleared");
        assert_eq!(left().await, [9, 10, 11], "{}", place.name);
        sessions.clear().await.expect("cleared");
        assert_eq!(left().await, [11], "{}", place.name);
        users.set("k", "again", MINUTE).await.expect("set");
        assert!(is_there(&users).await, "{}", place.name);
    }
}

#[tokio::test]
async fn queries_invalidation_and_values_have_nothing_to_do_with_each_other() {
    for place in all().await {
        place.kv().set("k", "value", MINUTE).await.expect("set");
        place.cache.invalidate_all().await;
        place.cache.invalidate_tag("").await;
        assert!(is_there(&place.kv()).await, "{}", place.name);
    }
}

#[tokio::test]
async fn a_named_cache_has_a_time_of_its_own() {
    for place in all().await {
        let sessions = place.cache.kv_named("sessions").expect("named");
        sessions.set("k", "value", None).await.expect("set");
        let left = sessions.ttl("k").await.expect("there");
        assert!(left <= 2 * MINUTE && left > MINUTE, "{} {left:?}", place.name);
        place.kv().set("k", "value", None).await.expect("set");
        // Five minutes are the cache's default.
        assert!(place.kv().ttl("k").await.expect("there") > 4 * MINUTE, "{}", place.name);
    }
}

#[tokio::test]
async fn a_cache_in_memory_keeps_within_its_bytes() {
    let small = KvConfig::new().max_bytes(100_000);
    let cache = QueryCache::builder().named("small", small).build().await.expect("a cache");
    let kv = cache.kv_named("small").expect("named");
    for number in 0..1_000 {
        kv.set(&number.to_string(), &"x".repeat(1_000), MINUTE).await.expect("set");
    }
    let keys = (0..1_000).map(|number: i32| number.to_string());
    let kept = kv.get_many::<String>(keys).await.iter().flatten().count();
    assert!((10..100).contains(&kept), "{kept}");
    let error = kv.set("k", &"x".repeat(100_000), MINUTE).await.expect_err("too large");
    assert!(error.is_value(), "{error}");
}

#[tokio::test]
async fn wrong_names_are_errors_that_say_so() {
    let cache = QueryCache::builder().build().await.expect("a cache");
    let error = cache.kv_named("sessions").expect_err("unknown");
    assert!(error.is_config() && error.to_string().contains("\"sessions\""), "{error}");
    assert!(cache.kv_named("").is_err());
    for name in ["", "a:b", "ü", "{a}"] {
        let error = QueryCache::builder().named(name, KvConfig::new()).build().await;
        let error = error.expect_err("a wrong name");
        assert!(error.is_config() && error.to_string().contains("name"), "{error}");
    }
    let error = cache.kv().lock("l", Duration::ZERO).await.expect_err("no time");
    assert!(error.is_config() && error.to_string().contains("TTL"), "{error}");
}
