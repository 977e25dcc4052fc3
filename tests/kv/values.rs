//! Values come back as they were put, until their time is over.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::DbErr;
use sea_orm_cache::prelude::*;
use serde::{Deserialize, Serialize, de};

use crate::places::{MINUTE, all, timed};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Session {
    user: i64,
    roles: Vec<String>,
    #[serde(flatten)]
    more: HashMap<String, f64>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kind {
    Number(u8),
    Named { name: Option<String> },
}

fn session() -> Session {
    let more = HashMap::from([("weight".to_owned(), 0.5)]);
    let kind = Kind::Named { name: Some("x".into()) };
    Session { user: -7, roles: vec!["admin".into(), String::new()], more, kind }
}

#[tokio::test]
async fn any_value_comes_back_as_it_was_put() {
    for place in all().await {
        let kv = place.kv();
        kv.set("session", &session(), MINUTE).await.expect("set");
        assert_eq!(kv.get("session").await, Some(session()), "{}", place.name);
        kv.set("text", "value", None).await.expect("set");
        assert_eq!(kv.get::<String>("text").await.as_deref(), Some("value"));
        for number in [0, 1, -1, 127, 128, i64::MAX, i64::MIN] {
            kv.set("number", &number, MINUTE).await.expect("set");
            assert_eq!(kv.get("number").await, Some(number), "{}", place.name);
        }
        kv.set("large", &u64::MAX, MINUTE).await.expect("set");
        assert_eq!(kv.get("large").await, Some(u64::MAX));
        kv.set("nothing", &None::<i32>, MINUTE).await.expect("set");
        assert_eq!(kv.get::<Option<i32>>("nothing").await, Some(None));
        kv.set("number as text", "5", MINUTE).await.expect("set");
        assert_eq!(kv.get::<String>("number as text").await.as_deref(), Some("5"));
    }
}

#[tokio::test]
async fn what_is_of_another_type_is_not_there() {
    for place in all().await {
        let kv = place.kv();
        kv.set("k", &session(), MINUTE).await.expect("set");
        assert_eq!(kv.get::<i32>("k").await, None, "{}", place.name);
        assert_eq!(kv.get::<Vec<String>>("k").await, None);
        kv.set("k", &300, MINUTE).await.expect("set");
        assert_eq!(kv.get::<u8>("k").await, None);
        assert_eq!(kv.get::<String>("k").await, None);
        assert_eq!(kv.get::<u16>("k").await, Some(300));
    }
}

/// A type that panics where it should refuse.
#[derive(Debug, PartialEq, Serialize)]
struct Touchy(bool);

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = bool::deserialize(from)?;
        assert!(value, "never written");
        Ok(Self(value))
    }
}

#[tokio::test]
async fn a_conversion_that_panics_finds_nothing() {
    for place in all().await {
        place.kv().set("k", &false, MINUTE).await.expect("set");
        assert_eq!(place.kv().get::<Touchy>("k").await, None, "{}", place.name);
    }
}

#[tokio::test]
async fn a_value_is_there_until_its_time_is_over_and_no_longer() {
    for place in timed().await {
        let kv = place.kv();
        kv.set("k", "value", MINUTE).await.expect("set");
        let left = kv.ttl("k").await.expect("there");
        assert!(left <= MINUTE && left > MINUTE / 2, "{} {left:?}", place.name);
        place.later(MINUTE / 2).await;
        assert!(kv.get::<String>("k").await.is_some(), "{}", place.name);
        assert!(kv.ttl("k").await.expect("there") <= MINUTE / 2);
        assert!(kv.touch("k", MINUTE).await.expect("touched"));
        place.later(MINUTE - Duration::from_secs(1)).await;
        assert!(kv.get::<String>("k").await.is_some(), "{}", place.name);
        place.later(Duration::from_secs(1)).await;
        assert_eq!(kv.get::<String>("k").await, None, "{}", place.name);
        assert_eq!(kv.ttl("k").await, None);
        assert!(!kv.touch("k", MINUTE).await.expect("not there"));
        assert!(!kv.delete("k").await.expect("not there"));
        assert!(kv.add("k", "another", MINUTE).await.expect("added"));
    }
}

#[tokio::test]
async fn a_time_of_zero_stores_nothing() {
    for place in all().await {
        let (kv, zero) = (place.kv(), Duration::ZERO);
        kv.set("k", "value", MINUTE).await.expect("set");
        kv.set("k", "value", zero).await.expect("set");
        assert_eq!(kv.get::<String>("k").await, None, "{}", place.name);
        assert!(!kv.add("k", "value", zero).await.expect("not added"));
        assert_eq!(kv.get::<String>("k").await, None);
        assert_eq!(kv.incr("k", 5, zero).await.expect("counted"), 5);
        assert_eq!(kv.get::<i64>("k").await, None, "{}", place.name);
        kv.set("k", "value", MINUTE).await.expect("set");
        assert!(kv.touch("k", zero).await.expect("touched"));
        assert_eq!(kv.get::<String>("k").await, None, "{}", place.name);
        let loaded = kv.get_or_set("k", zero, async || Ok::<_, ()>(1)).await;
        assert_eq!(loaded, Ok(1));
        assert_eq!(kv.get::<i64>("k").await, None, "{}", place.name);
    }
}

#[tokio::test]
async fn the_shortest_and_the_longest_time_are_times() {
    for place in all().await {
        let kv = place.kv();
        kv.set("k", "value", Duration::MAX).await.expect("set");
        assert!(kv.ttl("k").await.expect("there") > 10_000 * 24 * 60 * MINUTE, "{}", place.name);
        assert!(kv.touch("k", Duration::MAX).await.expect("touched"));
        assert_eq!(kv.incr("n", 1, Duration::MAX).await.expect("counted"), 1);
        // Not zero, so it is stored; it may be over by now.
        assert!(kv.add("short", "value", Duration::from_nanos(1)).await.expect("added"));
        let lock = kv.lock("forever", Duration::MAX).await.expect("asked").expect("got");
        lock.release().await.expect("released");
    }
}

