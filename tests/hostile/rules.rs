//! What rules are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement, StreamTrait, TransactionTrait};
use sea_orm_cache::prelude::*;

use crate::support::servers::{Backend, TestDb};
use crate::support::{book, schema};

type Told = Arc<Mutex<Vec<String>>>;

fn listen<E: EntityTrait>(cache: &QueryCache) -> Told {
    let told = Told::default();
    let into = told.clone();
    cache.rules().on::<E>().calls(move |commit| {
        let into = into.clone();
        async move {
            into.lock().expect("the list").push(commit.to_string());
            Ok(())
        }
    });
    told
}

struct Stage {
    db: CachedConnection,
    told: Told,
    test: TestDb,
}

impl Stage {
    async fn new(backend: Backend, connections: u32) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(connections).await;
        plain.execute_unprepared(&schema(backend)).await.expect("the schema");
        let cache = QueryCache::builder().build().await.expect("a cache");
        let db = cache.connect(plain).await.expect("a connection");
        let told = listen::<book::Entity>(&cache);
        Self { db, told, test }
    }
    async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    async fn price(&self, id: i32) -> Option<i32> {
        let book = book::Entity::find_by_id(id).one(self.db.inner()).await.expect("a book");
        book.map(|b| b.price)
    }
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("the list"))
    }
}

const NOTHING: [&str; 0] = [];
const DUP: &str = "INSERT INTO book (id, title, author_id, genre, price) VALUES (1, 'a', 1, 1, 1)";
const RISE: &str = "UPDATE book SET price = 4711 WHERE id = 1";

/// A failed BEGIN (SQLite busy) leaves depth at 1: all rules silent for ever.
#[tokio::test]
async fn a_begin_that_failed_does_not_silence_rules() {
    let stage = Stage::new(Backend::Sqlite, 2).await;
    let other = stage.test.pool(1).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    stage.db.inner().execute_unprepared("PRAGMA busy_timeout = 1").await.unwrap();
    stage.db.inner().execute_unprepared("PRAGMA busy_timeout = 1").await.unwrap();
    stage.db.execute_unprepared("BEGIN IMMEDIATE").await.expect_err("busy");
    other.execute_unprepared("ROLLBACK").await.unwrap();
    stage.told();
    for _ in 0..3 {
        stage.sql(RISE).await;
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared("UPDATE book SET price = 4712 WHERE id = 1").await.unwrap();
        txn.commit().await.unwrap();
    }
    assert_eq!(stage.told().len(), 6, "six committed writes, no raw transaction is open");
}

/// PostgreSQL: a COMMIT of raw SQL that fails ends the transaction.
#[tokio::test]
async fn a_raw_commit_that_failed_does_not_silence_rules() {
    let stage = Stage::new(Backend::Postgres, 1).await;
    stage
        .sql(
            "ALTER TABLE review ALTER CONSTRAINT review_book_id_fkey DEFERRABLE INITIALLY DEFERRED",
        )
        .await;
    stage.sql("BEGIN").await;
    stage.sql("INSERT INTO review (book_id, rating) VALUES (999, 1)").await;
    stage.db.execute_unprepared("COMMIT").await.expect_err("no such book");
    stage.told();
    for _ in 0..3 {
        stage.sql(RISE).await;
    }
    assert_eq!(stage.told().len(), 3);
}

/// MySQL outside a transaction: SAVEPOINT is accepted and is nothing.
#[tokio::test]
async fn a_savepoint_outside_a_transaction_does_not_silence_rules() {
    for backend in [Backend::MySql, Backend::Postgres] {
        let stage = Stage::new(backend, 1).await;
        let _r = stage.db.execute_unprepared("SAVEPOINT s").await;
        let _r2 = stage.db.execute_unprepared("RELEASE SAVEPOINT s").await;
        stage.told();
        stage.sql(RISE).await;
        assert_eq!(stage.told().len(), 1, "{backend:?}");
    }
}

/// One open raw BEGIN on another connection of the pool and unrelated SeaORM transactions.
#[tokio::test]
async fn a_raw_begin_on_one_connection_and_unrelated_transactions() {
    let stage = Stage::new(Backend::Postgres, 3).await;
    // Hold it: so that the next ones take other connections.
    stage.sql("BEGIN").await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1").await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    txn.commit().await.unwrap();
}

