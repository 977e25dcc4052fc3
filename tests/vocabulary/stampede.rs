//! Many who want the same value that nobody has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{DbErr, EntityTrait, PaginatorTrait};
use sea_orm_cache::{Coherence, Invalidate, deps};
use tokio::task::JoinSet;

use crate::places::places;
use crate::processes::World;
use crate::support::redis::{eventually, is_there};
use crate::support::{TTL, book};

#[tokio::test]
async fn of_a_thousand_tasks_one_computes() {
    for place in places().await {
        let runs = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let (cache, db, runs) = (place.cache.clone(), place.db.clone(), runs.clone());
            tasks.spawn(async move {
                let value = cache.remember(&db, "count", TTL, |db| async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    book::Entity::find().count(&db).await
                });
                value.await.expect("a number")
            });
        }
        assert!(tasks.join_all().await.iter().all(|count| *count == 5));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{}", place.name);
    }
}

#[tokio::test]
async fn who_starts_after_a_write_does_not_join_a_computation_from_before_it() {
    for place in places().await {
        let (reached, go) =
            (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (cache, db) = (place.cache.clone(), place.db.clone());
        let early = tokio::spawn({
            let (reached, go) = (reached.clone(), go.clone());
            async move {
                let value = cache.remember(&db, "count", TTL, |db| async move {
                    let count = book::Entity::find().count(&db).await?;
                    reached.notify_one();
                    go.notified().await;
                    Ok::<_, DbErr>(count)
                });
                value.await.expect("a number")
            }
        });
        reached.notified().await;
        place.write("DELETE FROM book WHERE id = 5").await;
        let (cache, db) = (place.cache.clone(), place.db.clone());
        let late = tokio::spawn(async move {
            let value = cache.remember(&db, "count", TTL, |db| async move {
                book::Entity::find().count(&db).await
            });
            value.await.expect("a number")
        });
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(early.await.expect("it ends"), 5);
        assert_eq!(late.await.expect("it ends"), 4, "{}", place.name);
    }
}

#[tokio::test]
async fn of_a_thousand_tasks_in_four_processes_one_computes() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let mut processes = Vec::new();
        for _ in 0..4 {
            processes.push(world.process(coherence).await);
        }
        let runs = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for task in 0..1_000 {
            let process = &processes[task % 4];
            let (cache, db, runs) = (process.cache.clone(), process.db.clone(), runs.clone());
            tasks.spawn(async move {
                let value = cache.remember(&db, "count", TTL, |db| async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    book::Entity::find().count(&db).await
                });
                value.await.expect("a number")
            });
        }
        assert!(tasks.join_all().await.iter().all(|count| *count == 5));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{coherence:?}");
    }
}

/// What one process's rules end is ended in the other, whoever writes.
#[tokio::test]
async fn storms_of_writes_in_two_processes_with_rules_leave_nothing_old() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let (one, two) = (world.process(coherence).await, world.process(coherence).await);
        let told = Arc::new(AtomicUsize::new(0));
        for process in [&one, &two] {
            for rule in 0..19 {
                let tag = Invalidate::tag(&format!("tag {}", rule % 5));
                process.cache.rules().on::<book::Entity>().invalidates(tag);
            }
            let told = told.clone();
            process.cache.rules().on::<book::Entity>().calls(move |_| {
                told.fetch_add(1, Ordering::SeqCst);
                async { Ok(()) }
            });
        }
        let stock = Arc::new(AtomicUsize::new(0));
        for round in 0..100 {
            let writer = if round % 2 == 0 { &one } else { &two };
            writer.sql("UPDATE book SET stock = stock + 1 WHERE id = 1").await;
            let wanted = stock.fetch_add(1, Ordering::SeqCst) + 1;
            for process in [&one, &two] {
                let read = async || {
                    let stock = stock.clone();
                    let value = process
                        .cache
                        .value("stock")
                        .ttl(TTL)
                        .depending_on(deps!["tag 3"], || async move {
                            Ok::<_, DbErr>(stock.load(Ordering::SeqCst))
                        });
                    value.await.expect("a number")
                };
                if coherence != Coherence::Strong {
                    eventually("it is heard", async || read().await == wanted).await;
                }
                assert_eq!(read().await, wanted, "{coherence:?}");
            }
        }
        assert_eq!(told.load(Ordering::SeqCst), 100);
    }
}
