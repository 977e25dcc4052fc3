//! From what a statement says to what it changes, and to the tags that it bumps.

use std::collections::HashSet;

use sea_orm::Value;

use crate::cascade::consequences;
use crate::change::{Bump, Change, Effect, Image, Row};
use crate::fault::{Fault, broken};
use crate::schema::{Column, ColumnDefault, Name, Operation, Schema, Table};
use crate::sql::facts::{Conflict, Equality, Operand, WriteAction, WriteFacts};
use crate::tag::KeyValue;
use crate::value::canonical;

/// What is known of the written rows beside the statement's own text and values.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// All rows that are about to be written, as they were before.
    pub(crate) captured: Option<&'a [Image]>,
    /// All written rows, as RETURNING shows them: after an INSERT or UPDATE, before a DELETE.
    pub(crate) returned: Option<&'a [Image]>,
    /// The number that MySQL gave the only inserted row.
    pub(crate) numbered: Option<i64>,
}

impl Known<'_> {
    pub(crate) fn is_nothing(&self) -> bool {
        self.captured.is_none() && self.returned.is_none() && self.numbered.is_none()
    }
}

/// A chain of triggers and cascades longer than this is not followed to its end.
const MAX_CHANGES: usize = 2_000;

/// The tags that a write bumps, with everything that follows from it.
pub(crate) fn bump_of(
    facts: &WriteFacts,
    values: &[Value],
    known: Known<'_>,
    schema: &Schema,
    told: bool,
) -> Bump {
    let mut bump = bump_of_changes(changes(facts, values, known, schema), schema, told);
    if facts.replaces() && !schema.triggers.is_empty() {
        // Inside triggers, too, whatever is in the way is deleted.
        bump.more();
    }
    bump
}

/// The same for changes that are known already.
pub(crate) fn bump_of_changes(mut open: Vec<Change>, schema: &Schema, told: bool) -> Bump {
    let mut bump = Bump::of_writes(told);
    let mut seen: HashSet<Change> = open.iter().cloned().collect();
    while let Some(change) = open.pop() {
        let change = of_whole(change, schema);
        bump.add(&change, schema);
        let Some(next) = consequences(&change, schema).filter(|_| seen.len() < MAX_CHANGES) else {
            bump.more();
            continue;
        };
        for consequence in next {
            if seen.insert(consequence.clone()) {
                open.push(consequence);
            }
        }
    }
    bump
}

/// A change of a part is a change of the whole, and of which of its parts is not told.
fn of_whole(change: Change, schema: &Schema) -> Change {
    match schema.table(&change.table).and_then(|table| table.part_of.clone()) {
        Some(table) => Change { table, effect: Effect::Unknown },
        None => change,
    }
}

/// The value of an operand, if it has a form of its own in `column`.
fn value_of(operand: &Operand, values: &[Value], column: &Column) -> Option<KeyValue> {
    let value = match operand {
        Operand::Param(index) => canonical(values.get(*index)?)?,
        Operand::Literal(value) => value.clone(),
        Operand::Unknown => return None,
    };
    column.canonical(value)
}

/// What the statement itself changes.
pub(crate) fn changes(
    facts: &WriteFacts,
    values: &[Value],
    known: Known<'_>,
    schema: &Schema,
) -> Vec<Change> {
    let change = |effect| Change { table: facts.table.clone(), effect };
    let Some(table) = schema.table(&facts.table) else {
        // A view: what its triggers do depends on the kind of write alone.
        let effects = facts.operations().iter().map(|operation| match operation {
            Operation::Insert => Effect::Insert(Vec::new()),
            Operation::Update => Effect::Update { set: Vec::new(), rows: Vec::new() },
            Operation::Delete => Effect::Delete(Vec::new()),
        });
        return effects.map(change).collect();
    };
    let context = Context { table, values, known };
    match &facts.action {
        WriteAction::Unknown => vec![change(Effect::Unknown)],
        WriteAction::Delete { filter, .. } => {
            vec![change(Effect::Delete(context.touched(filter)))]
        }
        WriteAction::Update { set, filter, replaces, .. } => {
            let mut all = vec![change(context.update(set, filter))];
            if *replaces {
                all.push(change(Effect::Delete(vec![Row::default()])));
            }
            all
        }
        WriteAction::Insert { rows, conflict } => {
            // LAST_INSERT_ID(n) in an expression makes the server answer n.
            let plain = rows
                .iter()
                .flatten()
                .all(|row| row.iter().all(|(_, operand)| *operand != Operand::Unknown))
                && rows.is_some();
            let rows = context.inserted(rows.as_deref());
            let mut all = Vec::new();
            match conflict {
                Conflict::None => {}
                Conflict::Update { target, set } => {
                    all.push(change(context.upserted(&rows, target, set)));
                }
                Conflict::Replace => all.push(change(Effect::Delete(context.replaced(&rows)))),
            }
            all.push(change(Effect::Insert(context.completed(rows, plain))));
            all
        }
    }
}

