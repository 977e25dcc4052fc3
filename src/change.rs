//! What a write did to a table, as far as it is known, and the tags that it bumps for it.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::fault::{Fault, broken};
use crate::schema::{Column, Name, Schema, Table};
use crate::tag::{KeyValue, Part, Tag, TagId};

/// The known key columns of a row. A column that is missing has an unknown value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Image(Vec<(Name, KeyValue)>);

/// One row, or any number of rows that agree in what is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) before: Image,
    pub(crate) after: Image,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) table: Name,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Each row's `after` counts.
    Insert(Vec<Row>),
    /// Each row's `before` counts.
    Delete(Vec<Row>),
    Update {
        set: Vec<Name>,
        rows: Vec<Row>,
    },
    /// Anything may have happened to the table.
    Unknown,
}

impl Image {
    pub(crate) fn get(&self, column: &str) -> Option<&KeyValue> {
        self.0.iter().find(|(name, _)| &**name == column).map(|(_, value)| value)
    }

    /// The same for a name in any case.
    pub(crate) fn find(&self, column: &str) -> Option<&KeyValue> {
        self.known().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value)
    }

    pub(crate) fn known(&self) -> impl Iterator<Item = (&Name, &KeyValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Sets or, with `None`, forgets a column's value.
    pub(crate) fn set(&mut self, column: &Name, value: Option<KeyValue>) {
        self.0.retain(|(name, _)| name != column);
        if let Some(value) = value {
            self.0.push((column.clone(), value));
        }
    }

    fn key(&self, table: &Table) -> Option<Vec<KeyValue>> {
        if table.primary_key.is_empty() {
            return None;
        }
        table.primary_key().map(|column| self.get(&column.name).cloned()).collect()
    }

    fn part(&self, column: &Name) -> Part {
        Part { column: column.clone(), value: self.get(column).cloned() }
    }
}

/// The tags of one or more writes, and the tables whose guards go first.
#[derive(Debug, Default)]
pub(crate) struct Bump {
    pub(crate) tables: Vec<Name>,
    pub(crate) tags: Vec<Tag>,
    /// The same tags by number, in the same order: hashing a tag is what costs most of a bump.
    pub(crate) ids: Vec<TagId>,
    /// What was changed, for rules; only if somebody wants to know.
    pub(crate) changes: Option<Changes>,
    /// The numbers again, once there are too many to look through.
    index: HashSet<TagId, BuildHasherDefault<Numbers>>,
}

/// Tag numbers are hashes already.
#[derive(Debug, Default)]
struct Numbers(u64);

impl Hasher for Numbers {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Up to so many tags are looked through faster than they are looked up.
const FEW: usize = 32;

/// More tags than this in one bump are given up for whole tables: a bump stays cheaper than the
/// write that caused it.
const MAX_TAGS: usize = 20_000;

/// More changes than this are only told by table.
const MAX_CHANGES: usize = 1_000;

/// What one or more writes changed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Changes {
    pub(crate) list: Vec<Change>,
    /// And anything else may have changed.
    pub(crate) more: bool,
}

impl Changes {
    pub(crate) fn add(&mut self, other: Self) {
        self.more |= other.more;
        self.list.extend(other.list);
        if self.list.len() > MAX_CHANGES {
            let tables: HashSet<Name> = self.list.drain(..).map(|change| change.table).collect();
            let unknown = |table| Change { table, effect: Effect::Unknown };
            self.list.extend(tables.into_iter().map(unknown));
        }
    }
}

impl Bump {
    /// Everything.
    pub(crate) fn all() -> Self {
        let mut bump = Self::default();
        bump.push(Tag::All);
        bump.changes = Some(Changes { list: Vec::new(), more: true });
        bump
    }

    /// Also anything else.
    pub(crate) fn more(&mut self) {
        self.merge(Self::all());
    }

