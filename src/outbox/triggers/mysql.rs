//! MySQL and MariaDB: a trigger for each row. A cascade of InnoDB fires none: the listener follows
//! the foreign keys itself.
//!
//! A session with `@sea_orm_cache_own = 1` is one of ours, which bumps by itself.

use super::{MAX_BYTES, Noted, Watched, by_event, recorded, settable};
use crate::schema::{KeyClass, Typed};

const NOW_MS: &str = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";

pub(super) fn drop(watched: &Watched<'_>) -> Vec<String> {
    let name = |event| watched.quote(&watched.trigger(event));
    ["insert", "update", "delete"]
        .map(|event| format!("DROP TRIGGER IF EXISTS {}", name(event)))
        .into()
}

pub(super) fn create(watched: &Watched<'_>) -> Vec<String> {
    let (old, new, changed) = (image(watched, "OLD"), image(watched, "NEW"), compared(watched));
    let trigger = |(when, noted): (&str, Noted<'_>)| {
        let name = watched.quote(&watched.trigger(&when.to_ascii_lowercase()));
        let unknown = watched.note(&Noted::UNKNOWN, NOW_MS, "");
        let noted = watched.note(&noted, NOW_MS, "");
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

/// The key columns of a row: texts and blobs by their bytes, and numbers as text, since a JSON
/// number may lose digits.
fn image(watched: &Watched<'_>, row: &str) -> String {
    watched.object(recorded(watched.table), |column, name| match column.class {
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
    watched.object(settable(watched.table), |_, name| {
        format!("NOT (OLD.{name} <=> NEW.{name} AND BINARY OLD.{name} <=> BINARY NEW.{name})")
    })
}