/// PG: error inside a savepoint that is rolled back, then a write, then everything is rolled back.
#[tokio::test]
async fn what_was_rolled_back_after_an_error_in_a_savepoint_fires_none() {
    for backend in [Backend::Postgres, Backend::MySql, Backend::Sqlite] {
        let stage = Stage::new(backend, 2).await;
        let txn = stage.db.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        nested.execute_unprepared(DUP).await.expect_err("is there");
        nested.rollback().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        txn.rollback().await.unwrap();
        assert_eq!(stage.price(1).await, Some(100));
        assert_eq!(stage.told(), NOTHING, "{backend:?}: all of it was rolled back");
    }
}

/// "1213" in an error's text is no deadlock.
#[tokio::test]
async fn a_duplicate_key_1213_is_no_deadlock() {
    let stage = Stage::new(Backend::MySql, 2).await;
    stage
        .sql("INSERT INTO book (id, title, author_id, genre, price) VALUES (1213, 'a', 1, 1, 1)")
        .await;
    stage.told();
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    let _e = txn.execute_unprepared(&DUP.replace("(1,", "(1213,")).await.expect_err("is there");
    txn.commit().await.unwrap();
    assert_eq!(stage.price(1).await, Some(4711), "committed");
    assert_eq!(stage.told().len(), 1, "the UPDATE was committed");
}

/// and after it statements fire at once although they are rolled back
#[tokio::test]
async fn a_duplicate_key_1213_then_rolled_back() {
    let stage = Stage::new(Backend::MySql, 2).await;
    stage
        .sql("INSERT INTO book (id, title, author_id, genre, price) VALUES (1213, 'a', 1, 1, 1)")
        .await;
    stage.told();
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(&DUP.replace("(1,", "(1213,")).await.expect_err("is there");
    txn.execute_unprepared(RISE).await.unwrap();
    txn.rollback().await.unwrap();
    assert_eq!(stage.price(1).await, Some(100), "rolled back");
    assert_eq!(stage.told(), NOTHING);
}

/// Two savepoints begun from the same outer handle.
#[tokio::test]
async fn a_savepoint_begun_beside_another_forgets_nothing() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        let txn = stage.db.begin().await.unwrap();
        let a = txn.begin().await.unwrap();
        a.execute_unprepared(RISE).await.unwrap();
        let b = txn.begin().await.unwrap();
        b.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1").await.unwrap();
        b.commit().await.unwrap();
        a.commit().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(stage.price(1).await, Some(4711), "committed");
        assert_eq!(stage.told().len(), 1, "{backend:?}");
    }
}

#[tokio::test]
async fn truncate_is_told() {
    for backend in [Backend::Postgres, Backend::MySql] {
        for within in [false, true] {
            let stage = Stage::new(backend, 2).await;
            stage.sql("DROP TABLE review").await;
            stage.told();
            if within {
                let txn = stage.db.begin().await.unwrap();
                txn.execute_unprepared("TRUNCATE TABLE book").await.unwrap();
                txn.commit().await.unwrap();
            } else {
                stage.sql("TRUNCATE TABLE book").await;
            }
            assert_eq!(stage.price(1).await, None);
            let told = stage.told();
            assert_eq!(told.len(), 1, "{backend:?} within={within}");
        }
    }
}

#[tokio::test]
async fn a_data_modifying_cte_whose_select_is_empty_is_told() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    stage.sql("WITH gone AS (DELETE FROM book WHERE id = 1 RETURNING id) SELECT id FROM gone WHERE false").await;
    assert_eq!(stage.price(1).await, None);
    assert_eq!(stage.told().len(), 1);
}

#[tokio::test]
async fn or_fail_keeps_what_it_did_and_that_is_told() {
    for within in [false, true] {
        let stage = Stage::new(Backend::Sqlite, 2).await;
        let sql = "INSERT OR FAIL INTO book (id, title, author_id, genre, price) VALUES (90, 'a', 1, 1, 1), (1, 'b', 1, 1, 1)";
        if within {
            let txn = stage.db.begin().await.unwrap();
            txn.execute_unprepared(sql).await.expect_err("is there");
            txn.commit().await.unwrap();
        } else {
            stage.db.execute_unprepared(sql).await.expect_err("is there");
        }
        assert_eq!(stage.price(90).await, Some(1));
        assert_eq!(stage.told().len(), 1, "within={within}");
    }
}