#[tokio::test]
async fn add_is_told_to_one_only() {
    for place in all().await {
        let kv = place.kv();
        let adds = (0..20).map(|number| {
            let kv = kv.clone();
            tokio::spawn(async move { kv.add("k", &number, MINUTE).await.expect("added") })
        });
        let mut added = 0;
        for add in adds.collect::<Vec<_>>() {
            added += usize::from(add.await.expect("a task"));
        }
        assert_eq!(added, 1, "{}", place.name);
        assert!(kv.get::<i32>("k").await.is_some());
    }
}

#[tokio::test]
async fn many_at_once_are_as_one_by_one() {
    for place in all().await {
        let kv = place.kv();
        let keys: Vec<String> = (0..300).map(|number| format!("key {number}")).collect();
        let values: Vec<usize> = (0..300).collect();
        kv.set_many(keys.iter().zip(&values).skip(1), MINUTE).await.expect("set");
        let got = kv.get_many::<usize>(&keys).await;
        assert_eq!(got[0], None, "{}", place.name);
        assert_eq!(got[1..].iter().flatten().copied().collect::<Vec<_>>(), values[1..]);
        assert_eq!(kv.get::<usize>("key 299").await, Some(299));
        assert_eq!(kv.delete_many(&keys[..200]).await.expect("deleted"), 199);
        assert_eq!(kv.get_many::<usize>(["key 199", "key 200"]).await, [None, Some(200)]);
        kv.set_many(keys.iter().zip(&values), Duration::ZERO).await.expect("set");
        assert!(kv.get_many::<usize>(&keys).await.iter().all(Option::is_none), "{}", place.name);
        assert_eq!(kv.get_many::<i32>([""; 0]).await, []);
    }
}

#[tokio::test]
async fn no_key_reaches_beyond_itself() {
    let long = "x".repeat(512);
    let longer = format!("{long}x");
    let keys = [
        "",
        " ",
        ":",
        "*",
        "a",
        "A",
        "a:b",
        "a%3Ab",
        "a*",
        "a\nb",
        "a\r\nDEL a\r\n",
        "a\0",
        "{a}",
        "}",
        "{}",
        "ü",
        "u\u{308}",
        "\u{202e}",
        "#",
        "a+",
        "}+",
        &long,
        &longer,
    ];
    for place in all().await {
        let kv = place.kv();
        for (number, key) in keys.iter().enumerate() {
            kv.set(key, &number, MINUTE).await.expect("set");
            assert!(kv.lock(key, MINUTE).await.expect("asked").is_some(), "{} {key:?}", place.name);
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(kv.get(key).await, Some(number), "{} {key:?}", place.name);
        }
        for key in keys {
            assert!(kv.delete(key).await.expect("deleted"), "{} {key:?}", place.name);
        }
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_or_has_no_bytes_is_an_error_that_says_so() {
    for place in all().await {
        let rates = place.cache.kv_named("rates").expect("named");
        rates.set("k", &"x".repeat(50), MINUTE).await.expect("set");
        let error = rates.set("k", &"x".repeat(100), MINUTE).await.expect_err("too large");
        assert!(error.is_value() && error.to_string().contains("at most 100"), "{error}");
        // What was there is there.
        assert_eq!(rates.get::<String>("k").await.expect("a value").len(), 50);
        let unencodable = HashMap::from([("k", std::sync::Mutex::new(1))]);
        let _poisoned = std::thread::scope(|scope| {
            let poison = || {
                let _held = unencodable["k"].lock();
                panic!("poisons it");
            };
            scope.spawn(poison).join()
        });
        let error = place.kv().set("k", &unencodable, MINUTE).await.expect_err("no bytes");
        assert!(error.is_value(), "{error}");
        let loaded = rates.get_or_set("l", MINUTE, async || Ok::<_, ()>("x".repeat(100))).await;
        assert_eq!(loaded.map(|text| text.len()), Ok(100), "{}", place.name);
        assert_eq!(rates.get::<String>("l").await, None);
    }
}

#[tokio::test]
async fn what_was_stored_is_there_however_large_it_is() {
    for max_bytes in [1 << 20, 16 << 20] {
        let cache = QueryCache::builder().max_bytes(max_bytes).build().await.expect("a cache");
        let kv = cache.kv();
        let shard = max_bytes.min(4 << 20);
        for bytes in (shard - (shard >> 4)..=shard).step_by(shard >> 8) {
            let value = "x".repeat(bytes);
            let key = format!("k{bytes}");
            match kv.set(&key, &*value, MINUTE).await {
                Ok(()) => assert_eq!(kv.get::<String>(&key).await.map(|v| v.len()), Some(bytes)),
                Err(error) => assert!(error.is_value(), "{error}"),
            }
            if let Ok(added) = kv.add("added", &*value, MINUTE).await {
                assert!(!(added && kv.add("added", &*value, MINUTE).await.expect("it fits")));
            }
            kv.delete("added").await.expect("memory");
        }
    }
}

#[tokio::test]
async fn a_touch_of_zero_ends_a_load_too() {
    for place in all().await {
        let kv = place.kv();
        kv.set("k", &true, MINUTE).await.expect("stored");
        let load = kv.get_or_set("k", MINUTE, || async {
            assert!(kv.touch("k", Duration::ZERO).await.expect("an answer"));
            Ok::<_, DbErr>("loaded before".to_owned())
        });
        load.await.expect("a text");
        assert_eq!(kv.get::<String>("k").await, None, "{}", place.name);
    }
}
