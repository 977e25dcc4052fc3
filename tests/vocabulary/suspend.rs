//! Bulk imports: nothing is stale while they run, and little is bumped.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, TransactionTrait};
use sea_orm_cache::Source;
use sea_orm_cache::prelude::*;

use crate::places::{Place, places};
use crate::support::redis::eventually;
use crate::support::{TTL, author, book};

async fn books(db: &CachedConnection) -> u64 {
    book::Entity::find().cached(TTL).count(db).await.expect("a number")
}

async fn insert(db: &impl ConnectionTrait, id: i32) -> Result<(), DbErr> {
    let sql = format!("INSERT INTO book VALUES ({id}, 'a', 1, 1, 1, 1)");
    db.execute_unprepared(&sql).await.map(drop)
}

/// It is cached, and what the database says.
async fn is_cached(place: &Place, wanted: u64) {
    for db in [&place.db, &place.other] {
        place.sees(wanted, async || books(db).await).await;
        // A store may still have to be told that it is over.
        eventually("it is cached", async || {
            let hits = db.cache().stats().total.hits;
            assert_eq!(books(db).await, wanted);
            db.cache().stats().total.hits > hits
        })
        .await;
    }
}

#[tokio::test]
async fn nothing_is_stale_while_it_runs_and_a_table_is_bumped_twice() {
    for place in places().await {
        is_cached(&place, 5).await;
        author::Entity::find().cached(TTL).all(&place.db).await.expect("authors");
        let before = place.cache.stats().bumps;
        let import = async {
            for id in 100..150 {
                insert(&place.db, id).await?;
                let count = u64::try_from(id - 94).expect("a number");
                for db in [&place.db, &place.other] {
                    place.sees(count, async || books(db).await).await;
                }
            }
            Ok::<_, DbErr>("done")
        };
        assert_eq!(place.cache.suspend(import).await.expect("books"), "done");
        assert_eq!(place.cache.stats().bumps - before, 2, "{}", place.name);
        is_cached(&place, 55).await;
        let authors = author::Entity::find().cached(TTL).fetch(&place.db).await.expect("authors");
        assert_ne!(authors.source, Source::Database, "what was not written stays");
    }
}

/// So many are there, and nothing goes on any more.
async fn written(place: &Place, wanted: u64) {
    let count = async || book::Entity::find().count(place.db.inner()).await.expect("a number");
    while count().await < wanted || place.cache.stats().background > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_ends_also_if_it_fails_panics_or_is_dropped() {
    for place in places().await {
        let (cache, db) = (&place.cache, &place.db);
        is_cached(&place, 5).await;
        let fails = cache.suspend(async {
            insert(db, 100).await?;
            insert(db, 100).await
        });
        fails.await.expect_err("it is there");
        is_cached(&place, 6).await;
        let panics = cache.suspend(async {
            insert(db, 101).await.expect("a book");
            panic!("as told");
        });
        AssertUnwindSafe(panics).catch_unwind().await.expect_err("a panic");
        is_cached(&place, 7).await;
        let mut dropped = Box::pin(cache.suspend(async {
            insert(db, 102).await.expect("a book");
            std::future::pending::<()>().await;
        }));
        while book::Entity::find().count(db.inner()).await.expect("a number") < 8 {
            let _ = std::future::poll_fn(|c| Poll::Ready(dropped.as_mut().poll(c))).await;
        }
        drop(dropped);
        written(&place, 8).await;
        is_cached(&place, 8).await;
        // In the middle of a write.
        let mut dropped = Box::pin(cache.suspend(insert(db, 103)));
        let _ = std::future::poll_fn(|c| Poll::Ready(dropped.as_mut().poll(c))).await;
        drop(dropped);
        written(&place, 9).await;
        is_cached(&place, 9).await;
    }
}

#[tokio::test]
async fn transactions_cascades_and_other_tasks_are_seen_too() {
    for place in places().await {
        let (cache, db) = (&place.cache, &place.db);
        is_cached(&place, 5).await;
        let import = async {
            let transaction = db.begin().await?;
            insert(&transaction, 100).await?;
            transaction.commit().await?;
            for db in [db, &place.other] {
                place.sees(6, async || books(db).await).await;
            }
            let transaction = db.begin().await?;
            insert(&transaction, 101).await?;
            transaction.rollback().await?;
            // Its books go with it: three, with the one above.
            db.execute_unprepared("DELETE FROM author WHERE id = 1").await?;
            for db in [db, &place.other] {
                place.sees(3, async || books(db).await).await;
            }
            let spawned = db.clone();
            let sql = "UPDATE author SET name = 'x' WHERE id = 2";
            let spawned = tokio::spawn(async move { spawned.execute_unprepared(sql).await });
            spawned.await.expect("no panic")?;
            Ok::<_, DbErr>(())
        };
        cache.suspend(import).await.expect("an import");
        is_cached(&place, 3).await;
    }
}

#[tokio::test]
async fn rules_are_told_once_a_table() {
    for place in places().await {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = told.clone();
        place.cache.rules().on::<book::Entity>().calls(move |commit| {
            into.lock().expect("the list").push(commit.to_string());
            async { Ok(()) }
        });
        let import = async {
            insert(&place.db, 100).await?;
            insert(&place.db, 101).await?;
            assert!(told.lock().expect("the list").is_empty());
            Ok::<_, DbErr>(())
        };
        place.cache.suspend(import).await.expect("books");
        assert_eq!(*told.lock().expect("the list"), ["changed"], "{}", place.name);
    }
}