#[tokio::test]
async fn raise_fail_keeps_what_it_did_and_that_is_told() {
    for within in [true, false] {
        let stage = Stage::new(Backend::Sqlite, 2).await;
        stage.sql("CREATE TRIGGER t BEFORE UPDATE ON book WHEN NEW.id = 3 BEGIN SELECT RAISE(FAIL, 'no'); END").await;
        stage.told();
        let sql = "UPDATE book SET price = 7";
        if within {
            let txn = stage.db.begin().await.unwrap();
            txn.execute_unprepared(sql).await.expect_err("no");
            txn.commit().await.unwrap();
        } else {
            stage.db.execute_unprepared(sql).await.expect_err("no");
        }
        assert_eq!(stage.price(1).await, Some(7));
        assert_eq!(stage.told().len(), 1, "within={within}");
    }
}

/// PostgreSQL runs several statements of one text as one transaction.
#[tokio::test]
async fn a_text_of_several_statements_that_failed_on_postgres_fires_none() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    let sql = format!("{RISE}; {DUP}");
    stage.db.execute_unprepared(&sql).await.expect_err("is there");
    assert_eq!(stage.price(1).await, Some(100), "rolled back");
    assert_eq!(stage.told(), NOTHING);
}

/// A stream that fails aborts PostgreSQL's transaction, too.
#[tokio::test]
async fn a_stream_that_failed_aborts_the_transaction() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    {
        let st = Statement::from_string(DbBackend::Postgres, "SELECT 1 / (id - 1) FROM book");
        let mut stream = txn.stream_raw(st).await.unwrap();
        let mut failed = false;
        while let Some(row) = stream.next().await {
            failed |= row.is_err();
        }
        assert!(failed);
    }
    let _r = txn.commit().await;
    assert_eq!(stage.price(1).await, Some(100), "PostgreSQL rolled it back");
    assert_eq!(stage.told(), NOTHING);
}

/// A nested commit that fails, then the outer one "succeeds".
#[tokio::test]
async fn a_failing_release_and_then_commit() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    let nested = txn.begin().await.unwrap();
    nested.execute_unprepared(DUP).await.expect_err("is there");
    let _r = nested.commit().await;
    let _r = txn.commit().await;
    let price = stage.price(1).await;
    let told = stage.told();
    assert_eq!(told.len(), usize::from(price == Some(4711)));
}

/// MySQL MyISAM keeps what a failing statement did.
#[tokio::test]
async fn myisam_keeps_what_a_failing_statement_did() {
    let stage = Stage::new(Backend::MySql, 2).await;
    stage.sql("DROP TABLE review").await;
    stage.sql("ALTER TABLE book DROP FOREIGN KEY book_ibfk_1").await;
    stage.sql("ALTER TABLE book ENGINE = MyISAM").await;
    stage.told();
    let sql = "INSERT INTO book (id, title, author_id, genre, price) VALUES (90, 'a', 1, 1, 1), (1, 'b', 1, 1, 1)";
    stage.db.execute_unprepared(sql).await.expect_err("is there");
    assert_eq!(stage.price(90).await, Some(1));
    assert_eq!(stage.told().len(), 1);
}

/// A callback that uses the pool of one connection, after a commit.
#[tokio::test]
async fn callbacks_have_a_connection_in_a_pool_of_one() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 1).await;
        stage.db.cache().rules().clear();
        let db = stage.db.clone();
        let told = stage.told.clone();
        stage.db.cache().rules().on::<book::Entity>().timeout(Duration::from_secs(2)).calls(
            move |_| {
                let (db, told) = (db.clone(), told.clone());
                async move {
                    let n = book::Entity::find().all(&db).await?.len();
                    told.lock().unwrap().push(n.to_string());
                    Ok(())
                }
            },
        );
        stage.sql(RISE).await;
        assert_eq!(stage.told().len(), 1, "{backend:?} autocommit");
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(stage.told().len(), 1, "{backend:?} commit");
        stage.sql("BEGIN; UPDATE book SET price = 3 WHERE id = 1; COMMIT").await;
        assert_eq!(stage.told().len(), 1, "{backend:?} block");
        if backend == Backend::MySql {
            let txn = stage.db.begin().await.unwrap();
            txn.execute_unprepared(RISE).await.unwrap();
            let _t = std::time::Instant::now();
            txn.execute_unprepared("CREATE TABLE zz (id INT)").await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(stage.told().len(), 1, "{backend:?} implicit commit");
        }
    }
}

