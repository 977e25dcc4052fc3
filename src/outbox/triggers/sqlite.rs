//! SQLite: a trigger for each row. REPLACE deletes rows without firing DELETE triggers, so what is
//! in a row's way is noted before it is written.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::Value;

use super::{MAX_BYTES, MAX_COLUMNS, Noted, Watched, by_event, recorded, settable};
use crate::outbox::row::SQLITE_NOW_MS;
use crate::schema::{Column, ColumnDefault};

pub(super) const THERE: &str =
    "SELECT name, tbl_name AS tbl FROM sqlite_master WHERE type = 'trigger'";

/// No name of one ends with another one's, or two tables could share a trigger's name.
pub(super) const EVENTS: [&str; 5] =
    ["insert_before", "update_before", "insert", "update", "delete"];

pub(super) fn create(watched: &Watched<'_>, ending: &str) -> Vec<String> {
    let on = &watched.spelled;
    let trigger = |event: &str, when: &str, body: &str| {
        let name = watched.quote(&watched.trigger(event, ending));
        format!("CREATE TRIGGER {name} {when} ON {on} FOR EACH ROW BEGIN {body}; END")
    };
    let before = [("insert_before", "BEFORE INSERT"), ("update_before", "BEFORE UPDATE")];
    let mut all: Vec<_> = before
        .iter()
        .filter_map(|(event, when)| {
            let body = in_the_way(watched, *event == "update_before")?;
            Some(trigger(event, when, &body))
        })
        .collect();
    let (old, new, changed) = (image(watched, "OLD"), image(watched, "NEW"), compared(watched));
    all.extend(by_event(&old, &new, &changed).map(|(when, noted)| {
        let body = watched.note(&noted, SQLITE_NOW_MS, "");
        trigger(&when.to_ascii_lowercase(), &format!("AFTER {when}"), &body)
    }));
    all
}

/// A JSON object. What makes JSON is unsafe to some versions of SQLite: a program that does not
/// trust the schema could not write any more.
fn object<'c>(
    watched: &Watched<'_>,
    columns: impl Iterator<Item = &'c Column>,
    value: impl Fn(&str) -> String,
) -> String {
    let mut all = String::new();
    for column in columns {
        let comma = if all.is_empty() { '{' } else { ',' };
        let key = watched.literal(&format!("{comma}{}:", Value::from(&*column.name)));
        all = format!("{all}{key} || {} || ", value(&watched.quote(&column.name)));
    }
    if all.is_empty() { "'{}'".to_owned() } else { format!("{all}'}}'") }
}

/// The key columns of a row: numbers as they are, texts and blobs by their bytes, since JSON can't
/// hold all of either. In a database of UTF-16 the bytes of a text are others.
fn image(watched: &Watched<'_>, row: &str) -> String {
    object(watched, recorded(watched.table), |name| {
        let value = format!("{row}.{name}");
        format!(
            "CASE typeof({value}) WHEN 'integer' THEN {value} WHEN 'null' THEN 'null' \
             WHEN 'real' THEN '\"r\"' ELSE CASE WHEN length(CAST({value} AS BLOB)) > {MAX_BYTES} \
             OR (typeof({value}) = 'text' AND hex('t') <> '74') THEN '\"r\"' \
             ELSE '\"' || substr(typeof({value}), 1, 1) || hex({value}) || '\"' END END"
        )
    })
}

/// Each column, and whether it changed: byte by byte, whatever its collation, and in its type. One
/// that is not compared may have changed.
fn compared(watched: &Watched<'_>) -> String {
    object(watched, settable(watched.table).take(MAX_COLUMNS), |name| {
        format!(
            "(OLD.{name} IS NOT NEW.{name} COLLATE BINARY \
             OR typeof(OLD.{name}) <> typeof(NEW.{name}))"
        )
    })
}

/// A name of the rows' number that no column has, if they have one.
pub(super) async fn number(
    conn: &impl ConnectionTrait,
    watched: &Watched<'_>,
) -> Option<&'static str> {
    let mut names = ["rowid", "_rowid_", "oid"].into_iter();
    let name = names.find(|name| watched.table.column(name).is_none())?;
    let sql = format!("SELECT {name} FROM {} LIMIT 0", watched.spelled);
    conn.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.ok().map(|_| name)
}

/// Notes the rows that a REPLACE would delete, by each key that they may be found by.
fn in_the_way(watched: &Watched<'_>, update: bool) -> Option<String> {
    let table = watched.table;
    let mut keys: Vec<Option<Vec<usize>>> = table.uniques.clone();
    if !table.primary_key.is_empty() {
        keys.push(Some(table.primary_key.clone()));
    }
    if keys.is_empty() && watched.number.is_none() {
        return None;
    }
    let of_keys = || keys.iter().flatten().flatten().filter_map(|index| table.columns.get(*index));
    // Which rows are in the way of an expression, or under another collation, is not told.
    let untold = table.loose_unique || table.replaces || keys.iter().any(Option::is_none);
    if untold || of_keys().any(|column| column.generated) {
        return Some(watched.note(&Noted::UNKNOWN, SQLITE_NOW_MS, ""));
    }
    let name = |column: &Column| watched.quote(&column.name);
    let of_key = |key: &Vec<usize>| -> Vec<String> {
        key.iter().filter_map(|index| table.columns.get(*index)).map(name).collect()
    };
    // REPLACE puts a default in the place of a NULL that is not allowed, after this.
    let replaced = of_keys()
        .filter(|column| column.not_null && column.default != ColumnDefault::Null)
        .map(|column| format!("NEW.{} IS NULL", name(column)));
    let replaced: Vec<_> = replaced.collect();
    let number = watched.number.map(|name| vec![name.to_owned()]);
    let keys: Vec<_> = keys.iter().flatten().map(of_key).chain(number).collect();
    let same = |key: &Vec<String>| {
        let equal: Vec<_> = key.iter().map(|name| format!("t.{name} = NEW.{name}")).collect();
        format!("({})", equal.join(" AND "))
    };
    let mut condition = keys.iter().map(same).collect::<Vec<_>>().join(" OR ");
    if update {
        // Most updates leave their keys alone, and look nothing up.
        let mut names: Vec<_> = keys.iter().flatten().collect();
        names.sort_unstable();
        names.dedup();
        let moved: Vec<_> =
            names.iter().map(|name| format!("OLD.{name} IS NOT NEW.{name}")).collect();
        condition = format!("({condition}) AND ({})", moved.join(" OR "));
    }
    let before = image(watched, "t");
    let noted = Noted { operation: "D", before: &before, ..Noted::UNKNOWN };
    let from = format!(" FROM {} t WHERE {condition}", watched.spelled);
    let mut body = watched.note(&noted, SQLITE_NOW_MS, &from);
    if !replaced.is_empty() {
        let when = format!(" WHERE {}", replaced.join(" OR "));
        body = format!("{body}; {}", watched.note(&Noted::UNKNOWN, SQLITE_NOW_MS, &when));
    }
    Some(body)
}
