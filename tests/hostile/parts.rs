//! What a value is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, TransactionTrait};
use sea_orm_cache::deps;
use sea_orm_cache::prelude::*;

use crate::places::places;
use crate::support::{File, SCHEMA, Shop, TTL, book};

const HOUR: Duration = Duration::from_secs(3_600);
const MORE: &str = "INSERT INTO book VALUES (71, 'a', 1, 1, 1, 1)";

/// A value that is not stored itself (bypassed, or TTL 0) is still a part of what is made of it.
#[tokio::test]
async fn said_and_bypassed_is_a_part_too() {
    for place in places().await {
        for zero in [false, true] {
            let n = place.db.inner();
            n.execute_unprepared("DELETE FROM book WHERE id = 71").await.unwrap();
            place.cache.invalidate_all().await;
            let app = place.db.clone();
            let get = async || {
                let (cache, app) = (place.cache.clone(), app.clone());
                let name = format!("outer{zero}");
                place
                    .cache
                    .remember(&place.db, &name, TTL, |_| async move {
                        let value = cache.value("inner");
                        let value =
                            if zero { value.ttl(Duration::ZERO) } else { value.ttl(TTL).bypass() };
                        value
                            .depending_on(deps![book::Entity], || book::Entity::find().count(&app))
                            .await
                    })
                    .await
                    .expect("a number")
            };
            assert_eq!(get().await, 5);
            place.write_here(MORE).await;
            assert_eq!(get().await, 6, "{} zero={zero}", place.name);
        }
    }
}

/// The same of a tag.
#[tokio::test]
async fn a_tag_of_a_bypassed_part_ends_the_whole() {
    for place in places().await {
        let runs = Arc::new(AtomicUsize::new(0));
        let get = async || {
            let (cache, runs) = (place.cache.clone(), runs.clone());
            place
                .cache
                .remember(&place.db, "outer", TTL, |_| async move {
                    cache
                        .value("inner")
                        .bypass()
                        .depending_on(deps!["home"], || async move {
                            Ok::<_, DbErr>(runs.fetch_add(1, Ordering::SeqCst))
                        })
                        .await
                })
                .await
                .expect("a number")
        };
        assert_eq!(get().await, 0);
        place.cache.invalidate_tag("home").await;
        assert_eq!(get().await, 1, "{}", place.name);
    }
}

/// What is uncommitted comes into no value, however deep.
#[tokio::test]
async fn a_transactions_reads_in_nested_values() {
    for place in places().await {
        let txn = place.db.begin().await.unwrap();
        txn.execute_unprepared(MORE).await.unwrap();
        let (cache, txn, db) = (&place.cache, &txn, &place.db);
        // said in said
        let a = cache
            .value("a")
            .ttl(TTL)
            .fetch_depending_on(deps![book::Entity], || async move {
                cache
                    .value("a2")
                    .ttl(TTL)
                    .depending_on(deps![book::Entity], || book::Entity::find().count(txn))
                    .await
            })
            .await
            .unwrap();
        // remember in said
        let b = cache
            .value("b")
            .ttl(TTL)
            .fetch_depending_on(deps![book::Entity], || async move {
                cache.remember(db, "b2", TTL, |_| book::Entity::find().count(txn)).await
            })
            .await
            .unwrap();
        // said, bypassed, in remember
        let c = cache
            .value("c")
            .ttl(TTL)
            .fetch(&place.db, |_| async move {
                cache
                    .value("c2")
                    .bypass()
                    .depending_on(deps![book::Entity], || book::Entity::find().count(txn))
                    .await
            })
            .await
            .unwrap();
        let bad: Vec<_> = [a.refused, b.refused, c.refused].iter().map(Option::is_none).collect();
        assert_eq!(bad, [false, false, false], "{}: stored with uncommitted rows", place.name);
    }
}
#[tokio::test]
async fn uncommitted_rows_answer_after_the_rollback() {
    for place in places().await {
        let txn = place.db.begin().await.unwrap();
        txn.execute_unprepared(MORE).await.unwrap();
        let get = async |txn: Option<&sea_orm_cache::CachedTransaction>| {
            let (cache, db) = (&place.cache, &place.db);
            cache
                .cached_as("outer", TTL, deps![book::Entity], || async move {
                    cache
                        .cached_as("inner", TTL, deps![book::Entity], || async move {
                            match txn {
                                Some(txn) => book::Entity::find().count(txn).await,
                                None => book::Entity::find().count(db).await,
                            }
                        })
                        .await
                })
                .await
                .unwrap()
        };
        assert_eq!(get(Some(&txn)).await, 6);
        txn.rollback().await.unwrap();
        assert_eq!(get(None).await, 5, "{}: the row was never committed", place.name);
    }
}

/// Two databases in one cache: one of them has once had a transaction in raw SQL.
#[tokio::test]
async fn a_value_of_another_database_of_the_cache_is_stored() {
    let (one, two) = (File::new(), File::new());
    let cache = QueryCache::builder().build().await.unwrap();
    let (a, b) = (one.pool(1).await, two.pool(1).await);
    a.execute_unprepared(SCHEMA).await.unwrap();
    b.execute_unprepared(SCHEMA).await.unwrap();
    let (a, b) = (cache.connect(a).await.unwrap(), cache.connect(b).await.unwrap());
    b.execute_unprepared("BEGIN").await.unwrap();
    b.execute_unprepared("COMMIT").await.unwrap();
    let n = cache.value("n").ttl(TTL).fetch(&a, |_| book::Entity::find().count(&b)).await.unwrap();
    assert_eq!((n.value, n.refused), (5, None));
}

