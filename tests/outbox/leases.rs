//! One process listens at a time, and nobody answers by what he can't know.

use sea_orm_cache::{CachedConnection, OutboxConfig};

use crate::scenes;
use crate::support::TTL;
use crate::support::servers::Backend;
use crate::world::{World, hits, now_ms, number, price};

#[tokio::test]
async fn when_nobody_has_listened_for_longer_than_the_bound_the_database_answers() {
    for backend in Backend::reachable() {
        let (cached, fresh) = scenes::nobody_listens_for_longer_than_the_bound(backend).await;
        assert_eq!(cached, fresh, "{backend:?}");
    }
}

#[tokio::test]
async fn of_two_caches_without_a_store_only_the_listener_answers() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (first, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
        price(&db, 1).await;
        let (second, other) = world.cache(OutboxConfig::new().bound(TTL)).await;
        assert!(world.log.take().iter().any(|line| line.contains("another process listens")));
        price(&other, 1).await;
        assert!(!hits(&second, &other, 1).await, "{backend:?}: it would not hear");
        assert!(hits(&first, &db, 1).await, "{backend:?}");
        // The one that listened goes, and gives the lease back.
        drop((first, db));
        other.catch_up().await.expect("taken over");
        price(&other, 1).await;
        assert!(hits(&second, &other, 1).await, "{backend:?}");
    }
}

#[tokio::test]
async fn who_takes_over_from_one_that_is_gone_forgets_what_he_did_not_hear() {
    for backend in Backend::reachable() {
        let (cached, fresh) = scenes::somebody_else_listened_meanwhile(backend).await;
        assert_eq!(cached, fresh, "{backend:?}");
    }
}

#[tokio::test]
async fn processes_that_share_a_store_hear_through_the_one_that_listens() {
    let Ok(url) = std::env::var("REDIS_URL") else { return };
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let prefix = world.file.name.clone();
        let (first, one) = world.sharing(OutboxConfig::new().bound(TTL), &prefix, &url).await;
        let (second, two) = world.sharing(OutboxConfig::new().bound(TTL), &prefix, &url).await;
        for (cache, db) in [(&first, &one), (&second, &two)] {
            price(db, 1).await;
            assert!(hits(cache, db, 1).await, "{backend:?}");
        }
        world.write("UPDATE book SET price = 66 WHERE id = 1").await;
        two.catch_up().await.expect("heard");
        assert_eq!((price(&two, 1).await, price(&one, 1).await), (66, 66), "{backend:?}");
        let listening =
            |cache: &sea_orm_cache::QueryCache| cache.stats().outbox.expect("an outbox").listening;
        assert!(listening(&first) && !listening(&second), "{backend:?}");
        assert_eq!(number(&world.other, "SELECT count(*) FROM sea_orm_cache_outbox").await, 0);
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_nobody_from_listening() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        // As it was written an hour before the clock was set back.
        world
            .write(
                "UPDATE sea_orm_cache_outbox_state SET owner = 'gone', until_ms = 9000000000000, \
                 done_ms = 9000000000000 WHERE name = 'listener'",
            )
            .await;
        let (cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
        db.catch_up().await.expect("heard");
        assert!(cache.stats().outbox.expect("an outbox").listening, "{backend:?}");
    }
}

#[tokio::test]
async fn who_may_take_his_time_keeps_the_lease_and_what_is_cached() {
    let world = World::new(Backend::Sqlite).await;
    let (cache, db) = world.cache(OutboxConfig::new().bound(TTL * 10)).await;
    price(&db, 1).await;
    let taken = "SELECT until_ms FROM sea_orm_cache_outbox_state WHERE name = 'listener'";
    let mut last = number(&world.other, taken).await;
    for _ in 0..4 {
        let mut until = last;
        while until == last {
            until = number(&world.other, taken).await;
        }
        assert!(until - last < 3_500, "nobody had it for {} ms", until - last - 3_000);
        last = until;
    }
    let now = format!("SELECT {}", now_ms(Backend::Sqlite));
    assert!(last > number(&world.other, &now).await, "it is over");
    assert!(hits(&cache, &db, 1).await);
}

#[tokio::test]
async fn who_has_much_to_hear_keeps_the_lease() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
        price(&db, 1).await;
        // 15,625 rows with each.
        for _ in 0..8 {
            world
                .write(
                    "INSERT INTO sea_orm_cache_outbox (table_name, operation, row_after, created_ms) \
                     SELECT 'review', 'I', '{\"id\": 9}', a.id \
                     FROM book a, book b, book c, book d, book e, book f",
                )
                .await;
        }
        while world.notes().await > 0 {}
        let lines = world.log.take();
        let lost = lines.iter().find(|line| line.contains("the outbox is not heard"));
        assert_eq!(lost, None, "{backend:?}");
        assert!(hits(&cache, &db, 1).await, "{backend:?}");
    }
}

/// What was heard meanwhile by another one is not read from a replica that may not have it.
#[tokio::test]
async fn who_takes_over_asks_no_replica_that_lags() {
    let world = World::new(Backend::Sqlite).await;
    let outbox = sea_orm_cache::Outbox::default();
    outbox.unwatch(&world.other, ["author", "book", "review"]).await.expect("no triggers");
    let old = World::new(Backend::Sqlite).await;
    let (cache, db) = world.cache(OutboxConfig::new()).await;
    let db = CachedConnection::with_replica_lag(db, old.file.pool(1).await, TTL).expect("one");
    world.clock.advance(TTL * 2);
    db.catch_up().await.expect("heard");
    price(&db, 1).await;
    assert!(hits(&cache, &db, 1).await);
    world
        .write(
            "UPDATE sea_orm_cache_outbox_state SET owner = 'another', until_ms = 0 \
             WHERE name = 'listener'",
        )
        .await;
    world.write("UPDATE book SET price = 77 WHERE id = 1").await;
    db.catch_up().await.expect("taken over");
    assert_eq!(price(&db, 1).await, 77);
}

#[tokio::test]
async fn two_connections_of_one_cache_hear_through_the_one_that_listens() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, one) = world.cache(OutboxConfig::new()).await;
        let two = cache.connect(world.file.pool(2).await).await.expect("a connection");
        for db in [&one, &two] {
            db.catch_up().await.expect("heard");
            price(db, 1).await;
            assert!(hits(&cache, db, 1).await, "{backend:?}");
        }
        world.write("UPDATE book SET price = 66 WHERE id = 1").await;
        two.catch_up().await.expect("heard");
        assert_eq!((price(&two, 1).await, price(&one, 1).await), (66, 66), "{backend:?}");
        // The one that listens goes.
        drop(one);
        world.write("UPDATE book SET price = 67 WHERE id = 1").await;
        two.catch_up().await.expect("heard");
        assert_eq!(price(&two, 1).await, 67, "{backend:?}");
    }
}

#[tokio::test]
async fn who_was_held_up_while_another_one_listened_claims_nothing() {
    for backend in Backend::servers().into_iter().filter(|b| *b == Backend::Postgres) {
        let (cached, fresh) = scenes::held_up_while_another_one_listened(backend).await;
        assert_eq!(cached, fresh);
    }
}

#[tokio::test]
async fn who_is_of_another_cache_does_not_answer_by_what_is_heard() {
    if std::env::var("REDIS_URL").is_err() {
        return;
    }
    let (cached, fresh) = scenes::one_of_another_prefix_listens(Backend::Sqlite).await;
    assert_eq!(cached, fresh);
}
