//! What a transaction owes lies in the outbox until it is done.

use std::time::Duration;

use sea_orm::{AccessMode, ActiveModelTrait, ConnectionTrait, Set, TransactionTrait};
use sea_orm_cache::{CachedConnection, Invalidate, OutboxConfig};

use crate::scenes;
use crate::support::servers::Backend;
use crate::support::{TTL, book};
use crate::world::{World, hits, now_ms, number, price, run};

fn durable() -> OutboxConfig {
    OutboxConfig::new().durable_bumps()
}

#[tokio::test]
async fn a_write_works_as_before_and_leaves_nothing_in_the_outbox() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        unwatched(&world).await;
        let (cache, db) = world.cache(durable()).await;
        price(&db, 1).await;
        price(&db, 2).await;
        let model = book::ActiveModel { id: Set(1), price: Set(31), ..Default::default() };
        assert_eq!(model.update(&db).await.expect("updated").price, 31, "{backend:?}");
        assert_eq!(price(&db, 1).await, 31, "{backend:?}");
        assert!(hits(&cache, &db, 2).await, "{backend:?}: it is as precise as ever");
        let done = db.execute_unprepared("UPDATE book SET price = 32 WHERE id = 1").await;
        assert_eq!(done.expect("done").rows_affected(), 1, "{backend:?}");
        assert_eq!(price(&db, 1).await, 32, "{backend:?}");
        let transaction = db.begin().await.expect("begun");
        let sql = "UPDATE book SET price = 33 WHERE id = 1";
        transaction.execute_unprepared(sql).await.expect("done");
        transaction.commit().await.expect("committed");
        assert_eq!(price(&db, 1).await, 33, "{backend:?}");
        let failed =
            db.execute_unprepared("INSERT INTO review (id, book_id, rating) VALUES (1, 1, 1)");
        assert!(failed.await.is_err(), "{backend:?}: an error of the database stays one");
        db.catch_up().await.expect("heard");
        assert_eq!(world.notes().await, 0, "{backend:?}");
        // What it did itself is not done again.
        assert!(hits(&cache, &db, 1).await, "{backend:?}");
    }
}

/// Its own writes are not noted by triggers, too.
async fn unwatched(world: &World) {
    let outbox = sea_orm_cache::Outbox::default();
    outbox.unwatch(&world.other, ["author", "book", "review"]).await.expect("no triggers");
}

#[tokio::test]
async fn what_a_process_that_died_owed_is_done_by_the_listener() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        unwatched(&world).await;
        let (cache, db) = world.cache(durable()).await;
        price(&db, 1).await;
        // As it left it: the data, and what it owes, which it had no time to do.
        run(&world.other, "UPDATE book SET price = 44 WHERE id = 1").await;
        world
            .write(
                "INSERT INTO sea_orm_cache_outbox (table_name, operation, row_before, row_after, \
                 created_ms) VALUES ('gone', 'B', '2:-', '0000000000000001', 0)",
            )
            .await;
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 1).await, 44, "{backend:?}");
        assert_eq!(world.notes().await, 0, "{backend:?}");
        drop(cache);
    }
}

/// What a process that died owes, for a database whose data were changed.
async fn gone_without_bumping(world: &World, created_ms: i64) {
    run(&world.other, "UPDATE book SET price = 44 WHERE id = 1").await;
    world
        .write(&format!(
            "INSERT INTO sea_orm_cache_outbox (table_name, operation, row_before, row_after, \
             created_ms) VALUES ('gone', 'B', '2:-', '0000000000000001', {created_ms})"
        ))
        .await;
}

#[tokio::test]
async fn what_was_owed_before_the_clock_was_set_back_is_done_all_the_same() {
    // By a clock that was an hour ahead, or hundreds of years.
    for (backend, ahead_ms) in Backend::reachable()
        .into_iter()
        .flat_map(|backend| [(backend, 3_600_000), (backend, 8_000_000_000_000)])
    {
        let world = World::new(backend).await;
        unwatched(&world).await;
        let (_cache, db) = world.cache(durable()).await;
        price(&db, 1).await;
        let now = number(&world.other, &format!("SELECT {}", now_ms(backend))).await;
        gone_without_bumping(&world, now + ahead_ms).await;
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 1).await, 44, "{backend:?} {ahead_ms}");
        assert_eq!(world.notes().await, 0, "{backend:?} {ahead_ms}");
    }
}

