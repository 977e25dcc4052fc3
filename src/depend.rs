//! What a result depends on: from facts and bound values to tags.

use sea_orm::{QueryResult, TryGetable, Value};

use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::schema::{Column, KeyClass, Name, Schema, Table, Typed};
use crate::sql::facts::{Equality, Occurrence, Operand, OutputColumn, ReadFacts};
use crate::store::Unique;
use crate::tag::{KeyValue, Part, Tag};
use crate::value::canonical;

/// A result with more rows of a table than this depends on its columns instead of on each row.
const MAX_ROWS: usize = 64;

/// IN lists longer than this bound nothing: each value is a tag.
const MAX_IN_VALUES: usize = 32;

/// A query that would depend on more tags than this depends on its tables as a whole.
const MAX_TAGS: usize = 1024;

/// What a query's result will depend on. Everything but the row tags is known before the SQL runs.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The tables whose guards must be watched while the SQL runs.
    pub(crate) tables: Vec<Name>,
    /// Tags of every result.
    pub(crate) always: Vec<Tag>,
    pub(crate) rows: Vec<ByRows>,
    /// The version, in the store, of the schema that this was found under.
    pub(crate) schema: Option<Unique>,
}

/// An occurrence whose rows' keys the result exposes.
#[derive(Debug)]
pub(crate) struct ByRows {
    pub(crate) table: Name,
    key: Vec<(OutputColumn, KeyClass)>,
    /// The WHERE fixes the primary key, so a row that is found is the only one.
    by_key: bool,
    /// `T:pk=*`, on which every result depends that shows rows by key.
    any_row: Tag,
    /// Tags if the rows are few: what else could enter the result.
    pub(crate) members: Vec<Tag>,
    /// Tags if the rows are too many.
    pub(crate) columns: Vec<Tag>,
}

impl Plan {
    pub(crate) fn new(facts: &ReadFacts, values: &[Value], schema: &Schema) -> Self {
        let fine = Self::build(facts, values, schema, facts.coarse);
        if fine.len() > MAX_TAGS { Self::build(facts, values, schema, true) } else { fine }
    }

    /// The same for whatever state its tables are in.
    pub(crate) fn whole(facts: &ReadFacts, values: &[Value], schema: &Schema) -> Self {
        Self::build(facts, values, schema, true)
    }

    /// Also depends on whatever the other could show, now or later.
    pub(crate) fn join(&mut self, other: Self) {
        let rows = other.rows.into_iter().flat_map(|rows| rows.columns);
        other.always.into_iter().chain(rows).for_each(|tag| self.add(tag));
        self.tables.extend(other.tables);
    }

    fn len(&self) -> usize {
        let rows = self.rows.iter().map(|rows| rows.members.len() + rows.columns.len());
        self.always.len() + rows.sum::<usize>()
    }

    fn build(facts: &ReadFacts, values: &[Value], schema: &Schema, coarse: bool) -> Self {
        let mut plan = Self::default();
        let from_the_start = match &facts.offset {
            None => true,
            Some(Operand::Param(index)) => {
                values.get(*index).and_then(canonical) == Some(KeyValue::Int(0))
            }
            Some(offset) => *offset == Operand::Literal(KeyValue::Int(0)),
        };
        let by_rows = from_the_start || broken(Fault::OffsetByRows);
        facts.tags.iter().for_each(|name| plan.add(Tag::User(name.clone())));
        for occurrence in &facts.occurrences {
            let table = schema.table(&occurrence.table);
            let part_of = table.and_then(|table| table.part_of.as_ref());
            let name = part_of.unwrap_or(&occurrence.table);
            if !plan.tables.contains(name) {
                plan.tables.push(name.clone());
                plan.add(Tag::Whole(name.clone()));
            }
            // A partition alone: writes to the whole do not say which one they touch.
            let coarse = coarse || occurrence.whole || part_of.is_some();
            match table.filter(|_| !coarse) {
                None => plan.add(Tag::Guard(name.clone())),
                Some(table) => plan.occurrence(occurrence, table, values, by_rows),
            }
        }
        plan
    }

    fn add(&mut self, tag: Tag) {
        if !self.always.contains(&tag) && !dropped_by_reader(&tag) {
            self.always.push(tag);
        }
    }

