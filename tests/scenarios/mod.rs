//! Single races, each played in the one order in which breaking a rule shows. Used by the tests
//! that the rules hold, and by the mutation gate that shows that these tests would notice.
#![allow(dead_code)]

use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseConnection, QueryOrder, QuerySelect, Set, TransactionTrait};
use sea_orm_cache::prelude::*;

use crate::support::gate::Gate;
use crate::support::servers::{Backend, TestDb};
use crate::support::{TTL, book, review, schema};

/// A bookshop behind a gate.
pub struct Stage {
    pub backend: Backend,
    _db: TestDb,
    pub gate: Gate,
    pub db: CachedConnection<Gate>,
    pub cache: QueryCache,
    pub plain: DatabaseConnection,
}

impl Stage {
    pub async fn new(backend: Backend) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(4).await;
        plain.execute_unprepared(&schema(backend)).await.expect("the schema");
        let gate = Gate::new(plain.clone());
        let cache = crate::support::checked().build().await.expect("a cache");
        let db = cache.connect(gate.clone()).await.expect("a connection");
        Self { backend, _db: test, gate, db, cache, plain }
    }

    /// Books of author 1, shown by row.
    pub async fn books(&self) -> Vec<book::Model> {
        books(&self.db).await
    }

    /// Reviews of book 1, counted: by column.
    pub async fn reviews(&self) -> u64 {
        reviews(&self.db).await
    }

    /// Do both cached answers equal the database's?
    pub async fn check(&self) -> Result<(), String> {
        let fresh = list().all(&self.plain).await.expect("fresh books");
        let cached = self.books().await;
        if cached != fresh {
            return Err(format!("stale books: {cached:?} for {fresh:?}"));
        }
        let fresh = counted().count(&self.plain).await.expect("fresh reviews");
        let cached = self.reviews().await;
        if cached != fresh {
            return Err(format!("stale count: {cached} for {fresh}"));
        }
        Ok(())
    }
}

pub fn list() -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(1)).order_by_asc(book::Column::Id)
}

pub fn counted() -> Select<review::Entity> {
    review::Entity::find().filter(review::Column::BookId.eq(1))
}

pub async fn books(db: &CachedConnection<Gate>) -> Vec<book::Model> {
    list().cached(TTL).all(db).await.expect("books")
}

pub async fn reviews(db: &CachedConnection<Gate>) -> u64 {
    counted().cached(TTL).count(db).await.expect("reviews")
}

pub async fn reprice(db: &impl ConnectionTrait, price: i32) {
    let change = book::ActiveModel { id: Set(1), price: Set(price), ..Default::default() };
    change.update(db).await.expect("a new price");
}

pub async fn add_review(db: &impl ConnectionTrait) {
    let new = review::ActiveModel { book_id: Set(1), rating: Set(5), ..Default::default() };
    new.insert(db).await.expect("a new review");
}

/// A row that a list shows is written between the list's SQL and its fill.
pub async fn write_to_a_shown_row_while_the_query_runs(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let db = stage.db.clone();
    stage.gate.after("SELECT \"book\"", async move { reprice(&db, 1).await });
    stage.books().await;
    assert!(stage.gate.passed());
    stage.check().await
}

/// A row that changes a count appears between the count's SQL and its fill.
pub async fn write_to_a_count_while_the_query_runs(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let db = stage.db.clone();
    stage.gate.after("COUNT(*)", async move { add_review(&db).await });
    stage.reviews().await;
    assert!(stage.gate.passed());
    stage.check().await
}

/// A reader fills just before the write that it must not miss is committed.
pub async fn fill_just_before_the_commit(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let db = stage.db.clone();
    stage.gate.before("UPDATE \"book\"", async move {
        books(&db).await;
    });
    reprice(&stage.db, 1).await;
    assert!(stage.gate.passed());
    stage.check().await
}

