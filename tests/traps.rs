//! One case for each trap that a server's types, keys and cascades hold: the same value in two
//! spellings, a key that is not stored as it was given, a change far from its cause.

mod referee;
mod support;

use referee::Stale;
use referee::operations::{Operation, Via, Write};
use support::servers::Backend;

/// This query is cached; each of these writes must end it or leave it right.
async fn holds(backend: Backend, schema: &[&str], query: &str, writes: &[&str]) {
    if !backend.is_reachable() {
        return;
    }
    for via in [Via::Execute, Via::Text] {
        let operations = writes.iter().map(|sql| Operation::Single(Write::new(sql, via))).collect();
        Stale::case(schema, query, operations).on(backend).must_not_happen().await;
    }
}

#[tokio::test]
async fn one_moment_in_two_time_zones_is_one_key() {
    holds(
        Backend::Postgres,
        &[
            "CREATE TABLE e (at TIMESTAMPTZ PRIMARY KEY, n INTEGER)",
            "INSERT INTO e VALUES ('2026-01-01 00:00:00+00', 1)",
        ],
        "n FROM e WHERE at = '2026-01-01 00:00:00+00'",
        &[
            "UPDATE e SET n = 2 WHERE at = '2026-01-01 01:00:00+01'",
            "DELETE FROM e WHERE at = '2025-12-31 23:00:00-01'",
        ],
    )
    .await;
    holds(
        Backend::MySql,
        &[
            "CREATE TABLE e (at DATETIME PRIMARY KEY, n INTEGER)",
            "INSERT INTO e VALUES ('2026-01-01 00:00:00', 1)",
        ],
        "n FROM e WHERE at = '2026-01-01'",
        &[
            "UPDATE e SET n = 2 WHERE at = 20260101000000",
            "DELETE FROM e WHERE at = '2026-01-01 00:00'",
        ],
    )
    .await;
}

