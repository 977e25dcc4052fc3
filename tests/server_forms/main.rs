//! Forms of statements that a hostile reviewer wrote against PostgreSQL and MariaDB, and what came of
//! them: in each case some queries are cached, then its writes run one by one, and after each one
//! every cached answer must be the database's.
//!
//! A case in `postgres.txt` or `mysql.txt` is a name (`== name`) and its lines: `S:` the schema, `O:` a
//! pool of one connection, `Q:` a query that is cached (`## i:1, s:x` are its parameters), then the
//! writes: `W:` by `execute`, `R:` by `query_all`, `T:` as text, `P:` past the cache.

#[path = "../referee/dump.rs"]
mod dump;
#[path = "../stage/mod.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryTrait, Select, Statement, Value};
use sea_orm_cache::prelude::*;
use stage::Stage;
use support::TTL;
use support::servers::Backend;

struct Case {
    name: String,
    lines: Vec<(String, String)>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("== ") {
            all.push(Case { name: name.into(), lines: Vec::new() });
            continue;
        }
        let (kind, sql) = line.split_once(": ").unwrap_or((line, ""));
        let case = all.last_mut().expect("a name comes first");
        case.lines.push((kind.trim_end_matches(':').into(), sql.into()));
    }
    all
}

/// A text and its parameters.
fn parameters(line: &str) -> (String, Vec<Value>) {
    let (sql, values) = line.split_once(" ## ").unwrap_or((line, ""));
    let value = |text: &str| {
        let (kind, value) = text.split_once(':').expect("a type and a value");
        match kind {
            "i" => Value::Int(Some(value.parse().expect("a number"))),
            "b" => Value::BigInt(Some(value.parse().expect("a number"))),
            "t" => Value::Bool(Some(value == "true")),
            "f" => Value::Double(Some(value.parse().expect("a number"))),
            "x" => Value::Bytes(Some(value.as_bytes().to_vec())),
            _ => Value::String(Some(value.to_owned())),
        }
    };
    let values = values.split(", ").filter(|value| !value.is_empty()).map(value).collect();
    (sql.replace("\\n", "\n"), values)
}

fn select(line: &str) -> Select<dump::Entity> {
    let (sql, values) = parameters(line);
    let sql = sql.strip_prefix("SELECT ").expect("a SELECT").to_owned();
    let mut select = dump::Entity::find();
    let text = Expr::cust_with_values(sql, values);
    *QueryTrait::query(&mut select) = SelectStatement::new().expr(text).to_owned();
    select
}

fn sorted(rows: Result<Vec<dump::Model>, DbErr>) -> Result<Vec<String>, String> {
    let mut rows: Vec<_> =
        rows.map_err(|error| error.to_string())?.into_iter().map(|row| row.id.0).collect();
    rows.sort();
    Ok(rows)
}

async fn send(db: &impl ConnectionTrait, kind: &str, line: &str) -> Result<(), DbErr> {
    let (sql, values) = parameters(line);
    if kind == "T" {
        return db.execute_unprepared(&sql).await.map(drop);
    }
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    match kind {
        "R" => db.query_all_raw(statement).await.map(drop),
        _ => db.execute_raw(statement).await.map(drop),
    }
}

/// The queries whose cached answer is not the database's.
async fn stale(stage: &Stage, queries: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for query in queries {
        let cached = sorted(select(query).cached(TTL).all(&stage.db).await);
        let fresh = sorted(select(query).all(&stage.plain).await);
        if cached != fresh {
            found.push(format!("{query}\n      cached {cached:?}\n      fresh  {fresh:?}"));
        }
    }
    found
}

/// Returns how many answers came from entries, and what was stale.
async fn run(backend: Backend, case: &Case) -> (u64, Vec<String>) {
    let of = |wanted: &'static str| {
        let lines = case.lines.iter().filter(move |(kind, _)| kind == wanted);
        lines.map(|(_, sql)| sql.as_str())
    };
    let schema: String = of("S").map(|sql| format!("{sql};\n")).collect();
    let mut stage = Stage::new(backend, &schema).await;
    if case.lines.iter().any(|(kind, _)| kind == "O") {
        stage.plain = stage.test.pool(1).await;
        stage.db = stage.cache.connect(stage.plain.clone()).await.expect("a connection");
    }
    let queries: Vec<_> = of("Q").collect();
    let mut found = stale(&stage, &queries).await;
    found.extend(stale(&stage, &queries).await);
    for (kind, sql) in case.lines.iter().filter(|(kind, _)| "WRTP".contains(&**kind)) {
        // An error of the database is an outcome like any.
        let _ = match &**kind {
            "P" => send(&stage.plain, "T", sql).await,
            kind => send(&stage.db, kind, sql).await,
        };
        if kind == "P" {
            continue;
        }
        let after = stale(&stage, &queries).await;
        found.extend(after.into_iter().map(|what| format!("after {kind}: {sql}\n    {what}")));
    }
    (stage.cache.stats().total.hits, found)
}

async fn all(backend: Backend, text: &str) {
    if !backend.is_reachable() {
        return;
    }
    let (mut hits, mut wrong) = (0, Vec::new());
    for case in cases(text) {
        let limit = std::time::Duration::from_secs(25);
        match tokio::time::timeout(limit, run(backend, &case)).await {
            Ok((some, found)) => {
                hits += some;
                let named = found.into_iter().map(|what| format!("{}: {what}", case.name));
                wrong.extend(named);
            }
            Err(_) => wrong.push(format!("{}: hangs", case.name)),
        }
    }
    println!("{backend:?}: {hits} answers from entries");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(hits > 100, "too few entries to mean anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_understands_never_leaves_anything_stale() {
    all(Backend::Postgres, include_str!("postgres.txt")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_mariadb_understands_never_leaves_anything_stale() {
    all(Backend::MySql, include_str!("mysql.txt")).await;
}
