//! Triggers, aliases and conflict targets.

use crate::{C, TU3};

pub fn cases() -> Vec<C> {
    vec![
        C(
            "order null limit",
            TU3,
            "id, s FROM t ORDER BY s IS NULL DESC, id LIMIT 1",
            &["UPDATE t SET s = NULL WHERE id = 1"],
        ),
        C(
            "order by alias collate",
            TU3,
            "id, s AS z FROM t ORDER BY z COLLATE NOCASE DESC LIMIT 1",
            &["UPDATE t SET s = 'ZZ' WHERE id = 1"],
        ),
        C(
            "cte free shift",
            TU3,
            "1 AS c11 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT c11 FROM z) AS q WHERE c11 = 70",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "cte free shift outer",
            TU3,
            "id FROM t WHERE EXISTS (SELECT 1 FROM (WITH z (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, b) AS (SELECT * FROM json_each('[1]') JOIN u) SELECT b FROM z) AS q WHERE b = 70)",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "unresolved then outer via alias",
            TU3,
            "1 AS value FROM u WHERE EXISTS (SELECT 1 FROM json_each('[70]') WHERE value = y)",
            &["UPDATE u SET y = 70 WHERE id = 1"],
        ),
        C(
            "with delete returning",
            TU3,
            "count(*) FROM t WHERE k = 1",
            &["WITH z AS (SELECT 1 AS i) DELETE FROM t WHERE id IN (SELECT i FROM z) RETURNING k"],
        ),
        C(
            "precedence",
            TU3,
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
            TU3,
            "count(*) FROM t WHERE k = 1",
            &["UPDATE t SET k = 5 WHERE k = 1 ORDER BY id LIMIT 1"],
        ),
        C(
            "upsert two targets",
            TU3,
            "sum(b) FROM t WHERE k = 1",
            &[
                "INSERT INTO t VALUES (1, 9, 11, 'z') ON CONFLICT (b) DO NOTHING ON CONFLICT (id) DO UPDATE SET b = 11",
            ],
        ),
        C(
            "delete alias",
            TU3,
            "count(*) FROM t WHERE k = 1",
            &["DELETE FROM t AS z WHERE z.k = 1 AND z.id = 1"],
        ),
        C(
            "insert alias upsert",
            TU3,
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
            TU3,
            "count(*) FROM t JOIN u ON t.k = u.id AND u.id = 1",
            &["UPDATE t SET k = 1 WHERE id = 3", "UPDATE u SET id = 60 WHERE id = 1"],
        ),
        C(
            "outer agg in order by",
            TU3,
            "min(id) FROM t ORDER BY (SELECT sum(t.b))",
            &["DELETE FROM t WHERE id = 3"],
        ),
    ]
}
