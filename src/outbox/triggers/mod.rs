//! The triggers that note a table's changes in the outbox, one file for each database.
//!
//! | column | what the triggers write |
//! |---|---|
//! | `table_name` | the table, as our catalog names it |
//! | `operation` | `I`, `U`, `D`; `*`: anything may have happened to the table |
//! | `row_before`, `row_after` | the key columns, as a JSON object; what is not in it is unknown |
//! | `changed` | an array of all columns that changed, or an object of all columns that were compared |
//! | `created_ms` | when, by the database's clock |
//!
//! No trigger may ever make the write fail, whatever becomes of the table later, where the database
//! allows for that.

mod mysql;
mod postgres;
mod sqlite;

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::row::{MYSQL_NOW_MS, SQLITE_NOW_MS};
use super::tables::Outbox;
use super::{FORMAT, RESERVED, is_own};
use crate::schema::{Column, InJson, KeyClass, Name, Table};
use crate::sql::Dialect;

/// PostgreSQL's limit; MySQL has one more.
const MAX_NAME: usize = 63;

/// Of more columns than this SQLite's triggers tell nothing: an expression has a limit.
const MAX_COLUMNS: usize = 45;

/// Longer texts and blobs, in bytes, are unknown: a note stays small, and what a function makes of
/// them has no limit to run into.
const MAX_BYTES: usize = 1_000;

/// What `note` in the state table begins with, for a table that is watched.
pub(super) const MARK: &str = "trigger:";

/// A table and the outbox that is to know of its changes.
pub(super) struct Watched<'a> {
    /// As SQL spells it.
    pub(super) outbox: &'a str,
    pub(super) table: &'a Table,
    /// The table, as SQL spells it.
    pub(super) spelled: String,
    pub(super) backend: DbBackend,
    /// What SQLite's rows are numbered by, which a REPLACE may find them by.
    pub(super) number: Option<&'static str>,
}

/// What a note says, as expressions of SQL.
#[derive(Clone, Copy)]
struct Noted<'e> {
    operation: &'e str,
    before: &'e str,
    after: &'e str,
    changed: &'e str,
}

impl Noted<'_> {
    /// Anything may have happened to the table.
    const UNKNOWN: Self = Self { operation: "*", before: "NULL", after: "NULL", changed: "NULL" };
}

/// A row came, changed or went, with its key columns before and after.
fn by_event<'e>(old: &'e str, new: &'e str, changed: &'e str) -> [(&'static str, Noted<'e>); 3] {
    let null = "NULL";
    [
        ("INSERT", Noted { operation: "I", before: null, after: new, changed: null }),
        ("UPDATE", Noted { operation: "U", before: old, after: new, changed }),
        ("DELETE", Noted { operation: "D", before: old, after: null, changed: null }),
    ]
}

/// The columns that an UPDATE may set: generated ones change with them, and are left to them.
fn settable(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

impl<'a> Watched<'a> {
    /// `name`: as the user spells it, since MySQL may tell the case of a table's name.
    pub(super) fn new(outbox: &'a str, table: &'a Table, name: &str, backend: DbBackend) -> Self {
        let name = if backend == DbBackend::MySql { name } else { &*table.name };
        let bare = backend == DbBackend::Postgres && !name.contains('.');
        // Another schema may come before it in the search path.
        let parts = bare.then_some("public").into_iter().chain(name.split('.'));
        let parts = parts.map(|part| Dialect::from(backend).quote(part));
        let spelled = parts.collect::<Vec<_>>().join(".");
        Self { outbox, table, spelled, backend, number: None }
    }

    /// Looks into the database for what the catalog does not tell.
    pub(super) async fn look(&mut self, conn: &impl ConnectionTrait) {
        if self.backend == DbBackend::Sqlite {
            self.number = sqlite::number(conn, self).await;
        }
    }

    /// The name of its row in the state table.
    pub(super) fn mark(&self) -> String {
        format!("{MARK}{}", self.table.name)
    }

    pub(super) fn endings(&self) -> &'static [&'static str] {
        endings(self.backend)
    }

    /// Of the triggers with this ending.
    pub(super) fn names(&self, ending: &str) -> Vec<String> {
        let events = events(self.backend).into_iter();
        events.map(|event| self.trigger(event, ending)).collect()
    }

    /// Of all triggers that it would have if it were called so.
    pub(super) fn names_as(&self, table: &str) -> Vec<String> {
        names(self.outbox_name(), table, self.backend).concat()
    }

    /// The statements that drop these of its triggers, if they are there.
    pub(super) fn drop(&self, names: &[String]) -> Vec<String> {
        let on = match self.backend {
            DbBackend::Postgres => format!(" ON {}", self.spelled),
            _ => String::new(),
        };
        let drop = |name: &String| format!("DROP TRIGGER IF EXISTS {}{on}", self.quote(name));
        names.iter().map(drop).collect()
    }

    pub(super) fn create(&self, ending: &str) -> Vec<String> {
        match self.backend {
            DbBackend::Postgres => postgres::create(self, ending),
            DbBackend::MySql => mysql::create(self, ending),
            _ => sqlite::create(self, ending),
        }
    }

    /// The statement that notes that anything may have happened to the table.
    pub(super) fn unknown(&self) -> String {
        let now_ms = match self.backend {
            DbBackend::Postgres => postgres::NOW_MS,
            DbBackend::MySql => MYSQL_NOW_MS,
            _ => SQLITE_NOW_MS,
        };
        self.note(&Noted::UNKNOWN, now_ms, "")
    }

    fn trigger(&self, event: &str, ending: &str) -> String {
        trigger(self.outbox_name(), &self.table.name, event, ending)
    }

    /// Without a schema.
    fn outbox_name(&self) -> &str {
        self.outbox.rsplit('.').next().unwrap_or_default()
    }

    /// The statement that writes a note, or one for each row of `from`.
    fn note(&self, note: &Noted<'_>, now_ms: &str, from: &str) -> String {
        let Noted { operation, before, after, changed } = note;
        format!(
            "INSERT INTO {} (table_name, operation, row_before, row_after, changed, created_ms) \
             SELECT {}, '{operation}', {before}, {after}, {changed}, {now_ms}{from}",
            self.outbox,
            self.literal(&self.table.name)
        )
    }

    /// A text as SQL spells it.
    fn literal(&self, text: &str) -> String {
        let text = match self.backend {
            DbBackend::MySql => text.replace('\\', "\\\\"),
            _ => text.to_owned(),
        };
        format!("'{}'", text.replace('\'', "''"))
    }

    fn quote(&self, name: &str) -> String {
        Dialect::from(self.backend).quote(name)
    }
}

