//! Stale answers that the referee or a reviewer once found, as small as they got.

mod referee;
mod support;

use referee::Stale;
use referee::operations::{Operation, Via, Write};

fn via(via: Via) -> impl Fn(&str) -> Operation {
    move |sql| Operation::Single(Write::new(sql, via))
}

/// SQLite lets a primary key be NULL: a row found by such a key is not the only one.
#[tokio::test]
async fn a_primary_key_of_null_is_not_unique_to_a_reader() {
    let schema = [
        "CREATE TABLE t (id INT PRIMARY KEY, b INTEGER)",
        "INSERT INTO t VALUES (1, 1), (NULL, 2)",
    ];
    let insert = ["INSERT INTO t VALUES (NULL, 3)"].map(via(Via::Execute));
    Stale::case(&schema, "* FROM t WHERE id IS NULL", insert.into()).must_not_happen().await;
}

/// Rows that are captured before an UPDATE and returned after it are paired by primary key.
#[tokio::test]
async fn a_primary_key_of_null_is_not_unique_to_a_writer() {
    let schema = [
        "CREATE TABLE t (id INT PRIMARY KEY, k INTEGER, s TEXT)",
        "CREATE INDEX i ON t (k)",
        "CREATE INDEX j ON t (s)",
        "INSERT INTO t VALUES (NULL, 1, 'x'), (NULL, NULL, NULL)",
    ];
    let update = ["UPDATE t SET s = 'y' RETURNING *"].map(via(Via::QueryAll));
    let query = "DISTINCT s FROM t WHERE k IS NULL";
    Stale::case(&schema, query, update.into()).must_not_happen().await;
}
