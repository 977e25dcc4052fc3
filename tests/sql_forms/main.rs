//! SQL of every shape that a reviewer could think of, each with writes that change its answer: a
//! cached answer stays equal to the database's.

mod names;
#[path = "../referee/mod.rs"]
mod referee;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod triggers;

use referee::Stale;
use referee::operations::{Operation, Via, Write};

/// A name, the schema, the query after its SELECT, and the writes. `@BIG` is a text that is too
/// long to analyse and creates a trigger, `@READ` a read.
pub struct C(&'static str, &'static [&'static str], &'static str, &'static [&'static str]);

const TU: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER, s TEXT)",
    "CREATE INDEX tk ON t (k)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
    "CREATE TABLE v (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, j TEXT)",
    "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
    "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
    "INSERT INTO v VALUES (1, 1, 1, '[1]'), (2, 2, 2, '[2]'), (3, 3, 3, '[3]')",
];

const TU3: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, b INTEGER UNIQUE, s TEXT)",
    "CREATE INDEX tk ON t (k)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)",
    "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 1, 20, 'b'), (3, 2, 30, 'c')",
    "INSERT INTO u VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
];

/// `TU` with NULLs and more keys.
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

fn write(sql: &str, via: Via) -> Operation {
    match sql {
        "@BIG" => {
            let trigger = "CREATE TRIGGER g AFTER UPDATE ON t BEGIN UPDATE u SET x = x + 1; END";
            let text = format!("{}{trigger}", "SELECT 1;".repeat(4100));
            Operation::Single(Write::new(&text, Via::Text))
        }
        "@READ" => Operation::Single(Write::new("SELECT 1", via)),
        sql => Operation::Single(Write::new(sql, via)),
    }
}

#[tokio::test]
async fn no_form_of_sql_leaves_an_answer_stale() {
    let mut stale = Vec::new();
    for C(name, schema, query, writes) in
        names::cases().into_iter().chain(shapes::cases()).chain(triggers::cases())
    {
        for via in [Via::Execute, Via::QueryAll, Via::Text] {
            let operations = writes.iter().map(|sql| write(sql, via)).collect();
            let outcome = Stale::case(schema, query, operations).probe().await;
            if outcome.contains("STALE") {
                stale.push(format!("{name} ({via:?}): {outcome}"));
            }
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