/// What the names of triggers may end with. Where a definition can't be part of a transaction, new
/// triggers are made beside the old ones.
fn endings(backend: DbBackend) -> &'static [&'static str] {
    match backend {
        DbBackend::MySql => &["", "_2"],
        _ => &[""],
    }
}

fn events(backend: DbBackend) -> Vec<&'static str> {
    match backend {
        DbBackend::Postgres => postgres::EVENTS.map(|(event, ..)| event).to_vec(),
        DbBackend::MySql => mysql::EVENTS.to_vec(),
        _ => sqlite::EVENTS.to_vec(),
    }
}

/// The name of a trigger: no other table's has it, nor one for another outbox.
fn trigger(outbox: &str, table: &str, event: &str, ending: &str) -> String {
    let whose = match outbox {
        Outbox::DEFAULT_NAME => String::new(),
        other => format!("{other}:"),
    };
    let name = format!("{RESERVED}{whose}{table}_{event}{ending}");
    if name.len() <= MAX_NAME {
        return name;
    }
    let sum = crc32fast::hash(format!("{outbox}:{table}").as_bytes());
    format!("{RESERVED}{sum:08x}_{event}{ending}")
}

/// The triggers that a table may have, by their ending.
pub(super) fn names(outbox: &str, table: &str, backend: DbBackend) -> Vec<Vec<String>> {
    let events = events(backend);
    let of =
        |ending: &&str| events.iter().map(|event| trigger(outbox, table, event, ending)).collect();
    endings(backend).iter().map(of).collect()
}

/// Does a table that is watched have this one? SQLite's that come before a write are made only where
/// there is a key.
pub(super) fn is_needed(name: &str) -> bool {
    !name.ends_with("_before")
}

/// What finds the triggers that are there and fire, for [`there`].
pub(super) fn find(backend: DbBackend) -> Statement {
    let sql = match backend {
        DbBackend::Postgres => postgres::THERE,
        DbBackend::MySql => mysql::THERE,
        _ => sqlite::THERE,
    };
    Statement::from_string(backend, sql)
}

/// Those of ours among them, and on which tables.
pub(super) fn there(
    rows: &[QueryResult],
    backend: DbBackend,
) -> Result<HashSet<(String, Name)>, DbErr> {
    let mut there = HashSet::new();
    for row in rows {
        let (name, table): (String, String) = (row.try_get_by("name")?, row.try_get_by("tbl")?);
        if is_own(&name) {
            let table =
                if backend == DbBackend::Postgres { table } else { table.to_ascii_lowercase() };
            there.insert((name, table.into()));
        }
    }
    Ok(there)
}

/// What the triggers of a table were made for, so that it is seen when the table has changed since.
pub(super) fn note(table: &Table) -> String {
    let name = |column: &Column| match column.json {
        InJson::Exact => format!(" {}", column.name),
        other => format!(" {}:{other:?}", column.name),
    };
    let names =
        |columns: &mut dyn Iterator<Item = &Column>| -> String { columns.map(name).collect() };
    let keys = names(&mut recorded(table));
    format!("{FORMAT};{keys};{}", names(&mut table.columns.iter()))
}

/// The key columns whose values can be part of a tag; what is left out is unknown.
fn recorded(table: &Table) -> impl Iterator<Item = &Column> {
    table.key_columns().filter(|column| column.class != KeyClass::None).take(MAX_COLUMNS)
}

/// What is made once for all tables; it may be there already.
pub(super) async fn create_shared(
    conn: &impl ConnectionTrait,
    outbox: &str,
    spelled: &str,
    notifies: bool,
) -> Result<(), DbErr> {
    match conn.get_database_backend() {
        DbBackend::Postgres => {
            let sql = postgres::function(outbox, spelled, notifies);
            conn.execute_unprepared(&sql).await.map(|_| ())
        }
        DbBackend::MySql => mysql::create_procedure(conn, outbox).await,
        _ => Ok(()),
    }
}

/// The same is dropped.
pub(super) fn drop_shared(outbox: &str, backend: DbBackend) -> Vec<String> {
    match backend {
        DbBackend::Postgres => vec![postgres::drop_function(outbox)],
        DbBackend::MySql => vec![mysql::drop_procedure(outbox)],
        _ => Vec::new(),
    }
}
