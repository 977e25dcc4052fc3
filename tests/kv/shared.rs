//! Two processes on one Redis see each other's values, and whatever else is there does no harm.

use std::time::Duration;

use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{KvConfig, QueryCacheBuilder};

use crate::places::MINUTE;
use crate::support::redis::{Reply, Server, is_there};

fn builder(server: &Server) -> QueryCacheBuilder {
    QueryCache::builder()
        .prefix("shop")
        .named("sessions", KvConfig::new())
        .redis(RedisConfig::new(server.url()))
}

async fn two() -> Option<(Server, QueryCache, QueryCache)> {
    if !is_there() {
        return None;
    }
    let server = Server::start(&[]).await;
    let one = builder(&server).build().await.expect("a cache");
    let two = builder(&server).build().await.expect("a cache");
    Some((server, one, two))
}

#[tokio::test]
async fn what_one_process_does_the_other_sees_at_once() {
    let Some((_server, one, two)) = two().await else { return };
    let (one, two) = (one.kv(), two.kv());
    for round in 0..10 {
        one.set("k", &round, MINUTE).await.expect("set");
        assert_eq!(two.get("k").await, Some(round));
        assert_eq!(two.incr("n", 1, MINUTE).await.expect("counted"), 2 * round + 1);
        assert_eq!(one.incr("n", 1, MINUTE).await.expect("counted"), 2 * round + 2);
        assert!(two.delete("k").await.expect("deleted"));
        assert_eq!(one.get::<i64>("k").await, None);
    }
}

#[tokio::test]
async fn what_one_process_clears_is_cleared_in_the_other() {
    let Some((_server, one, two)) = two().await else { return };
    let users = [one.kv().prefixed("user:"), two.kv().prefixed("user:")];
    for round in 0..6 {
        for kv in [&one.kv(), &users[0]] {
            kv.set("k", "old", MINUTE).await.expect("set");
        }
        assert!(two.kv().get::<String>("k").await.is_some());
        assert!(users[1].get::<String>("k").await.is_some());
        let sessions = one.kv_named("sessions").expect("named");
        sessions.set("k", "kept", MINUTE).await.expect("set");
        two.kv().clear().await.expect("cleared");
        // The first operation after it may be any.
        match round % 3 {
            0 => assert_eq!(one.kv().get::<String>("k").await, None),
            1 => assert!(one.kv().add("k", "new", MINUTE).await.expect("added")),
            _ => assert!(!one.kv().delete("k").await.expect("nothing to delete")),
        }
        assert_eq!(users[0].incr("k", 1, MINUTE).await.expect("not the text"), 1);
        assert!(sessions.get::<String>("k").await.is_some());
        assert!(two.kv_named("sessions").expect("named").get::<String>("k").await.is_some());
        two.kv().clear().await.expect("cleared");
    }
}

#[tokio::test]
async fn of_two_processes_that_load_at_once_the_first_to_end_stores() {
    let Some((_server, one, two)) = two().await else { return };
    let kv = two.kv();
    let (first, second) = (one.kv(), two.kv());
    let (began, begins) = tokio::sync::oneshot::channel();
    let (end, ends) = tokio::sync::oneshot::channel();
    let first = first.get_or_set("k", MINUTE, async || begins.await.map(|()| "first".to_owned()));
    let second = second.get_or_set("k", MINUTE, async || {
        began.send(()).expect("somebody waits");
        ends.await.map(|()| "second".to_owned())
    });
    let first = async {
        let first = first.await;
        assert_eq!(kv.get::<String>("k").await.as_deref(), Some("first"));
        end.send(()).expect("somebody waits");
        first
    };
    let both = tokio::join!(first, second);
    assert_eq!((both.0.as_deref(), both.1.as_deref()), (Ok("first"), Ok("second")));
    assert_eq!(kv.get::<String>("k").await.as_deref(), Some("first"));
}

