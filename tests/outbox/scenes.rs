//! What must not happen, each as what the cache says in the end, and what is so.

use std::time::Duration;

use sea_orm_cache::{Outbox, OutboxConfig};

use crate::support::TTL;
use crate::support::servers::Backend;
use crate::world::{World, number, price};

type Seen = (i64, i64);

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
    let now = match backend {
        Backend::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        Backend::MySql => "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
        Backend::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    };
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

/// Waits until an event says this.
pub async fn told(world: &World, what: &str) {
    let told = async {
        while !world.log.take().iter().any(|line| line.starts_with(what)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("the event");
}
