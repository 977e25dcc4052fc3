//! What is known about a database's schema: the vocabulary that the catalog readers fill and the
//! SQL analysis consults. Pure data, no I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
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
    /// Why there may be triggers and foreign keys that are not listed here: any write may change
    /// anything.
    pub(crate) partly_hidden: Option<Arc<str>>,
    pub(crate) tables: HashMap<Name, Table>,
    pub(crate) views: HashMap<Name, View>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// Names that a temporary object may shadow on some connection of the pool.
    pub(crate) shadowed: HashSet<Name>,
    /// What `schema.table` means: the key is that pair, the value the name in `tables`. Tables of
    /// PostgreSQL's `public` and of MySQL's database are known by their bare name, others by both
    /// parts. Empty for SQLite.
    pub(crate) qualified: HashMap<Name, Name>,
    /// What a bare name means, where that is a table which is known by both parts.
    pub(crate) visible: HashMap<Name, Name>,
    /// The functions that users made, by bare name, and whether one of that name may write.
    pub(crate) routines: HashMap<Name, Routine>,
    /// What a session of this connection does that makes every read of it unsafe to keep.
    pub(crate) unsafe_session: Option<Arc<str>>,
    /// Values that do not fit their column are stored changed (MySQL without a strict `sql_mode`).
    pub(crate) lenient: bool,
    /// A transaction that does not ask for another isolation level has READ COMMITTED.
    pub(crate) read_committed: bool,
    /// What entities say about reading their tables and views.
    pub(crate) rulings: HashMap<Name, Ruling>,
}

/// What an entity says about every query that reads its table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// It is never cached.
    pub(crate) no_cache: bool,
    /// It depends on these names of the user, too.
    pub(crate) tags: BTreeSet<Name>,
}

/// A function that is not the database's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Routine {
    pub(crate) may_write: bool,
    /// The tables it reads, if the user declared it.
    pub(crate) reads: Option<Vec<Name>>,
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
    /// Why what it holds must not be cached, whoever asks.
    pub(crate) unfit: Option<Unfit>,
    /// Which rows a query finds depends on who asks: by these expressions, if any.
    pub(crate) row_security: Option<Vec<String>>,
    /// The partitioned table that it is a part of.
    pub(crate) part_of: Option<Name>,
    /// BEFORE triggers may store other values than a statement gives.
    pub(crate) rewritten: bool,
}

/// Why a table can't be cached at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Virtual and foreign tables keep their data elsewhere, so writes to it can't be seen.
    Elsewhere,
    /// Rows of it go when a table that we do not see is written.
    Unseen,
    /// The storage engine has no transactions: what is written shows before it is committed.
    NotTransactional,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: Name,
    pub(crate) class: KeyClass,
    /// Where it compares text by no other rule than a known one that ignores case, spaces at the
    /// end, or both: what it may be told apart by, if that is asked for.
    pub(crate) folds: Option<Folds>,
    /// Part of a primary, foreign or unique key, or first in an index: what queries filter by.
    pub(crate) is_key: bool,
    pub(crate) default: ColumnDefault,
    pub(crate) generated: bool,
    pub(crate) not_null: bool,
    /// `*` does not show it, and an INSERT that names no columns passes over it.
    pub(crate) hidden: bool,
    /// Whether PostgreSQL's JSON tells all its values apart.
    pub(crate) json: InJson,
}

/// Which values of a column PostgreSQL's JSON does not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InJson {
    /// None.
    Exact,
    /// NULL and JSON's own.
    Null,
    /// Zero and minus zero.
    Zero,
    /// Any.
    Unsure,
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
    /// A column of a server: it holds values of one type only.
    Typed(Typed),
    /// Text that is told apart by less than its bytes: never the key by which rows are told apart.
    Folded(Folds),
    /// No canonical form: case-insensitive or padded text, floats, decimals.
    None,
}

/// Printable ASCII in small letters without spaces at its end: under the collations that are known
/// to fold, values that are equal have the same form, or one of them has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folds {
    /// In characters: what is longer may be cut off without a word.
    pub(crate) limit: Option<u32>,
}

/// The types of PostgreSQL and MySQL whose values have one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typed {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt64,
    /// With its limit in characters: spaces beyond it are cut off without a word.
    Text(Option<u32>),
    /// With its length in bytes, to which shorter values are padded.
    Bytes(Option<u32>),
    #[cfg(feature = "with-uuid")]
    Uuid,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnDefault {
    /// Left out of an INSERT it becomes NULL.
    Null,
    /// Left out of an INSERT it becomes a value that we do not know.
    Unknown,
    /// The same, and given as NULL or 0, too (MySQL's AUTO_INCREMENT).
    Counter,
}