fn appeared(after: Image) -> Row {
    Row { before: Image::default(), after }
}

/// One statement's target and what is known about its rows.
struct Context<'a> {
    table: &'a Table,
    values: &'a [Value],
    known: Known<'a>,
}

impl Context<'_> {
    /// The rows that a WHERE finds, as they are before the write.
    fn touched(&self, filter: &[Equality]) -> Vec<Row> {
        if let Some(images) = self.known.captured.or(self.known.returned) {
            return images.iter().map(|before| gone(before.clone())).collect();
        }
        self.filtered(filter).into_iter().map(gone).collect()
    }

    /// What the equalities of a WHERE tell: one image for each value of at most one IN list.
    fn filtered(&self, filter: &[Equality]) -> Vec<Image> {
        let mut base = Image::default();
        let mut list: Option<(&Name, Vec<KeyValue>)> = None;
        for equality in filter {
            let Some(column) = self.table.column(&equality.column) else {
                continue;
            };
            let values = equality.values.iter().map(|v| value_of(v, self.values, column));
            let Some(values) = values.collect::<Option<Vec<_>>>() else {
                continue;
            };
            match values.as_slice() {
                [only] => base.set(&column.name, Some(only.clone())),
                _ if list.is_none()
                    || self.table.is_primary_key(std::slice::from_ref(&column.name)) =>
                {
                    list = Some((&column.name, values));
                }
                _ => {}
            }
        }
        match list.filter(|(column, _)| base.get(column).is_none()) {
            None => vec![base],
            Some((column, values)) => values
                .into_iter()
                .map(|value| {
                    let mut image = base.clone();
                    image.set(column, Some(value));
                    image
                })
                .collect(),
        }
    }

    fn update(&self, set: &[(Name, Operand)], filter: &[Equality]) -> Effect {
        let columns = self.closed(set);
        let rows = match (self.known.captured, self.known.returned) {
            (Some(captured), returned) => captured
                .iter()
                .map(|before| {
                    let mut row = self.overlaid(before.clone(), set, &columns);
                    if let Some(after) = self.same_key(before, &columns, returned) {
                        row.after = after.clone();
                    }
                    row
                })
                .collect(),
            (None, Some(returned)) => {
                let filtered = self.filtered(filter);
                let common =
                    if let [only] = filtered.as_slice() { only } else { &Image::default() };
                returned.iter().map(|after| self.before_of(after, &columns, common)).collect()
            }
            (None, None) => self
                .filtered(filter)
                .into_iter()
                .map(|before| self.overlaid(before, set, &columns))
                .collect(),
        };
        Effect::Update { set: columns, rows }
    }

    /// The columns that an UPDATE changes: those it sets, and the generated ones.
    fn closed(&self, set: &[(Name, Operand)]) -> Vec<Name> {
        let mut columns: Vec<Name> = set.iter().map(|(column, _)| column.clone()).collect();
        if !broken(Fault::NoGenerated) {
            let generated = self.table.generated().map(|column| column.name.clone());
            columns.extend(generated.filter(|c| !set.iter().any(|(s, _)| s == c)));
        }
        columns
    }

    /// The row after the write: what the statement sets over what was there.
    fn overlaid(&self, before: Image, set: &[(Name, Operand)], columns: &[Name]) -> Row {
        let mut after = before.clone();
        for name in columns {
            let operand = set.iter().find(|(column, _)| column == name).map(|(_, value)| value);
            let value = operand
                .zip(self.table.column(name))
                .and_then(|(operand, column)| value_of(operand, self.values, column));
            after.set(name, value);
        }
        Row { before, after }
    }

    /// The returned row with the captured one's primary key, if the write keeps it.
    fn same_key<'r>(
        &self,
        before: &Image,
        columns: &[Name],
        returned: Option<&'r [Image]>,
    ) -> Option<&'r Image> {
        let key: Vec<_> = self.table.primary_key().map(|column| &column.name).collect();
        if key.is_empty() || key.iter().any(|name| columns.contains(name)) {
            return None;
        }
        // A primary key of NULL (SQLite) is not unique.
        let same = |after: &&Image, name: &Name| match after.get(name) {
            None | Some(KeyValue::Null) => false,
            known => known == before.get(name),
        };
        returned?.iter().find(|after| key.iter().all(|name| same(after, name)))
    }

    /// The row before the write: what RETURNING shows, less the columns that were set, and what
    /// the WHERE says about these.
    fn before_of(&self, after: &Image, columns: &[Name], filtered: &Image) -> Row {
        let mut before = after.clone();
        for name in columns {
            before.set(name, filtered.get(name).cloned());
        }
        Row { before, after: after.clone() }
    }

    fn inserted(&self, rows: Option<&[Vec<(Name, Operand)>]>) -> Vec<Row> {
        let Some(rows) = rows else {
            return vec![Row::default()];
        };
        let image = |row: &Vec<(Name, Operand)>| {
            let mut after = Image::default();
            for column in self.table.key_columns() {
                let given = row.iter().find(|(name, _)| *name == column.name);
                let value = match given {
                    Some((_, operand)) => value_of(operand, self.values, column)
                        .filter(|value| self.is_stored(value, column)),
                    None => self.default_of(column),
                };
                after.set(&column.name, value);
            }
            appeared(after)
        };
        rows.iter().map(image).collect()
    }

    /// The inserted rows with what RETURNING adds. Rows come back in any order, so a column is
    /// taken wholly from one side or the other; an INSERT's tags never join two columns.
    fn completed(&self, mut rows: Vec<Row>, plain: bool) -> Vec<Row> {
        let numbered = self.known.numbered.filter(|_| plain);
        if let ([row], Some(number)) = (rows.as_mut_slice(), numbered) {
            let counts = |column: &&Column| column.default == ColumnDefault::Counter;
            let counter = self.table.key_columns().find(counts);
            let given = |column: &&Column| row.after.get(&column.name).is_some();
            if let Some(column) = counter.filter(|c| !self.table.rewritten && !given(c)) {
                row.after.set(&column.name, Some(KeyValue::Int(number)));
            }
        }
        let Some(returned) = self.known.returned else {
            return rows;
        };
        if returned.len() != rows.len() {
            return if returned.is_empty() { Vec::new() } else { rows };
        }
        for column in self.table.key_columns() {
            if returned.iter().all(|image| image.get(&column.name).is_some()) {
                for (row, image) in rows.iter_mut().zip(returned) {
                    row.after.set(&column.name, image.get(&column.name).cloned());
                }
            }
        }
        rows
    }

    fn is_primary(&self, column: &Name) -> bool {
        self.table.primary_key().any(|primary| primary.name == *column)
    }

    /// Is this value stored as it is given? NULL for an INTEGER PRIMARY KEY means "the next
    /// number", and so does 0 to MySQL's AUTO_INCREMENT; NULL may become a NOT NULL column's default.
    fn is_stored(&self, value: &KeyValue, column: &Column) -> bool {
        match value {
            KeyValue::Null => !column.not_null && !self.is_primary(&column.name),
            KeyValue::Int(0) => column.default != ColumnDefault::Counter,
            _ => true,
        }
    }

    fn default_of(&self, column: &Column) -> Option<KeyValue> {
        let is_null = column.default == ColumnDefault::Null
            && !column.generated
            && !self.table.rewritten
            && !self.is_primary(&column.name);
        is_null.then_some(KeyValue::Null)
    }

    /// The rows that an upsert finds in its way and updates.
    fn upserted(&self, rows: &[Row], target: &[Name], set: &[(Name, Operand)]) -> Effect {
        let columns = self.closed(set);
        let rows = match self.known.returned {
            Some(returned) => {
                let nothing = Image::default();
                returned.iter().map(|after| self.before_of(after, &columns, &nothing)).collect()
            }
            None => rows
                .iter()
                .map(|row| {
                    let mut before = Image::default();
                    for column in target.iter().filter(|_| !self.table.loose_unique) {
                        before.set(column, row.after.get(column).cloned());
                    }
                    self.overlaid(before, set, &columns)
                })
                .collect(),
        };
        Effect::Update { set: columns, rows }
    }

    /// The rows that a REPLACE finds in its way and deletes.
    fn replaced(&self, rows: &[Row]) -> Vec<Row> {
        let by_key_only = self.table.uniques.is_empty() && !self.table.loose_unique;
        let in_the_way = |row: &Row| {
            let mut before = Image::default();
            if by_key_only {
                for column in self.table.primary_key() {
                    before.set(&column.name, row.after.get(&column.name).cloned());
                }
            }
            gone(before)
        };
        rows.iter().map(in_the_way).collect()
    }
}

pub(crate) fn gone(before: Image) -> Row {
    Row { before, after: Image::default() }
}
