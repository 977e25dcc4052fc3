//! Every type that a column can have.

use fastrand::Rng;
use sea_orm::entity::prelude::*;
use sea_orm_cache::{Columns, Listed};

use crate::sample::Sample;
use crate::through;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(1))")]
pub enum Letter {
    #[sea_orm(string_value = "A")]
    A,
    #[sea_orm(string_value = "B")]
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i32", db_type = "Integer")]
pub enum Number {
    #[sea_orm(num_value = -5)]
    Low,
    #[sea_orm(num_value = 700000)]
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "Enum", db_type = "Enum", enum_name = "mood")]
pub enum Mood {
    #[sea_orm(string_value = "glad")]
    Glad,
    #[sea_orm(string_value = "very sad")]
    Sad,
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
pub struct Wrapped(pub i32);

#[derive(Clone, Debug, PartialEq, Eq, Hash, DeriveValueType)]
pub struct Name(pub String);

/// Refuses what it would not write itself.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct Even(pub i64);

impl std::fmt::Display for Even {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 * 2)
    }
}

impl std::str::FromStr for Even {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse::<i64>()? / 2))
    }
}

macro_rules! samples {
    ($($type:ty => |$rng:ident| $value:expr),* $(,)?) => {$(
        impl Sample for $type {
            fn sample($rng: &mut Rng) -> Self {
                $value
            }
        }
    )*};
}

samples! {
    Letter => |rng| if rng.bool() { Self::A } else { Self::B },
    Number => |rng| if rng.bool() { Self::Low } else { Self::High },
    Mood => |rng| if rng.bool() { Self::Glad } else { Self::Sad },
    Wrapped => |rng| Self(i32::sample(rng)),
    Name => |rng| Self(String::sample(rng)),
    Even => |rng| Self(rng.i64(-1000..1000)),
    Vec<Mood> => |rng| (0..rng.usize(0..3)).map(|_| Mood::sample(rng)).collect(),
}

/// An entity with columns of this type.
macro_rules! column {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        mod $name {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "t")]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                pub full: super::of_type::$name,
                pub half: Option<super::of_type::$name>,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            #[test]
            fn comes_back() {
                super::come_back::<Entity>(|rng| Model {
                    id: super::Sample::sample(rng),
                    full: super::Sample::sample(rng),
                    half: super::Sample::sample(rng),
                });
            }
        })*

        mod of_type {
            #![allow(non_camel_case_types)]
            use super::*;
            $(pub type $name = $type;)*
        }
    };
}

column! {
    tiny: i8, small: i16, middle: i32, large: i64,
    tiny_unsigned: u8, small_unsigned: u16, middle_unsigned: u32, large_unsigned: u64,
    single: f32, double: f64, flag: bool, text: String, bytes: Vec<u8>,
    decimal: Decimal, big_decimal: BigDecimal,
    date: Date, time: Time, date_time: DateTime, utc: DateTimeUtc, local: DateTimeLocal,
    zoned: DateTimeWithTimeZone,
    time_date: TimeDate, time_time: TimeTime, time_date_time: TimeDateTime,
    time_zoned: TimeDateTimeWithTimeZone,
    uuid: Uuid, json: Json,
    network: sea_orm::sea_query::prelude::IpNetwork,
    mac: sea_orm::sea_query::prelude::MacAddress,
    vector: PgVector,
    string_enum: super::Letter, integer_enum: super::Number, native_enum: super::Mood,
    wrapped: super::Wrapped, name: super::Name, even: super::Even,
    shorts: Vec<i16>, ints: Vec<i32>, longs: Vec<i64>, singles: Vec<f32>, doubles: Vec<f64>,
    flags: Vec<bool>, texts: Vec<String>, uuids: Vec<Uuid>, decimals: Vec<Decimal>,
    moments: Vec<DateTimeUtc>, moods: Vec<super::Mood>,
}

mod documents {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "t")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub all: Vec<Json>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    #[test]
    fn come_back() {
        let one = |rng: &mut fastrand::Rng| Json::from(rng.i32(..));
        super::come_back::<Entity>(|rng| Model { id: 1, all: vec![one(rng), "x".into()] });
    }

    /// SeaORM's own serde takes it for a NULL, which is not what the database gave.
    #[test]
    fn with_a_null_among_them_have_no_bytes() {
        let model = Model { id: 1, all: vec![Json::Null] };
        let refused = sea_orm_cache::seal::<super::Columns<Entity>>(&model, &crate::PACKING);
        assert!(refused.expect_err("no bytes").to_string().contains("serde"));
    }
}

fn come_back<E>(sample: impl Fn(&mut Rng) -> E::Model)
where
    E: sea_orm_cache::StorableEntity,
{
    let mut rng = Rng::with_seed(7);
    for _ in 0..100 {
        let models: Vec<_> = (0..rng.usize(0..5)).map(|_| sample(&mut rng)).collect();
        for again in through::<Listed<Columns<E>>>(&models) {
            // As text, since NaN is not equal to itself.
            assert_eq!(format!("{again:?}"), format!("{models:?}"));
        }
    }
}
