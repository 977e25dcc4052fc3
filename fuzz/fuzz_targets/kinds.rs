//! The results that are read from bytes: a model of many types, and a type with serde's tricks.

use std::collections::BTreeMap;

use sea_orm_cache::{Codec, Columns, Compression, Listed, Maybe, Packing, Serde, open, seal};
use serde::{Deserialize, Serialize};

pub mod mixed {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "mixed")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub small: Option<i8>,
        pub huge: u64,
        pub single: f32,
        pub double: Option<f64>,
        pub flag: bool,
        pub text: Option<String>,
        pub bytes: Vec<u8>,
        pub uuid: Uuid,
        pub json: Option<Json>,
        pub decimal: Decimal,
        pub day: Date,
        pub at: DateTimeUtc,
        pub texts: Vec<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tricky {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
    any: Vec<Any>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Any {
    Number(i64),
    Text(String),
    Deep(Option<Box<Any>>),
}

pub type Models = Listed<(Columns<mixed::Entity>, Maybe<Columns<mixed::Entity>>)>;
pub type Values = Listed<Serde<Tricky>>;

pub const PACKING: Packing =
    Packing { compression: Compression::None, compress_from: 0, max_bytes: 1 << 20 };

/// What is read is written again the same, and so on.
pub fn read<K: Codec>(bytes: &[u8]) {
    if let Some(value) = open::<K>(bytes, &PACKING)
        && let Ok(again) = seal::<K>(&value, &PACKING)
    {
        let value = open::<K>(&again, &PACKING).expect("what was just written");
        assert_eq!(seal::<K>(&value, &PACKING).expect("bytes"), again);
    }
}

/// The fields of the head that say what the rest is, for a body of one's choice.
#[allow(dead_code)]
pub fn forge<K: Codec<Value: Default>>(method: u8, len: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = seal::<K>(&Default::default(), &PACKING).expect("bytes");
    bytes.truncate(22);
    bytes[5] = method;
    bytes[14..18].copy_from_slice(&len.to_le_bytes());
    bytes.extend(body);
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..18]);
    sum.update(body);
    bytes[18..22].copy_from_slice(&sum.finalize().to_le_bytes());
    bytes
}