#[tokio::test]
async fn what_sqlite_commits_after_it_ended_the_transaction_then_rollback() {
    let stage = Stage::new(Backend::Sqlite, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(&DUP.replace("INSERT", "INSERT OR ROLLBACK"))
        .await
        .expect_err("is there");
    txn.execute_unprepared(RISE).await.unwrap();
    let _ = txn.rollback().await;
    assert_eq!(stage.price(1).await, Some(4711));
    assert_eq!(stage.told().len(), 1);
}

/// The outer handle's statement fails while a savepoint is open; undoing that heals PostgreSQL.
#[tokio::test]
async fn an_error_that_an_inner_rollback_undid() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    let nested = txn.begin().await.unwrap();
    txn.execute_unprepared("SELECT 1/0").await.expect_err("no number");
    nested.rollback().await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(stage.price(1).await, Some(4711), "committed");
    assert_eq!(stage.told().len(), 1);
}

/// A statement given up (timeout), which then fails: PostgreSQL's COMMIT rolls back.
#[tokio::test]
async fn a_statement_that_was_given_up_and_failed() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared(RISE).await.unwrap();
    let st =
        Statement::from_string(DbBackend::Postgres, "SELECT 1 / (id - 1) FROM book, pg_sleep(0.1)");
    let _r = tokio::time::timeout(Duration::from_millis(20), txn.query_all_raw(st)).await;
    let _r = txn.commit().await;
    let (price, told) = (stage.price(1).await, stage.told());
    assert_eq!(told.is_empty(), price == Some(100));
}

/// PostgreSQL's rewrite rules put something else in the place of a write.
#[tokio::test]
async fn a_rewrite_rule_in_the_place_of_a_delete() {
    let stage = Stage::new(Backend::Postgres, 2).await;
    stage.sql("CREATE RULE soft AS ON DELETE TO book DO INSTEAD UPDATE book SET stock = 0 WHERE id = OLD.id").await;
    stage.told();
    use sea_orm::{ColumnTrait, QueryFilter};
    let get = async || {
        book::Entity::find()
            .filter(book::Column::Stock.gt(5))
            .cached(Duration::from_secs(60))
            .count(&stage.db)
            .await
            .unwrap()
    };
    let one = async || {
        book::Entity::find_by_id(1)
            .cached(Duration::from_secs(60))
            .one(&stage.db)
            .await
            .unwrap()
            .unwrap()
            .stock
    };
    stage.sql("DELETE FROM book WHERE id = 1").await;
    let cached = (get().await, one().await);
    stage.db.cache().invalidate_all().await;
    let real = (get().await, one().await);
    let told = stage.told();
    assert_eq!(cached, real, "stale");
    assert_eq!(told.len(), 1);
}

/// Rolled back after a failed statement, each backend, no savepoint.
#[tokio::test]
async fn what_was_rolled_back_after_an_error_fires_none() {
    for backend in [Backend::MySql, Backend::Sqlite] {
        let stage = Stage::new(backend, 2).await;
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(DUP).await.expect_err("is there");
        txn.execute_unprepared(RISE).await.unwrap();
        txn.rollback().await.unwrap();
        assert_eq!(stage.price(1).await, Some(100));
        let told = stage.told();
        assert_eq!(told, NOTHING, "{backend:?}");
    }
}

/// A real deadlock on MySQL.
#[tokio::test]
async fn a_deadlock_on_mysql() {
    let stage = Stage::new(Backend::MySql, 3).await;
    let (a, b) = (stage.db.begin().await.unwrap(), stage.db.begin().await.unwrap());
    a.execute_unprepared("UPDATE book SET price = 11 WHERE id = 1").await.unwrap();
    b.execute_unprepared("UPDATE book SET price = 22 WHERE id = 2").await.unwrap();
    let (_ra, _rb) = tokio::join!(
        a.execute_unprepared("UPDATE book SET price = 12 WHERE id = 2"),
        b.execute_unprepared("UPDATE book SET price = 21 WHERE id = 1"),
    );
    a.commit().await.unwrap();
    b.commit().await.unwrap();
    let told = stage.told();
    assert_eq!(told.len(), 1);
}