#[tokio::test]
async fn of_two_processes_one_has_the_lock() {
    let Some((_server, one, two)) = two().await else { return };
    let held = one.kv().lock("l", MINUTE).await.expect("asked").expect("got");
    assert!(two.kv().lock("l", MINUTE).await.expect("asked").is_none());
    let first = held.token();
    held.release().await.expect("released");
    let held = two.kv().lock("l", MINUTE).await.expect("asked").expect("got");
    assert!(held.token() > first);
    assert!(one.kv().lock("l", MINUTE).await.expect("asked").is_none());
}

#[tokio::test]
async fn a_token_grows_although_redis_forgot_everything() {
    let Some((server, one, two)) = two().await else { return };
    let held = one.kv().lock("l", MINUTE).await.expect("asked").expect("got");
    server.command(&["FLUSHALL"]).await;
    let again = two.kv().lock("l", MINUTE).await.expect("asked").expect("got");
    assert!(again.token() > held.token());
    assert!(held.release().await.expect_err("lost").is_lock_lost());
    again.release().await.expect("released");
}

#[tokio::test]
async fn another_prefix_version_or_name_is_another_cache() {
    let Some((server, one, _)) = two().await else { return };
    one.kv().set("k", "value", MINUTE).await.expect("set");
    let others = [builder(&server).prefix("shop2"), builder(&server).version(2)];
    for other in others {
        let other = other.build().await.expect("a cache");
        assert_eq!(other.kv().get::<String>("k").await, None);
        other.kv().clear().await.expect("cleared");
    }
    assert!(one.kv().get::<String>("k").await.is_some());
}

/// The keys of values.
async fn keys(server: &Server) -> Vec<String> {
    match server.command(&["KEYS", "shop:v1:kv:*"]).await {
        Reply::List(keys) => keys.iter().map(ToString::to_string).collect(),
        reply => panic!("{reply}"),
    }
}

#[tokio::test]
async fn whatever_is_under_a_key_is_no_harm() {
    let Some((server, one, _)) = two().await else { return };
    let kv = one.kv();
    kv.set("k", &vec!["text"; 10], MINUTE).await.expect("set");
    let key = keys(&server).await.pop().expect("a key");
    let bytes = [
        "",
        "\0",
        "sOKV",
        "sOKV\x01",
        "sOKV\x01\0\0\0\0",
        "sOKV\x01abcd\x01",
        "99999999999999999999",
    ];
    for bytes in bytes {
        server.command(&["SET", &key, bytes]).await;
        assert_eq!(kv.get::<Vec<String>>("k").await, None, "{bytes:?}");
        assert_eq!(kv.get::<i64>("k").await, None, "{bytes:?}");
        let error = kv.incr("k", 1, MINUTE).await;
        assert!(error.is_err_and(|error| error.is_counter()), "{bytes:?}");
    }
    // Of another type altogether.
    server.command(&["DEL", &key]).await;
    server.command(&["LPUSH", &key, "x"]).await;
    kv.set("other", "value", MINUTE).await.expect("set");
    assert_eq!(kv.get::<String>("k").await, None);
    let both = kv.get_many::<String>(["k", "other"]).await;
    assert_eq!(both, [None, Some("value".to_owned())]);
    assert!(kv.incr("k", 1, MINUTE).await.expect_err("a list").is_counter());
    assert!(!one.stats().store.expect("a store").away);
    let loaded = kv.get_or_set("k", MINUTE, async || Ok::<_, ()>("loaded".to_owned())).await;
    assert_eq!(loaded.as_deref(), Ok("loaded"));
    assert_eq!(kv.get::<String>("k").await.as_deref(), Some("loaded"));
}

