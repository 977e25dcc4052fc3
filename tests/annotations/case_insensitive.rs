use sea_orm::entity::prelude::*;
use sea_orm_cache::Capture;
use sea_orm_cache::prelude::*;

use crate::folded::{SCHEMA, first_stale, person, word, words_of_one_form, world};
use crate::support::servers::Backend;
use crate::support::{File, Log, TTL, checked};

#[tokio::test]
async fn keys_that_ignore_case_are_never_stale() {
    for backend in [Backend::Sqlite, Backend::MySql] {
        if !backend.is_reachable() {
            continue;
        }
        let mut hits = 0;
        for seed in 0..20 {
            let (stale, hit) = first_stale(backend, seed, 60).await;
            assert_eq!(stale, None, "seed {seed}");
            hits += hit;
        }
        assert!(hits > 10_000, "{hits}");
    }
    assert!(!words_of_one_form().await);
}

#[tokio::test]
async fn they_tell_writes_apart() {
    for backend in [Backend::Sqlite, Backend::MySql] {
        if backend.is_reachable() {
            tell_writes_apart(backend).await;
        }
    }
}

async fn tell_writes_apart(backend: Backend) {
    let world = world(backend, Capture::Auto).await;
    let ask = async || {
        let hits = world.cache.stats().total.hits;
        let ann = person::Entity::find().filter(person::Column::Email.eq("Ann@x.org"));
        ann.cached(TTL).all(&world.db).await.expect("people");
        world.cache.stats().total.hits > hits
    };
    for (sql, is_of_ann) in [
        ("INSERT INTO person (email, team, age) VALUES ('ann@X.org', 1, 30)", true),
        ("INSERT INTO person (email, team, age) VALUES ('bob@x.org', 1, 30)", false),
        ("UPDATE person SET age = 31 WHERE email = 'BOB@x.org'", false),
        ("UPDATE person SET age = 31 WHERE email = 'ANN@x.org'", true),
        ("UPDATE person SET email = 'Ann@X.org' WHERE id = 1", true),
        ("DELETE FROM person WHERE email = 'bob@x.org'", false),
        // No plain ASCII: which it is equal to is the database's to know.
        ("INSERT INTO person (email, team, age) VALUES ('\u{e9}', 1, 30)", true),
        ("DELETE FROM person WHERE email = 'ANN@X.ORG'", true),
    ] {
        ask().await;
        world.db.execute_unprepared(sql).await.expect(sql);
        assert_eq!(ask().await, !is_of_ann, "{backend:?}: {sql}");
    }
}

#[tokio::test]
async fn where_it_cannot_be_a_key_an_event_says_so() {
    let log = Log::default();
    let file = File::new();
    let plain = file.pool(1).await;
    plain.execute_unprepared(SCHEMA).await.expect("the schema");
    let cache = checked().observer(log.observer()).build().await.expect("a cache");
    cache.register::<word::Entity>();
    cache.connect(plain).await.expect("a connection");
    let said = "spelling of word is no key, although its entity says so: it is of the primary key";
    assert!(log.take().iter().any(|line| line == said));
}