/// On MySQL what is no SELECT or DML is taken for a COMMIT.
#[tokio::test]
async fn mysql_statements_that_commit_nothing() {
    let mut bad = Vec::new();
    for text in [
        "SET @who = 5",
        "SAVEPOINT s",
        "SET SESSION sql_mode = DEFAULT",
        "CHECKSUM TABLE author",
        "HANDLER author OPEN; HANDLER author CLOSE",
    ] {
        let stage = Stage::new(Backend::MySql, 2).await;
        let txn = stage.db.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        let _r = txn.execute_unprepared(text).await;
        let early = stage.told();
        txn.execute_unprepared("UPDATE book SET stock = 1 WHERE id = 2").await.unwrap();
        let later = stage.told();
        txn.rollback().await.unwrap();
        let price = stage.price(1).await;
        let end = stage.told();
        if price == Some(100) && !(early.is_empty() && later.is_empty() && end.is_empty()) {
            bad.push(text);
        }
    }
    assert_eq!(bad, Vec::<&str>::new(), "told of what was rolled back");
}

/// Savepoints whose handles end in another order than they began: SQL says what is undone.
#[tokio::test]
async fn siblings_in_another_order() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        let txn = stage.db.begin().await.unwrap();
        let a = txn.begin().await.unwrap();
        a.execute_unprepared(RISE).await.unwrap();
        let b = txn.begin().await.unwrap();
        b.execute_unprepared("UPDATE book SET stock = 1 WHERE id = 2").await.unwrap();
        let _ra = a.rollback().await;
        let _rb = b.commit().await;
        let _rt = txn.commit().await;
        let (price, told) = (stage.price(1).await, stage.told());
        assert_eq!(price == Some(4711), !told.is_empty(), "{backend:?}");
    }
}

#[tokio::test]
async fn a_savepoints_commit_that_was_given_up_on_sqlite() {
    let stage = Stage::new(Backend::Sqlite, 2).await;
    let txn = stage.db.begin().await.unwrap();
    let nested = txn.begin().await.unwrap();
    nested.execute_unprepared(RISE).await.unwrap();
    {
        let mut commit = Box::pin(nested.commit());
        let _ =
            std::future::poll_fn(|c| std::task::Poll::Ready(commit.as_mut().poll(c).is_ready()))
                .await;
    }
    txn.commit().await.unwrap();
    let (price, told) = (stage.price(1).await, stage.told());
    assert_eq!(price == Some(4711), !told.is_empty());
}

/// MariaDB's snapshot isolation ends a transaction by error 1020.
#[tokio::test]
async fn mariadb_1020_undoes_the_whole_transaction() {
    let stage = Stage::new(Backend::MySql, 3).await;
    let st = |sql: &str| Statement::from_string(DbBackend::MySql, sql);
    let a = stage.db.begin().await.unwrap();
    // The default since MariaDB 11.6.2.
    a.inner().execute_unprepared("SET SESSION innodb_snapshot_isolation = ON").await.unwrap();
    a.query_all_raw(st("SELECT * FROM book")).await.unwrap();
    stage.sql("UPDATE book SET price = 55 WHERE id = 1").await;
    stage.told();
    a.execute_unprepared("UPDATE book SET price = 66 WHERE id = 2").await.unwrap();
    let r = a.execute_unprepared("UPDATE book SET price = 77 WHERE id = 1").await;
    a.commit().await.unwrap();
    let (_one, two) = (stage.price(1).await, stage.price(2).await);
    let told = stage.told();
    if r.is_err() {
        assert_eq!(two == Some(66), !told.is_empty());
    }
}

