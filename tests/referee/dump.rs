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
    macro_rules! first_that_fits {
        ($($type:ty),*) => {$(
            if let Ok(value) = row.try_get_by_index::<Option<$type>>(index) {
                return value.map_or("NULL".into(), |value| format!("{value:?}"));
            }
        )*};
    }
    // Servers hand a column out as its own type only.
    first_that_fits!(i64, u64, i32, i16, String, f64, f32, Decimal, bool, Vec<u8>);
    panic!("column {index} of {row:?}")
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
