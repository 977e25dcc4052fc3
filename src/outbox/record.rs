//! From a note of a trigger to what it says was changed.

use sea_orm::DbBackend;
use serde_json::{Map, Value};

use super::row::Note;
use crate::change::{Change, Effect, Image, Row};
use crate::effect::gone;
use crate::schema::{Column, KeyClass, Name, Schema, Table, Typed};
use crate::tag::KeyValue;

/// What was changed; anything that can't be read says that the whole table was.
pub(super) fn change(note: &Note, schema: &Schema, backend: DbBackend) -> Option<Change> {
    let name: Name = note.table.as_str().into();
    let effect = match schema.table(&name) {
        Some(table) => effect(note, table, backend).unwrap_or(Some(Effect::Unknown)),
        None => Some(Effect::Unknown),
    };
    Some(Change { table: name, effect: effect? })
}

/// `None` if it can't be read; `Some(None)` if nothing was changed.
fn effect(note: &Note, table: &Table, backend: DbBackend) -> Option<Option<Effect>> {
    let image = |text: &Option<String>| image(text.as_deref(), table, backend);
    Some(Some(match note.operation.as_str() {
        "I" => Effect::Insert(vec![Row { before: Image::default(), after: image(&note.after)? }]),
        "D" => Effect::Delete(vec![gone(image(&note.before)?)]),
        "U" => {
            let set = changed(note.changed.as_deref()?, table)?;
            if set.is_empty() {
                return Some(None);
            }
            let row = Row { before: image(&note.before)?, after: image(&note.after)? };
            Effect::Update { set, rows: vec![row] }
        }
        _ => Effect::Unknown,
    }))
}

/// The columns that changed, and the generated ones, which may have.
fn changed(text: &str, table: &Table) -> Option<Vec<Name>> {
    let is_one = |value: &Value| !matches!(value, Value::Bool(false)) && value.as_i64() != Some(0);
    let mut set: Vec<Name> = match serde_json::from_str(text).ok()? {
        // All that changed are in it.
        Value::Array(names) => {
            let mut set = Vec::new();
            for name in &names {
                set.push(Name::from(name.as_str()?));
            }
            set
        }
        // All that were compared are in it: others were added later.
        Value::Object(compared) => {
            let may_have_changed =
                |column: &&Column| compared.get(&*column.name).is_none_or(is_one);
            let plain = table.columns.iter().filter(|column| !column.generated);
            plain.filter(may_have_changed).map(|column| column.name.clone()).collect()
        }
        _ => return None,
    };
    if !set.is_empty() {
        let generated = table.generated().map(|column| column.name.clone());
        let new: Vec<_> = generated.filter(|column| !set.contains(column)).collect();
        set.extend(new);
    }
    Some(set)
}

fn image(text: Option<&str>, table: &Table, backend: DbBackend) -> Option<Image> {
    let values: Map<String, Value> = serde_json::from_str(text?).ok()?;
    let mut image = Image::default();
    for column in table.key_columns() {
        let value = values.get(&*column.name).and_then(|value| read(value, column, backend));
        image.set(&column.name, value.and_then(|value| column.canonical(value)));
    }
    Some(image)
}

/// A key column's value in the form that its database's triggers give it.
fn read(value: &Value, column: &Column, backend: DbBackend) -> Option<KeyValue> {
    match (value, column.class) {
        (Value::Null, _) => Some(KeyValue::Null),
        (_, KeyClass::None) => None,
        (Value::Number(number), _) => number.as_i64().map(KeyValue::Int),
        (Value::Bool(is), KeyClass::Typed(Typed::Bool)) => Some(KeyValue::Int((*is).into())),
        (Value::String(text), class) => match backend {
            DbBackend::Postgres => of_postgres(text, class),
            _ => match text.split_at_checked(1)? {
                ("t", bytes) => String::from_utf8(unhex(bytes)?).ok().map(KeyValue::Text),
                ("b", bytes) => unhex(bytes).map(KeyValue::Bytes),
                _ => text.parse().ok().map(KeyValue::Int),
            },
        },
        _ => None,
    }
}

fn of_postgres(text: &str, class: KeyClass) -> Option<KeyValue> {
    match class {
        KeyClass::Typed(Typed::Text(_)) | KeyClass::Text | KeyClass::Folded(_) => {
            Some(KeyValue::Text(text.to_owned()))
        }
        KeyClass::Typed(Typed::Bytes(_)) => unhex(text.strip_prefix("\\x")?).map(KeyValue::Bytes),
        #[cfg(feature = "with-uuid")]
        KeyClass::Typed(Typed::Uuid) => unhex(&text.replace('-', "")).map(KeyValue::Bytes),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}