/// The same for a transaction: filled after its statements, before its COMMIT.
pub async fn fill_just_before_a_transactions_commit(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let db = stage.db.clone();
    stage.gate.before("COMMIT", async move {
        books(&db).await;
        reviews(&db).await;
    });
    let transaction = stage.db.begin().await.expect("a transaction");
    reprice(&transaction, 1).await;
    add_review(&transaction).await;
    transaction.commit().await.expect("a commit");
    assert!(stage.gate.passed());
    stage.check().await
}

/// A savepoint is released, and the transaction around it committed.
pub async fn write_in_a_savepoint(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    stage.check().await?;
    let transaction = stage.db.begin().await.expect("a transaction");
    let savepoint = transaction.begin().await.expect("a savepoint");
    reprice(&savepoint, 1).await;
    savepoint.commit().await.expect("a release");
    transaction.commit().await.expect("a commit");
    stage.check().await
}

/// A read inside a transaction sees its uncommitted write, and is not for others to see.
pub async fn read_in_a_transaction_that_is_rolled_back(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let transaction = stage.db.begin().await.expect("a transaction");
    reprice(&transaction, 1).await;
    let inside = list().cached(TTL).all(&transaction).await.expect("books");
    if inside.first().map(|book| book.price) != Some(1) {
        return Err("a transaction does not see its own write".into());
    }
    transaction.rollback().await.expect("a rollback");
    stage.check().await
}

/// The caller of a write goes away after the statement was sent.
pub async fn cancelled_write(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    stage.check().await?;
    stage.gate.yields();
    let done = std::sync::Arc::new(tokio::sync::Notify::new());
    let notify = done.clone();
    stage.gate.after("UPDATE \"book\"", async move { notify.notify_one() });
    let db = stage.db.clone();
    let task = tokio::spawn(async move { reprice(&db, 1).await });
    done.notified().await;
    task.abort();
    let _ = task.await;
    while stage.cache.stats().background > 0 {
        tokio::task::yield_now().await;
    }
    stage.check().await
}

/// The schema changes: a new index makes a column a key, which writers must know.
pub async fn new_index_after_connect(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let priced =
        || book::Entity::find().filter(book::Column::Stock.eq(10)).order_by_asc(book::Column::Id);
    priced().cached(TTL).all(&stage.db).await.expect("books");
    let ddl = match backend {
        Backend::Sqlite => {
            "CREATE VIEW dear AS SELECT * FROM book WHERE price > 100;
             CREATE TRIGGER t AFTER INSERT ON author BEGIN UPDATE book SET price = 7 WHERE id = 1; END"
        }
        Backend::Postgres => {
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN UPDATE book SET price = 7 WHERE id = 1; RETURN NULL; END $$;
             CREATE TRIGGER t AFTER INSERT ON author FOR EACH ROW EXECUTE FUNCTION f()"
        }
        Backend::MySql => {
            "CREATE TRIGGER t AFTER INSERT ON author FOR EACH ROW UPDATE book SET price = 7 WHERE id = 1"
        }
    };
    stage.db.execute_unprepared(ddl).await.expect("DDL");
    stage.check().await?;
    stage
        .db
        .execute_unprepared("INSERT INTO author (id, name) VALUES (9, 'x')")
        .await
        .expect("a row");
    stage.check().await
}

/// Two scopes ask the same question.
pub async fn one_scope_never_reads_anothers_entry(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let (one, two) = (stage.db.scoped("1"), stage.db.scoped("2"));
    books(&one).await;
    // Behind the cache's back, so that only the scope can tell.
    stage
        .plain
        .execute_unprepared("UPDATE book SET price = 5 WHERE id = 1")
        .await
        .expect("a write");
    if books(&two).await.first().map(|book| book.price) != Some(5) {
        return Err("scope 2 was answered from scope 1".into());
    }
    Ok(())
}

/// The same text with other values is another question.
pub async fn other_values_are_another_question(backend: Backend) -> Result<(), String> {
    let stage = Stage::new(backend).await;
    let by_id = |id| book::Entity::find_by_id(id).limit(1).cached(TTL);
    let one = by_id(1).one(&stage.db).await.expect("a book");
    let two = by_id(2).one(&stage.db).await.expect("a book");
    if one == two { Err("book 2 was answered with book 1".into()) } else { Ok(()) }
}