/// The capture's SELECT … FOR UPDATE meets 1020: the caller must be told, as without the cache.
#[tokio::test]
async fn mariadb_1020_in_a_capture() {
    use sea_orm_cache::Capture;
    for wrapped in [false, true] {
        let test = TestDb::new(Backend::MySql).await;
        let plain = test.pool(3).await;
        plain.execute_unprepared(&schema(Backend::MySql)).await.unwrap();
        let cache = QueryCache::builder().capture(Capture::Always).build().await.unwrap();
        let db = cache.connect(plain.clone()).await.unwrap();
        let a = db.begin().await.unwrap();
        a.inner().execute_unprepared("SET SESSION innodb_snapshot_isolation = ON").await.unwrap();
        a.inner().execute_unprepared("SELECT * FROM book").await.unwrap();
        plain.execute_unprepared("UPDATE book SET price = 55 WHERE id = 1").await.unwrap();
        a.execute_unprepared("UPDATE book SET price = 66 WHERE id = 2").await.unwrap();
        let write = "UPDATE book SET stock = 77 WHERE title = 'One'";
        let r = if wrapped {
            a.execute_unprepared(write).await
        } else {
            a.inner().execute_unprepared(write).await
        };
        let _ = a.rollback().await;
        let one = book::Entity::find_by_id(1).one(&plain).await.unwrap().unwrap();
        let two = book::Entity::find_by_id(2).one(&plain).await.unwrap().unwrap();
        assert_eq!((one.stock, two.price, r.is_err()), (10, 200, true), "wrapped {wrapped}");
    }
}

/// Texts that did something, and then failed.
#[tokio::test]
async fn texts_that_failed_after_something_was_committed() {
    let mut bad = Vec::new();
    for (backend, text) in [
        (Backend::Sqlite, "UPDATE book SET price = 4711 WHERE id = 1; CREATE TABLE book (id INT)"),
        (Backend::MySql, "UPDATE book SET price = 4711 WHERE id = 1; CREATE TABLE book (id INT)"),
        (
            Backend::Sqlite,
            "BEGIN; UPDATE book SET price = 4711 WHERE id = 1; COMMIT; INSERT INTO nowhere VALUES (1)",
        ),
        (
            Backend::MySql,
            "BEGIN; UPDATE book SET price = 4711 WHERE id = 1; COMMIT; INSERT INTO nowhere VALUES (1)",
        ),
        (
            Backend::Postgres,
            "BEGIN; UPDATE book SET price = 4711 WHERE id = 1; COMMIT; INSERT INTO nowhere VALUES (1)",
        ),
        (Backend::MySql, "CALL p()"),
        (Backend::Postgres, "CALL p()"),
    ] {
        let stage = Stage::new(backend, 1).await;
        if text == "CALL p()" {
            let body = if backend == Backend::MySql {
                "CREATE PROCEDURE p() BEGIN UPDATE book SET price = 4711 WHERE id = 1; SIGNAL SQLSTATE '45000'; END"
            } else {
                "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN UPDATE book SET price = 4711 WHERE id = 1; COMMIT; RAISE EXCEPTION 'no'; END $$"
            };
            stage.sql(body).await;
            stage.told();
        }
        let r = stage.db.execute_unprepared(text).await;
        let (price, told) = (stage.price(1).await, stage.told());
        stage.db.execute_unprepared("UPDATE book SET stock = 3 WHERE id = 2").await.unwrap();
        let after = stage.told();
        println!("{backend:?} {text}: {} {price:?} {told:?}; the next write: {after:?}", r.is_ok());
        if price == Some(4711) && told.is_empty() {
            bad.push(format!("not told: {backend:?} {text}"));
        }
        if after.is_empty() {
            bad.push(format!("silenced: {backend:?} {text}"));
        }
    }
    assert_eq!(bad, Vec::<String>::new());
}

/// All of the outer transaction is told although an inner one's COMMIT in raw SQL … order of changes.
#[tokio::test]
async fn the_order_of_changes() {
    let stage = Stage::new(Backend::Sqlite, 2).await;
    let txn = stage.db.begin().await.unwrap();
    txn.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.unwrap();
    let n = txn.begin().await.unwrap();
    n.execute_unprepared("UPDATE book SET price = 2 WHERE id = 2").await.unwrap();
    txn.execute_unprepared("UPDATE book SET price = 3 WHERE id = 3").await.unwrap();
    n.commit().await.unwrap();
    txn.execute_unprepared("UPDATE book SET price = 4 WHERE id = 4").await.unwrap();
    txn.commit().await.unwrap();
}

/// What the outer handle writes while a savepoint is open goes with it.
#[tokio::test]
async fn what_the_outer_handle_wrote_within_a_savepoint() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        let txn = stage.db.begin().await.unwrap();
        let n = txn.begin().await.unwrap();
        txn.execute_unprepared(RISE).await.unwrap();
        n.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(stage.price(1).await, Some(100));
        assert_eq!(stage.told(), NOTHING, "{backend:?}");
    }
}
