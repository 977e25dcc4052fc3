//! MySQL and MariaDB: a trigger for each row. A cascade of InnoDB fires none: the listener follows
//! the foreign keys itself.
//!
//! A session with `@sea_orm_cache_own = 1` is one of ours, which bumps by itself.

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
        let unknown = watched.note(&Noted::UNKNOWN, MYSQL_NOW_MS, "");
        let noted = watched.note(&noted, MYSQL_NOW_MS, "");
        // A column that was dropped since is an error when the trigger runs, not before.
        format!(
            "CREATE TRIGGER {name} AFTER {when} ON {} FOR EACH ROW \
             IF @sea_orm_cache_own IS NULL OR @sea_orm_cache_own <> 1 THEN \
             BEGIN DECLARE EXIT HANDLER FOR 1054 {unknown}; {noted}; END; END IF",
            watched.spelled
        )
    };
    by_event(&old, &new, &changed).map(trigger).into()
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
