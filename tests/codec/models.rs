//! Models that serde would change, and other results.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use sea_orm::entity::prelude::*;
use sea_orm_cache::{Codec, Columns, Listed, Maybe, Serde, open, seal};
use serde::{Deserialize, Serialize};

use crate::{PACKING, through};

mod skipping {
    use super::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "member")]
    #[serde(rename_all = "SCREAMING-KEBAB-CASE", deny_unknown_fields)]
    pub struct Model {
        #[sea_orm(primary_key)]
        #[serde(skip_deserializing)]
        pub id: i32,
        pub full_name: String,
        #[serde(skip)]
        pub password: String,
        #[serde(skip_serializing, default)]
        pub hint: Option<String>,
        #[serde(with = "backwards")]
        pub secret: String,
        #[sea_orm(ignore)]
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    mod backwards {
        use serde::{Deserializer, Serializer};

        pub fn serialize<S: Serializer>(text: &str, writer: S) -> Result<S::Ok, S::Error> {
            writer.serialize_str(&text.chars().rev().collect::<String>())
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(_: D) -> Result<String, D::Error> {
            Ok("not what it was".to_owned())
        }
    }
}

#[test]
fn a_model_that_serde_would_change_comes_back_equal() {
    let model = skipping::Model {
        id: 7,
        full_name: "Ann".into(),
        password: "xyz".into(),
        hint: Some("the end".into()),
        secret: "abc".into(),
        note: String::new(),
    };
    for again in through::<Columns<skipping::Entity>>(&model) {
        assert_eq!(again, model);
    }
}

#[test]
fn an_ignored_field_has_its_default_as_on_a_fresh_read() {
    let model = skipping::Model {
        id: 7,
        full_name: String::new(),
        password: String::new(),
        hint: None,
        secret: String::new(),
        note: "set by hand".into(),
    };
    for again in through::<Columns<skipping::Entity>>(&model) {
        assert_eq!(again, skipping::Model { note: String::new(), ..model.clone() });
    }
}

mod sealed {
    use super::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sealed")]
    #[non_exhaustive]
    pub struct Model {
        #[sea_orm(primary_key)]
        id: i32,
        inner: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Model {
        pub fn new() -> Self {
            Self { id: 1, inner: "x".into() }
        }
    }
}

#[test]
fn a_model_without_serde_and_with_private_fields_comes_back_equal() {
    for again in through::<Columns<sealed::Entity>>(&sealed::Model::new()) {
        assert_eq!(again, sealed::Model::new());
    }
}

macro_rules! version {
    ($name:ident, $table:literal, { $($field:ident: $type:ty = $value:expr),* }) => {
        mod $name {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                $(pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn bytes() -> Vec<u8> {
                let model = Model { id: 1, $($field: $value,)* };
                super::seal::<super::Columns<Entity>>(&model, &super::PACKING).expect("bytes")
            }

            pub fn reads(bytes: &[u8]) -> bool {
                super::open::<super::Columns<Entity>>(bytes, &super::PACKING).is_some()
            }
        }
    };
}

version!(first, "house", { name: String = "x".into(), rooms: i32 = 3 });
version!(unchanged, "house", { name: String = "x".into(), rooms: i32 = 3 });
version!(added, "house", { name: String = "x".into(), rooms: i32 = 3, height: i32 = 4 });
version!(removed, "house", { name: String = "x".into() });
version!(retyped, "house", { name: String = "x".into(), rooms: i64 = 3 });
version!(renamed, "house", { name: String = "x".into(), chambers: i32 = 3 });
version!(moved, "home", { name: String = "x".into(), rooms: i32 = 3 });
version!(swapped, "house", { rooms: i32 = 3, name: String = "x".into() });

#[test]
fn an_entry_of_an_older_struct_is_a_miss() {
    let old = first::bytes();
    assert!(first::reads(&old) && unchanged::reads(&old));
    assert!(first::reads(&unchanged::bytes()));
    let readers = [
        added::reads,
        removed::reads,
        retyped::reads,
        renamed::reads,
        moved::reads,
        swapped::reads,
    ];
    assert!(readers.iter().all(|reads| !reads(&old)));
    let others = [
        added::bytes(),
        removed::bytes(),
        retyped::bytes(),
        renamed::bytes(),
        moved::bytes(),
        swapped::bytes(),
    ];
    assert!(others.iter().all(|bytes| !first::reads(bytes)));
}

mod wide {
    use super::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "wide")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub a: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub b: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub c: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub d: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub e: Date,
        #[sea_orm(primary_key, auto_increment = false)]
        pub f: i16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub g: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub h: bool,
        #[sea_orm(primary_key, auto_increment = false)]
        pub i: i8,
        #[sea_orm(primary_key, auto_increment = false)]
        pub j: u32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub k: u8,
        #[sea_orm(primary_key, auto_increment = false)]
        pub l: Decimal,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[test]
fn a_key_of_twelve_columns_comes_back_equal() {
    let model = wide::Model {
        a: -1,
        b: "ß".into(),
        c: Uuid::max(),
        d: i64::MIN,
        e: Date::MAX,
        f: 0,
        g: String::new(),
        h: true,
        i: -128,
        j: u32::MAX,
        k: 255,
        l: Decimal::MAX,
    };
    for again in through::<Maybe<Columns<wide::Entity>>>(&Some(model.clone())) {
        assert_eq!(again.as_ref(), Some(&model));
    }
}

/// What serde can do to a type that is no model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct Flat {
    first_name: String,
    #[serde(flatten)]
    #[sea_orm(nested)]
    rest: Rest,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromQueryResult)]
struct Rest {
    id: Uuid,
    at: DateTimeUtc,
    price: Decimal,
    #[serde(rename = "x")]
    large: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Number(i64),
    Text(String),
    Both { number: f64, text: String },
}

fn same<T>(value: T)
where
    T: Clone + PartialEq + std::fmt::Debug + Serialize + serde::de::DeserializeOwned,
    T: Send + Sync + 'static,
{
    for again in through::<Listed<Serde<T>>>(&vec![value.clone(), value.clone()]) {
        assert_eq!(again, [value.clone(), value.clone()]);
    }
}

#[test]
fn what_serde_can_write_and_read_comes_back_equal() {
    let rest = Rest {
        id: Uuid::from_u128(5),
        at: DateTimeUtc::from_timestamp_nanos(1_700_000_000_123_456_789),
        price: Decimal::new(150, 2),
        large: u64::MAX,
    };
    same(Flat { first_name: "Ann".into(), rest: rest.clone(), age: None });
    same(Flat { first_name: "Ann".into(), rest, age: Some(u64::MAX) });
    same(Any::Number(i64::MIN));
    same(Any::Text("x".into()));
    same(Any::Both { number: 0.1, text: String::new() });
    same((i8::MIN, u64::MAX, f64::INFINITY, "text".to_owned(), Some(vec![0u8, 255]), ()));
    same((Decimal::new(150, 2), Uuid::nil(), Date::MIN, Option::<i32>::None));
    same(serde_json::json!({"a": [1, 2.5, null, {"b": u64::MAX}], "": "x"}));
    same(BTreeMap::from([(1, "one".to_owned()), (2, String::new())]));
    for again in through::<Serde<f64>>(&f64::NAN) {
        assert!(again.is_nan());
    }
}

#[test]
fn another_type_is_a_miss() {
    let bytes = seal::<Serde<i64>>(&5, &PACKING).expect("bytes");
    assert_eq!(open::<Serde<i64>>(&bytes, &PACKING), Some(5));
    assert_eq!(open::<Serde<u64>>(&bytes, &PACKING), None);
    assert_eq!(open::<Maybe<Serde<i64>>>(&bytes, &PACKING), None);
    assert_eq!(open::<Listed<Serde<i64>>>(&bytes, &PACKING), None);
}

fn is_refused<K: Codec>(value: &K::Value) -> String {
    seal::<K>(value, &PACKING).expect_err("no bytes").to_string()
}

#[test]
fn what_has_no_bytes_is_refused_with_the_reason() {
    #[derive(Clone, Deserialize)]
    struct Stubborn;

    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }

    assert!(is_refused::<Serde<Stubborn>>(&Stubborn).contains("never"));
    let large = vec!["x".repeat(1 << 20)];
    assert!(is_refused::<Listed<Serde<String>>>(&large).contains("too large"));
}

