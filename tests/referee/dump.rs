//! An entity whose one field is a whole row as text, so that any SELECT can be cached.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, QueryResult, TryFromU64, TryGetError, TryGetable};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dump")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Row,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All columns of a row with their storage classes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row(pub String);

impl TryGetable for Row {
    fn try_get_by<I: ColIdx>(row: &QueryResult, _: I) -> Result<Self, TryGetError> {
        let mut text = String::new();
        for index in 0..row.column_names().len() {
            text.push_str(&column(row, index));
            text.push('|');
        }
        Ok(Self(text))
    }
}

fn column(row: &QueryResult, index: usize) -> String {
    if let Ok(i) = row.try_get_by_index::<Option<i64>>(index) {
        return i.map_or("NULL".into(), |i| i.to_string());
    }
    if let Ok(s) = row.try_get_by_index::<Option<String>>(index) {
        return s.map_or("NULL".into(), |s| format!("{s:?}"));
    }
    if let Ok(r) = row.try_get_by_index::<Option<f64>>(index) {
        return r.map_or("NULL".into(), |r| format!("{r:?}"));
    }
    match row.try_get_by_index::<Option<Vec<u8>>>(index) {
        Ok(bytes) => format!("{bytes:?}"),
        Err(error) => panic!("column {index} of {row:?}: {error}"),
    }
}

impl From<Row> for Value {
    fn from(row: Row) -> Self {
        Value::String(Some(row.0))
    }
}

impl ValueType for Row {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::String(Some(text)) => Ok(Self(text)),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "Row".into()
    }

    fn array_type() -> sea_orm::sea_query::ArrayType {
        sea_orm::sea_query::ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::Text
    }
}

impl Nullable for Row {
    fn null() -> Value {
        Value::String(None)
    }
}

impl TryFromU64 for Row {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Row"))
    }
}
