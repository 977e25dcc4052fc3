//! Rows of every type that each database has, from the database itself and from a cache whose
//! entries went through the codec.

use fastrand::Rng;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder, Schema};
use sea_orm_cache::StorableEntity;
use sea_orm_cache::prelude::*;

use crate::sample::Sample;
use crate::support::servers::{Backend, TestDb};
use crate::support::{TTL, checked};

macro_rules! entity {
    ($name:ident, { $($(#[$of:meta])* $field:ident: $type:ty = |$rng:ident| $value:expr),* $(,)? }) => {
        mod $name {
            use super::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "everything")]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: i32,
                $($(#[$of])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn sample(id: i32, rng: &mut Rng) -> Model {
                $(let $field = { let $rng = &mut *rng; $value };)*
                Model { id, $($field,)* }
            }
        }
    };
}

/// Text that every database takes: PostgreSQL has no NUL.
fn text(rng: &mut Rng) -> String {
    String::sample(rng).replace('\0', "").chars().take(40).collect()
}

/// A moment to the microsecond, in a year that every database has.
fn moment(rng: &mut Rng) -> DateTime {
    let seconds = rng.i64(0..4_000_000_000);
    let nanos = rng.u32(0..1_000_000) * 1_000;
    DateTimeUtc::from_timestamp(seconds, nanos).expect("a moment").naive_utc()
}

fn finite(rng: &mut Rng) -> f64 {
    (rng.f64() - 0.5) * 1e6
}

entity!(sqlite, {
    large: i64 = |rng| i64::sample(rng),
    middle: u32 = |rng| u32::sample(rng),
    tiny: Option<i8> = |rng| Option::sample(rng),
    double: f64 = |rng| finite(rng),
    flag: Option<bool> = |rng| Option::sample(rng),
    text: String = |rng| text(rng),
    bytes: Option<Vec<u8>> = |rng| Option::sample(rng),
    uuid: Uuid = |rng| Uuid::sample(rng),
    json: Json = |rng| Json::sample(rng),
    date: Date = |rng| moment(rng).date(),
    time: Time = |rng| moment(rng).time(),
    at: Option<DateTime> = |rng| rng.bool().then(|| moment(rng)),
    utc: DateTimeUtc = |rng| moment(rng).and_utc(),
    zoned: DateTimeWithTimeZone = |rng| moment(rng).and_utc().fixed_offset(),
});

entity!(postgres, {
    small: i16 = |rng| i16::sample(rng),
    large: i64 = |rng| i64::sample(rng),
    single: f32 = |rng| f32::sample(rng),
    double: f64 = |rng| f64::sample(rng),
    flag: Option<bool> = |rng| Option::sample(rng),
    text: String = |rng| text(rng),
    bytes: Option<Vec<u8>> = |rng| Option::sample(rng),
    uuid: Option<Uuid> = |rng| Option::sample(rng),
    #[sea_orm(column_type = "Decimal(Some((20, 4)))")]
    decimal: Decimal = |rng| Decimal::new(rng.i64(-1_000_000..1_000_000), 4),
    #[sea_orm(column_type = "Decimal(Some((60, 20)))")]
    big: BigDecimal = |rng| BigDecimal::new(rng.i64(..).into(), 20),
    date: Date = |rng| moment(rng).date(),
    time: Time = |rng| moment(rng).time(),
    at: Option<DateTime> = |rng| rng.bool().then(|| moment(rng)),
    utc: DateTimeUtc = |rng| moment(rng).and_utc(),
    zoned: DateTimeWithTimeZone = |rng| moment(rng).and_utc().fixed_offset(),
    #[sea_orm(column_type = "Inet")]
    network: sea_orm::sea_query::prelude::IpNetwork = |rng| Sample::sample(rng),
    #[sea_orm(column_type = "MacAddr")]
    mac: Option<sea_orm::sea_query::prelude::MacAddress> = |rng| Sample::sample(rng),
    ints: Vec<i32> = |rng| Sample::sample(rng),
    texts: Option<Vec<String>> = |rng| rng.bool().then(|| vec![super::text(rng), String::new()]),
    uuids: Vec<Uuid> = |rng| Sample::sample(rng),
});

entity!(mysql, {
    tiny: i8 = |rng| i8::sample(rng),
    huge: u64 = |rng| u64::sample(rng),
    middle: Option<u32> = |rng| Option::sample(rng),
    single: f32 = |rng| finite(rng) as f32,
    double: f64 = |rng| finite(rng),
    flag: bool = |rng| bool::sample(rng),
    text: String = |rng| text(rng),
    #[sea_orm(column_type = "VarBinary(StringLen::N(300))")]
    bytes: Option<Vec<u8>> = |rng| Option::sample(rng),
    uuid: Uuid = |rng| Uuid::sample(rng),
    #[sea_orm(column_type = "Decimal(Some((20, 4)))")]
    decimal: Option<Decimal> = |rng| Some(Decimal::new(rng.i64(-1_000_000..1_000_000), 4)),
    date: Date = |rng| moment(rng).date(),
});

async fn rows_agree<E: StorableEntity<Model: IntoActiveModel<E::ActiveModel>>>(
    backend: Backend,
    sample: fn(i32, &mut Rng) -> E::Model,
    order: E::Column,
) where
    E::ActiveModel: Send,
{
    if !backend.is_reachable() {
        return;
    }
    let database = TestDb::new(backend).await;
    let plain = database.pool(2).await;
    let schema = Schema::new(plain.get_database_backend());
    plain.execute(&schema.create_table_from_entity(E::default())).await.expect("the table");
    let mut rng = Rng::with_seed(9);
    for id in 0..60 {
        let row = sample(id, &mut rng).into_active_model();
        E::insert(row).exec_without_returning(&plain).await.expect("a row");
    }
    let cache = checked().build().await.expect("a cache");
    let db = cache.connect(plain.clone()).await.expect("a connection");
    let all = || E::find().order_by_asc(order);
    let fresh = format!("{:?}", all().all(&plain).await.expect("rows"));
    for _ in 0..2 {
        let cached = all().cached(TTL).all(&db).await.expect("rows");
        assert_eq!(format!("{cached:?}"), fresh, "{backend:?}");
    }
    let json = format!("{:?}", all().into_json().all(&plain).await.expect("rows"));
    for _ in 0..2 {
        let cached = all().into_json().cached(TTL).all(&db).await.expect("rows");
        assert_eq!(format!("{cached:?}"), json, "{backend:?}");
    }
    assert_eq!(cache.stats().total.hits, 2, "{backend:?}");
}

#[tokio::test]
async fn rows_of_every_type_are_those_of_the_database() {
    rows_agree::<sqlite::Entity>(Backend::Sqlite, sqlite::sample, sqlite::Column::Id).await;
    rows_agree::<postgres::Entity>(Backend::Postgres, postgres::sample, postgres::Column::Id).await;
    rows_agree::<mysql::Entity>(Backend::MySql, mysql::sample, mysql::Column::Id).await;
}
