//! What must not happen, each as what the cache says in the end, and what is so.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ConnectionTrait, Set, TransactionTrait};
use sea_orm_cache::{Outbox, OutboxConfig, QueryCache};

use crate::support::servers::Backend;
use crate::support::{TTL, book};
use crate::world::{World, hits, now_ms, number, price};

type Seen = (i64, i64);

/// Where a rule is broken what is waited for does not come.
const SOON: Duration = Duration::from_secs(1);

async fn seen(world: &World, db: &sea_orm_cache::CachedConnection) -> Seen {
    let text = match world.file.backend {
        Backend::MySql => "SELECT CAST(price AS SIGNED) FROM book WHERE id = 1",
        _ => "SELECT CAST(price AS BIGINT) FROM book WHERE id = 1",
    };
    (price(db, 1).await.into(), number(&world.other, text).await)
}

pub async fn another_program_writes(backend: Backend) -> Seen {
    let world = World::new(backend).await;
    let (_cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
    price(&db, 1).await;
    world.write("UPDATE book SET price = 55 WHERE id = 1").await;
    db.catch_up().await.expect("heard");
    seen(&world, &db).await
}

/// The outbox is gone, and so are its triggers: nobody hears anything any more.
pub async fn nobody_listens_for_longer_than_the_bound(backend: Backend) -> Seen {
    let world = World::new(backend).await;
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    price(&db, 1).await;
    let outbox = Outbox::default();
    outbox.unwatch(&world.other, ["author", "book", "review"]).await.expect("gone");
    outbox.drop(&world.other).await.expect("gone");
    // No look is under way that began before.
    told(&world, "the outbox is not heard").await;
    world.write("UPDATE book SET price = 55 WHERE id = 1").await;
    world.clock.advance(Duration::from_millis(1_001));
    seen(&world, &db).await
}

/// Another process took the lease while this one was held up; it heard, and deleted.
pub async fn somebody_else_listened_meanwhile(backend: Backend) -> Seen {
    let world = World::new(backend).await;
    let (cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
    price(&db, 1).await;
    let now = now_ms(backend);
    world
        .write(&format!(
            "UPDATE sea_orm_cache_outbox_state SET owner = 'another', until_ms = {now} + 2900 \
             WHERE name = 'listener'"
        ))
        .await;
    told(&world, "another process listens").await;
    world.write("UPDATE book SET price = 55 WHERE id = 1").await;
    world.write("DELETE FROM sea_orm_cache_outbox").await;
    world.write("UPDATE sea_orm_cache_outbox_state SET until_ms = 1 WHERE name = 'listener'").await;
    db.catch_up().await.expect("taken over");
    assert!(cache.stats().outbox.expect("an outbox").listening, "{backend:?}");
    seen(&world, &db).await
}

/// Held up after it had seen that it listens, and before it read. PostgreSQL tells when it is.
pub async fn held_up_while_another_one_listened(backend: Backend) -> Seen {
    let held_up = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock' AND query LIKE '%sea_orm_cache_outbox%'";
    let world = World::new(backend).await;
    let (_cache, db) = world.cache(OutboxConfig::new().bound(TTL / 2)).await;
    price(&db, 1).await;
    db.catch_up().await.expect("heard");
    let other = world.other.begin().await.expect("a transaction");
    let run = async |sql: &str| {
        other.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    run("LOCK TABLE sea_orm_cache_outbox").await;
    world.clock.advance(TTL * 2 / 5);
    db.wake_listener();
    while number(&world.other, held_up).await == 0 {
        tokio::task::yield_now().await;
    }
    run("UPDATE book SET price = price + 1 WHERE id = 1").await;
    run("DELETE FROM sea_orm_cache_outbox").await;
    let now = now_ms(backend);
    run(&format!(
        "UPDATE sea_orm_cache_outbox_state SET owner = 'another', until_ms = {now} + 2900 \
         WHERE name = 'listener'"
    ))
    .await;
    world.log.take();
    other.commit().await.expect("a commit");
    // That it is said, at once, is part of the rule.
    let _ = tokio::time::timeout(SOON, told(&world, "the outbox is not heard")).await;
    // Later than the bound after what was known before, and the entry still lives.
    world.clock.advance(TTL * 3 / 10);
    seen(&world, &db).await
}

/// An outbox is for one prefix, version and store. One of another has it all the same, and they
/// listen in turns.
pub async fn one_of_another_prefix_listens(backend: Backend) -> Seen {
    let url = std::env::var("REDIS_URL").expect("a Redis");
    let world = World::new(backend).await;
    let prefixes = ["one", "two"].map(|end| format!("{}_{end}", world.file.name));
    let (first, one) = world.sharing(OutboxConfig::new(), &prefixes[0], &url).await;
    let (second, two) = world.sharing(OutboxConfig::new(), &prefixes[1], &url).await;
    let listens = |cache: &QueryCache| cache.stats().outbox.expect("an outbox").listening;
    for new in 60..64 {
        // Perhaps the other one takes it now.
        let free = "UPDATE sea_orm_cache_outbox_state SET until_ms = 0 WHERE name = 'listener'";
        let taken = "SELECT until_ms > 0 FROM sea_orm_cache_outbox_state WHERE name = 'listener'";
        world.write(free).await;
        while number(&world.other, taken).await == 0 || listens(&first) == listens(&second) {
            tokio::task::yield_now().await;
        }
        // What was known before is too old by now.
        world.clock.advance(Duration::from_millis(1_001));
        for db in [&one, &two] {
            // One of them waits for what it can't know.
            let _ = tokio::time::timeout(SOON, db.catch_up()).await;
        }
        for db in [&one, &two] {
            price(db, 1).await;
        }
        world.write(&format!("UPDATE book SET price = {new} WHERE id = 1")).await;
        let caught_up = [&one, &two].map(|db| Box::pin(db.catch_up()));
        futures_util::future::select_ok(caught_up).await.expect("heard");
        for db in [&one, &two] {
            let (cached, fresh) = seen(&world, db).await;
            if cached != fresh {
                return (cached, fresh);
            }
        }
    }
    seen(&world, &one).await
}

/// Its session is marked as ours, so that no trigger tells of it, and who listens caches.
pub async fn another_process_without_a_store_writes(backend: Backend) -> Seen {
    let world = World::new(backend).await;
    Outbox::default().unwatch(&world.other, ["author", "book", "review"]).await.expect("gone");
    let durable = || OutboxConfig::new().durable_bumps();
    let (cache, db) = world.cache(durable()).await;
    let (_other_cache, other) = world.cache(durable()).await;
    for new in 50..55 {
        price(&db, 1).await;
        assert!(hits(&cache, &db, 1).await, "{backend:?}");
        let model = book::ActiveModel { id: Set(1), price: Set(new), ..Default::default() };
        model.update(&other).await.expect("updated");
        db.catch_up().await.expect("heard");
        let (cached, fresh) = seen(&world, &db).await;
        if cached != fresh {
            return (cached, fresh);
        }
    }
    assert_eq!(world.notes().await, 0, "{backend:?}");
    seen(&world, &db).await
}

/// Waits until an event says this.
async fn told(world: &World, what: &str) {
    let told = async {
        while !world.log.take().iter().any(|line| line.starts_with(what)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("the event");
}
