//! Columns of every type, with values at the extremes and NULLs.

use std::fmt::Debug;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveModelTrait, IntoActiveModel, Iterable, QueryOrder};

use crate::run::Run;
use crate::support::servers::Backend;
use crate::values;
use crate::world::{Db, Tables, Watched};

pub mod full {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "full_row")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub small: i16,
        pub middle: i32,
        pub large: i64,
        pub single: f32,
        pub double: f64,
        #[sea_orm(column_type = "Decimal(Some((20, 6)))")]
        pub exact: Decimal,
        pub flag: bool,
        pub name: String,
        #[sea_orm(column_type = "Text")]
        pub text: String,
        #[sea_orm(column_type = "Char(Some(3))")]
        pub code: String,
        #[sea_orm(column_type = "VarBinary(StringLen::N(300))")]
        pub bytes: Vec<u8>,
        pub uuid: Uuid,
        pub date: Date,
        pub time: Time,
        pub at: DateTime,
        pub utc: DateTimeUtc,
        pub zoned: DateTimeWithTimeZone,
        pub json: Json,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod hollow {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hollow_row")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub small: Option<i16>,
        pub middle: Option<i32>,
        pub large: Option<i64>,
        pub single: Option<f32>,
        pub double: Option<f64>,
        #[sea_orm(column_type = "Decimal(Some((20, 6)))", nullable)]
        pub exact: Option<Decimal>,
        pub flag: Option<bool>,
        pub name: Option<String>,
        #[sea_orm(column_type = "VarBinary(StringLen::N(300))", nullable)]
        pub bytes: Option<Vec<u8>>,
        pub uuid: Option<Uuid>,
        pub date: Option<Date>,
        pub time: Option<Time>,
        pub at: Option<DateTime>,
        pub utc: Option<DateTimeUtc>,
        pub zoned: Option<DateTimeWithTimeZone>,
        pub json: Option<Json>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// PostgreSQL has no such columns.
pub mod tiny {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tiny_row")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: u32,
        pub tiny: i8,
        pub tiny_unsigned: u8,
        pub small_unsigned: u16,
        pub middle_unsigned: u32,
        pub maybe: Option<u32>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Only MariaDB has such columns.
pub mod huge {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "huge_row")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: u64,
        pub large_unsigned: u64,
        pub maybe: Option<u64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Only PostgreSQL has such columns.
pub mod lists {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "list_row")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub numbers: Vec<i32>,
        pub words: Vec<String>,
        pub maybe: Option<Vec<i64>>,
        pub uuids: Vec<Uuid>,
        #[sea_orm(column_type = "JsonBinary")]
        pub json: Json,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn every_type_is_read_from_memory_as_from_the_database() {
    same_on_connections!(common, every_type);
}

#[tokio::test]
async fn each_databases_own_types_are_read_as_well() {
    same_on_connections!(own, own_types);
}

fn common(tables: Tables) -> Tables {
    tables.add(full::Entity).add(hollow::Entity)
}

fn own(tables: Tables) -> Tables {
    match tables.backend() {
        Backend::Sqlite => tables.add(tiny::Entity),
        Backend::Postgres => tables.add(lists::Entity),
        Backend::MySql => tables.add(tiny::Entity).add(huge::Entity),
    }
}

async fn every_type(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    life(db, run, values::full(run.backend), |row, id| row.id = id).await;
    life(db, run, values::hollow(run.backend), |row, id| row.id = id).await;
    Ok(())
}

async fn own_types(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    match run.backend {
        Backend::Postgres => life(db, run, values::lists(), |row, id| row.id = id).await,
        Backend::Sqlite | Backend::MySql => {
            let number = |row: &mut tiny::Model, id| row.id = u32::try_from(id).expect("few rows");
            life(db, run, values::tiny(), number).await;
        }
    }
    if run.is(Backend::MySql) {
        life(db, run, values::huge(), |row, id| row.id = id.unsigned_abs()).await;
    }
    Ok(())
}

/// Rows come, each takes the values of the next one, and they go. After every step each is asked
/// for by every value that it has or had.
async fn life<M>(db: &impl Db, run: &Run<'_>, rows: Vec<M>, number: fn(&mut M, i64))
where
    M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel> + Debug,
    M::Entity: Watched<Model = M>,
    <M::Entity as EntityTrait>::ActiveModel: Send,
{
    for row in &rows {
        let inserted = row.clone().into_active_model().reset_all().insert(db);
        run.step("insert", inserted).await;
        by_each_value(db, run, &rows).await;
    }
    for (index, row) in rows.iter().enumerate() {
        let mut next = rows[(index + 1) % rows.len()].clone();
        let id = i64::try_from(index).expect("few rows") + 1;
        number(&mut next, id);
        assert_ne!(next, *row);
        run.step("update", next.into_active_model().reset_all().update(db)).await;
        by_each_value(db, run, &rows).await;
    }
    for row in &rows {
        run.step("delete", row.clone().delete(db)).await;
        by_each_value(db, run, &rows).await;
    }
}

async fn by_each_value<M>(db: &impl Db, run: &Run<'_>, rows: &[M])
where
    M: ModelTrait,
    M::Entity: Watched<Model = M>,
{
    let key = || <M::Entity as EntityTrait>::PrimaryKey::iter().next().expect("a key");
    for column in <M::Entity as EntityTrait>::Column::iter() {
        if !is_comparable(column.def().get_column_type()) {
            continue;
        }
        for row in rows {
            let select = || {
                let select = M::Entity::find().filter(column.eq(row.get(column)));
                select.order_by_asc(sea_orm::PrimaryKeyToColumn::into_column(key()))
            };
            run.rows("by a value", db, select).await;
        }
    }
}

/// PostgreSQL compares neither JSON, nor lists of texts with the lists that SeaORM binds.
fn is_comparable(column: &ColumnType) -> bool {
    match column {
        ColumnType::Json => false,
        ColumnType::Array(of) => !matches!(**of, ColumnType::String(_)),
        _ => true,
    }
}
