//! MySQL and MariaDB: a trigger for each row. A cascade of InnoDB fires none: the listener follows
//! the foreign keys itself.
//!
//! A session with `@sea_orm_cache_own = 1` is one of ours, which bumps by itself.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::{MAX_BYTES, Noted, Watched, by_event, recorded, settable};
use crate::outbox::row::MYSQL_NOW_MS;
use crate::schema::{Column, KeyClass, Typed};

pub(super) const THERE: &str = "SELECT CAST(trigger_name AS CHAR) AS name, \
    CAST(event_object_table AS CHAR) AS tbl \
    FROM information_schema.triggers WHERE event_object_schema = DATABASE()";

pub(super) const EVENTS: [&str; 3] = ["insert", "update", "delete"];

pub(super) fn create(watched: &Watched<'_>, ending: &str) -> Vec<String> {
    let (old, new, changed) = (image(watched, "OLD"), image(watched, "NEW"), compared(watched));
    let trigger = |(when, noted): (&str, Noted<'_>)| {
        let name = watched.quote(&watched.trigger(&when.to_ascii_lowercase(), ending));
        let (unknown, noted) = (call(watched, &Noted::UNKNOWN), call(watched, &noted));
        // A column that was dropped since is an error when the trigger runs, not before.
        // With UUID() the binary log holds rows instead of the statement, in its mixed format: a
        // replica would give notes other numbers, and stop where it does not find one.
        format!(
            "CREATE TRIGGER {name} AFTER {when} ON {} FOR EACH ROW \
             IF UUID() IS NOT NULL AND (@sea_orm_cache_own IS NULL OR @sea_orm_cache_own <> 1) THEN \
             BEGIN DECLARE EXIT HANDLER FOR 1054 {unknown}; {noted}; END; END IF",
            watched.spelled
        )
    };
    by_event(&old, &new, &changed).map(trigger).into()
}

fn call(watched: &Watched<'_>, note: &Noted<'_>) -> String {
    let Noted { operation, before, after, changed } = note;
    let table = watched.literal(&watched.table.name);
    let name = procedure_name(watched.outbox);
    format!("CALL {name}({table}, '{operation}', {before}, {after}, {changed})")
}

fn procedure_name(outbox: &str) -> String {
    format!("{}record_{outbox}", super::RESERVED)
}

/// The procedure for all tables. MariaDB lets no triggers of more than one event write to the same
/// table by themselves while their own is under LOCK TABLES.
pub(super) async fn create_procedure(
    conn: &impl ConnectionTrait,
    outbox: &str,
) -> Result<(), DbErr> {
    let name = procedure_name(outbox);
    let find = format!(
        "SELECT 1 FROM information_schema.routines WHERE routine_schema = DATABASE() \
         AND routine_type = 'PROCEDURE' AND routine_name = '{name}'"
    );
    if conn.query_one_raw(Statement::from_string(DbBackend::MySql, find)).await?.is_some() {
        // To make it anew would leave a moment in which there is none.
        return Ok(());
    }
    let text = "LONGTEXT CHARACTER SET utf8mb4";
    let sql = format!(
        "CREATE PROCEDURE {name}(a_table {text}, an_operation CHAR(1), a_before {text}, \
         an_after {text}, a_changed {text}) \
         INSERT INTO {outbox} (table_name, operation, row_before, row_after, changed, created_ms) \
         VALUES (a_table, an_operation, a_before, an_after, a_changed, {MYSQL_NOW_MS})"
    );
    conn.execute_unprepared(&sql).await.map(|_| ())
}

pub(super) fn drop_procedure(outbox: &str) -> String {
    format!("DROP PROCEDURE IF EXISTS {}", procedure_name(outbox))
}

/// A JSON object of pairs of a column's name and an expression.
fn object<'c>(
    watched: &Watched<'_>,
    columns: impl Iterator<Item = &'c Column>,
    value: impl Fn(&'c Column, &str) -> String,
) -> String {
    let pair = |column: &'c Column| {
        let value = value(column, &watched.quote(&column.name));
        format!("{}, {value}", watched.literal(&column.name))
    };
    format!("json_object({})", columns.map(pair).collect::<Vec<_>>().join(", "))
}

/// The key columns of a row: texts and blobs by their bytes, and numbers as text, since a JSON
/// number may lose digits.
fn image(watched: &Watched<'_>, row: &str) -> String {
    object(watched, recorded(watched.table), |column, name| match column.class {
        KeyClass::Typed(Typed::Text(_)) | KeyClass::Folded(_) | KeyClass::Text => format!(
            "IF(LENGTH({row}.{name}) > {MAX_BYTES}, 'r', \
             CONCAT('t', HEX(CONVERT({row}.{name} USING utf8mb4))))"
        ),
        KeyClass::Typed(Typed::Bytes(_)) | KeyClass::Bytes => {
            format!("IF(LENGTH({row}.{name}) > {MAX_BYTES}, 'r', CONCAT('b', HEX({row}.{name})))")
        }
        _ => format!("CAST({row}.{name} AS CHAR)"),
    })
}

/// Each column, and whether it changed: byte by byte, whatever its collation.
fn compared(watched: &Watched<'_>) -> String {
    object(watched, settable(watched.table), |_, name| {
        format!("NOT (OLD.{name} <=> NEW.{name} AND BINARY OLD.{name} <=> BINARY NEW.{name})")
    })
}