/// Types of one name, as those of an older and a newer program.
macro_rules! program {
    ({ $($field:ident: $type:ty = $value:expr),* }) => {{
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Part {
            $($field: $type,)*
        }
        let bytes = seal::<Serde<Part>>(&Part { $($field: $value,)* }, &PACKING).expect("bytes");
        let reads = |bytes: &[u8]| open::<Serde<Part>>(bytes, &PACKING).is_some();
        (bytes, reads)
    }};
}

#[test]
fn an_entry_of_an_older_struct_is_a_miss_for_serde_too() {
    let (old, reads) = program!({ id: i32 = 1, n: i32 = 2 });
    assert!(reads(&old));
    let (_, with_more) = program!({ id: i32 = 1, n: i32 = 2, note: Option<String> = None });
    let (_, with_less) = program!({ id: i32 = 1 });
    let (_, of_another_type) = program!({ id: i64 = 1, n: f64 = 2.0 });
    assert!(!with_more(&old) && !with_less(&old) && !of_another_type(&old));
}

#[test]
fn a_type_that_serde_changes_is_a_miss() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Lossy {
        #[serde(skip_deserializing)]
        id: i32,
    }
    let bytes = seal::<Serde<Lossy>>(&Lossy { id: 7 }, &PACKING).expect("bytes");
    assert_eq!(open::<Serde<Lossy>>(&bytes, &PACKING), None);
}

#[test]
fn a_byte_that_stands_for_a_large_item_does_not_take_all_memory() {
    type Wide = Listed<Maybe<Columns<wide::Entity>>>;
    let none = |count: usize| seal::<Wide>(&vec![None; count], &PACKING).expect("bytes");
    assert!(open::<Wide>(&none(1000), &PACKING).is_some());
    assert!(open::<Wide>(&none(500_000), &PACKING).is_none());
}
