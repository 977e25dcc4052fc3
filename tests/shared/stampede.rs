//! Of several processes that miss the same, one asks the database.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sea_orm_cache::Coherence;
use sea_orm_cache::prelude::*;
use tokio::task::JoinSet;

use crate::coherent::prices;
use crate::processes::World;
use crate::support::redis::is_there;
use crate::support::{TTL, book};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_processes_with_many_tasks_one_loads() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let mut processes = Vec::new();
        for _ in 0..4 {
            processes.push(Arc::new(world.process(coherence).await));
        }
        let mut tasks = JoinSet::new();
        for number in 0..200 {
            let process = processes[number % 4].clone();
            tasks.spawn(async move {
                assert_eq!(prices(&process.db, 1).await, [100, 200]);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("read");
        }
        let fills: u64 = processes.iter().map(|p| p.cache.stats().total.fills).sum();
        assert_eq!(fills, 1, "{coherence:?}");
    }
}

#[tokio::test]
async fn a_load_that_is_given_up_makes_nobody_wait() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    // Dropped while the database is asked, as when a client goes away.
    let query = || book::Entity::find().filter(book::Column::AuthorId.eq(1)).cached(TTL);
    let lock = one.plain.clone();
    let blocker = sea_orm::TransactionTrait::begin(&lock).await.expect("begun");
    drop(tokio::time::timeout(Duration::from_millis(1), query().all(&one.db)).await);
    drop(blocker);
    let start = std::time::Instant::now();
    assert_eq!(prices(&two.db, 1).await, [100, 200]);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn results_that_are_not_stored_are_not_waited_for_one_by_one() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    let declined = async |db: &CachedConnection| {
        let query = book::Entity::find().cached(TTL).cache_if(|_: &[book::Model]| false);
        query.all(db).await.expect("books").len()
    };
    let start = std::time::Instant::now();
    for _ in 0..20 {
        let both = tokio::join!(declined(&one.db), declined(&two.db));
        assert_eq!(both, (5, 5));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
