//! One stale read each, if a safeguard is missing. Each returns whether it happened.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::{RedisConfig, RedisStore};
use sea_orm_cache::{CacheSource, Coherence, ManualClock};

use crate::hooked::Hooked;
use crate::processes::{Process, World};
use crate::support::gate::Gate;
use crate::support::redis::eventually;
use crate::support::{TTL, book, checked};

const OLD: [i32; 2] = [100, 200];
const WRITE: &str = "UPDATE book SET price = 1 WHERE id = 1";

async fn prices(db: &impl CacheSource) -> Vec<i32> {
    let query = book::Entity::find().filter(book::Column::AuthorId.eq(1));
    let books = query.cached(TTL).all(db).await.expect("books");
    books.into_iter().map(|book| book.price).collect()
}

/// Reads, and is that old?
async fn is_stale(db: &impl CacheSource) -> bool {
    prices(db).await == OLD
}

/// A process whose store a test can step into.
async fn hooked(world: &World, coherence: Coherence) -> (Arc<Process>, Hooked) {
    let config = RedisConfig::new(world.redis.url());
    let store = Hooked::new(RedisStore::new(config, "sea-orm", 1).expect("a store"));
    let other = store.clone();
    let process = world
        .process_at("redis://unused", |builder| builder.store(other).coherence(coherence))
        .await;
    (Arc::new(process), store)
}

/// A process whose database a test can step into.
async fn gated(world: &World, coherence: Coherence) -> (CachedConnection<Gate>, Gate) {
    let gate = Gate::new(world.file.pool(4).await);
    let cache = checked()
        .redis(RedisConfig::new(world.redis.url()))
        .clock(Arc::new(ManualClock::default()))
        .coherence(coherence)
        .build()
        .await
        .expect("a cache");
    (cache.connect(gate.clone()).await.expect("a connection"), gate)
}

pub async fn overwritten_elsewhere() -> bool {
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    prices(&two.db).await;
    one.sql(WRITE).await;
    is_stale(&two.db).await
}

pub async fn overwritten_in_silence() -> bool {
    let world = World::new().await;
    let one = world.process(Coherence::bounded()).await;
    prices(&one.db).await;
    world.redis.pause().await;
    // Whoever wrote this could not tell us.
    one.plain.execute_unprepared(WRITE).await.expect("written");
    one.clock.advance(Duration::from_millis(1_001));
    let stale = is_stale(&one.db).await;
    world.redis.resume();
    stale
}

pub async fn overwritten_while_not_listening() -> bool {
    let world = World::new().await;
    let proxy = world.redis.proxy().await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let one = world.process_at(&url, |builder| builder.coherence(Coherence::bounded())).await;
    let two = world.process(Coherence::Strong).await;
    prices(&one.db).await;
    proxy.refuse(true);
    let behind = || one.cache.stats().store.expect("a store").behind_ms;
    eventually("it is noticed", async || behind().is_none()).await;
    two.sql(WRITE).await;
    proxy.refuse(false);
    eventually("it listens again", async || behind().is_some() && !one.away()).await;
    is_stale(&one.db).await
}

pub async fn overwritten_during_the_query() -> bool {
    let world = World::new().await;
    let (one, gate) = gated(&world, Coherence::Strong).await;
    let two = Arc::new(world.process(Coherence::Strong).await);
    let writer = two.clone();
    gate.after("FROM \"book\"", async move { writer.sql(WRITE).await });
    assert_eq!(prices(&one).await, OLD);
    assert!(gate.passed());
    is_stale(&two.db).await
}

pub async fn heard_during_the_query() -> bool {
    let world = World::new().await;
    let (one, gate) = gated(&world, Coherence::bounded()).await;
    let two = Arc::new(world.process(Coherence::Strong).await);
    // Tells when the message has come.
    book::Entity::find_by_id(1).cached(TTL).one(&one).await.expect("a book");
    let cache = one.cache();
    assert_eq!(cache.count_valid(), 1);
    gate.after("FROM \"book\"", async move {
        two.sql(WRITE).await;
        let comes = async {
            while cache.count_valid() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), comes).await.expect("the message");
    });
    assert_eq!(prices(&one).await, OLD);
    assert!(gate.passed());
    is_stale(&one).await
}

pub async fn overwritten_on_the_way_into_memory() -> bool {
    let world = World::new().await;
    let (one, store) = hooked(&world, Coherence::bounded()).await;
    prices(&world.process(Coherence::Strong).await.db).await;
    let writer = one.clone();
    store.after_found(async move { writer.sql(WRITE).await });
    assert_eq!(prices(&one.db).await, OLD);
    is_stale(&one.db).await
}

pub async fn promoted_before_the_store_was_told() -> bool {
    let world = World::new().await;
    let (one, store) = hooked(&world, Coherence::bounded()).await;
    prices(&world.process(Coherence::Strong).await.db).await;
    let reader = one.clone();
    store.before_bump(async move { assert_eq!(prices(&reader.db).await, OLD) });
    one.sql(WRITE).await;
    is_stale(&one.db).await
}

pub async fn overwritten_while_cut_off() -> bool {
    let world = World::new().await;
    let (one, store) = hooked(&world, Coherence::Strong).await;
    prices(&one.db).await;
    store.deaf(true);
    one.sql(WRITE).await;
    is_stale(&one.db).await
}
