//! SQLite: a trigger for each row. REPLACE deletes rows without firing DELETE triggers, so what is
//! in a row's way is noted before it is written.

use super::{Watched, recorded};
use crate::schema::{Column, Table};

const NOW_MS: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

pub(super) const EVENTS: [&str; 5] = ["bi", "ai", "bu", "au", "ad"];

pub(super) fn drop(watched: &Watched<'_>) -> Vec<String> {
    let name = |event| watched.quote(&watched.trigger(event));
    EVENTS.map(|event| format!("DROP TRIGGER IF EXISTS {}", name(event))).into()
}

pub(super) fn create(watched: &Watched<'_>) -> Vec<String> {
    let table = watched.table;
    let mut all = Vec::new();
    let mut trigger = |event: &str, when: &str, body: String| {
        let name = watched.quote(&watched.trigger(event));
        let on = &watched.spelled;
        all.push(format!("CREATE TRIGGER {name} {when} ON {on} FOR EACH ROW BEGIN {body}; END"));
    };
    if let Some(body) = in_the_way(watched, false) {
        trigger("bi", "BEFORE INSERT", body);
    }
    if let Some(body) = in_the_way(watched, true) {
        trigger("bu", "BEFORE UPDATE", body);
    }
    let (old, new) = (image(table, "OLD", watched), image(table, "NEW", watched));
    trigger("ai", "AFTER INSERT", note(watched, "I", "NULL", &new, "NULL", ""));
    trigger("au", "AFTER UPDATE", note(watched, "U", &old, &new, &compared(watched), ""));
    trigger("ad", "AFTER DELETE", note(watched, "D", &old, "NULL", "NULL", ""));
    all
}

fn note(
    watched: &Watched<'_>,
    operation: &str,
    before: &str,
    after: &str,
    changed: &str,
    from: &str,
) -> String {
    let name = watched.table.name.replace('\'', "''");
    format!(
        "INSERT INTO {} (table_name, operation, row_before, row_after, changed, created_ms) \
         SELECT '{name}', '{operation}', {before}, {after}, {changed}, {NOW_MS}{from}",
        watched.outbox
    )
}

/// The key columns of a row: numbers as they are, texts and blobs by their bytes, since JSON can't
/// hold all of either.
fn image(table: &Table, row: &str, watched: &Watched<'_>) -> String {
    let pairs = recorded(table).map(|column| {
        let value = format!("{row}.{}", watched.quote(&column.name));
        format!(
            "{}, CASE typeof({value}) WHEN 'integer' THEN {value} WHEN 'null' THEN NULL \
             WHEN 'real' THEN 'r' ELSE substr(typeof({value}), 1, 1) || hex({value}) END",
            literal(&column.name)
        )
    });
    format!("json_object({})", pairs.collect::<Vec<_>>().join(", "))
}

/// Each column, and whether it changed: byte by byte, whatever its collation, and in its type.
fn compared(watched: &Watched<'_>) -> String {
    let pairs = watched.table.columns.iter().filter(|column| is_seen(column)).map(|column| {
        let name = watched.quote(&column.name);
        format!(
            "{}, (OLD.{name} IS NOT NEW.{name} COLLATE BINARY \
             OR typeof(OLD.{name}) <> typeof(NEW.{name}))",
            literal(&column.name)
        )
    });
    let pairs: Vec<_> = pairs.collect();
    // A function takes no more than 100 arguments by default; what is left out may have changed.
    format!("json_object({})", pairs[..pairs.len().min(45)].join(", "))
}

/// A generated column changes with the others, and is left to them.
fn is_seen(column: &Column) -> bool {
    !column.generated
}

/// Notes the rows that a REPLACE would delete, by each key that they may be found by.
fn in_the_way(watched: &Watched<'_>, update: bool) -> Option<String> {
    let table = watched.table;
    let mut keys: Vec<Option<Vec<usize>>> = table.uniques.clone();
    if !table.primary_key.is_empty() {
        keys.push(Some(table.primary_key.clone()));
    }
    if keys.is_empty() {
        return None;
    }
    // Which rows are in the way of an expression, or under another collation, is not told.
    if table.loose_unique || keys.iter().any(Option::is_none) {
        return Some(note(watched, "*", "NULL", "NULL", "NULL", ""));
    }
    let same = keys.iter().flatten().map(|columns| {
        let equal = columns.iter().filter_map(|index| table.columns.get(*index)).map(|column| {
            let name = watched.quote(&column.name);
            format!("t.{name} = NEW.{name}")
        });
        format!("({})", equal.collect::<Vec<_>>().join(" AND "))
    });
    let mut condition = same.collect::<Vec<_>>().join(" OR ");
    if update {
        // Most updates leave their keys alone, and look nothing up.
        let moved = keys.iter().flatten().flatten().filter_map(|index| table.columns.get(*index));
        let mut moved: Vec<_> = moved
            .map(|column| {
                let name = watched.quote(&column.name);
                format!("OLD.{name} IS NOT NEW.{name}")
            })
            .collect();
        moved.sort_unstable();
        moved.dedup();
        condition = format!("({condition}) AND ({})", moved.join(" OR "));
    }
    let from = format!(" FROM {} t WHERE {condition}", watched.spelled);
    Some(note(watched, "D", &image(table, "t", watched), "NULL", "NULL", &from))
}

fn literal(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}
