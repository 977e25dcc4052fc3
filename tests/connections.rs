//! Ways around the connection: schema changes from elsewhere, raw transactions, transactions that
//! the database ends by itself, options of a query that an older entry does not have.

mod referee;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use referee::Arena;
use referee::forms::Form;
use referee::queries::Query;
use referee::schemas::Schema;
use sea_orm::{
    ConnectionTrait, EntityTrait, PaginatorTrait, QuerySelect, SqliteTransactionMode,
    TransactionOptions, TransactionTrait, Value,
};
use sea_orm_cache::Capture;
use sea_orm_cache::prelude::*;
use support::gate::Gate;
use support::{File, Shop, TTL, book};

const TU3: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER UNIQUE, s TEXT)",
    "CREATE INDEX tk ON t (k)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
    "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
    "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
];

const TU: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER, s TEXT)",
    "CREATE INDEX tk ON t (k)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
    "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
    "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
];
const TRIGGER: &str = "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = x + 1; END";

fn schema(s: &[&str]) -> Schema {
    Schema::of(s.iter().map(|s| (*s).to_owned()).collect())
}
fn q(sql: &str, values: Vec<Value>) -> Query {
    Query { sql: sql.into(), values, ordered: false, numbered: false, form: Form::All }
}

async fn check(
    db: &CachedConnection,
    cache: &QueryCache,
    plain: &sea_orm::DatabaseConnection,
    query: &Query,
) -> String {
    let before = cache.stats().total.hits;
    let cached = query.select().cached(TTL).all(db).await.unwrap();
    let hit = cache.stats().total.hits > before;
    let fresh = query.select().all(plain).await.unwrap();
    if cached != fresh {
        format!("STALE hit={hit} cached {cached:?} fresh {fresh:?}")
    } else {
        format!("ok hit={hit}")
    }
}