/// Its sessions are marked as ours, so no trigger tells of it.
#[tokio::test]
async fn without_a_store_the_listener_is_told_what_another_process_wrote() {
    for backend in Backend::reachable() {
        let (cached, fresh) = scenes::another_process_without_a_store_writes(backend).await;
        assert_eq!(cached, fresh, "{backend:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_wrote_nothing_needs_no_note() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (_cache, db) = world.cache(durable()).await;
        let transaction = db.begin().await.expect("begun");
        transaction
            .query_all_raw(sea_orm::Statement::from_string(
                transaction.get_database_backend(),
                "SELECT id FROM book",
            ))
            .await
            .expect("rows");
        // On SQLite nobody who has read before this may write any more.
        world.write("UPDATE book SET price = 7 WHERE id = 5").await;
        transaction.invalidate(Invalidate::tag("homepage"));
        transaction.commit().await.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        if backend == Backend::Sqlite {
            continue;
        }
        let begin = db.begin_with_config(None, Some(AccessMode::ReadOnly));
        let transaction = begin.await.expect("begun");
        transaction.invalidate(Invalidate::tag("homepage"));
        transaction.commit().await.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        let begin = db.begin_with_config(None, Some(AccessMode::ReadOnly));
        let transaction = begin.await.expect("begun");
        let opaque = match backend {
            Backend::Postgres => "DO $$ BEGIN PERFORM 1; END $$",
            _ => "DO SLEEP(0)",
        };
        transaction.execute_unprepared(opaque).await.expect("done");
        transaction.commit().await.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
    }
}

#[tokio::test]
async fn an_error_that_ends_the_transaction_is_the_one_that_is_told() {
    let world = World::new(Backend::Sqlite).await;
    let (_cache, db) = world.cache(durable()).await;
    let sql = "INSERT OR ROLLBACK INTO review (id, book_id, rating) VALUES (1, 1, 1)";
    let error = db.execute_unprepared(sql).await.expect_err("it is there").to_string();
    assert!(error.contains("UNIQUE"), "{error}");
}

#[tokio::test]
async fn who_goes_takes_out_what_he_has_done() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        unwatched(&world).await;
        let (cache, db) = world.cache(durable().bound(Duration::from_secs(5))).await;
        let model = book::ActiveModel { id: Set(1), price: Set(31), ..Default::default() };
        model.update(&db).await.expect("updated");
        drop((cache, db));
        let empty = async { while world.notes().await > 0 {} };
        tokio::time::timeout(Duration::from_secs(30), empty).await.expect("nothing is left");
    }
}

/// A replica that lags is not asked for what a process that died has changed.
#[tokio::test]
async fn what_another_process_owed_is_not_read_from_a_replica_that_lags() {
    let world = World::new(Backend::Sqlite).await;
    unwatched(&world).await;
    let old = World::new(Backend::Sqlite).await;
    let (_cache, db) = world.cache(durable()).await;
    let replica = old.file.pool(1).await;
    let db = CachedConnection::with_replica_lag(db, replica, TTL).expect("a replica");
    world.clock.advance(TTL * 2);
    db.catch_up().await.expect("heard");
    let before = price(&db, 1).await;
    gone_without_bumping(&world, 0).await;
    db.catch_up().await.expect("heard");
    assert_ne!(before, 44);
    assert_eq!(price(&db, 1).await, 44);
}

#[tokio::test]
async fn a_write_is_carried_on_without_its_caller() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        unwatched(&world).await;
        let (_cache, db) = world.cache(durable()).await;
        price(&db, 1).await;
        let model = book::ActiveModel { id: Set(1), price: Set(31), ..Default::default() };
        let mut write = Box::pin(model.update(&db));
        // On a busy machine it may be through by then.
        let _ = futures_util::poll!(&mut write);
        drop(write);
        let done = async {
            while price(&db, 1).await != 31 || world.notes().await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(30), done).await;
        done.unwrap_or_else(|_| panic!("{backend:?}: it was not carried on"));
    }
}