#[tokio::test]
async fn one_number_in_two_spellings_is_one_key() {
    for backend in [Backend::Postgres, Backend::MySql] {
        holds(
            backend,
            &[
                "CREATE TABLE e (k DECIMAL(9, 2) PRIMARY KEY, n INTEGER)",
                "INSERT INTO e VALUES (1, 1)",
            ],
            "n FROM e WHERE k = 1",
            &["UPDATE e SET n = 2 WHERE k = 1.00", "DELETE FROM e WHERE k = '1.0'"],
        )
        .await;
        holds(
            backend,
            &["CREATE TABLE e (k INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO e VALUES (1, 1)"],
            "n FROM e WHERE k = 1",
            &[
                "UPDATE e SET n = 2 WHERE k = '1'",
                "UPDATE e SET n = 3 WHERE k = 1.0",
                "DELETE FROM e WHERE k = '1'",
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn text_that_is_equal_under_its_type_is_one_key() {
    holds(
        Backend::Postgres,
        &[
            "CREATE EXTENSION citext",
            "CREATE TABLE e (k CITEXT PRIMARY KEY, n INTEGER)",
            "INSERT INTO e VALUES ('key', 1)",
        ],
        "n FROM e WHERE k = 'KEY'",
        &[
            "UPDATE e SET n = 2 WHERE k = 'Key'",
            "DELETE FROM e WHERE k = 'kEY'",
            "INSERT INTO e VALUES ('Key', 3)",
        ],
    )
    .await;
    for kind in ["CHAR(5)", "VARCHAR(5)"] {
        holds(
            Backend::Postgres,
            &[&format!("CREATE TABLE e (k {kind} PRIMARY KEY, n INTEGER)")],
            "n FROM e WHERE k = 'a    '",
            &["INSERT INTO e VALUES ('a      ', 1)", "UPDATE e SET n = 2 WHERE k = 'a    '"],
        )
        .await;
    }
    for kind in [
        "CHAR(5)",
        "VARCHAR(5)",
        "VARCHAR(5) COLLATE utf8mb4_bin",
        "VARCHAR(5) COLLATE utf8mb4_nopad_bin",
        "BINARY(3)",
    ] {
        holds(
            Backend::MySql,
            &[&format!("CREATE TABLE e (k {kind} PRIMARY KEY, n INTEGER)")],
            "n FROM e WHERE k = 'a'",
            &[
                "INSERT INTO e VALUES ('a', 1)",
                "UPDATE e SET n = 2 WHERE k = 'A '",
                "DELETE FROM e WHERE k = 'a  '",
                "INSERT INTO e VALUES ('A', 3)",
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn an_enum_is_one_key_by_name_or_number() {
    holds(
        Backend::MySql,
        &[
            "CREATE TABLE e (k ENUM('x', 'y') PRIMARY KEY, n INTEGER)",
            "INSERT INTO e VALUES ('x', 1)",
        ],
        "n FROM e WHERE k = 'x'",
        &[
            "UPDATE e SET n = 2 WHERE k = 1",
            "UPDATE e SET k = 2 WHERE k = 'X'",
            "INSERT INTO e VALUES (1, 5)",
        ],
    )
    .await;
    holds(
        Backend::Postgres,
        &[
            "CREATE TYPE mood AS ENUM ('x', 'y')",
            "CREATE TABLE e (k mood PRIMARY KEY, n INTEGER)",
            "INSERT INTO e VALUES ('x', 1)",
        ],
        "n FROM e WHERE k = 'x'",
        &["UPDATE e SET n = 2 WHERE k = 'x'::mood", "UPDATE e SET k = 'y' WHERE k::text = 'x'"],
    )
    .await;
}

#[tokio::test]
async fn the_next_number_is_a_key_that_no_statement_names() {
    holds(
        Backend::MySql,
        &["CREATE TABLE e (k INTEGER AUTO_INCREMENT PRIMARY KEY, n INTEGER)"],
        "n FROM e WHERE k IN (1, 2, 3, 4)",
        &[
            "INSERT INTO e VALUES (0, 1)",
            "INSERT INTO e VALUES (NULL, 1)",
            "INSERT INTO e (n) VALUES (1)",
            "INSERT INTO e SET n = 1",
        ],
    )
    .await;
    holds(
        Backend::Postgres,
        &["CREATE TABLE e (k INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n INTEGER)"],
        "n FROM e WHERE k IN (1, 2, 3)",
        &[
            "INSERT INTO e VALUES (DEFAULT, 1)",
            "INSERT INTO e (n) VALUES (1)",
            "INSERT INTO e OVERRIDING SYSTEM VALUE VALUES (3, 1)",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_stored_as_another_key() {
    holds(
        Backend::MySql,
        &["CREATE TABLE e (k TINYINT PRIMARY KEY, n INTEGER)"],
        "n FROM e WHERE k = 127",
        &[
            "INSERT IGNORE INTO e VALUES (300, 1)",
            "UPDATE IGNORE e SET k = 12",
            "UPDATE IGNORE e SET k = 500",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_cascade_of_depth_three_with_set_null_in_the_middle_reaches_its_end() {
    for backend in [Backend::Postgres, Backend::MySql] {
        let schema = [
            "CREATE TABLE a (id INTEGER PRIMARY KEY)",
            "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER, \
             FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE c (id INTEGER PRIMARY KEY, b_id INTEGER UNIQUE, \
             FOREIGN KEY (b_id) REFERENCES b (id) ON DELETE SET NULL ON UPDATE CASCADE)",
            "CREATE TABLE d (id INTEGER PRIMARY KEY, b_id INTEGER, \
             FOREIGN KEY (b_id) REFERENCES c (b_id) ON UPDATE CASCADE)",
            "INSERT INTO a VALUES (1), (2)",
            "INSERT INTO b VALUES (10, 1), (20, 2)",
            "INSERT INTO c VALUES (100, 10), (200, 20)",
            "INSERT INTO d VALUES (1000, 10), (2000, 20)",
        ];
        for query in [
            "* FROM d WHERE b_id = 10",
            "* FROM d WHERE id = 1000",
            "count(*) FROM d WHERE b_id IS NULL",
        ] {
            holds(
                backend,
                &schema,
                query,
                &["UPDATE b SET id = 30 WHERE id = 20", "DELETE FROM a WHERE id = 1"],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_time_that_is_set_by_itself_counts_like_any_other_column() {
    holds(
        Backend::MySql,
        &["CREATE TABLE e (k INTEGER PRIMARY KEY, n INTEGER, v INTEGER NOT NULL DEFAULT 1, \
           at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (at))",
          "INSERT INTO e (k, n, at) VALUES (1, 1, '2020-01-01'), (2, 1, '2020-01-02')"],
        "k FROM e WHERE at < '2021-01-01' ORDER BY at",
        &["UPDATE e SET n = 2 WHERE k = 1", "UPDATE e SET v = 3 WHERE k = 2"],
    )
    .await;
}
