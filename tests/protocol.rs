//! The order of steps of readers and writers, in the single races in which it matters.

mod scenarios;
mod support;

use scenarios::*;
use sea_orm::{ConnectionTrait, TransactionTrait};
use support::servers::Backend;

macro_rules! holds {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            for backend in Backend::reachable() {
                let outcome = scenarios::$name(backend).await;
                outcome.unwrap_or_else(|stale| panic!("{backend:?}: {stale}"));
            }
        }
    )*};
}

holds!(
    write_to_a_shown_row_while_the_query_runs,
    write_to_a_count_while_the_query_runs,
    fill_just_before_the_commit,
    fill_just_before_a_transactions_commit,
    write_in_a_savepoint,
    read_in_a_transaction_that_is_rolled_back,
    cancelled_write,
    new_index_after_connect,
    one_scope_never_reads_anothers_entry,
    other_values_are_another_question,
);

#[tokio::test]
async fn a_fill_is_stored_although_another_row_was_written_meanwhile() {
    let stage = Stage::new(Backend::Sqlite).await;
    let db = stage.db.clone();
    stage.gate.after("SELECT \"book\"", async move {
        db.execute_unprepared("UPDATE book SET stock = 1 WHERE id = 4").await.expect("a write");
    });
    stage.books().await;
    assert!(stage.gate.passed());
    let stats = stage.cache.stats().total;
    assert_eq!((stats.fills, stats.refused), (1, 0));
    stage.books().await;
    assert_eq!(stage.cache.stats().total.hits, 1);
}

#[tokio::test]
async fn a_rollback_invalidates_nothing() {
    let stage = Stage::new(Backend::Sqlite).await;
    stage.check().await.expect("fresh");
    let transaction = stage.db.begin().await.expect("a transaction");
    reprice(&transaction, 1).await;
    transaction.rollback().await.expect("a rollback");
    let hits = stage.cache.stats().total.hits;
    stage.check().await.expect("fresh");
    assert_eq!(stage.cache.stats().total.hits, hits + 2);
}

/// COMMIT is answered with an error. Whether it was done or not, nothing stale is served: not
/// while it is unknown, and not afterwards.
async fn unknown_outcome(done: bool) {
    for backend in Backend::reachable() {
        unknown_outcome_on(backend, done).await;
    }
}

async fn unknown_outcome_on(backend: Backend, done: bool) {
    let stage = Stage::new(backend).await;
    stage.check().await.expect("fresh");
    stage.gate.break_commit(done);
    // While the outcome is unknown a reader asks, before the commit becomes visible.
    let transaction = stage.db.begin().await.expect("a transaction");
    reprice(&transaction, 1).await;
    add_review(&transaction).await;
    transaction.commit().await.expect_err("the commit fails");
    for _ in 0..50 {
        stage.check().await.expect("never stale");
        tokio::task::yield_now().await;
    }
    // Once the barrier has shown that it is over, its tables are cached again.
    let mut cached = false;
    for _ in 0..50_000 {
        if cached {
            break;
        }
        stage.check().await.expect("never stale");
        let before = stage.cache.stats().total.hits;
        stage.check().await.expect("never stale");
        cached |= stage.cache.stats().total.hits == before + 2;
    }
    assert!(cached, "its tables stayed uncached");
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_but_was_done_leaves_nothing_stale() {
    unknown_outcome(true).await;
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_and_was_not_done_leaves_nothing_stale() {
    unknown_outcome(false).await;
}
