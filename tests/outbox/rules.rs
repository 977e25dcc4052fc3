//! Rules, and what other programs write.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sea_orm::DbErr;
use sea_orm_cache::{Commit, Invalidate, OutboxConfig, QueryCache, TableChange, deps};
use tokio::sync::mpsc;

use crate::support::servers::Backend;
use crate::support::{TTL, book};
use crate::world::World;

#[tokio::test]
async fn what_rules_invalidate_ends_also_after_another_program_s_write() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
        db.catch_up().await.expect("heard");
        let rules = cache.rules();
        let prices = rules.on::<book::Entity>().updates_of([book::Column::Price]);
        prices.invalidates(Invalidate::tag("prices"));
        rules.on::<book::Entity>().deletes().invalidates(Invalidate::tag("gone"));
        let runs = AtomicI64::new(0);
        let run = async |cache: &QueryCache, tag: &'static str| {
            let runs = &runs;
            let value = cache.cached_as(tag, TTL, deps![tag], || async move {
                Ok::<_, DbErr>(runs.fetch_add(1, Ordering::SeqCst))
            });
            value.await.expect("a number")
        };
        assert_eq!((run(&cache, "prices").await, run(&cache, "gone").await), (0, 1));
        world.write("UPDATE book SET stock = 99 WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        assert_eq!((run(&cache, "prices").await, run(&cache, "gone").await), (0, 1));
        world.write("UPDATE book SET price = 99 WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        assert_eq!((run(&cache, "prices").await, run(&cache, "gone").await), (2, 1), "{backend:?}");
    }
}

#[tokio::test]
async fn a_callback_is_called_for_another_program_s_write_if_that_is_asked_for() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new().bound(TTL)).await;
        let (told, mut calls) = mpsc::unbounded_channel::<(&str, Commit)>();
        for (name, foreign) in [("own only", false), ("all", true)] {
            let told = told.clone();
            let rules = cache.rules();
            let rule = rules.on::<book::Entity>();
            let rule = if foreign { rule.foreign() } else { rule };
            rule.calls(move |commit| {
                let told = told.clone();
                async move { Ok(told.send((name, commit))?) }
            });
        }
        world.write("UPDATE book SET price = 99 WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        let call = tokio::time::timeout(Duration::from_secs(5), calls.recv());
        let (name, commit) = call.await.expect("in time").expect("a call");
        assert_eq!(name, "all", "{backend:?}");
        assert!(commit.foreign && !commit.unknown, "{backend:?}: {commit:?}");
        let [TableChange::Update { columns, rows }] = &*commit.changes else {
            panic!("{backend:?}: {commit:?}");
        };
        assert_eq!(*columns, ["price"], "{backend:?}");
        assert_eq!(rows.len(), 1, "{backend:?}");
        // Nothing more is on its way: what was told first came first.
        tokio::task::yield_now().await;
        assert!(calls.try_recv().is_err(), "{backend:?}");
    }
}
