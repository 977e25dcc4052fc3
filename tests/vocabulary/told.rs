//! What rules are told is what was committed: all of it, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Invalidate, deps};

use crate::support::servers::{Backend, TestDb};
use crate::support::{Shop, TTL, book, schema};

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

fn taken(told: &Told) -> Vec<String> {
    std::mem::take(&mut *told.lock().expect("the list"))
}

struct Stage {
    db: CachedConnection,
    told: Told,
    _test: TestDb,
}

impl Stage {
    async fn new(backend: Backend, connections: u32) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(connections).await;
        plain.execute_unprepared(&schema(backend)).await.expect("the schema");
        let cache = QueryCache::builder().build().await.expect("a cache");
        let db = cache.connect(plain).await.expect("a connection");
        let told = listen::<book::Entity>(&cache);
        Self { db, told, _test: test }
    }

    async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn price(&self) -> i32 {
        let book = book::Entity::find_by_id(1).one(&self.db).await.expect("a book");
        book.expect("a book").price
    }

    /// Once, in the background: the transaction still has its connection.
    async fn is_told(&self) {
        while self.told.lock().expect("the list").is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.told().len(), 1);
    }

    fn told(&self) -> Vec<String> {
        taken(&self.told)
    }
}

const BOOK: &str =
    "INSERT INTO book (id, title, author_id, genre, price) VALUES (90, 'a', 1, 1, 1)";
const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn nothing_of_a_savepoint_that_was_rolled_back_or_dropped() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        for drops in [false, true] {
            let transaction = stage.db.begin().await.expect("a transaction");
            transaction.execute_unprepared("UPDATE author SET name = 'x'").await.expect("authors");
            let nested = transaction.begin().await.expect("a savepoint");
            nested.execute_unprepared(BOOK).await.expect("a book");
            let inner = nested.begin().await.expect("a savepoint");
            inner.execute_unprepared("UPDATE book SET price = 1").await.expect("books");
            inner.commit().await.expect("released");
            if drops {
                drop(nested);
            } else {
                nested.rollback().await.expect("undone");
            }
            transaction.commit().await.expect("a commit");
            assert_eq!(stage.told(), NOTHING, "{backend:?}");
        }
        let transaction = stage.db.begin().await.expect("a transaction");
        let nested = transaction.begin().await.expect("a savepoint");
        nested.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.expect("a book");
        nested.commit().await.expect("released");
        transaction.commit().await.expect("a commit");
        assert_eq!(stage.told().len(), 1, "{backend:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_statement_that_failed() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        let twice = BOOK.replace("90", "1");
        stage.db.execute_unprepared(&twice).await.expect_err("it is there");
        assert_eq!(stage.told(), NOTHING, "{backend:?}");
        let transaction = stage.db.begin().await.expect("a transaction");
        transaction.execute_unprepared("UPDATE author SET name = 'x'").await.expect("authors");
        transaction.execute_unprepared(&twice).await.expect_err("it is there");
        transaction.commit().await.expect("a commit, or what PostgreSQL calls one");
        assert_eq!(stage.told(), NOTHING, "{backend:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_transaction_that_postgres_only_says_it_committed() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, 2).await;
    let transaction = stage.db.begin().await.expect("a transaction");
    transaction.execute_unprepared(BOOK).await.expect("a book");
    transaction.query_one_raw(statement("SELECT 1/0")).await.expect_err("no number");
    transaction.commit().await.expect("so it says");
    assert_eq!(stage.told(), NOTHING);
    let transaction = stage.db.begin().await.expect("a transaction");
    transaction.execute_unprepared(BOOK).await.expect("a book");
    transaction.execute_unprepared("SAVEPOINT s").await.expect("a savepoint");
    transaction.query_one_raw(statement("SELECT 1/0")).await.expect_err("no number");
    transaction.execute_unprepared("ROLLBACK TO SAVEPOINT s").await.expect("undone");
    transaction.commit().await.expect("a commit");
    assert_eq!(stage.told().len(), 1);
}

fn statement(sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)
}