    fn occurrence(&mut self, of: &Occurrence, table: &Table, values: &[Value], by_rows: bool) {
        let slice = slice(of, table, values);
        let tags = SliceTags { table: &table.name, slice: slice.as_ref() };
        // A row under another primary key is a row that goes and one that appears.
        let changes = |column: &&Name| !table.primary_key().any(|key| key.name == **column);
        let mut members = tags.appear();
        members.extend(tags.columns(of.membership.iter().filter(changes)));
        let mut columns = members.clone();
        columns.extend(tags.gone());
        columns.extend(tags.columns(of.output.difference(&of.membership).filter(changes)));

        let key = of.exposed.as_ref().filter(|_| by_rows).and_then(|key| classified(key, table));
        let Some(key) = key else {
            return columns.into_iter().for_each(|tag| self.add(tag));
        };
        if of.nullable {
            // Where an outer join finds no row any more, one without it appears, shown or not.
            members.extend(tags.gone());
        }
        let any_row = Tag::Row(table.name.clone(), None);
        members.push(any_row.clone());
        members.retain(|tag| !dropped_by_reader(tag));
        columns.retain(|tag| !dropped_by_reader(tag));
        // SQLite lets a primary key be NULL, in any number of rows.
        let one = |found: Option<Vec<KeyValue>>| matches!(found.as_deref(), Some([value]) if *value != KeyValue::Null);
        let fixed = |column: &Column| {
            of.slices.iter().any(|equality| {
                equality.column == column.name && one(values_of(equality, values, column))
            })
        };
        let by_key = !of.nullable && table.primary_key().all(fixed);
        let table = table.name.clone();
        self.rows.push(ByRows { table, key, by_key, any_row, members, columns });
    }
}

impl ByRows {
    /// The tags that apply to this result.
    ///
    /// # Errors
    ///
    /// [`Reason::UnexpectedShape`] if the rows do not carry the keys where they should.
    pub(crate) fn choose(&self, rows: &[QueryResult]) -> Result<Vec<Tag>, Reason> {
        if rows.len() > MAX_ROWS {
            return Ok(self.columns.clone());
        }
        if let Some(first) = rows.first() {
            let names = first.column_names();
            let as_expected = |(column, _): &(OutputColumn, KeyClass)| {
                names.get(column.index).is_some_and(|n| n.eq_ignore_ascii_case(&column.label))
            };
            if !self.key.iter().all(as_expected) {
                return Err(Reason::UnexpectedShape);
            }
        }
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let key: Option<Vec<KeyValue>> =
                self.key.iter().map(|(column, class)| read(row, column.index, *class)).collect();
            // A key without a canonical form (an unsigned one beyond 63 bits) can't be a tag.
            let Some(key) = key else { return Ok(self.columns.clone()) };
            // A key of NULL is a row that an outer join did not find, or (SQLite) one without key.
            let tag = Tag::Row(self.table.clone(), Some(key));
            if !shown.contains(&tag) && !dropped_by_reader(&tag) {
                shown.push(tag);
            }
        }
        let mut tags = if self.by_key && !shown.is_empty() {
            vec![self.any_row.clone()]
        } else {
            self.members.clone()
        };
        tags.append(&mut shown);
        tags.retain(|tag| !dropped_by_reader(tag));
        Ok(tags)
    }
}

/// The tags of one occurrence, restricted to the slice that bounds it.
struct SliceTags<'a> {
    table: &'a Name,
    slice: Option<&'a (Name, Vec<KeyValue>)>,
}

impl SliceTags<'_> {
    /// The slice's values and "unknown which", or no slice.
    fn parts(&self) -> Vec<Option<Part>> {
        match self.slice {
            None => vec![None],
            Some((column, values)) => values
                .iter()
                .map(|value| Some(Part::one(column.clone(), value.clone())))
                .chain([Some(Part::any(column.clone()))])
                .collect(),
        }
    }

    fn appear(&self) -> Vec<Tag> {
        self.parts().into_iter().map(|part| Tag::Appear(self.table.clone(), part)).collect()
    }

    fn gone(&self) -> Vec<Tag> {
        self.parts().into_iter().map(|part| Tag::Gone(self.table.clone(), part)).collect()
    }

    /// The slice's own column needs no tag: a row whose value changes leaves or enters the slice.
    fn columns<'c>(&self, columns: impl IntoIterator<Item = &'c Name>) -> Vec<Tag> {
        let sliced = self.slice.map(|(column, _)| column);
        let others = columns.into_iter().filter(|column| Some(*column) != sliced);
        others
            .flat_map(|column| {
                let parts = self.parts().into_iter();
                parts.map(|part| Tag::Column(self.table.clone(), column.clone(), part))
            })
            .collect()
    }
}