/// A part that may be old makes no value old that did not ask for it.
#[tokio::test]
async fn said_with_an_swr_part() {
    for place in places().await {
        let get = async || {
            place
                .cache
                .cached_as("n", TTL, deps![book::Entity], || {
                    book::Entity::find().cached(TTL).swr(HOUR).count(&place.db)
                })
                .await
                .unwrap()
        };
        assert_eq!(get().await, 5);
        place.write_here(MORE).await;
        let first = get().await;
        while place.cache.stats().background > 0 {
            tokio::task::yield_now().await;
        }
        let second = get().await;
        let fresh = book::Entity::find().cached(TTL).count(&place.db).await.unwrap();
        assert_eq!((first, second, fresh), (6, 6, 6), "{}", place.name);
    }
}

/// "while a value is made of it by remember, nothing old answers"
#[tokio::test]
async fn remember_with_a_said_swr_part() {
    for place in places().await {
        let app = place.db.clone();
        let get = async || {
            let (cache, app) = (place.cache.clone(), app.clone());
            place
                .cache
                .value("outer")
                .ttl(TTL)
                .fetch(&place.db, |_| async move {
                    let value = cache.value("inner").ttl(TTL).swr(HOUR);
                    value
                        .depending_on(deps![book::Entity], move || async move {
                            book::Entity::find().count(&app).await
                        })
                        .await
                })
                .await
                .unwrap()
        };
        let one = get().await;
        let again = get().await;
        place.write_here(MORE).await;
        let two = get().await;
        assert_eq!(two.value, 6, "{}", place.name);
        assert_eq!((one.refused, again.refused), (None, None), "{}", place.name);
    }
}

/// The same where nothing is old: only a time limit.
#[tokio::test]
async fn remember_with_a_said_part_with_a_timeout_is_stored() {
    for place in places().await {
        let app = place.db.clone();
        let get = async || {
            let (cache, app) = (place.cache.clone(), app.clone());
            place
                .cache
                .value("outer")
                .ttl(TTL)
                .fetch(&place.db, |_| async move {
                    let value = cache.value("inner").ttl(TTL).load_timeout(HOUR);
                    value
                        .depending_on(deps![book::Entity], move || async move {
                            book::Entity::find().count(&app).await
                        })
                        .await
                })
                .await
                .unwrap()
        };
        let mut refused = Vec::new();
        for _ in 0..3 {
            refused.push(get().await.refused);
        }
        assert_eq!(refused, [None, None, None], "{}", place.name);
    }
}

/// remember, not stored, in remember; and deeper.
#[tokio::test]
async fn recorded_and_bypassed_is_a_part_too() {
    for place in places().await {
        let app = place.db.clone();
        let get = async || {
            let (cache, app) = (place.cache.clone(), app.clone());
            place
                .cache
                .remember(&place.db, "outer", TTL, |_| async move {
                    cache
                        .value("inner")
                        .bypass()
                        .remember(&app, |_| async { book::Entity::find().count(&app).await })
                        .await
                })
                .await
                .expect("a number")
        };
        assert_eq!(get().await, 5);
        place.write_here(MORE).await;
        assert_eq!(get().await, 6, "{}", place.name);
    }
}

/// A table with row security anywhere in the cache's databases.
#[tokio::test]
async fn a_scoped_value_with_a_part_that_has_no_scope() {
    use crate::support::schema;
    use crate::support::servers::{Backend, TestDb};
    let test = TestDb::new(Backend::Postgres).await;
    let plain = test.pool(2).await;
    plain.execute_unprepared(&schema(Backend::Postgres)).await.unwrap();
    plain.execute_unprepared("CREATE TABLE secret (id INT PRIMARY KEY); ALTER TABLE secret ENABLE ROW LEVEL SECURITY").await.unwrap();
    let cache = QueryCache::builder().build().await.unwrap();
    let db = cache.connect(plain).await.unwrap().scoped("tenant:1");
    let value = cache
        .value("outer")
        .ttl(TTL)
        .fetch(&db, |db| {
            let cache = cache.clone();
            async move {
                cache
                    .cached_as("books", TTL, deps![book::Entity], || {
                        book::Entity::find().count(&db)
                    })
                    .await
            }
        })
        .await
        .unwrap();
    let two = cache
        .value("two")
        .ttl(TTL)
        .fetch(
            &db,
            |db| async move { book::Entity::find().cached(TTL).scope("eur").count(&db).await },
        )
        .await
        .unwrap();
    let three = cache
        .value("three")
        .scope("x")
        .ttl(TTL)
        .fetch(&db, |db| async move { book::Entity::find().cached(TTL).count(&db).await })
        .await
        .unwrap();
    assert_eq!((value.refused, two.refused, three.refused), (None, None, None));
}

/// swr of a remember within a cached_as.
#[tokio::test]
async fn said_with_a_recorded_swr_part() {
    let shop = Shop::new().await;
    let get = async || {
        let db = shop.db.clone();
        shop.cache
            .cached_as("n", TTL, deps![book::Entity], || {
                shop.cache
                    .value("inner")
                    .ttl(TTL)
                    .swr(HOUR)
                    .remember(&db, |db| async move { book::Entity::find().count(&db).await })
            })
            .await
            .unwrap()
    };
    assert_eq!(get().await, 5);
    shop.sql(MORE).await.unwrap();
    get().await;
    while shop.cache.stats().background > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(get().await, 6);
}

async fn author_count(t: &impl ConnectionTrait) -> Result<u64, DbErr> {
    crate::support::author::Entity::find().count(t).await
}
