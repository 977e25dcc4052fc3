mod referee;
mod support;
use referee::operations::{Operation, Via, Write};
use referee::queries::Query;
use referee::schemas::Schema;
use referee::{Arena, Stale};
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait, QuerySelect, TransactionTrait, Value};
use sea_orm_cache::Capture;
use sea_orm_cache::prelude::*;
use std::time::Duration;
use support::{File, Shop, TTL, book};

const TU: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER, s TEXT)",
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
    tokio::time::sleep(Duration::from_millis(1200)).await;
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
async fn mixed_placeholders_read() {
    let a = Arena::new(&schema(TU), Capture::Never, 2).await;
    let query = q("count(*) FROM t WHERE b > $1 AND k = ?", vec![]);
    let s = |v: Vec<Value>| {
        let _ = v;
    };
    s(vec![]);
    let _ = query;
}

#[tokio::test]
async fn a_tag_on_a_hit() {
    let shop = Shop::new().await;
    let read = || book::Entity::find();
    read().cached(TTL).all(&shop.db).await.unwrap();
    read().cached(TTL).tag("homepage").all(&shop.db).await.unwrap();
    shop.cache.invalidate_tag("homepage");
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
    tokio::time::sleep(Duration::from_millis(1200)).await;
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

struct C(&'static str, &'static [&'static str], &'static str, &'static [&'static str]);
#[tokio::test]
async fn sweep2() {
    const T2: &[&str] = &[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER, s TEXT)",
        "CREATE INDEX tk ON t (k)",
        "CREATE INDEX ts ON t (s)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
        "CREATE INDEX ux ON u (x)",
        "CREATE TABLE v (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, j TEXT)",
        "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c'), (4, NULL, 40, NULL)",
        "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (5, NULL, 5)",
        "INSERT INTO v VALUES (1, 1, 1, '[1]'), (2, 2, 2, '[2]'), (3, 3, 3, '[3]')",
    ];
    let cases = vec![
        C(
            "case-insensitive conflict target partial",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER)",
                "CREATE UNIQUE INDEX i ON t (k) WHERE b > 0",
                "INSERT INTO t VALUES (1, 1, 1), (2, 1, 0)",
            ],
            "sum(b), count(*) FROM t WHERE k = 1",
            &[
                "INSERT INTO t VALUES (3, 1, 5) ON CONFLICT (k) WHERE b > 0 DO UPDATE SET b = 7, k = 2",
            ],
        ),
        C(
            "replace several uniques",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE, b INTEGER UNIQUE)",
                "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)",
            ],
            "* FROM t WHERE id = 2",
            &["INSERT OR REPLACE INTO t VALUES (3, 1, 2) RETURNING *"],
        ),
        C(
            "table unique on conflict",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, UNIQUE (a, b) ON CONFLICT REPLACE)",
                "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)",
            ],
            "* FROM t WHERE id = 2",
            &["INSERT INTO t VALUES (3, 2, 2)"],
        ),
        C(
            "order by window limit",
            T2,
            "id, b FROM t ORDER BY row_number() OVER (ORDER BY b DESC) LIMIT 1",
            &["UPDATE t SET b = 99 WHERE id = 1", "DELETE FROM t WHERE id = 1"],
        ),
        C(
            "limit subquery",
            T2,
            "id FROM t ORDER BY id LIMIT (SELECT max(x) FROM u)",
            &["UPDATE u SET x = 1"],
        ),
        C(
            "offset subquery",
            T2,
            "id FROM t ORDER BY id LIMIT 1 OFFSET (SELECT min(x) FROM u)",
            &["UPDATE u SET x = 2 WHERE id = 1", "DELETE FROM t WHERE id = 1"],
        ),
        C(
            "in values",
            T2,
            "id FROM t WHERE k IN (VALUES (1), ((SELECT x FROM u WHERE id = 2)))",
            &["UPDATE u SET x = 7 WHERE id = 2"],
        ),
        C(
            "having alias",
            T2,
            "k, sum(b) AS n FROM t GROUP BY k HAVING n > 25",
            &["UPDATE t SET b = 26 WHERE id = 4", "UPDATE t SET b = 1 WHERE id = 3"],
        ),
        C(
            "filter agg",
            T2,
            "count(*) FILTER (WHERE b > 15) FROM t",
            &["UPDATE t SET b = 1 WHERE id = 2"],
        ),
        C(
            "join on subquery",
            T2,
            "t.id, u.id FROM t JOIN u ON u.x = (SELECT max(v.y) FROM v WHERE v.x = t.k)",
            &["UPDATE v SET y = 3 WHERE id = 1"],
        ),
        C(
            "left join on subquery slice",
            T2,
            "t.id, u.id FROM t LEFT JOIN u ON u.x = 1 AND t.k = 1",
            &["UPDATE t SET k = 2 WHERE id = 1", "UPDATE u SET x = 1 WHERE id = 3"],
        ),
        C(
            "nested join",
            T2,
            "t.id, u.id, v.id FROM t LEFT JOIN (u JOIN v ON v.x = u.x) ON u.x = t.k",
            &["DELETE FROM v WHERE id = 1", "UPDATE v SET x = 1 WHERE id = 2"],
        ),
        C(
            "nested join where null",
            T2,
            "t.id, u.id FROM t LEFT JOIN (u JOIN v ON v.x = u.x) ON u.x = t.k WHERE v.id IS NULL",
            &["DELETE FROM v WHERE id = 1"],
        ),
        C(
            "antijoin not in list",
            T2,
            "t.id, u.id, u.y FROM t LEFT JOIN u ON u.x = t.k WHERE coalesce(u.y, 9) > 3",
            &["DELETE FROM u WHERE id = 2"],
        ),
        C(
            "antijoin update away",
            T2,
            "t.id, u.id FROM t LEFT JOIN u ON u.x = t.k WHERE u.id IS NULL",
            &["UPDATE u SET x = 50 WHERE id = 1"],
        ),
        C(
            "antijoin slice",
            T2,
            "t.id, u.id FROM t LEFT JOIN u ON u.x = t.k AND u.x = 1 WHERE u.id IS NULL",
            &["DELETE FROM u WHERE id = 1"],
        ),
        C(
            "antijoin pk moved",
            T2,
            "t.id, u.id FROM t LEFT JOIN u ON u.id = t.k WHERE u.id IS NULL",
            &["UPDATE u SET id = 40 WHERE id = 1"],
        ),
        C(
            "antijoin offset limit order",
            T2,
            "t.id, u.id, u.y FROM t LEFT JOIN u ON u.x = t.k ORDER BY u.y, t.id LIMIT 2",
            &["DELETE FROM u WHERE id = 2"],
        ),
        C(
            "using right",
            T2,
            "x, u.id FROM v RIGHT JOIN u USING (x)",
            &["DELETE FROM v WHERE id = 1", "UPDATE v SET x = 2 WHERE id = 3"],
        ),
        C(
            "cascade through replace parent",
            &[
                "CREATE TABLE p (id INTEGER PRIMARY KEY, a INTEGER UNIQUE)",
                "CREATE TABLE c (id INTEGER PRIMARY KEY, pa INTEGER REFERENCES p (a) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)",
                "INSERT INTO p VALUES (1, 1), (2, 2)",
                "INSERT INTO c VALUES (1, 1), (2, 2)",
            ],
            "count(*) FROM c WHERE pa = 1",
            &["UPDATE p SET a = 9 WHERE id = 1"],
        ),
        C(
            "cascade replace",
            &[
                "CREATE TABLE p (id INTEGER PRIMARY KEY, a INTEGER UNIQUE)",
                "CREATE TABLE c (id INTEGER PRIMARY KEY, pa INTEGER REFERENCES p (a) ON DELETE CASCADE)",
                "INSERT INTO p VALUES (1, 1), (2, 2)",
                "INSERT INTO c VALUES (1, 1), (2, 2)",
            ],
            "count(*) FROM c WHERE pa = 1",
            &["REPLACE INTO p VALUES (1, 5)"],
        ),
        C(
            "fk constraint replace parent",
            &[
                "CREATE TABLE p (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a INTEGER)",
                "CREATE TABLE c (id INTEGER PRIMARY KEY, pa INTEGER REFERENCES p ON DELETE CASCADE)",
                "INSERT INTO p VALUES (1, 1), (2, 2)",
                "INSERT INTO c VALUES (1, 1), (2, 2)",
            ],
            "* FROM c WHERE id = 1",
            &["INSERT INTO p VALUES (1, 5)"],
        ),
        C(
            "generated rowid",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER, g INTEGER AS (b + 1) UNIQUE)",
                "CREATE TABLE c (id INTEGER PRIMARY KEY, pg INTEGER REFERENCES t (g) ON UPDATE CASCADE)",
                "INSERT INTO t VALUES (1, 1), (2, 5)",
                "INSERT INTO c VALUES (1, 2)",
            ],
            "count(*) FROM c WHERE pg = 2",
            &["UPDATE t SET b = 8 WHERE id = 1"],
        ),
        C(
            "trigger replace into",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN REPLACE INTO u VALUES (NEW.k, NEW.id); END",
                "INSERT INTO u VALUES (2, 2)",
            ],
            "* FROM u WHERE id = 2",
            &["INSERT INTO t VALUES (9, 2)"],
        ),
        C(
            "trigger nested",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TABLE w (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE u SET x = NEW.k WHERE id = 2; END",
                "CREATE TRIGGER h AFTER UPDATE OF x ON u WHEN CASE WHEN NEW.x > 1 THEN 1 ELSE 0 END BEGIN INSERT INTO w (id, x) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET x = x + 1; END",
                "INSERT INTO u VALUES (2, 2)",
                "INSERT INTO w VALUES (1, 1)",
            ],
            "* FROM w WHERE id = 1",
            &["INSERT INTO t VALUES (9, 2)"],
        ),
        C(
            "trigger table new",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE new (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE new SET x = 5 WHERE id = new.k; END",
                "INSERT INTO new VALUES (2, 2)",
            ],
            "* FROM new WHERE id = 2",
            &["INSERT INTO t VALUES (9, 2)"],
        ),
        C(
            "text pk blob",
            &[
                "CREATE TABLE t (id TEXT PRIMARY KEY, x INTEGER)",
                "INSERT INTO t VALUES ('a', 2), (x'61', 3)",
            ],
            "* FROM t WHERE id = 'a'",
            &["UPDATE t SET x = 9 WHERE id = 'a'", "UPDATE t SET id = 'b' WHERE x = 9"],
        ),
        C(
            "in multi",
            T2,
            "count(*) FROM t WHERE k IN (1, 2) AND s = 'a'",
            &[
                "UPDATE t SET s = 'a' WHERE k IN (2, 3) AND id IN (3, 4)",
                "UPDATE t SET k = 5 WHERE id IN (1, 2)",
            ],
        ),
        C(
            "upsert set pk",
            T2,
            "* FROM t WHERE id = 1",
            &["INSERT INTO t VALUES (1, 2, 3, 'x') ON CONFLICT (id) DO UPDATE SET id = 50"],
        ),
        C(
            "with update",
            T2,
            "sum(b) FROM t WHERE k = 2",
            &["WITH z AS (SELECT 3 AS i) UPDATE t SET b = 0 WHERE id IN (SELECT i FROM z)"],
        ),
        C(
            "with update shadow",
            T2,
            "sum(b) FROM t WHERE k = 2",
            &["WITH t AS (SELECT 3 AS id) UPDATE t SET b = 0 WHERE id IN (SELECT id FROM t)"],
        ),
        C(
            "update from alias",
            T2,
            "sum(b) FROM t WHERE k = 1",
            &["UPDATE t AS z SET b = 0 FROM u AS t WHERE t.x = 3 AND z.k = 1"],
        ),
        C("is literal", T2, "count(*) FROM t WHERE k IS 1", &["UPDATE t SET k = 1 WHERE id = 3"]),
        C(
            "is not null sum",
            T2,
            "count(*) FROM t WHERE k IS NOT NULL",
            &["UPDATE t SET k = 1 WHERE id = 4"],
        ),
        C(
            "not in sub",
            T2,
            "id FROM t WHERE k NOT IN (SELECT x FROM u WHERE x IS NOT NULL)",
            &["DELETE FROM u WHERE id = 1"],
        ),
        C("single quoted ident", T2, "'k' FROM t WHERE 'k' = 1", &["UPDATE t SET k = 3"]),
        C("sq qualified ident", T2, "count(*) FROM 't' WHERE 't'.'b' = 1", &["UPDATE t SET b = 1"]),
        C(
            "double-quoted string eq",
            T2,
            "count(*) FROM t WHERE s = \"zz\"",
            &["UPDATE t SET s = 'zz' WHERE id = 1"],
        ),
        C(
            "group alias",
            T2,
            "b / 15 AS g, count(*) FROM t GROUP BY g",
            &["UPDATE t SET b = 31 WHERE id = 1"],
        ),
        C(
            "rowid alias col",
            &[
                "CREATE TABLE t (rowid INTEGER, id INTEGER PRIMARY KEY, k INTEGER)",
                "INSERT INTO t VALUES (5, 1, 1)",
            ],
            "* FROM t WHERE rowid = 5",
            &["UPDATE t SET rowid = 6 WHERE id = 1"],
        ),
        C(
            "cte free shift",
            T2,
            "c9, c10 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT 1 AS c10, z.c9 FROM z WHERE c10 = 70)",
            &["UPDATE u SET x = 70 WHERE id = 1"],
        ),
        C(
            "cte free shift 2",
            T2,
            "1 AS c10 FROM (SELECT * FROM json_each('[1]') JOIN u) WHERE y = 70",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "cte free shift 3",
            T2,
            "1 AS c10 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT c10 FROM z) AS q WHERE c10 = 70",
            &["UPDATE u SET x = 70 WHERE id = 1"],
        ),
        C(
            "correlated cte",
            T2,
            "* FROM u WHERE (WITH z AS (SELECT u.y + 1 AS n) SELECT n FROM z) = 8",
            &["UPDATE u SET y = 7 WHERE id = 2"],
        ),
        C(
            "derived outer ref",
            T2,
            "id FROM u WHERE (SELECT q.n FROM (SELECT v.y + u.y AS n FROM v WHERE v.id = u.id) q) = 9",
            &["UPDATE u SET y = 8 WHERE id = 1"],
        ),
        C(
            "alias in where of outer",
            T2,
            "id, b + 1 AS z FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.y = z)",
            &["UPDATE t SET b = 0 WHERE id = 3"],
        ),
        C(
            "alias vs outer col",
            T2,
            "id FROM t WHERE (SELECT s FROM (SELECT y AS s FROM u WHERE id = 2)) = 2",
            &["UPDATE u SET y = 3 WHERE id = 2"],
        ),
        C(
            "collate where",
            T2,
            "count(*) FROM t WHERE s = 'A' COLLATE NOCASE",
            &["UPDATE t SET s = 'A' WHERE id = 2", "INSERT INTO t VALUES (9, 1, 1, 'a')"],
        ),
        C(
            "collate where 2",
            T2,
            "count(*) FROM t WHERE 'A' COLLATE NOCASE = s",
            &["INSERT INTO t VALUES (9, 1, 1, 'a')"],
        ),
        C(
            "collate in",
            T2,
            "count(*) FROM t WHERE s COLLATE NOCASE IN ('A')",
            &["INSERT INTO t VALUES (9, 1, 1, 'a')"],
        ),
        C(
            "cast where",
            T2,
            "count(*) FROM t WHERE CAST(k AS TEXT) = '1'",
            &["INSERT INTO t VALUES (9, 1, 1, 'a')"],
        ),
        C(
            "intersect limit",
            T2,
            "* FROM (SELECT k FROM t INTERSECT SELECT x FROM u)",
            &["UPDATE u SET x = 100 WHERE id = 1", "DELETE FROM t WHERE id = 3"],
        ),
        C(
            "set in from by rows",
            T2,
            "id, k FROM t UNION SELECT id, x FROM u",
            &["DELETE FROM u WHERE id = 3", "UPDATE t SET k = 9 WHERE id = 1"],
        ),
        C(
            "self join using",
            T2,
            "a.id, c.id FROM t AS a JOIN t AS c USING (k)",
            &["UPDATE t SET k = 1 WHERE id = 3"],
        ),
        C(
            "index by expr",
            T2,
            "count(*) FROM t INDEXED BY tk WHERE k = 1",
            &["INSERT INTO t VALUES (9, 1, 1, 'a')"],
        ),
        C(
            "view over view alias",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER)",
                "CREATE VIEW a (x, y) AS SELECT id, b FROM t",
                "CREATE VIEW c (y, x) AS SELECT x, y FROM a",
                "INSERT INTO t VALUES (1, 1)",
            ],
            "y FROM c WHERE x = 5",
            &["UPDATE t SET b = 5 WHERE id = 1"],
        ),
        C(
            "exists aggregate",
            T2,
            "id FROM t WHERE EXISTS (SELECT sum(y) AS n FROM u GROUP BY x HAVING n > 8)",
            &["UPDATE u SET y = 9 WHERE id = 1"],
        ),
        C(
            "insert select self",
            T2,
            "count(*) FROM t WHERE k = 1",
            &["INSERT INTO t SELECT id + 10, k, b, s FROM t"],
        ),
        C(
            "min max scalar",
            T2,
            "id, max(b, 15) FROM t WHERE k = 1",
            &["UPDATE t SET b = 99 WHERE id = 1"],
        ),
        C(
            "drop column",
            T2,
            "* FROM u WHERE id = 1",
            &[
                "ALTER TABLE u DROP COLUMN y",
                "ALTER TABLE u RENAME COLUMN x TO q",
                "UPDATE u SET q = 7",
            ],
        ),
        C(
            "order null limit",
            T2,
            "id, s FROM t ORDER BY s IS NULL DESC, id LIMIT 1",
            &["UPDATE t SET s = NULL WHERE id = 1"],
        ),
        C(
            "order by alias collate",
            T2,
            "id, s AS z FROM t ORDER BY z COLLATE NOCASE DESC LIMIT 1",
            &["UPDATE t SET s = 'ZZ' WHERE id = 1"],
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
