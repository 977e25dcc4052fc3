//! What a rule is told.

use std::fmt;
use std::sync::Arc;

use crate::change::{Change, Changes, Effect, Image, Row};
use crate::schema::Operation;
use crate::tag::KeyValue;

/// What a commit changed in an entity's table, as far as it is known.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Commit {
    /// In the order in which it was found out, a savepoint's at its end; empty if nothing is known but that anything may have
    /// changed, by a statement that was not understood.
    pub changes: Vec<TableChange>,
    /// There may have been more, of which nothing is known; or nothing at all. That is told of
    /// statements that were not understood, of texts that contain more than writes, of transactions
    /// in raw SQL whatever their end, of the whole table that a partition belongs to, and of what was
    /// written before there was any rule.
    pub unknown: bool,
    /// The [scopes](crate::CachedConnection::scoped) of the connection that wrote, the outermost
    /// first. Nothing where that is not known: of a write whose outcome was found out later.
    pub scope: Vec<Arc<str>>,
    /// It was a transaction's; otherwise a single statement's.
    pub in_transaction: bool,
    /// Another program's, as the outbox tells ([`RuleOn::foreign`](crate::RuleOn::foreign)): some of
    /// what it wrote, or what several wrote. Its scope is not known, nor whether it was in a
    /// transaction.
    pub foreign: bool,
}

/// One kind of change of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableChange {
    /// Rows came.
    Insert(RowsOf),
    /// Rows changed in these columns, by their names in the database.
    Update {
        /// The columns that were set.
        columns: Vec<String>,
        /// Which rows.
        rows: RowsOf,
    },
    /// Rows went.
    Delete(RowsOf),
    /// Any of that.
    Unknown,
}

/// The rows that were changed. Of each only the columns of keys and indexes are told, and of these
/// the ones whose values are known: a row without any may stand for any number of rows.
pub type RowsOf = Vec<ChangedRow>;

/// What is known of a row, by column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedRow {
    /// As it was; nothing for one that came.
    pub before: Vec<(String, KeyValue)>,
    /// As it is; nothing for one that went.
    pub after: Vec<(String, KeyValue)>,
}

impl Commit {
    pub(super) fn new(changes: &[&Change], unknown: bool) -> Self {
        let changes = changes.iter().map(|change| TableChange::new(change)).collect();
        Self { changes, unknown, scope: Vec::new(), in_transaction: false, foreign: false }
    }
}

impl TableChange {
    fn new(change: &Change) -> Self {
        let rows = |rows: &[Row]| rows.iter().map(ChangedRow::new).collect();
        match &change.effect {
            Effect::Insert(of) => Self::Insert(rows(of)),
            Effect::Delete(of) => Self::Delete(rows(of)),
            Effect::Update { set, rows: of } => {
                let columns = set.iter().map(ToString::to_string).collect();
                Self::Update { columns, rows: rows(of) }
            }
            Effect::Unknown => Self::Unknown,
        }
    }
}

impl ChangedRow {
    fn new(row: &Row) -> Self {
        let of = |image: &Image| {
            let known = image.known().map(|(column, value)| (column.to_string(), value.clone()));
            known.collect()
        };
        Self { before: of(&row.before), after: of(&row.after) }
    }
}

/// Does a rule for these operations and columns concern it?
pub(super) fn concerns(change: &Change, operations: &[Operation], columns: &[String]) -> bool {
    let operation = match &change.effect {
        Effect::Insert(_) => Operation::Insert,
        Effect::Delete(_) => Operation::Delete,
        Effect::Update { .. } => Operation::Update,
        Effect::Unknown => return true,
    };
    let of_columns = match &change.effect {
        // A set that is not known may be any.
        Effect::Update { set, .. } if !columns.is_empty() && !set.is_empty() => {
            let is_set = |name: &String| set.iter().any(|set| set.eq_ignore_ascii_case(name));
            columns.iter().any(is_set)
        }
        _ => true,
    };
    of_columns && (operations.is_empty() || operations.contains(&operation))
}

impl Changes {
    /// Those of one table.
    pub(super) fn of(&self, is: impl Fn(&str) -> bool) -> impl Iterator<Item = &Change> {
        self.list.iter().filter(move |change| is(&change.table))
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, change) in self.changes.iter().enumerate() {
            let separator = if position > 0 { ", " } else { "" };
            match change {
                TableChange::Insert(rows) => write!(f, "{separator}inserted{}", Rows(rows))?,
                TableChange::Update { columns, rows } => {
                    write!(f, "{separator}updated {}{}", columns.join(" "), Rows(rows))?;
                }
                TableChange::Delete(rows) => write!(f, "{separator}deleted{}", Rows(rows))?,
                TableChange::Unknown => write!(f, "{separator}changed")?,
            }
        }
        match (self.unknown, self.changes.is_empty()) {
            (true, true) => f.write_str("may have changed"),
            (true, false) => f.write_str(" and perhaps more"),
            (false, _) => Ok(()),
        }
    }
}

struct Rows<'r>(&'r [ChangedRow]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.0 {
            let known = if row.after.is_empty() { &row.before } else { &row.after };
            f.write_str(" (")?;
            for (position, (column, value)) in known.iter().enumerate() {
                write!(f, "{}{column}={value}", if position > 0 { " " } else { "" })?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}
