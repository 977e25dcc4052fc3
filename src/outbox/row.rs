//! What is read from the outbox.

use sea_orm::{DbBackend, DbErr, QueryResult, Statement};

/// One note, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) table: String,
    pub(super) operation: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) changed: Option<String>,
    pub(super) created_ms: i64,
}

/// Whatever the session's time zone: where its clocks go back, an hour comes twice.
pub(super) const MYSQL_NOW_MS: &str =
    "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";

pub(super) const SQLITE_NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

/// The database's clock, in milliseconds, as of a moment before the statement sees anything.
pub(super) fn now_ms(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
        DbBackend::MySql => MYSQL_NOW_MS,
        _ => SQLITE_NOW_MS,
    }
}

/// At most so many of the notes that are visible now. Bumps that somebody owes and that are younger
/// than `since_ms` are left to him, and to `own` those of a name and a moment. One of after
/// `until_ms` was noted before the clock was set back: how old it is can't be told.
pub(super) fn select(
    outbox: &str,
    backend: DbBackend,
    limit: usize,
    (since_ms, until_ms): (i64, i64),
    (own, own_ms): (&str, i64),
) -> Statement {
    let text = match backend {
        DbBackend::MySql => "CHAR",
        _ => "TEXT",
    };
    let sql = format!(
        "SELECT CAST(id AS {text}) AS id, table_name AS tbl, operation AS op, row_before AS bef, \
         row_after AS aft, changed AS chg, created_ms AS ms FROM {outbox} \
         WHERE operation <> 'B' OR ((created_ms <= {since_ms} OR created_ms > {until_ms}) \
         AND (table_name <> '{own}' OR created_ms <= {own_ms})) LIMIT {limit}"
    );
    Statement::from_string(backend, sql)
}

impl Note {
    pub(super) fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get_by("id")?,
            table: row.try_get_by("tbl")?,
            operation: row.try_get_by("op")?,
            before: row.try_get_by("bef")?,
            after: row.try_get_by("aft")?,
            changed: row.try_get_by("chg")?,
            created_ms: row.try_get_by("ms")?,
        })
    }
}