#[tokio::test]
async fn ddl_through_another_connection_of_the_same_cache() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
    let second = a.cache.connect(a.plain.clone()).await.unwrap();
    second.execute_unprepared(TRIGGER).await.unwrap();
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    a.db.execute_unprepared("UPDATE t SET b = 1 WHERE id = 1").await.unwrap();
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn view_redefined_through_another_connection() {
    let mut s = TU.to_vec();
    s.push("CREATE VIEW w AS SELECT id, b FROM t");
    let a = Arena::new(&schema(&s), Capture::Auto, 2).await;
    let second = a.cache.connect(a.plain.clone()).await.unwrap();
    second
        .execute_unprepared("DROP VIEW w; CREATE VIEW w AS SELECT id, y AS b FROM u")
        .await
        .unwrap();
    let query = q("* FROM w WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    a.db.execute_unprepared("UPDATE u SET y = 77 WHERE id = 1").await.unwrap();
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn raw_rollback_of_ddl() {
    let mut s = TU.to_vec();
    s.push(TRIGGER);
    let a = Arena::new(&schema(&s), Capture::Auto, 1).await;
    for sql in ["BEGIN", "DROP TRIGGER g", "ROLLBACK"] {
        a.db.execute_unprepared(sql).await.unwrap();
    }
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    a.db.execute_unprepared("UPDATE t SET b = 1 WHERE id = 1").await.unwrap();
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn raw_begin_in_ddl_text() {
    let mut s = TU.to_vec();
    s.push(TRIGGER);
    let a = Arena::new(&schema(&s), Capture::Auto, 1).await;
    a.db.execute_unprepared("BEGIN; DROP TRIGGER g; UPDATE u SET x = 555").await.unwrap();
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    let before = a.cache.stats().total.hits;
    query.select().cached(TTL).all(&a.db).await.unwrap();
    assert_eq!(before, a.cache.stats().total.hits, "an uncommitted value was cached");
}

#[tokio::test]
async fn opaque_ddl_in_transaction() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
    let t = a.db.begin().await.unwrap();
    t.execute_unprepared(&format!("{}; /* over", TRIGGER)).await.unwrap();
    t.commit().await.unwrap();
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    check(&a.db, &a.cache, &a.plain, &q("* FROM u WHERE id = 2", vec![])).await;
    a.db.execute_unprepared("UPDATE t SET b = 1 WHERE id = 1").await.unwrap();
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn autocommit_after_or_rollback() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    let t = a.db.begin().await.unwrap();
    println!(
        "{:?}",
        t.execute_unprepared("INSERT OR ROLLBACK INTO t (id) VALUES (1)").await.is_err()
    );
    t.execute_unprepared("UPDATE u SET x = 99 WHERE id = 1").await.unwrap();
    println!("{:?}", t.rollback().await);
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn autocommit_after_or_rollback_dropped() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    let t = a.db.begin().await.unwrap();
    t.execute_unprepared("INSERT OR ROLLBACK INTO t (id) VALUES (1)").await.unwrap_err();
    t.execute_unprepared("UPDATE u SET x = 99 WHERE id = 1").await.unwrap();
    drop(t);
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn mixed_placeholders_write() {
    let a = Arena::new(&schema(TU), Capture::Never, 2).await;
    let query = q("sum(b) FROM t WHERE k = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    let s = sea_orm::Statement::from_sql_and_values(
        sea_orm::DbBackend::Sqlite,
        "UPDATE t SET b = ?1 WHERE k = ?",
        [1.into(), 2.into()],
    );
    println!("{:?}", a.db.execute_raw(s).await);
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert!(!r.contains("STALE"), "{r}");
}

#[tokio::test]
async fn a_tag_on_a_hit() {
    let shop = Shop::new().await;
    let read = || book::Entity::find();
    read().cached(TTL).all(&shop.db).await.unwrap();
    read().cached(TTL).tag("homepage").all(&shop.db).await.unwrap();
    shop.cache.invalidate_tag("homepage").await;
    let hits = shop.hits();
    read().cached(TTL).tag("homepage").all(&shop.db).await.unwrap();
    assert_eq!(shop.hits(), hits, "invalidate_tag did not end the entry");
}

#[tokio::test]
async fn a_short_ttl_on_an_old_entry() {
    let shop = Shop::new().await;
    let read = || book::Entity::find();
    read().cached(Duration::from_secs(3600)).all(&shop.db).await.unwrap();
    shop.clock.advance(Duration::from_secs(600));
    let hits = shop.hits();
    read().cached(Duration::from_secs(1)).all(&shop.db).await.unwrap();
    assert_eq!(shop.hits(), hits, "an answer that is ten minutes old, asked for one second");
}

#[tokio::test]
async fn count_is_seaorms() {
    let shop = Shop::new().await;
    let read = || book::Entity::find().limit(2);
    let theirs = read().count(&shop.plain).await.unwrap();
    let ours = read().cached(TTL).count(&shop.db).await.unwrap();
    assert_eq!(theirs, ours);
}

#[tokio::test]
async fn rolled_back_temp_table_leaves_the_schema_unknown() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
    let t = a.db.begin().await.unwrap();
    t.execute_unprepared("CREATE TEMP TABLE tmp (a)").await.unwrap();
    t.rollback().await.unwrap();
    let query = q("* FROM u WHERE id = 1", vec![]);
    check(&a.db, &a.cache, &a.plain, &query).await;
    a.db.execute_unprepared("UPDATE t SET b = 1 WHERE id = 1").await.unwrap();
    let r = check(&a.db, &a.cache, &a.plain, &query).await;
    assert_eq!(r, "ok hit=true", "everything is coarse for ever");
}

#[tokio::test]
async fn one_connection_everything() {
    let a = Arena::new(&schema(TU), Capture::Always, 1).await;
    let query = q("* FROM u WHERE id = 1", vec![]);
    let work = async {
        check(&a.db, &a.cache, &a.plain, &query).await;
        a.db.execute_unprepared("UPDATE t SET b = 1 WHERE b > 0").await.unwrap();
        let t = a.db.begin().await.unwrap();
        t.execute_unprepared("CREATE TABLE zz (a)").await.unwrap();
        query.select().cached(TTL).all(&t).await.unwrap();
        t.commit().await.unwrap();
        a.db.execute_unprepared("CREATE TABLE zzz (a)").await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(8), work).await.unwrap();
}

#[tokio::test]
async fn write_while_ddl_is_not_yet_known() {
    let file = File::new();
    let plain = file.pool(4).await;
    for s in TU3 {
        plain.execute_unprepared(s).await.unwrap();
    }
    let cache = crate::support::checked().build().await.unwrap();
    let gate = Gate::new(plain.clone());
    let db = cache.connect(gate.clone()).await.unwrap();
    let query = q("* FROM u WHERE id = 1", vec![]);
    query.select().cached(TTL).all(&db).await.unwrap();
    let seen = Arc::new(Mutex::new(None));
    let (d, s, p) = (db.clone(), seen.clone(), plain.clone());
    gate.after("CREATE TRIGGER", async move {
        d.execute_unprepared("UPDATE t SET k = 9 WHERE id = 1").await.unwrap();
        let query = q("* FROM u WHERE id = 1", vec![]);
        let cached = query.select().cached(TTL).all(&d).await.unwrap();
        let fresh = query.select().all(&p).await.unwrap();
        *s.lock().unwrap() = Some((cached, fresh));
    });
    db.execute_unprepared(TRIGGER).await.unwrap();
    let (cached, fresh) = seen.lock().unwrap().take().unwrap();
    assert_eq!(cached, fresh);
}

async fn poisoned(wrapped: bool, sql: &str, extra: &[&str]) -> Vec<String> {
    let mut s = TU3.to_vec();
    s.extend(extra);
    let a = Arena::new(&schema(&s), Capture::Always, 1).await;
    let mut out = vec![];
    macro_rules! go {
        ($db:expr) => {{
            let db = $db;
            out.push(format!("{:?}", db.execute_unprepared(sql).await.is_ok()));
            let o = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            out.push(match db.begin_with_options(o).await {
                Ok(t) => format!("{:?}", t.commit().await),
                Err(e) => format!("{e}"),
            });
            let t = db.begin().await;
            out.push(match t {
                Ok(t) => {
                    let r = t.execute_unprepared("INSERT INTO u VALUES (50, 1, 1)").await;
                    format!("{:?} {:?}", r.is_ok(), t.commit().await)
                }
                Err(e) => format!("{e}"),
            });
            out.push(format!(
                "{:?}",
                db.execute_unprepared("INSERT INTO u VALUES (51, 1, 1)")
                    .await
                    .map(|_| ())
                    .map_err(|e| e.to_string())
            ));
        }};
    }
    if wrapped {
        go!(&a.db)
    } else {
        go!(&a.plain)
    }
    out
}
#[tokio::test]
async fn or_rollback_through_capture() {
    let sql = "UPDATE OR ROLLBACK t SET b = 20 WHERE k < 5 AND b > 0";
    assert_eq!(poisoned(true, sql, &[]).await, poisoned(false, sql, &[]).await);
}
#[tokio::test]
async fn raise_rollback_through_capture() {
    let sql = "UPDATE t SET s = 'q' WHERE k < 5";
    let trigger = ["CREATE TRIGGER g BEFORE UPDATE ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END"];
    assert_eq!(poisoned(true, sql, &trigger).await, poisoned(false, sql, &trigger).await);
}
#[tokio::test]
async fn unique_failure_through_capture() {
    let sql = "UPDATE t SET b = 20 WHERE k < 5";
    assert_eq!(poisoned(true, sql, &[]).await, poisoned(false, sql, &[]).await);
}

#[tokio::test]
async fn capture_inside_a_raw_transaction() {
    let a = Arena::new(&schema(TU3), Capture::Always, 1).await;
    for sql in
        ["BEGIN", "INSERT INTO u VALUES (77, 7, 7)", "UPDATE t SET k = 8 WHERE k < 5", "COMMIT"]
    {
        a.db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    assert_eq!(q("* FROM u WHERE id = 77", vec![]).select().all(&a.plain).await.unwrap().len(), 1);
}

#[tokio::test]
async fn raw_commit_inside_a_transaction_then_more() {
    let a = Arena::new(&schema(TU3), Capture::Auto, 2).await;
    let query = q("* FROM u WHERE id = 1", vec![]);
    query.select().cached(TTL).all(&a.db).await.unwrap();
    let t = a.db.begin().await.unwrap();
    t.execute_unprepared("COMMIT").await.unwrap();
    query.select().cached(TTL).all(&a.db).await.unwrap();
    t.execute_unprepared("UPDATE u SET x = 99 WHERE id = 1").await.unwrap();
    let _ = t.rollback().await;
    assert_eq!(
        query.select().cached(TTL).all(&a.db).await.unwrap(),
        query.select().all(&a.plain).await.unwrap()
    );
}