    /// Nothing yet; `told`: somebody wants to know the changes.
    pub(crate) fn of_writes(told: bool) -> Self {
        Self { changes: told.then(Changes::default), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.tags.is_empty()
    }

    pub(crate) fn push(&mut self, tag: Tag) {
        if !dropped_by_writer(&tag) {
            self.push_known(tag.id(), tag);
        }
    }

    fn push_known(&mut self, id: TagId, tag: Tag) {
        if self.ids.len() == FEW && self.index.is_empty() {
            self.index.extend(&self.ids);
        }
        let new = match self.index.is_empty() {
            true => !self.ids.contains(&id),
            false => self.index.insert(id),
        };
        if new {
            self.ids.push(id);
            self.tags.push(tag);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut self.changes, other.changes) {
            (Some(changes), Some(other)) => changes.add(other),
            (changes @ None, other) => *changes = other,
            (Some(_), None) => {}
        }
        other.tables.into_iter().for_each(|table| self.touch(&table));
        let known = other.ids.into_iter().zip(other.tags);
        known.for_each(|(id, tag)| self.push_known(id, tag));
        self.limit();
    }

    fn touch(&mut self, table: &Name) {
        if !self.tables.contains(table) {
            self.tables.push(table.clone());
        }
    }

    fn limit(&mut self) {
        if self.tags.len() > MAX_TAGS {
            self.ids.clear();
            self.index.clear();
            let kept = |tag: &Tag| {
                matches!(tag, Tag::All | Tag::User(_) | Tag::Family(..) | Tag::Guard(_))
            };
            let tags = std::mem::take(&mut self.tags);
            tags.into_iter().filter(kept).for_each(|tag| self.push(tag));
            for table in self.tables.clone() {
                self.push(Tag::Whole(table));
            }
        }
    }

    /// Adds the tags of one change (without its cascades and triggers).
    pub(crate) fn add(&mut self, change: &Change, schema: &Schema) {
        let name = &change.table;
        if let Some(changes) = &mut self.changes {
            changes.add(Changes { list: vec![change.clone()], more: false });
        }
        self.touch(name);
        self.push(Tag::Guard(name.clone()));
        match (schema.table(name), &change.effect) {
            (None, _) | (_, Effect::Unknown) => self.push(Tag::Whole(name.clone())),
            (Some(table), Effect::Insert(rows)) => self.appear(table, rows),
            (Some(table), Effect::Delete(rows)) => self.go(table, rows),
            (Some(table), Effect::Update { set, rows }) => self.update(table, set, rows),
        }
        self.limit();
    }

    fn appear(&mut self, table: &Table, rows: &[Row]) {
        self.push(Tag::Appear(table.name.clone(), None));
        for row in rows {
            for column in table.key_columns() {
                let part = row.after.part(&column.name);
                self.push(Tag::Appear(table.name.clone(), Some(part)));
            }
        }
    }

    fn go(&mut self, table: &Table, rows: &[Row]) {
        self.push(Tag::Gone(table.name.clone(), None));
        for row in rows {
            self.push(Tag::Row(table.name.clone(), row.before.key(table)));
            for column in table.key_columns() {
                let part = row.before.part(&column.name);
                self.push(Tag::Gone(table.name.clone(), Some(part)));
            }
        }
    }

    fn update(&mut self, table: &Table, set: &[Name], rows: &[Row]) {
        if table.primary_key().any(|column| set.contains(&column.name)) {
            // Under a new primary key it is another row.
            self.go(table, rows);
            self.appear(table, rows);
        }
        for row in rows {
            self.push(Tag::Row(table.name.clone(), row.before.key(table)));
            for column in set {
                self.push(Tag::Column(table.name.clone(), column.clone(), None));
                for key in table.key_columns() {
                    let part = row.after.part(&key.name);
                    self.push(Tag::Column(table.name.clone(), column.clone(), Some(part)));
                }
                if let Some(column) = table.column(column).filter(|column| column.is_key) {
                    self.move_slice(table, column, row);
                }
            }
        }
    }

    /// The row leaves one slice and enters another. In the slices of a folded column it may do so
    /// under a value of the same form, and may be shown otherwise where it stays.
    fn move_slice(&mut self, table: &Table, column: &Column, row: &Row) {
        let (before, after) = (row.before.part(&column.name), row.after.part(&column.name));
        let folded = column.is_folded() && !broken(Fault::FoldedStays);
        if before.value.is_none() || before != after || folded {
            self.push(Tag::Gone(table.name.clone(), Some(before)));
            self.push(Tag::Appear(table.name.clone(), Some(after)));
        }
    }
}

impl Tag {
    /// Does it stand for values that are unknown?
    pub(crate) fn is_broad(&self) -> bool {
        match self {
            Self::Row(_, key) => key.is_none(),
            Self::Appear(_, Some(part))
            | Self::Gone(_, Some(part))
            | Self::Column(_, _, Some(part)) => part.value.is_none(),
            _ => false,
        }
    }
}

fn dropped_by_writer(tag: &Tag) -> bool {
    let fault = match tag {
        Tag::All => Fault::WriterDropsAll,
        Tag::Guard(_) => Fault::WriterDropsGuard,
        Tag::Whole(_) => Fault::WriterDropsWhole,
        Tag::Row(_, Some(_)) => Fault::WriterDropsRow,
        Tag::Row(_, None) => Fault::WriterDropsAnyRow,
        Tag::Appear(_, None) => Fault::WriterDropsAppear,
        Tag::Gone(_, None) => Fault::WriterDropsGone,
        Tag::Column(_, _, None) => Fault::WriterDropsColumn,
        Tag::Appear(_, Some(part)) if part.value.is_some() => Fault::WriterDropsAppearPart,
        Tag::Gone(_, Some(part)) if part.value.is_some() => Fault::WriterDropsGonePart,
        Tag::Column(_, _, Some(part)) if part.value.is_some() => Fault::WriterDropsColumnPart,
        Tag::Appear(..) => Fault::WriterDropsAppearAny,
        Tag::Gone(..) => Fault::WriterDropsGoneAny,
        Tag::Column(..) => Fault::WriterDropsColumnAny,
        Tag::User(_) | Tag::Family(..) => return false,
    };
    broken(fault)
}