#[tokio::test]
async fn nothing_of_a_commit_that_was_refused() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, 2).await;
    stage
        .sql(
            "ALTER TABLE review ALTER CONSTRAINT review_book_id_fkey DEFERRABLE INITIALLY DEFERRED",
        )
        .await;
    stage.told();
    let transaction = stage.db.begin().await.expect("a transaction");
    transaction.execute_unprepared("UPDATE book SET price = 4711 WHERE id = 1").await.expect("one");
    let review = "INSERT INTO review (book_id, rating) VALUES (999, 1)";
    transaction.execute_unprepared(review).await.expect("a review");
    transaction.commit().await.expect_err("there is no such book");
    while stage.db.cache().stats().background > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((stage.price().await, stage.told().len()), (100, 0));
}

#[tokio::test]
async fn nothing_of_a_write_that_found_no_row() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        let mut none = vec![
            "DELETE FROM book WHERE id = 999".to_owned(),
            "UPDATE book SET price = 2 WHERE id = 999".to_owned(),
        ];
        none.push(match backend {
            Backend::MySql => BOOK.replace("90", "1").replace("INSERT", "INSERT IGNORE"),
            _ => BOOK.replace("90", "1") + " ON CONFLICT DO NOTHING",
        });
        for sql in none {
            stage.sql(&sql).await;
            let transaction = stage.db.begin().await.expect("a transaction");
            transaction.execute_unprepared(&sql).await.expect("nothing");
            transaction.commit().await.expect("a commit");
            assert_eq!(stage.told(), NOTHING, "{backend:?}: {sql}");
        }
        stage.sql("UPDATE book SET price = 2 WHERE id = 1").await;
        assert_eq!(stage.told().len(), 1);
    }
}

#[tokio::test]
async fn of_a_transaction_in_raw_sql_that_something_may_have_changed_when_it_is_over() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 1).await;
        for (price, end) in [(4711, "COMMIT"), (100, "ROLLBACK")] {
            stage.sql("UPDATE book SET price = 100 WHERE id = 1").await;
            stage.told();
            stage.sql("BEGIN").await;
            stage.sql("UPDATE book SET price = 4711 WHERE id = 1").await;
            assert_eq!(stage.told(), NOTHING, "{backend:?}");
            stage.sql(end).await;
            assert_eq!(stage.told(), ["may have changed"], "{backend:?}");
            assert_eq!(stage.price().await, price, "{backend:?}: {end}");
        }
        stage.sql("BEGIN").await;
        stage.sql("COMMIT").await;
        assert_eq!(stage.told(), NOTHING, "{backend:?}");
    }
}

#[tokio::test]
async fn of_texts_of_several_statements_that_something_may_have_changed() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, 2).await;
        const SET: &str = "UPDATE book SET price = # WHERE id = 1";
        let texts = [
            format!("BEGIN; {SET}; COMMIT"),
            format!("CREATE TABLE z1 (id INTEGER); {SET}"),
            format!("{SET}; CREATE TABLE z2 (id INTEGER)"),
        ];
        for (price, text) in (4001..).zip(texts) {
            stage.sql(&text.replace('#', &price.to_string())).await;
            assert_eq!(stage.price().await, price);
            assert_eq!(stage.told(), ["may have changed"], "{backend:?}: {text}");
        }
    }
}

#[tokio::test]
async fn of_what_mysql_commits_by_itself() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::MySql, 2).await;
    for (price, text) in (4001..).zip(["CREATE TABLE other (id INT)", "COMMIT"]) {
        let transaction = stage.db.begin().await.expect("a transaction");
        let sql = format!("UPDATE book SET price = {price} WHERE id = 1");
        transaction.execute_unprepared(&sql).await.expect("a book");
        assert_eq!(stage.told(), NOTHING);
        transaction.execute_unprepared(text).await.expect("a commit");
        stage.is_told().await;
        // It is committed at once.
        transaction.execute_unprepared("UPDATE book SET stock = 3 WHERE id = 1").await.expect("it");
        stage.is_told().await;
        transaction.rollback().await.expect("too late");
        assert_eq!((stage.price().await, stage.told().len()), (price, 0));
    }
}

#[tokio::test]
async fn of_what_was_written_before_the_rule_was_registered_and_committed_after_it() {
    let shop = Shop::new().await;
    let transaction = shop.db.begin().await.expect("a transaction");
    transaction.execute_unprepared("UPDATE book SET price = 4711 WHERE id = 1").await.expect("one");
    let told = listen::<book::Entity>(&shop.cache);
    transaction.execute_unprepared("UPDATE author SET name = 'x'").await.expect("authors");
    transaction.commit().await.expect("a commit");
    assert_eq!(taken(&told), ["may have changed"]);
}

