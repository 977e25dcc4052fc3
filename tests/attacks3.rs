mod referee;
mod support;
use referee::operations::{Operation, Via, Write};
use referee::queries::Query;
use referee::schemas::Schema;
use referee::{Arena, Stale};
use sea_orm::{
    ConnectionTrait, SqliteTransactionMode, TransactionOptions, TransactionTrait, Value,
};
use sea_orm_cache::Capture;
use sea_orm_cache::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{File, TTL, gate::Gate};

const TU: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER UNIQUE, s TEXT)",
    "CREATE INDEX tk ON t (k)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
    "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
    "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
];
const TRIGGER: &str = "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = x + 1; END";
fn schema(s: &[&str]) -> Schema {
    Schema {
        statements: s.iter().map(|s| (*s).to_owned()).collect(),
        composite: false,
        has_view: false,
        unique_b: false,
    }
}
fn q(sql: &str, values: Vec<Value>) -> Query {
    Query { sql: sql.into(), values, ordered: false }
}

#[tokio::test]
async fn write_while_ddl_is_not_yet_known() {
    let file = File::new();
    let plain = file.pool(4).await;
    for s in TU {
        plain.execute_unprepared(s).await.unwrap();
    }
    let cache = QueryCache::builder().build().await.unwrap();
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
    let mut s = TU.to_vec();
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
    let a = Arena::new(&schema(TU), Capture::Always, 1).await;
    for sql in
        ["BEGIN", "INSERT INTO u VALUES (77, 7, 7)", "UPDATE t SET k = 8 WHERE k < 5", "COMMIT"]
    {
        a.db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    assert_eq!(q("* FROM u WHERE id = 77", vec![]).select().all(&a.plain).await.unwrap().len(), 1);
}

#[tokio::test]
async fn raw_commit_inside_a_transaction_then_more() {
    let a = Arena::new(&schema(TU), Capture::Auto, 2).await;
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

#[tokio::test]
async fn waiters_of_something_never_stored() {
    let file = File::new();
    let plain = file.pool(4).await;
    for s in TU {
        plain.execute_unprepared(s).await.unwrap();
    }
    let cache = QueryCache::builder().max_bytes(0).build().await.unwrap();
    let db = cache.connect(plain.clone()).await.unwrap();
    let slow = "count(*) FROM (WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 300000) SELECT u.id FROM r, u WHERE u.id = n)";
    let query = q(slow, vec![]);
    let start = std::time::Instant::now();
    query.select().all(&plain).await.unwrap();
    let one = start.elapsed();
    let start = std::time::Instant::now();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (db, query) = (db.clone(), query.clone());
            tokio::spawn(async move {
                let s = std::time::Instant::now();
                query.select().cached(TTL).all(&db).await.unwrap();
                s.elapsed()
            })
        })
        .collect();
    for t in tasks {
        println!("one {one:?}, waited {:?}", t.await.unwrap());
    }
    println!("all {:?}", start.elapsed());
}

