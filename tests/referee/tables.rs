//! The tables as entities: for declarations, and for typed reads of their keys.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ArrayType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, QueryResult, TryFromU64, TryGetError, TryGetable};

/// An integer key, whatever its width in this schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub i64);

impl TryGetable for Id {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        macro_rules! first_that_fits {
            ($($type:ty),*) => {$(
                if let Ok(value) = <$type as TryGetable>::try_get_by(row, index) {
                    return Ok(Self(value.into()));
                }
            )*};
        }
        first_that_fits!(i32, i16, i8);
        i64::try_get_by(row, index).map(Self)
    }
}

impl From<Id> for Value {
    fn from(id: Id) -> Self {
        Value::BigInt(Some(id.0))
    }
}

impl ValueType for Id {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        match value {
            Value::BigInt(Some(id)) => Ok(Self(id)),
            _ => Err(ValueTypeErr),
        }
    }

    fn type_name() -> String {
        "Id".into()
    }

    fn array_type() -> ArrayType {
        ArrayType::BigInt
    }

    fn column_type() -> ColumnType {
        ColumnType::BigInteger
    }
}

impl Nullable for Id {
    fn null() -> Value {
        Value::BigInt(None)
    }
}

impl TryFromU64 for Id {
    fn try_from_u64(id: u64) -> Result<Self, DbErr> {
        TryInto::<i64>::try_into(id).map(Self).map_err(|_| DbErr::ConvertFromU64("Id"))
    }
}

pub mod t {
    use sea_orm::entity::prelude::*;

    use super::Id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "t")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id,
        pub a: Option<Id>,
        pub b: Option<Id>,
        #[sea_orm(has_many)]
        pub vs: HasMany<super::v::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod u {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "u")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod v {
    use sea_orm::entity::prelude::*;

    use super::Id;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "v")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id,
        pub t_id: Option<Id>,
        pub w: Option<Id>,
        #[sea_orm(belongs_to, from = "t_id", to = "id")]
        pub t: BelongsTo<Option<super::t::Entity>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