#[derive(Debug, PartialEq)]
pub(crate) struct View {
    /// `CREATE VIEW … AS SELECT …`
    pub(crate) sql: String,
    /// What the user said: it names all tables below, and not the view's columns.
    pub(crate) declared: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) table: Name,
    pub(crate) event: Operation,
    /// `UPDATE OF` columns; empty means any.
    pub(crate) of: Vec<Name>,
    /// What the body writes; `None` when it could not be understood.
    pub(crate) writes: Option<Vec<WriteFacts>>,
    /// The body's text, for a hint at what it writes.
    pub(crate) body: String,
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

    /// May a view call a function that writes?
    pub(crate) fn views_may_write(&self) -> bool {
        !self.views.is_empty() && self.routines.values().any(|routine| routine.may_write)
    }

    /// May a function of this name write, as far as is known?
    pub(crate) fn may_write(&self, routine: &str) -> bool {
        self.routines.get(routine).is_some_and(|routine| routine.may_write)
    }
}

impl Schema {
    /// Adds unique constraints by table and index, in one order, so that an unchanged schema is
    /// equal to itself.
    pub(crate) fn add_uniques<I>(&mut self, uniques: HashMap<(Name, I), Option<Vec<usize>>>) {
        for ((name, _), columns) in uniques {
            if let Some(table) = self.tables.get_mut(&name) {
                table.uniques.push(columns);
                table.uniques.sort_unstable();
            }
        }
    }

    /// Foreign keys are what queries filter by.
    pub(crate) fn mark_foreign_keys(&mut self) {
        for key in &self.foreign_keys {
            if let Some(table) = self.tables.get_mut(&key.child) {
                let of_key = table.columns.iter_mut().filter(|c| key.columns.contains(&c.name));
                of_key.for_each(|column| column.is_key = true);
            }
        }
    }
}

impl Action {
    /// The action of this name, in SQL's words.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "CASCADE" => Self::Cascade,
            "SET NULL" => Self::SetNull,
            "SET DEFAULT" => Self::SetDefault,
            _ => Self::Nothing,
        }
    }
}

impl ForeignKey {
    /// Is the child written when the parent is?
    pub(crate) fn acts(&self) -> bool {
        self.on_delete != Action::Nothing || self.on_update != Action::Nothing
    }
}

impl Table {
    /// A table without columns or keys yet.
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            columns: Vec::new(),
            primary_key: Vec::new(),
            uniques: Vec::new(),
            replaces: false,
            loose_unique: false,
            unfit: None,
            row_security: None,
            part_of: None,
            rewritten: false,
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| &*c.name == name)
    }

    /// The columns that `*` shows.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.hidden)
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
    /// The form that `value` has in this column; `None` if it has none of its own.
    pub(crate) fn canonical(&self, value: KeyValue) -> Option<KeyValue> {
        match (self.class, value) {
            (KeyClass::Folded(folds), KeyValue::Text(text)) => {
                folds.fold(&text).map(KeyValue::Text)
            }
            (_, value) => self.admits(&value).then_some(value),
        }
    }

    pub(crate) fn is_folded(&self) -> bool {
        matches!(self.class, KeyClass::Folded(_))
    }

    /// Can a column of this kind hold `value` in exactly one spelling?
    pub(crate) fn admits(&self, value: &KeyValue) -> bool {
        match (self.class, value) {
            (KeyClass::None, KeyValue::Null) => true,
            (_, KeyValue::Null) => true,
            // The two extremes may also be stored as the float that rounds to them.
            (KeyClass::Integer, KeyValue::Int(i)) => *i != i64::MIN && *i != i64::MAX,
            (KeyClass::Text, KeyValue::Text(_) | KeyValue::Bytes(_)) => true,
            (KeyClass::Bytes, KeyValue::Bytes(_)) => true,
            (KeyClass::Typed(typed), value) => typed.admits(value),
            _ => false,
        }
    }
}

impl Folds {
    pub(crate) fn fold(self, text: &str) -> Option<String> {
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let fits = self.limit.is_none_or(|limit| text.len() <= limit as usize);
        (plain && fits).then(|| text.trim_end_matches(' ').to_ascii_lowercase())
    }
}

impl Typed {
    fn admits(self, value: &KeyValue) -> bool {
        match (self, value) {
            (Self::Bool | Self::Int16 | Self::Int32 | Self::Int64, KeyValue::Int(_)) => true,
            (Self::UInt64, KeyValue::Int(i)) => *i >= 0,
            (Self::Text(limit), KeyValue::Text(text)) => {
                limit.is_none_or(|limit| text.chars().count() <= limit as usize)
            }
            (Self::Bytes(length), KeyValue::Bytes(bytes)) => {
                length.is_none_or(|length| bytes.len() == length as usize)
            }
            #[cfg(feature = "with-uuid")]
            (Self::Uuid, KeyValue::Bytes(bytes)) => bytes.len() == 16,
            _ => false,
        }
    }
}