mod part {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "measured_low")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn of_a_partition_that_was_written_through_the_whole_table() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let test = TestDb::new(Backend::Postgres).await;
    let plain = test.pool(2).await;
    const SCHEMA: &str = "
        CREATE TABLE measured (id INTEGER PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE measured_low PARTITION OF measured FOR VALUES FROM (0) TO (100)";
    plain.execute_unprepared(SCHEMA).await.expect("the tables");
    let cache = QueryCache::builder().build().await.expect("a cache");
    let db = cache.connect(plain).await.expect("a connection");
    let told = listen::<part::Entity>(&cache);
    db.execute_unprepared("INSERT INTO measured VALUES (2)").await.expect("a row");
    assert_eq!(taken(&told), ["may have changed"]);
}

#[tokio::test]
async fn rules_that_invalidate_and_rules_that_call_run_in_one_order() {
    let shop = Shop::new().await;
    let cache = shop.cache.clone();
    let page = async |cache: QueryCache, n: i32| {
        cache.cached_as("page", TTL, deps!["page"], || async move { Ok::<_, DbErr>(n) }).await
    };
    page(cache.clone(), 1).await.expect("a page");
    let (inner, seen) = (cache.clone(), Arc::new(Mutex::new(0)));
    let into = seen.clone();
    cache.rules().on::<book::Entity>().calls(move |_| {
        let (cache, into) = (inner.clone(), into.clone());
        async move {
            let page = cache.cached_as("page", TTL, deps!["page"], || async { Ok::<_, DbErr>(2) });
            *into.lock().expect("the page") = page.await?;
            Ok(())
        }
    });
    cache.rules().on::<book::Entity>().invalidates(Invalidate::tag("page"));
    shop.sql("UPDATE book SET price = 4711 WHERE id = 1").await.expect("a write");
    assert_eq!(*seen.lock().expect("the page"), 1, "the callback was registered first");
    assert_eq!(page(cache, 3).await.expect("a page"), 3, "and then it was invalidated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_ends_also_if_its_callbacks_are_given_up() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, 3).await;
    let cache = stage.db.cache();
    cache.rules().clear();
    let runs = Arc::new(Mutex::new(0));
    let (db, counted) = (stage.db.clone(), runs.clone());
    const SLOW: &str = "UPDATE book SET stock = stock + 1 \
        WHERE id = 1 AND (SELECT pg_sleep(0.02)) IS NOT NULL";
    cache.rules().on::<book::Entity>().timeout(Duration::from_millis(5)).calls(move |_| {
        let (db, counted) = (db.clone(), counted.clone());
        async move {
            *counted.lock().expect("a number") += 1;
            db.execute_unprepared(SLOW).await?;
            Ok(())
        }
    });
    stage.sql("UPDATE book SET stock = 0 WHERE id = 1").await;
    // Each is carried on by the one before it.
    let over = async {
        while cache.stats().background > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("it ends");
    assert_eq!(*runs.lock().expect("a number"), 8);
}

#[tokio::test]
async fn in_which_scope_and_whether_in_a_transaction() {
    let shop = Shop::new().await;
    let told = Told::default();
    let into = told.clone();
    shop.cache.rules().on::<book::Entity>().calls(move |commit| {
        let scope: Vec<_> = commit.scope.iter().map(|name| &**name).collect();
        let told = format!("{} {}", scope.join("/"), commit.in_transaction);
        into.lock().expect("the list").push(told);
        async { Ok(()) }
    });
    let tenant = shop.db.scoped("tenant").scoped("user");
    const RISE: &str = "UPDATE book SET price = price + 1 WHERE id = 1";
    shop.sql(RISE).await.expect("a book");
    tenant.execute_unprepared(RISE).await.expect("a book");
    let transaction = tenant.begin().await.expect("a transaction");
    transaction.execute_unprepared(RISE).await.expect("a book");
    transaction.commit().await.expect("a commit");
    assert_eq!(taken(&told), [" false", "tenant/user false", "tenant/user true"]);
}
