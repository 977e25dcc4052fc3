//! What a change brings about by itself: the actions of foreign keys and the bodies of triggers.

use crate::change::{Change, Effect, Image, Row};
use crate::effect::{Known, changes, gone};
use crate::fault::{Fault, broken};
use crate::schema::{Action, Column, ForeignKey, Name, Operation, Schema, Table};
use crate::tag::KeyValue;

/// What one change brings about by itself; `None` if that can't be told.
pub(crate) fn consequences(change: &Change, schema: &Schema) -> Option<Vec<Change>> {
    let mut next = Vec::new();
    if !broken(Fault::NoCascade) {
        for key in schema.foreign_keys.iter().filter(|key| key.parent == change.table) {
            next.extend(cascade(key, &change.effect, schema));
        }
    }
    if broken(Fault::NoTriggers) {
        return Some(next);
    }
    for trigger in schema.triggers.iter().filter(|trigger| trigger.table == change.table) {
        let fires = match &change.effect {
            Effect::Insert(_) => trigger.event == Operation::Insert,
            Effect::Delete(_) => trigger.event == Operation::Delete,
            Effect::Unknown => true,
            Effect::Update { set, .. } => {
                let watched = trigger.of.is_empty()
                    || set.is_empty()
                    || trigger.of.iter().any(|column| set.contains(column));
                trigger.event == Operation::Update && watched
            }
        };
        if fires {
            for facts in trigger.writes.as_ref()? {
                next.extend(changes(facts, &[], Known::default(), schema));
            }
        }
    }
    Some(next)
}

/// What a foreign key's actions do to the child.
fn cascade(key: &ForeignKey, effect: &Effect, schema: &Schema) -> Vec<Change> {
    let change = |effect| vec![Change { table: key.child.clone(), effect }];
    // Triggers may change what a cascade writes.
    let Some(child) = schema.table(&key.child).filter(|child| !child.rewritten) else {
        let acts = key.on_delete != Action::Nothing || key.on_update != Action::Nothing;
        return if acts { change(Effect::Unknown) } else { Vec::new() };
    };
    let parent = schema.table(&key.parent);
    let fixed = |image: &Image| {
        let mut found = Image::default();
        for (name, of_parent) in key.columns.iter().zip(&key.parent_columns) {
            let column = child.column(name);
            let folded = parent.and_then(|parent| parent.column(of_parent));
            let folded = folded.is_some_and(Column::is_folded) && !broken(Fault::FoldedCascades);
            // A folded value is not what the child's rows hold, byte by byte.
            let same = |column: &&Column| !folded || column.is_folded();
            let value = image.get(of_parent).cloned();
            found.set(name, column.filter(same).zip(value).and_then(|(c, v)| c.canonical(v)));
        }
        found
    };
    let deleted = |rows: &[Row]| match key.on_delete {
        Action::Nothing => Vec::new(),
        Action::Cascade => {
            change(Effect::Delete(rows.iter().map(|row| gone(fixed(&row.before))).collect()))
        }
        action => {
            let rows = rows.iter().map(|row| reset(key, fixed(&row.before), action)).collect();
            change(Effect::Update { set: with_generated(&key.columns, child), rows })
        }
    };
    match effect {
        Effect::Insert(_) => Vec::new(),
        Effect::Delete(rows) => deleted(rows),
        Effect::Unknown if key.on_delete == Action::Nothing && key.on_update == Action::Nothing => {
            Vec::new()
        }
        Effect::Unknown => change(Effect::Unknown),
        Effect::Update { set, rows } => {
            let named = key.parent_columns.is_empty()
                || key.parent_columns.iter().any(|column| set.contains(column));
            if !named || key.on_update == Action::Nothing {
                return Vec::new();
            }
            let follow = |row: &Row| match key.on_update {
                Action::Cascade => Row { before: fixed(&row.before), after: fixed(&row.after) },
                action => reset(key, fixed(&row.before), action),
            };
            let set = with_generated(&key.columns, child);
            change(Effect::Update { set, rows: rows.iter().map(follow).collect() })
        }
    }
}

/// SET NULL and SET DEFAULT.
fn reset(key: &ForeignKey, before: Image, action: Action) -> Row {
    let mut after = Image::default();
    for column in &key.columns {
        after.set(column, (action == Action::SetNull).then_some(KeyValue::Null));
    }
    Row { before, after }
}

fn with_generated(columns: &[Name], table: &Table) -> Vec<Name> {
    let generated = table.generated().map(|column| column.name.clone());
    columns.iter().cloned().chain(generated).collect()
}
