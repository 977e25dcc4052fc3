//! One who has the right to load and will never use it does not hold up the others: where there is
//! a database to ask, nobody waits for seconds.

use std::time::{Duration, Instant};

use sea_orm::EntityTrait;
use sea_orm_cache::Coherence;
use sea_orm_cache::prelude::*;

use crate::support::proxy::When;
use crate::support::redis::is_there;
use crate::support::{TTL, book};
use crate::world::{Process, World};

/// A query takes a millisecond here.
const LONG: Duration = Duration::from_millis(500);

async fn read(process: &Process) -> Duration {
    let began = Instant::now();
    book::Entity::find_by_id(1).cached(TTL).one(&process.db).await.expect("a book");
    began.elapsed()
}

/// The first process loses its connection when it sends this; how long the second one takes then.
async fn after_a_cut(text: &'static str, when: When) -> Duration {
    let world = World::new().await;
    let proxy = world.redis.proxy().await;
    let one = world.process_at(&format!("redis://127.0.0.1:{}", proxy.port), |b| b).await;
    let two = world.process(Coherence::Strong).await;
    let sprung = proxy.cut(text, when);
    read(&one).await;
    sprung.await.expect("cut");
    read(&two).await
}

#[tokio::test]
async fn a_right_to_load_whose_answer_was_lost_holds_up_nobody() {
    if is_there() {
        let took = after_a_cut("sea-orm:v1}2:l:", When::After).await;
        assert!(took < LONG, "{took:?}");
    }
}

#[tokio::test]
async fn a_right_to_load_whose_put_was_lost_holds_up_nobody() {
    if is_there() {
        let took = after_a_cut("sORE\x01", When::Before).await;
        assert!(took < LONG, "{took:?}");
    }
}

#[tokio::test]
async fn a_right_to_load_under_another_schema_holds_up_nobody() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    read(&one).await;
    // Evicting the schema's version is enough.
    world.redis.command(&["FLUSHALL"]).await;
    // It is given the right, finds that the schema's version is another, and does not give it back.
    read(&one).await;
    let took = (read(&two).await, read(&one).await);
    assert!(took.0 < LONG && took.1 < LONG, "{took:?}");
}
