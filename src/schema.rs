//! What is known about a database's schema: the vocabulary that the catalog readers fill and the
//! SQL analysis consults. Pure data, no I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::sql::facts::WriteFacts;
use crate::tag::KeyValue;

/// A table or column name, folded to the form in which the database compares it.
pub(crate) type Name = Arc<str>;

/// Facts about one database's tables, views, triggers and foreign keys.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Schema {
    /// `false` when the catalog could not be read: then nothing can be told apart.
    pub(crate) known: bool,
    pub(crate) tables: HashMap<Name, Table>,
    pub(crate) views: HashMap<Name, View>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// Names that a temporary object may shadow on some connection of the pool.
    pub(crate) shadowed: HashSet<Name>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Column>,
    /// Positions in `columns`, in key order; empty if the table has no primary key.
    pub(crate) primary_key: Vec<usize>,
    /// Unique constraints and unique indexes other than the primary key. `None`: on expressions.
    pub(crate) uniques: Vec<Option<Vec<usize>>>,
    /// Some constraint says `ON CONFLICT REPLACE`: any INSERT or UPDATE may delete other rows.
    pub(crate) replaces: bool,
    /// Some unique index compares more loosely than its columns do, so that a row in the way of
    /// another need not have the same key.
    pub(crate) loose_unique: bool,
    /// Virtual tables keep their data elsewhere, so writes to it can't be seen.
    pub(crate) is_virtual: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: Name,
    pub(crate) class: KeyClass,
    /// Part of a primary, foreign or unique key, or first in an index: what queries filter by.
    pub(crate) is_key: bool,
    pub(crate) default: ColumnDefault,
    pub(crate) generated: bool,
    pub(crate) not_null: bool,
}

/// Which values of a column have one canonical form under the database's own equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyClass {
    /// Integers compare as integers, whatever type they were bound with.
    Integer,
    /// Text compares byte by byte; blobs are never equal to text.
    Text,
    /// Only blobs have a canonical form (numbers would compare across storage classes).
    Bytes,
    /// No canonical form: case-insensitive or padded text, floats, decimals.
    None,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnDefault {
    /// Left out of an INSERT it becomes NULL.
    Null,
    /// Left out of an INSERT it becomes a value that we do not know.
    Unknown,
}

#[derive(Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) sql: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) table: Name,
    pub(crate) event: Operation,
    /// `UPDATE OF` columns; empty means any.
    pub(crate) of: Vec<Name>,
    /// What the body writes; `None` when it could not be understood.
    pub(crate) writes: Option<Vec<WriteFacts>>,
}

/// What a statement does to the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// Rows appear.
    Insert,
    /// Rows change in place.
    Update,
    /// Rows go.
    Delete,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ForeignKey {
    pub(crate) child: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) parent: Name,
    /// Empty when the catalog did not name them and the parent has no primary key.
    pub(crate) parent_columns: Vec<Name>,
    pub(crate) on_delete: Action,
    pub(crate) on_update: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// NO ACTION and RESTRICT: the child is not written.
    Nothing,
    Cascade,
    SetNull,
    SetDefault,
}

impl Schema {
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| &*c.name == name)
    }

    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.is_key)
    }

    pub(crate) fn primary_key(&self) -> impl Iterator<Item = &Column> {
        self.primary_key.iter().filter_map(|i| self.columns.get(*i))
    }

    pub(crate) fn is_primary_key(&self, columns: &[Name]) -> bool {
        !self.primary_key.is_empty()
            && columns.len() == self.primary_key.len()
            && self.primary_key().all(|c| columns.contains(&c.name))
    }

    /// Columns that change when any other column does.
    pub(crate) fn generated(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.generated)
    }
}

impl Column {
    /// Can a column of this kind hold `value` in exactly one spelling?
    pub(crate) fn admits(&self, value: &KeyValue) -> bool {
        match (self.class, value) {
            (KeyClass::None, KeyValue::Null) => true,
            (_, KeyValue::Null) => true,
            // The two extremes may also be stored as the float that rounds to them.
            (KeyClass::Integer, KeyValue::Int(i)) => *i != i64::MIN && *i != i64::MAX,
            (KeyClass::Text, KeyValue::Text(_) | KeyValue::Bytes(_)) => true,
            (KeyClass::Bytes, KeyValue::Bytes(_)) => true,
            _ => false,
        }
    }
}