#[tokio::test]
async fn nothing_is_written_without_an_end_or_outside_its_place() {
    let Some((server, one, _)) = two().await else { return };
    let kv = one.kv().prefixed("us*er:\n{");
    kv.set("a:b", "value", MINUTE).await.expect("set");
    kv.incr("n}", 1, MINUTE).await.expect("counted");
    kv.add("ü", "value", MINUTE).await.expect("added");
    let _lock = kv.lock("l:\n", MINUTE).await.expect("asked").expect("got");
    kv.get_or_set("x", MINUTE, async || Ok::<_, ()>(1)).await.expect("loaded");
    let Reply::List(all) = server.command(&["KEYS", "*"]).await else { panic!("no list") };
    assert!(all.len() >= 7, "{all:?}");
    for key in all.iter().map(ToString::to_string) {
        let Reply::Number(left) = server.command(&["PTTL", &key]).await else { panic!("{key}") };
        // -2: it is gone by now, or its bytes are no text.
        assert!(left > 0 || left == -2, "{key}: {left}");
        let ours = ["shop:v1:kv:{", "shop:v1:lock:{", "{shop:v1}2:"];
        assert!(ours.iter().any(|start| key.starts_with(start)), "{key}");
        assert!(!key.contains(['*', '\n']) || key.starts_with("{shop:v1}2:"), "{key}");
    }
}

#[tokio::test]
async fn values_are_there_as_long_as_their_views_generation_which_may_be_evicted() {
    let Some((server, one, two)) = two().await else { return };
    let kv = one.kv().prefixed("user:");
    kv.set("k", "value", Duration::from_secs(7200)).await.expect("set");
    let script = "local least = math.huge
        for _, key in ipairs(redis.call('KEYS', '{shop:v1}2:t:*')) do
            least = math.min(least, redis.call('PTTL', key))
        end
        return least";
    let Reply::Number(left) = server.command(&["EVAL", script, "0"]).await else { panic!("none") };
    // Reading asks for less, and does not shorten it.
    assert!(kv.get::<String>("k").await.is_some());
    assert!(left > 7_200_000 - 10_000, "{left}");
    let evict = "return redis.call('DEL', unpack(redis.call('KEYS', '{shop:v1}2:t:*')))";
    server.command(&["EVAL", evict, "0"]).await;
    assert_eq!(two.kv().prefixed("user:").get::<String>("k").await, None);
    assert_eq!(kv.get::<String>("k").await, None);
    kv.set("k", "again", MINUTE).await.expect("set");
    assert!(two.kv().prefixed("user:").get::<String>("k").await.is_some());
}

#[tokio::test]
async fn the_user_of_the_readme_may_do_what_is_needed_and_a_lesser_one_is_told() {
    let Some((server, ..)) = two().await else { return };
    let readme = include_str!("../../README.md");
    let line = readme.split("```").find_map(|block| block.split_once("ACL SETUSER cache"));
    let words: Vec<_> = line.expect("the line").1.split_whitespace().collect();
    for missing in ["", "+incrby", "+time"] {
        let mut command = vec!["ACL", "SETUSER", "cache", "reset"];
        command.extend(words.iter().filter(|word| **word != missing));
        assert_eq!(server.command(&command).await, Reply::Text("OK".into()));
        let config = RedisConfig::new(server.url()).user("cache", "secret");
        let cache = builder(&server).redis(config).build().await.expect("a cache");
        let kv = cache.kv();
        kv.set("k", "value", MINUTE).await.expect("set");
        assert!(kv.get::<String>("k").await.is_some());
        assert!(kv.ttl("k").await.is_some() && kv.touch("k", MINUTE).await.is_ok());
        kv.get_or_set("l", MINUTE, async || Ok::<_, ()>(1)).await.expect("loaded");
        kv.delete("k").await.expect("deleted");
        for (needs, done) in [
            ("+incrby", kv.incr("n", 1, MINUTE).await.map(drop)),
            ("+time", kv.lock("l", MINUTE).await.map(drop)),
        ] {
            assert_eq!(done.is_err(), needs == missing, "{missing:?}: {done:?}");
        }
        // What it may not do is no outage.
        assert!(!cache.stats().store.expect("a store").away);
        kv.clear().await.expect("cleared");
    }
}