/// The equality that bounds an occurrence best.
fn slice(of: &Occurrence, table: &Table, values: &[Value]) -> Option<(Name, Vec<KeyValue>)> {
    let usable = of.slices.iter().filter_map(|equality| {
        let column = table.column(&equality.column)?;
        let nullable = of.nullable && !broken(Fault::NullableIsNull);
        let found = values_of(equality, values, column)?;
        let fits = found.len() <= MAX_IN_VALUES && !(nullable && found.contains(&KeyValue::Null));
        fits.then_some((column, found))
    });
    let (column, mut found) = usable.min_by_key(|(column, found)| {
        (found.len(), !table.primary_key().any(|primary| primary.name == column.name))
    })?;
    found.dedup();
    Some((column.name.clone(), found))
}

fn values_of(equality: &Equality, values: &[Value], column: &Column) -> Option<Vec<KeyValue>> {
    let value = |operand: &Operand| {
        let value = match operand {
            Operand::Param(index) => canonical(values.get(*index)?)?,
            Operand::Literal(value) => value.clone(),
            Operand::Unknown => return None,
        };
        column.canonical(value)
    };
    equality.values.iter().map(value).collect()
}

fn classified(key: &[OutputColumn], table: &Table) -> Option<Vec<(OutputColumn, KeyClass)>> {
    key.iter()
        .map(|output| {
            let class = table.column(&output.column)?.class;
            (class != KeyClass::None).then(|| (output.clone(), class))
        })
        .collect()
}

/// The canonical form of a column in a result row; `None` if it has none.
pub(crate) fn read(row: &QueryResult, index: usize, class: KeyClass) -> Option<KeyValue> {
    let text = || row.try_get_by_index::<Option<String>>(index).ok();
    let bytes = || row.try_get_by_index::<Option<Vec<u8>>>(index).ok();
    let value = match class {
        KeyClass::Typed(typed) => return typed_value(row, index, typed),
        KeyClass::Integer => row.try_get_by_index::<Option<i64>>(index).ok()?.map(KeyValue::Int),
        KeyClass::Text => match text() {
            Some(text) => text.map(KeyValue::Text),
            None => bytes()?.map(KeyValue::Bytes),
        },
        KeyClass::Bytes => bytes()?.map(KeyValue::Bytes),
        KeyClass::Folded(folds) => match text()? {
            Some(text) => Some(KeyValue::Text(folds.fold(&text)?)),
            None => None,
        },
        KeyClass::None => return None,
    };
    Some(value.unwrap_or(KeyValue::Null))
}

/// The same for a server's column, whose driver hands it out as its own type only.
fn typed_value(row: &QueryResult, index: usize, typed: Typed) -> Option<KeyValue> {
    fn get<T: TryGetable>(row: &QueryResult, index: usize) -> Option<Option<T>> {
        row.try_get_by_index::<Option<T>>(index).ok()
    }
    let int = |value: Option<i64>| value.map(KeyValue::Int);
    let value = match typed {
        Typed::Bool => get::<bool>(row, index)?.map(|v| KeyValue::Int(v.into())),
        Typed::Int16 => int(get::<i16>(row, index)?.map(i64::from)),
        Typed::Int32 => int(get::<i32>(row, index)?.map(i64::from)),
        Typed::Int64 => int(get::<i64>(row, index)?),
        Typed::UInt64 => match get::<u64>(row, index)? {
            Some(value) => Some(KeyValue::Int(value.try_into().ok()?)),
            None => None,
        },
        Typed::Text(_) => get::<String>(row, index)?.map(KeyValue::Text),
        Typed::Bytes(_) => get::<Vec<u8>>(row, index)?.map(KeyValue::Bytes),
        #[cfg(feature = "with-uuid")]
        Typed::Uuid => get::<sea_orm::prelude::Uuid>(row, index)?
            .map(|uuid| KeyValue::Bytes(uuid.as_bytes().to_vec())),
    };
    Some(value.unwrap_or(KeyValue::Null))
}

fn dropped_by_reader(tag: &Tag) -> bool {
    let fault = match tag {
        Tag::Row(_, Some(_)) => Fault::ReaderDropsRow,
        Tag::Row(_, None) => Fault::ReaderDropsAnyRow,
        Tag::Appear(..) => Fault::ReaderDropsAppear,
        Tag::Gone(..) => Fault::ReaderDropsGone,
        Tag::Column(..) => Fault::ReaderDropsColumn,
        Tag::Guard(_) => Fault::ReaderDropsGuard,
        _ => return false,
    };
    broken(fault)
}
