mod referee;
mod support;
use referee::Stale;
use referee::operations::{Operation, Via, Write};

struct C(&'static str, &'static [&'static str], &'static str, &'static [&'static str]);

fn cases() -> Vec<C> {
    const TU: &[&str] = &[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER, s TEXT)",
        "CREATE INDEX tk ON t (k)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
        "CREATE TABLE v (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, j TEXT)",
        "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
        "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
        "INSERT INTO v VALUES (1, 1, 1, '[1]'), (2, 2, 2, '[2]'), (3, 3, 3, '[3]')",
    ];
    vec![
        C(
            "antijoin",
            TU,
            "t.id, u.id FROM t LEFT JOIN u ON u.x = t.k WHERE u.id IS NULL",
            &["DELETE FROM u WHERE id = 1"],
        ),
        C(
            "antijoin limit",
            TU,
            "t.id, u.id FROM t LEFT JOIN u ON u.x = t.k ORDER BY u.id, t.id LIMIT 1",
            &["DELETE FROM u WHERE id = 2"],
        ),
        C(
            "outer aggregate",
            TU,
            "t.id, (SELECT max(t.b)), (SELECT sum(t.b)) FROM t",
            &["DELETE FROM t WHERE id = 1"],
        ),
        C(
            "outer aggregate2",
            TU,
            "t.id, (SELECT max(t.b) || '' || sum(t.b) FROM u WHERE u.id = 1) FROM t",
            &["DELETE FROM t WHERE id = 1"],
        ),
        C(
            "unnamed output corr",
            TU,
            "* FROM u WHERE EXISTS (SELECT 1 FROM (SELECT (y) FROM v) AS q WHERE y = 7)",
            &["UPDATE v SET y = 7 WHERE id = 1"],
        ),
        C(
            "unnamed output alias",
            TU,
            "1 AS y FROM (SELECT (y) FROM v) AS q WHERE y = 7",
            &["UPDATE v SET y = 7 WHERE id = 1"],
        ),
        C(
            "collate output alias",
            TU,
            "1 AS y FROM (SELECT y COLLATE NOCASE FROM v) AS q WHERE y = 7",
            &["UPDATE v SET y = 7 WHERE id = 1"],
        ),
        C(
            "unnamed using",
            TU,
            "u.id FROM u JOIN (SELECT (y) FROM v) AS q USING (y)",
            &["UPDATE v SET y = 77 WHERE id = 1"],
        ),
        C(
            "unnamed natural",
            TU,
            "u.id FROM u NATURAL JOIN (SELECT (y) FROM v) AS q",
            &["UPDATE v SET y = 77 WHERE id = 1"],
        ),
        C(
            "order by 2 collate",
            TU,
            "id, s FROM t ORDER BY 2 COLLATE NOCASE LIMIT 1",
            &["UPDATE t SET s = 'A0' WHERE id = 3", "UPDATE t SET s = '0' WHERE id = 3"],
        ),
        C(
            "order by (2)",
            TU,
            "id, b FROM t ORDER BY (2) LIMIT 1",
            &["UPDATE t SET b = 0 WHERE id = 3"],
        ),
        C(
            "order by +2",
            TU,
            "id, b FROM t ORDER BY +2 LIMIT 1",
            &["UPDATE t SET b = 0 WHERE id = 3"],
        ),
        C(
            "group by (1)",
            TU,
            "count(*) FROM (SELECT s FROM t GROUP BY (1))",
            &["UPDATE t SET s = 'a' WHERE id = 3"],
        ),
        C(
            "group by 1 collate",
            TU,
            "count(*) FROM (SELECT s FROM t GROUP BY 1 COLLATE NOCASE)",
            &["UPDATE t SET s = 'a' WHERE id = 3"],
        ),
        C(
            "free hides outer",
            TU,
            "* FROM u WHERE EXISTS (SELECT 1 FROM json_each('[7,8]') WHERE value = y)",
            &["UPDATE u SET y = 7 WHERE id = 2"],
        ),
        C(
            "free recursive hides outer",
            TU,
            "* FROM u WHERE EXISTS (WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < y) SELECT 1 FROM r WHERE n = 7)",
            &["UPDATE u SET y = 7 WHERE id = 2"],
        ),
        C(
            "dup alias wildcard",
            TU,
            "q.* FROM t AS q, u AS q WHERE q.b = 10",
            &["UPDATE u SET y = 7 WHERE id = 2"],
        ),
        C(
            "column named true",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, \"true\" INTEGER)",
                "CREATE INDEX i ON t (k)",
                "INSERT INTO t VALUES (1, 5, 6), (2, 1, 1)",
            ],
            "count(*) FROM t WHERE k = true",
            &["UPDATE t SET \"true\" = 5 WHERE id = 1"],
        ),
        C(
            "unique on conflict replace",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER UNIQUE ON CONFLICT REPLACE)",
                "INSERT INTO t VALUES (1, 5)",
            ],
            "* FROM t WHERE id = 1",
            &["INSERT INTO t VALUES (2, 5)"],
        ),
        C(
            "unique on conflict replace update",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER UNIQUE ON CONFLICT REPLACE)",
                "INSERT INTO t VALUES (1, 5), (2, 6)",
            ],
            "* FROM t WHERE id = 1",
            &["UPDATE t SET b = 5 WHERE id = 2"],
        ),
        C(
            "pk on conflict replace",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, b INTEGER)",
                "INSERT INTO t VALUES (1, 5)",
            ],
            "* FROM t WHERE id = 1",
            &["INSERT INTO t VALUES (1, 6)"],
        ),
        C(
            "not null on conflict replace",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 7)",
                "CREATE INDEX i ON t (k)",
                "INSERT INTO t VALUES (1, 7)",
            ],
            "count(*) FROM t WHERE k = 7",
            &["INSERT INTO t VALUES (2, NULL)"],
        ),
        C(
            "not null on conflict replace update",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 7)",
                "CREATE INDEX i ON t (k)",
                "INSERT INTO t VALUES (1, 7), (2, 3)",
            ],
            "count(*) FROM t WHERE k = 7",
            &["UPDATE t SET k = NULL WHERE id = 2"],
        ),
        C(
            "outer REPLACE overrides trigger",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (NEW.k, NEW.id); END",
                "INSERT INTO u VALUES (2, 2)",
            ],
            "* FROM u WHERE id = 2",
            &["INSERT OR REPLACE INTO t VALUES (9, 2)"],
        ),
        C(
            "outer UPDATE OR REPLACE overrides trigger",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "INSERT INTO t VALUES (9, 1)",
                "CREATE TRIGGER g AFTER UPDATE ON t BEGIN INSERT INTO u VALUES (NEW.k, NEW.id); END",
                "INSERT INTO u VALUES (2, 2)",
            ],
            "* FROM u WHERE id = 2",
            &["UPDATE OR REPLACE t SET k = 2 WHERE id = 9"],
        ),
        C(
            "update of 'a'",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "INSERT INTO t VALUES (9, 1, 1)",
                "INSERT INTO u VALUES (2, 2)",
                "CREATE TRIGGER g AFTER UPDATE OF 'a', b ON t BEGIN UPDATE u SET x = x + 1; END",
            ],
            "* FROM u WHERE id = 2",
            &["UPDATE t SET a = 2 WHERE id = 9"],
        ),
        C(
            "pk collate nocase replace",
            &[
                "CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a COLLATE NOCASE))",
                "INSERT INTO t VALUES ('abc', 1)",
            ],
            "* FROM t WHERE a = 'abc'",
            &["REPLACE INTO t VALUES ('ABC', 2)"],
        ),
        C(
            "pk collate nocase upsert",
            &[
                "CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (a COLLATE NOCASE))",
                "INSERT INTO t VALUES ('abc', 1)",
            ],
            "* FROM t WHERE a = 'abc'",
            &["INSERT INTO t VALUES ('ABC', 2) ON CONFLICT (a) DO UPDATE SET b = excluded.b"],
        ),
        C(
            "unique collate nocase upsert",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER)",
                "CREATE UNIQUE INDEX i ON t (a COLLATE NOCASE)",
                "INSERT INTO t VALUES (1, 'abc', 1)",
            ],
            "sum(b) FROM t WHERE a = 'abc'",
            &[
                "INSERT INTO t (a, b) VALUES ('ABC', 2) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
            ],
        ),
        C(
            "hex capture",
            TU,
            "count(*) FROM t WHERE k = 16",
            &["INSERT INTO t VALUES (4, 16, 1, 'x')", "DELETE FROM t WHERE k = 0x10"],
        ),
        C(
            "hex capture by id",
            TU,
            "* FROM t WHERE id = 1",
            &["UPDATE t SET b = 99 WHERE b = 0x0a"],
        ),
        C(
            "fts shadow",
            &["CREATE VIRTUAL TABLE f USING fts5(a)", "INSERT INTO f VALUES ('hello')"],
            "* FROM f_content",
            &["INSERT INTO f VALUES ('world')"],
        ),
        C(
            "dup insert columns",
            TU,
            "count(*) FROM t WHERE k = 2",
            &["INSERT INTO t (id, k, k) VALUES (8, 1, 2)"],
        ),
        C(
            "dup insert columns2",
            TU,
            "count(*) FROM t WHERE k = 1",
            &["INSERT INTO t (id, k, k) VALUES (8, 1, 2)"],
        ),
        C(
            "dup insert columns3",
            TU,
            "* FROM t WHERE id = 8",
            &["INSERT INTO t (id, id, k) VALUES (7, 8, 2)"],
        ),
        C(
            "big opaque ddl",
            TU,
            "* FROM u WHERE id = 1",
            &["@BIG", "@READ", "UPDATE t SET b = 1 WHERE id = 1"],
        ),
        C(
            "comment opaque ddl",
            TU,
            "* FROM u WHERE id = 1",
            &[
                "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = x + 1; END; /* over",
                "UPDATE t SET b = 1 WHERE id = 1",
            ],
        ),
        C("pragma paren", TU, "id FROM t WHERE s LIKE 'A'", &["PRAGMA case_sensitive_like(1)"]),
        C(
            "view paren col",
            &[
                "CREATE TABLE v (id INTEGER PRIMARY KEY, y INTEGER)",
                "CREATE VIEW w AS SELECT (y) FROM v",
                "INSERT INTO v VALUES (1, 1)",
            ],
            "1 AS y FROM w WHERE y = 7",
            &["UPDATE v SET y = 7 WHERE id = 1"],
        ),
        C(
            "view dup col",
            &[
                "CREATE TABLE v (id INTEGER PRIMARY KEY, y INTEGER, z INTEGER)",
                "CREATE VIEW w AS SELECT y AS a, z AS a FROM v",
                "INSERT INTO v VALUES (1, 1, 1)",
            ],
            "1 AS \"a:1\" FROM w WHERE \"a:1\" = 7",
            &["UPDATE v SET z = 7 WHERE id = 1"],
        ),
        C(
            "expr name alias",
            TU,
            "1 AS \"y+1\" FROM (SELECT y+1 FROM v) AS q WHERE \"y+1\" = 8",
            &["UPDATE v SET y = 7 WHERE id = 1"],
        ),
        C(
            "strict any",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, k ANY) STRICT",
                "CREATE INDEX i ON t (k)",
                "INSERT INTO t VALUES (1, '5'), (2, 5)",
            ],
            "* FROM t WHERE k = 5",
            &["INSERT INTO t VALUES (3, 5.0)", "UPDATE t SET k = 5 WHERE id = 1"],
        ),
        C(
            "self fk composite",
            &[
                "CREATE TABLE p (a INTEGER, b INTEGER, c INTEGER, PRIMARY KEY (a, b), UNIQUE (c))",
                "CREATE TABLE ch (id INTEGER PRIMARY KEY, pa INTEGER, pb INTEGER, FOREIGN KEY (pa, pb) REFERENCES p ON UPDATE CASCADE ON DELETE SET NULL)",
                "INSERT INTO p VALUES (1, 1, 1), (1, 2, 2)",
                "INSERT INTO ch VALUES (1, 1, 1), (2, 1, 2)",
            ],
            "count(*) FROM ch WHERE pb = 9",
            &["UPDATE p SET b = 9 WHERE c = 1", "DELETE FROM p WHERE c = 1"],
        ),
        C(
            "fk case",
            &[
                "CREATE TABLE p (a TEXT PRIMARY KEY COLLATE NOCASE)",
                "CREATE TABLE ch (id INTEGER PRIMARY KEY, pa TEXT REFERENCES p (a) ON DELETE CASCADE)",
                "INSERT INTO p VALUES ('x')",
                "INSERT INTO ch VALUES (1, 'X')",
            ],
            "count(*) FROM ch WHERE pa = 'X'",
            &["DELETE FROM p WHERE a = 'x'"],
        ),
        C(
            "fk col collate via parent index",
            &[
                "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT)",
                "CREATE UNIQUE INDEX i ON p (a)",
                "CREATE TABLE ch (id INTEGER PRIMARY KEY, pa TEXT COLLATE NOCASE REFERENCES p (a) ON DELETE CASCADE)",
                "INSERT INTO p VALUES (1, 'x')",
                "INSERT INTO ch VALUES (1, 'x')",
            ],
            "count(*) FROM ch WHERE pa = 'X'",
            &["DELETE FROM p WHERE a = 'x'"],
        ),
        C(
            "update from subquery tuple",
            TU,
            "count(*) FROM t WHERE k = 3",
            &["UPDATE t SET (k, b) = (SELECT 3, 4) WHERE id = 1"],
        ),
        C(
            "row value",
            TU,
            "* FROM t WHERE (k, b) = (1, 10)",
            &["UPDATE t SET b = 10 WHERE id = 2"],
        ),
        C("limit comma", TU, "id FROM t ORDER BY id LIMIT 1, 1", &["DELETE FROM t WHERE id = 1"]),
        C(
            "named window",
            TU,
            "id, sum(b) OVER w FROM t WINDOW w AS (PARTITION BY k ORDER BY id)",
            &["UPDATE t SET k = 1 WHERE id = 3"],
        ),
        C(
            "named window 2",
            TU,
            "id, sum(b) OVER (w ORDER BY id) FROM t WINDOW w AS (PARTITION BY k)",
            &["DELETE FROM t WHERE id = 1"],
        ),
        C(
            "cte shadows",
            TU,
            "* FROM (WITH u AS (SELECT id, b FROM t) SELECT * FROM u)",
            &["UPDATE t SET b = 3 WHERE id = 1"],
        ),
        C(
            "cte nested",
            TU,
            "* FROM (WITH a AS (SELECT k FROM t), b AS (WITH a AS (SELECT x AS k FROM u) SELECT k FROM a) SELECT a.k, b.k FROM a JOIN b ON a.k = b.k)",
            &["UPDATE u SET x = 1 WHERE id = 3", "UPDATE t SET k = 3 WHERE id = 1"],
        ),
        C(
            "order by in derived alias",
            TU,
            "count(*), sum(b) FROM (SELECT b, s AS z FROM t ORDER BY z LIMIT 1)",
            &["UPDATE t SET s = '0' WHERE id = 3"],
        ),
        C(
            "min bare",
            TU,
            "min(b), s FROM t",
            &["UPDATE t SET s = 'zz' WHERE id = 1", "UPDATE t SET b = 1 WHERE id = 3"],
        ),
        C(
            "distinct order",
            TU,
            "DISTINCT k FROM t ORDER BY k",
            &["UPDATE t SET k = 2 WHERE k = 1"],
        ),
        C("nat join", TU, "count(*) FROM u NATURAL JOIN v", &["UPDATE v SET y = 9 WHERE id = 2"]),
        C(
            "right join",
            TU,
            "t.id, u.id FROM t RIGHT JOIN u ON u.x = t.k WHERE t.id IS NULL",
            &["DELETE FROM t WHERE id = 3"],
        ),
        C(
            "full join",
            TU,
            "t.id, u.id FROM t FULL JOIN u ON u.x = t.k WHERE t.id IS NULL",
            &["DELETE FROM t WHERE id = 3"],
        ),
        C(
            "left join derived",
            TU,
            "t.id, q.id FROM t LEFT JOIN (SELECT id, x FROM u) q ON q.x = t.k WHERE q.id IS NULL",
            &["DELETE FROM u WHERE id = 1"],
        ),
        C(
            "order by alias subquery",
            TU,
            "id, (SELECT y FROM u WHERE u.x = t.k) AS z FROM t ORDER BY z DESC, id LIMIT 1",
            &["UPDATE u SET y = 99 WHERE id = 1"],
        ),
        C(
            "values",
            TU,
            "* FROM (VALUES ((SELECT b FROM t WHERE id = 1)))",
            &["UPDATE t SET b = 5 WHERE id = 1"],
        ),
        C(
            "compound order",
            TU,
            "* FROM (SELECT k AS a FROM t UNION ALL SELECT y FROM u ORDER BY y LIMIT 1)",
            &["UPDATE u SET y = 0 WHERE id = 3"],
        ),
        C(
            "instead of",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, b INTEGER)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER)",
                "CREATE VIEW w AS SELECT id, b FROM t",
                "CREATE TRIGGER g INSTEAD OF UPDATE OF b ON w BEGIN UPDATE u SET x = NEW.b; END",
                "INSERT INTO t VALUES (1, 1)",
                "INSERT INTO u VALUES (1, 1)",
            ],
            "* FROM u WHERE id = 1",
            &["UPDATE w SET b = 3 WHERE id = 1"],
        ),
        C(
            "wide returning",
            TU,
            "count(*) FROM t WHERE k = 1",
            &[
                "UPDATE t SET k = 5 WHERE id = 1 RETURNING b AS k, id",
                "INSERT INTO t VALUES (9, 1, 1, 'x') RETURNING b AS k",
                "DELETE FROM t WHERE id = 2 RETURNING id AS k, k AS id",
            ],
        ),
        C(
            "upsert where",
            TU,
            "count(*), sum(b) FROM t WHERE k = 1",
            &[
                "INSERT INTO t VALUES (1, 7, 7, 'x') ON CONFLICT (id) DO UPDATE SET k = 8 WHERE k = 1",
                "INSERT INTO t VALUES (2, 7, 7, 'x') ON CONFLICT DO UPDATE SET b = 0",
            ],
        ),
        C(
            "text affinity",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)",
                "CREATE INDEX i ON t (s)",
                "INSERT INTO t VALUES (1, '5')",
            ],
            "count(*) FROM t WHERE s = '5'",
            &["INSERT INTO t VALUES (2, 5)", "UPDATE t SET s = 6 WHERE s = 5"],
        ),
        C(
            "numeric",
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC)",
                "CREATE INDEX i ON t (n)",
                "INSERT INTO t VALUES (1, 5.0)",
            ],
            "count(*) FROM t WHERE n = 5",
            &[
                "INSERT INTO t VALUES (2, '5')",
                "INSERT INTO t VALUES (3, 5.0)",
                "DELETE FROM t WHERE n = '5.0'",
            ],
        ),
    ]
}

#[tokio::test]
async fn sweep() {
    let only = std::env::var("CASE").ok();
    let mut bad = 0;
    for C(name, schema, query, operations) in cases() {
        if only.as_deref().is_some_and(|o| o != name) {
            continue;
        }
        for via in [Via::Execute, Via::QueryAll, Via::Text] {
            let ops: Vec<_> = operations.iter().map(|sql| {
                let sql = if *sql == "@BIG" {
                    format!("{}CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = x + 1; END", "SELECT 1;".repeat(4100))
                } else if *sql == "@READ" { "SELECT 1".into() } else { (*sql).to_string() };
                let via = if sql.len() > 1000 { Via::Text } else { via };
                Operation::Single(Write::new(&sql, via))
            }).collect();
            let case = Stale::case(schema, query, ops);
            let probe = case.probe().await;
            println!("{:40} {via:?}: {probe}", name);
            if probe.contains("STALE") {
                bad += 1;
            }
        }
    }
    assert_eq!(bad, 0);
}
