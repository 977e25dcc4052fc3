//! What is given up, and rules' own bumps.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Invalidate, deps};

use crate::support::gate::Gate;
use crate::support::servers::{Backend, TestDb};
use crate::support::{TTL, book, schema};

const RISE: &str = "UPDATE book SET price = 4711 WHERE id = 1";

struct Stage {
    db: CachedConnection<Gate>,
    gate: Gate,
    cache: QueryCache,
    _test: TestDb,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(3).await;
        plain.execute_unprepared(&schema(backend)).await.expect("the schema");
        let gate = Gate::new(plain);
        let cache = QueryCache::builder().build().await.expect("a cache");
        let db = cache.connect(gate.clone()).await.expect("a connection");
        Self { db, gate, cache, _test: test }
    }
    async fn price(&self) -> i32 {
        book::Entity::find_by_id(1).cached(TTL).one(&self.db).await.unwrap().unwrap().price
    }
    async fn real(&self) -> i32 {
        book::Entity::find_by_id(1).cached(TTL).bypass().one(&self.db).await.unwrap().unwrap().price
    }
}

/// A statement that commits, given up after it was done.
#[tokio::test]
async fn a_commit_in_raw_sql_within_a_transaction_that_was_given_up() {
    let mut bad = Vec::new();
    for (backend, text) in [
        (Backend::MySql, "CREATE TABLE zz (id INT)"),
        (Backend::MySql, "COMMIT"),
        (Backend::Postgres, "COMMIT"),
        (Backend::Sqlite, "COMMIT"),
    ] {
        let stage = Stage::new(backend).await;
        assert_eq!(stage.price().await, 100);
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        stage.gate.after(text, std::future::pending());
        let given_up =
            tokio::time::timeout(Duration::from_millis(200), txn.execute_unprepared(text)).await;
        assert!(given_up.is_err());
        drop(txn);
        let (cached, real) = (stage.price().await, stage.real().await);
        if cached != real {
            bad.push(format!("{backend:?} {text}"));
        }
    }
    assert_eq!(bad, Vec::<String>::new(), "stale");
}

/// A rule's tag is bumped before COMMIT, and not after it.
#[tokio::test]
async fn a_rules_tag_with_a_set_in_a_transaction_of_mysql() {
    for text in ["SET @who = 5", "SAVEPOINT s"] {
        let stage = Stage::new(Backend::MySql).await;
        stage.cache.rules().on::<book::Entity>().invalidates(Invalidate::tag("page"));
        let page = async || {
            stage
                .cache
                .cached_as("page", TTL, deps!["page"], || async {
                    Ok::<_, DbErr>(stage.real().await)
                })
                .await
                .unwrap()
        };
        assert_eq!(page().await, 100);
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        txn.execute_unprepared(text).await.unwrap();
        page().await;
        txn.commit().await.unwrap();
        assert_eq!((page().await, stage.real().await), (4711, 4711), "{text}");
    }
}

/// One BEGIN that failed: rules never bump again.
#[tokio::test]
async fn a_rules_tag_after_a_savepoint_outside() {
    let stage = Stage::new(Backend::Postgres).await;
    stage.cache.rules().on::<book::Entity>().invalidates(Invalidate::tag("page"));
    let page = async || {
        stage
            .cache
            .cached_as("page", TTL, deps!["page"], || async { Ok::<_, DbErr>(stage.real().await) })
            .await
            .unwrap()
    };
    assert_eq!(page().await, 100);
    stage.db.execute_unprepared("SAVEPOINT s").await.expect_err("not outside a transaction");
    assert_eq!(page().await, 100);
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(page().await, 4711);
}

/// Without any runtime there is nothing old, and no hang.
#[test]
fn no_runtime() {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cache = rt.block_on(async { QueryCache::builder().build().await.unwrap() });
    let n = std::sync::atomic::AtomicUsize::new(0);
    let n = Arc::new(n);
    let get = || {
        let n = n.clone();
        let c = cache.clone();
        async move {
            c.value("v")
                .ttl(TTL)
                .swr(TTL)
                .load_timeout(TTL)
                .stale_if_slow(TTL, TTL)
                .depending_on(deps!["t"], move || async move {
                    Ok::<_, DbErr>(n.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
                })
                .await
                .unwrap()
        }
    };
    drop(rt);
    let mut got = Vec::new();
    for _ in 0..2 {
        got.push(poll_once(get()));
    }
    poll_once(cache.invalidate_tag("t"));
    got.push(poll_once(get()));
    assert_eq!(got, [0, 0, 1]);
}

fn poll_once<F: Future>(f: F) -> F::Output {
    let mut f = Box::pin(f);
    let mut c = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..1000 {
        if let std::task::Poll::Ready(r) = f.as_mut().poll(&mut c) {
            return r;
        }
    }
    panic!("it hangs");
}

/// As above without any raw SQL that failed: one BEGIN that nobody ended.
#[tokio::test]
async fn a_rules_tag_while_a_raw_begin_is_open_elsewhere() {
    let stage = Stage::new(Backend::Postgres).await;
    stage.cache.rules().on::<book::Entity>().invalidates(Invalidate::tag("page"));
    let page = async || {
        stage
            .cache
            .cached_as("page", TTL, deps!["page"], || async { Ok::<_, DbErr>(stage.real().await) })
            .await
            .unwrap()
    };
    stage.db.execute_unprepared("BEGIN").await.unwrap();
    let a = stage.db.begin().await.unwrap();
    let b = stage.db.begin().await.unwrap();
    assert_eq!(page().await, 100);
    a.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1").await.unwrap();
    b.execute_unprepared(RISE).await.unwrap();
    // b is on another connection of the pool than a, so one of them is not the raw one's.
    a.commit().await.unwrap();
    b.commit().await.unwrap();
    assert_eq!(stage.real().await, 4711);
    assert_eq!(page().await, 4711);
}

/// Acknowledged: a raw COMMIT that was answered, then the object is dropped.
#[tokio::test]
async fn a_commit_in_raw_sql_then_more_writes() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend).await;
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        stage.price().await;
        txn.execute_unprepared("COMMIT").await.unwrap();
        assert_eq!(stage.price().await, 4711, "{backend:?}");
        txn.execute_unprepared("UPDATE book SET price = 8 WHERE id = 1").await.unwrap();
        assert_eq!(stage.price().await, 8, "{backend:?}");
        stage.gate.after("UPDATE", std::future::pending());
        let _ = tokio::time::timeout(
            Duration::from_millis(100),
            txn.execute_unprepared("UPDATE book SET price = 9 WHERE id = 1"),
        )
        .await;
        assert_eq!(stage.price().await, 9, "{backend:?}");
    }
}
