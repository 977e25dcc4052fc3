//! Breaks one rule at a time of what computed values rest on, and of an unknown catalog, and shows
//! that something is stale without it, and not with it.
#![cfg(feature = "__mutation")]

mod support;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, TransactionTrait};
use sea_orm_cache::ManualClock;
use sea_orm_cache::fault::{Fault, set};
use sea_orm_cache::prelude::*;
use support::*;

/// A number of books by cached and by plain reads, which is asked for before and after a delete.
async fn outdated(read: impl AsyncFn(&CachedConnection) -> Result<u64, DbErr>) -> bool {
    let shop = Shop::new().await;
    let value = async || {
        let value = shop.cache.remember(&shop.db, "books", TTL, |db| {
            let read = &read;
            async move { read(&db).await }
        });
        value.await.expect("a number")
    };
    let count = || book::Entity::find().cached(TTL).count(&shop.db);
    count().await.expect("a number");
    let before = value().await;
    shop.sql("DELETE FROM book WHERE id = 5").await.expect("a write");
    value().await == before
}

async fn by_an_entry() -> bool {
    outdated(async |db| book::Entity::find().cached(TTL).count(db).await).await
}

async fn by_a_plain_read() -> bool {
    outdated(async |db| book::Entity::find().count(db).await).await
}

/// `random()` can't be recorded, and stands for anything else that can't.
async fn by_what_can_not_be_recorded() -> bool {
    outdated(async |db| {
        let few = "SELECT count(*) FROM book WHERE random() IS NOT NULL";
        let statement = sea_orm::Statement::from_string(db.get_database_backend(), few);
        let row = db.query_one_raw(statement).await?.expect("a row");
        Ok(row.try_get_by_index::<i64>(0)?.unsigned_abs())
    })
    .await
}

/// A read that is given up, as by a timeout, so that something else stands in its place.
async fn by_what_was_given_up() -> bool {
    let shop = Shop::new().await;
    let gate = gate::Gate::new(shop.plain.clone());
    let db = shop.cache.connect(gate.clone()).await.expect("a connection");
    let value = async || {
        // It never comes to an answer.
        gate.before("COUNT", std::future::pending());
        let value = shop.cache.value("books").ttl(TTL).remember(&db, |db| async move {
            let mut read = Box::pin(book::Entity::find().count(&db));
            let polled = std::future::poll_fn(|c| Poll::Ready(read.as_mut().poll(c)));
            Ok::<_, DbErr>(polled.await.is_ready())
        });
        assert!(!value.await.expect("an answer"));
    };
    value().await;
    shop.sql("DELETE FROM book WHERE id = 5").await.expect("a write");
    let hits = shop.hits();
    value().await;
    shop.hits() > hits
}

async fn by_another_connection() -> bool {
    let shop = Shop::new().await;
    let count = async || {
        let count = async || book::Entity::find().count(&shop.db).await;
        let value = shop.cache.remember(&shop.db, "books", TTL, |_| count());
        value.await.expect("a number")
    };
    let before = count().await;
    shop.sql("DELETE FROM book WHERE id = 5").await.expect("a write");
    count().await == before
}

/// What a transaction sees that is rolled back.
async fn by_a_transaction() -> bool {
    let shop = Shop::new().await;
    let transaction = shop.db.begin().await.expect("a transaction");
    transaction.execute_unprepared("DELETE FROM book WHERE id = 5").await.expect("a write");
    let deps = || sea_orm_cache::deps![book::Entity];
    let within = || book::Entity::find().count(&transaction);
    let within = shop.cache.cached_as("books", TTL, deps(), within).await.expect("a number");
    transaction.rollback().await.expect("undone");
    let after = shop.cache.cached_as("books", TTL, deps(), || book::Entity::find().count(&shop.db));
    after.await.expect("a number") == within
}

/// Between two writes of a bulk import something is read.
async fn within_an_import() -> bool {
    let shop = Shop::new().await;
    let count = async || book::Entity::find().cached(TTL).count(&shop.db).await.expect("a number");
    let import = async {
        shop.sql("DELETE FROM book WHERE id = 5").await.expect("a write");
        let before = count().await;
        shop.sql("DELETE FROM book WHERE id = 4").await.expect("a write");
        count().await == before
    };
    shop.cache.suspend(import).await
}

/// The catalog can't be read for a second, in which a query is read.
async fn without_a_catalog() -> bool {
    let shop = Shop::new().await;
    let gate = gate::Gate::new(shop.plain.clone());
    let clock = Arc::new(ManualClock::default());
    let cache = checked().clock(clock.clone()).build().await.expect("a cache");
    let db = cache.connect(gate.clone()).await.expect("a connection");
    let count = async || book::Entity::find().cached(TTL).count(&db).await.expect("a number");
    gate.fail_on("sqlite_master");
    db.execute_unprepared("CREATE TABLE author (id INTEGER)").await.expect_err("it is there");
    let before = count().await;
    gate.fail_on("nothing any more");
    clock.advance(Duration::from_secs(1));
    author::Entity::find().cached(TTL).all(&db).await.expect("authors");
    db.execute_unprepared("DELETE FROM book WHERE id = 5").await.expect("a write");
    count().await == before
}

#[tokio::test]
async fn each_rule_is_needed() {
    macro_rules! shows {
        ($($fault:ident $scenario:ident)*) => {$(
            assert!(!$scenario().await, "{} is stale", stringify!($scenario));
            set(Fault::$fault);
            let stale = $scenario().await;
            set(Fault::None);
            assert!(stale, "{} is not noticed", stringify!($fault));
        )*};
    }
    shows! {
        RecordNoHits by_an_entry
        RecordNoFills by_a_plain_read
        RecordDespiteRefusal by_what_can_not_be_recorded
        RecordNoDrops by_what_was_given_up
        RecordOneConnection by_another_connection
        KeepTransactionReads by_a_transaction
        SuspendForgets within_an_import
        CacheWithoutCatalog without_a_catalog
    }
}
