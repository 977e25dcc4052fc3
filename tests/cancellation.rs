//! A future dropped at every await of a write, a commit and a fill: nothing is stale afterwards,
//! and nobody hangs.

mod scenarios;
mod support;

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use scenarios::*;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_cache::CachedConnection;
use support::gate::Gate;
use support::servers::Backend;

/// Polls a future this many times and drops it. `true` if it came to its end.
async fn polled(mut future: Pin<Box<dyn Future<Output = ()> + Send + '_>>, times: usize) -> bool {
    let mut left = times;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|()| true)
    })
    .await
}

/// Waits until everything that goes on in the background has come to its end.
async fn quiet(stage: &Stage) {
    let over = async {
        while stage.cache.stats().background > 0 {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, over).await.expect("the background ends");
}

type Work = for<'a> fn(&'a CachedConnection<Gate>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Drops `work` after 0, 1, 2, … polls until it is quick enough to end.
async fn at_every_await(work: Work) {
    for backend in Backend::reachable() {
        at_every_await_on(backend, work).await;
    }
}

async fn at_every_await_on(backend: Backend, work: Work) {
    let mut ended = false;
    for times in 0..200 {
        let stage = Stage::new(backend).await;
        stage.check().await.expect("fresh");
        stage.gate.yields();
        ended = polled(work(&stage.db), times).await;
        quiet(&stage).await;
        // What the driver was still told to do (a rollback, say) is over when the lock is free.
        if backend == Backend::Sqlite {
            stage.plain.execute_unprepared("BEGIN IMMEDIATE; COMMIT").await.expect("the lock");
        }
        stage.check().await.unwrap_or_else(|stale| panic!("dropped after {times} polls: {stale}"));
        let again = tokio::time::timeout(std::time::Duration::from_secs(30), stage.books()).await;
        again.expect("nobody hangs");
        if ended {
            break;
        }
    }
    assert!(ended, "200 polls were not enough");
}

#[tokio::test]
async fn a_write_dropped_at_any_await_leaves_nothing_stale() {
    at_every_await(|db| Box::pin(reprice(db, 1))).await;
}

#[tokio::test]
async fn a_captured_write_dropped_at_any_await_leaves_nothing_stale() {
    at_every_await(|db| {
        Box::pin(async {
            let delete = "DELETE FROM review WHERE id = 1";
            db.execute_unprepared(delete).await.expect("a write");
        })
    })
    .await;
}

#[tokio::test]
async fn a_transaction_dropped_at_any_await_leaves_nothing_stale() {
    at_every_await(|db| {
        Box::pin(async {
            let transaction = db.begin().await.expect("a transaction");
            reprice(&transaction, 1).await;
            add_review(&transaction).await;
            transaction.commit().await.expect("a commit");
        })
    })
    .await;
}

#[tokio::test]
async fn a_fill_dropped_at_any_await_strands_nobody() {
    at_every_await(|db| Box::pin(async { drop(books(db).await) })).await;
    at_every_await(|db| {
        Box::pin(async {
            db.cache().invalidate_all().await;
            tokio::join!(books(db), books(db), reviews(db));
        })
    })
    .await;
}

#[tokio::test]
async fn schema_changes_dropped_at_any_await_leave_nothing_stale() {
    at_every_await(|db| {
        Box::pin(async {
            let ddl = "DROP TABLE review; CREATE TABLE review (id INTEGER PRIMARY KEY, book_id INT, rating INT)";
            db.execute_unprepared(ddl).await.expect("DDL");
        })
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_panics_strands_nobody() {
    let stage = Stage::new(Backend::Sqlite).await;
    stage.gate.yields();
    stage.gate.panic_on("SELECT \"book\"");
    let one = |db: CachedConnection<Gate>| tokio::spawn(async move { books(&db).await.len() });
    let (first, second) = (one(stage.db.clone()), one(stage.db.clone()));
    first.await.expect_err("the leader panics");
    assert_eq!(second.await.expect("the joiner loads for itself"), 2);
    stage.check().await.expect("fresh");
}

#[tokio::test]
async fn a_write_that_panics_in_the_driver_leaves_nothing_stale() {
    let stage = Stage::new(Backend::Sqlite).await;
    stage.check().await.expect("fresh");
    stage.gate.panic_on("UPDATE \"book\"");
    let db = stage.db.clone();
    tokio::spawn(async move { reprice(&db, 1).await }).await.expect_err("the driver panics");
    stage
        .plain
        .execute_unprepared("UPDATE book SET price = 3 WHERE id = 1")
        .await
        .expect("a write");
    // What the panicked write did is unknown, so its tables were bumped and are doubtful.
    stage.check().await.expect("fresh");
}

#[tokio::test]
async fn a_write_that_was_never_polled_is_never_sent() {
    let stage = Stage::new(Backend::Sqlite).await;
    drop(Box::pin(stage.db.execute_unprepared("DELETE FROM book")));
    quiet(&stage).await;
    assert_eq!(book_count(&stage).await, 5);
}

async fn book_count(stage: &Stage) -> u64 {
    use sea_orm::PaginatorTrait;
    support::book::Entity::find().count(&stage.plain).await.expect("a count")
}
