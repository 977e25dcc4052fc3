//! MySQL and MariaDB: a trigger for each row. A cascade of InnoDB fires none: the listener follows
//! the foreign keys itself.
//!
//! A session with `@sea_orm_cache_own = 1` is one of ours, which bumps by itself.

use super::{Watched, recorded};
use crate::schema::{Column, KeyClass, Table, Typed};

const NOW_MS: &str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

pub(super) fn drop(watched: &Watched<'_>) -> Vec<String> {
    let name = |event| watched.quote(&watched.trigger(event));
    ["ai", "au", "ad"].map(|event| format!("DROP TRIGGER IF EXISTS {}", name(event))).into()
}

pub(super) fn create(watched: &Watched<'_>) -> Vec<String> {
    let trigger = |event: &str, when: &str, operation, before: &str, after: &str, changed: &str| {
        let name = watched.quote(&watched.trigger(event));
        let noted = note(watched, operation, before, after, changed);
        let unknown = note(watched, "*", "NULL", "NULL", "NULL");
        // A column that was dropped since is an error when the trigger runs, not before.
        format!(
            "CREATE TRIGGER {name} AFTER {when} ON {} FOR EACH ROW \
             IF @sea_orm_cache_own IS NULL OR @sea_orm_cache_own <> 1 THEN \
             BEGIN DECLARE EXIT HANDLER FOR 1054 {unknown}; {noted}; END; END IF",
            watched.spelled
        )
    };
    let (old, new) = (image(watched, "OLD"), image(watched, "NEW"));
    vec![
        trigger("ai", "INSERT", "I", "NULL", &new, "NULL"),
        trigger("au", "UPDATE", "U", &old, &new, &compared(watched)),
        trigger("ad", "DELETE", "D", &old, "NULL", "NULL"),
    ]
}

fn note(
    watched: &Watched<'_>,
    operation: &str,
    before: &str,
    after: &str,
    changed: &str,
) -> String {
    format!(
        "INSERT INTO {} (table_name, operation, row_before, row_after, changed, created_ms) \
         VALUES ({}, '{operation}', {before}, {after}, {changed}, {NOW_MS})",
        watched.outbox,
        literal(&watched.table.name)
    )
}

/// The key columns of a row: numbers as they are, texts and blobs by their bytes.
fn image(watched: &Watched<'_>, row: &str) -> String {
    let pair = |column: &Column| {
        let value = format!("{row}.{}", watched.quote(&column.name));
        let value = match column.class {
            KeyClass::Typed(Typed::Text(_)) | KeyClass::Folded(_) | KeyClass::Text => {
                format!("CONCAT('t', HEX(CONVERT({value} USING utf8mb4)))")
            }
            KeyClass::Typed(Typed::Bytes(_)) | KeyClass::Bytes => {
                format!("CONCAT('b', HEX({value}))")
            }
            // As text: a JSON number that is larger than others would lose digits.
            _ => format!("CAST({value} AS CHAR)"),
        };
        format!("{}, {value}", literal(&column.name))
    };
    object(recorded(watched.table).map(pair))
}

/// Each column, and whether it changed: byte by byte, whatever its collation.
fn compared(watched: &Watched<'_>) -> String {
    let pair = |column: &Column| {
        let name = watched.quote(&column.name);
        format!(
            "{}, NOT (OLD.{name} <=> NEW.{name} AND BINARY OLD.{name} <=> BINARY NEW.{name})",
            literal(&column.name)
        )
    };
    object(seen(watched.table).map(pair))
}

/// A generated column changes with the others, and is left to them.
fn seen(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

fn object(pairs: impl Iterator<Item = String>) -> String {
    format!("JSON_OBJECT({})", pairs.collect::<Vec<_>>().join(", "))
}

fn literal(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"))
}