struct C(&'static str, &'static [&'static str], &'static str, &'static [&'static str]);
#[tokio::test]
async fn sweep3() {
    let cases = vec![
        C(
            "order null limit",
            TU,
            "id, s FROM t ORDER BY s IS NULL DESC, id LIMIT 1",
            &["UPDATE t SET s = NULL WHERE id = 1"],
        ),
        C(
            "order by alias collate",
            TU,
            "id, s AS z FROM t ORDER BY z COLLATE NOCASE DESC LIMIT 1",
            &["UPDATE t SET s = 'ZZ' WHERE id = 1"],
        ),
        C(
            "cte free shift",
            TU,
            "1 AS c11 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT c11 FROM z) AS q WHERE c11 = 70",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "cte free shift outer",
            TU,
            "id FROM t WHERE EXISTS (SELECT 1 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, b) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT b FROM z) AS q WHERE b = 70)",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "unresolved then outer via alias",
            TU,
            "1 AS value FROM u WHERE EXISTS (SELECT 1 FROM json_each('[70]') WHERE value = y)",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "with delete returning",
            TU,
            "count(*) FROM t WHERE k = 1",
            &["WITH z AS (SELECT 1 AS i) DELETE FROM t WHERE id IN (SELECT i FROM z) RETURNING k"],
        ),
        C(
            "precedence",
            TU,
            "id FROM t WHERE k = 1 IS NOT NULL",
            &["UPDATE t SET k = NULL WHERE id = 3", "UPDATE t SET k = 5 WHERE id = 1"],
        ),
        C(
            "trigger literal insert or replace nested",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TABLE w (id INTEGER PRIMARY KEY, x INTEGER UNIQUE)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE u SET x = NEW.k; END",
                "CREATE TRIGGER h AFTER UPDATE ON u BEGIN UPDATE w SET x = 5 WHERE id = 2; END",
                "INSERT INTO u VALUES (2, 2)",
                "INSERT INTO w VALUES (1, 5), (2, 6)",
            ],
            "* FROM w WHERE id = 1",
            &["REPLACE INTO t VALUES (9, 2)"],
        ),
        C(
            "recursive trigger names",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER IF NOT EXISTS \"on\" AFTER INSERT ON t BEGIN UPDATE u SET x = 9; END",
                "INSERT INTO u VALUES (2, 2)",
            ],
            "* FROM u WHERE id = 2",
            &["INSERT INTO t VALUES (9, 2)"],
        ),
        C(
            "trigger name single-quoted",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER 'insert on' AFTER UPDATE ON t BEGIN UPDATE u SET x = 9; END",
                "INSERT INTO u VALUES (2, 2)",
                "INSERT INTO t VALUES (9, 2)",
            ],
            "* FROM u WHERE id = 2",
            &["UPDATE t SET k = 1 WHERE id = 9"],
        ),
        C(
            "trigger renamed table",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = 9; END",
                "INSERT INTO u VALUES (2, 2)",
                "INSERT INTO t VALUES (9, 2)",
                "ALTER TABLE u RENAME TO uu",
                "ALTER TABLE t RENAME TO tt",
            ],
            "* FROM uu WHERE id = 2",
            &["UPDATE tt SET k = 1 WHERE id = 9"],
        ),
        C(
            "update limit",
            TU,
            "count(*) FROM t WHERE k = 1",
            &["UPDATE t SET k = 5 WHERE k = 1 ORDER BY id LIMIT 1"],
        ),
        C(
            "upsert two targets",
            TU,
            "sum(b) FROM t WHERE k = 1",
            &[
                "INSERT INTO t VALUES (1, 9, 11, 'z') ON CONFLICT (b) DO NOTHING ON CONFLICT (id) DO UPDATE SET b = 11",
            ],
        ),
        C(
            "delete alias",
            TU,
            "count(*) FROM t WHERE k = 1",
            &["DELETE FROM t AS z WHERE z.k = 1 AND z.id = 1"],
        ),
        C(
            "insert alias upsert",
            TU,
            "sum(b) FROM t WHERE k = 1",
            &[
                "INSERT INTO t AS z VALUES (1, 9, 11, 'z') ON CONFLICT (id) DO UPDATE SET b = z.b + excluded.b",
            ],
        ),
        C(
            "rename default keyword",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER DEFAULT (5))",
                "CREATE INDEX i ON t (k)",
                "INSERT INTO t VALUES (1, 5)",
            ],
            "count(*) FROM t WHERE k = 5",
            &["INSERT INTO t DEFAULT VALUES", "INSERT INTO t (id) VALUES (7)"],
        ),
        C(
            "collation in index only slices",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)",
                "CREATE INDEX i ON t (a COLLATE NOCASE)",
                "INSERT INTO t VALUES (1, 'abc')",
            ],
            "count(*) FROM t WHERE a = 'abc' COLLATE NOCASE",
            &["INSERT INTO t VALUES (2, 'ABC')"],
        ),
        C(
            "subquery collation inherits",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)",
                "CREATE INDEX i ON t (a)",
                "INSERT INTO t VALUES (1, 'abc')",
            ],
            "count(*) FROM (SELECT a COLLATE NOCASE AS a FROM t) q WHERE q.a = 'ABC'",
            &["INSERT INTO t VALUES (2, 'ABC')"],
        ),
        C(
            "bool",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, f BOOLEAN)",
                "CREATE INDEX i ON t (f)",
                "INSERT INTO t VALUES (1, TRUE)",
            ],
            "count(*) FROM t WHERE f = TRUE",
            &["INSERT INTO t VALUES (2, 1)", "UPDATE t SET f = FALSE WHERE f"],
        ),
        C(
            "double slices",
            TU,
            "count(*) FROM t JOIN u ON t.k = u.id AND u.id = 1",
            &["UPDATE t SET k = 1 WHERE id = 3", "UPDATE u SET id = 60 WHERE id = 1"],
        ),
        C(
            "outer agg in order by",
            TU,
            "min(id) FROM t ORDER BY (SELECT sum(t.b))",
            &["DELETE FROM t WHERE id = 3"],
        ),
    ];
    let mut bad = 0;
    for C(name, schema, query, operations) in cases {
        for via in [Via::Execute, Via::QueryAll] {
            let ops =
                operations.iter().map(|sql| Operation::Single(Write::new(sql, via))).collect();
            let probe = Stale::case(schema, query, ops).probe().await;
            println!("{name:40} {via:?}: {probe}");
            bad += usize::from(probe.contains("STALE"));
        }
    }
    assert_eq!(bad, 0);
}
