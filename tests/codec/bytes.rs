//! Bytes that nobody wrote, or that were changed since.

use fastrand::Rng;
use sea_orm::sea_query::{ArrayType, ValueType, ValueTypeErr};
use sea_orm_cache::{Codec, Columns, Compression, Listed, Packing, Serde, open, seal};

use crate::support::book;
use crate::{PACKING, packings};

type Books = Listed<Columns<book::Entity>>;

fn books(count: i32) -> Vec<book::Model> {
    let mut rng = Rng::with_seed(3);
    let mut one = |id| book::Model {
        id,
        author_id: rng.bool().then(|| rng.i32(1..5)),
        title: format!("A title of some length {}", rng.u64(..)),
        genre: rng.i32(1..9),
        price: rng.i32(1..9999),
        stock: rng.i32(0..9),
    };
    (0..count).map(&mut one).collect()
}

#[test]
fn bytes_that_are_cut_anywhere_are_a_miss() {
    for packing in packings() {
        let bytes = seal::<Books>(&books(10), &packing).expect("bytes");
        for len in 0..bytes.len() {
            assert_eq!(open::<Books>(&bytes[..len], &packing), None, "{len} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(open::<Books>(&longer, &packing), None);
    }
}

#[test]
fn a_changed_bit_anywhere_is_a_miss() {
    for packing in packings() {
        let bytes = seal::<Books>(&books(3), &packing).expect("bytes");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open::<Books>(&changed, &packing), None, "bit {bit}");
        }
    }
}

/// The checksum is no defence against one who can compute it.
fn forge(bytes: &mut [u8]) {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..18]);
    sum.update(&bytes[22..]);
    let sum = sum.finalize().to_le_bytes();
    bytes[18..22].copy_from_slice(&sum);
}

#[test]
fn a_forged_checksum_does_not_make_hostile_bytes_dangerous() {
    let mut rng = Rng::with_seed(5);
    for packing in packings() {
        let bytes = seal::<Books>(&books(10), &packing).expect("bytes");
        for _ in 0..20_000 {
            let mut hostile = bytes.clone();
            for _ in 0..rng.usize(1..8) {
                let place = rng.usize(14..hostile.len());
                hostile[place] = if rng.bool() { 0xff } else { rng.u8(..) };
            }
            hostile.truncate(rng.usize(22..=bytes.len()));
            forge(&mut hostile);
            if let Some(models) = open::<Books>(&hostile, &packing) {
                assert!(models.len() < 10_000);
            }
        }
    }
}

fn with_body<K: Codec<Value: Default>>(body: &[u8]) -> Vec<u8> {
    let mut bytes = seal::<K>(&Default::default(), &PACKING).expect("bytes");
    bytes.truncate(22);
    bytes[14..18].copy_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend(body);
    forge(&mut bytes);
    bytes
}

#[test]
fn a_length_beyond_all_memory_is_a_miss() {
    // 2^63, and the largest that fits, as counts of items and as lengths of text.
    let lengths: [&[u8]; 2] = [
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ];
    for length in lengths {
        assert_eq!(open::<Books>(&with_body::<Books>(length), &PACKING), None);
        let text = [&[1][..], length].concat();
        let texts = with_body::<Listed<Serde<String>>>(&text);
        assert_eq!(open::<Listed<Serde<String>>>(&texts, &PACKING), None);
        // One book whose title says that it is so long: id, title.
        let title = [&[1, 7, 2, 23][..], length].concat();
        assert_eq!(open::<Books>(&with_body::<Books>(&title), &PACKING), None);
    }
}

#[test]
fn messagepack_with_false_lengths_or_endless_nesting_is_a_miss() {
    type Values = Listed<Serde<serde_json::Value>>;
    let claims: [&[u8]; 4] = [
        // str 32, bin 32, array 32 and map 32 of four thousand million.
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
    ];
    for claim in claims {
        let body = [&[1, claim.len() as u8][..], claim].concat();
        assert_eq!(open::<Values>(&with_body::<Values>(&body), &PACKING), None);
    }
    // Arrays of one, half a million deep.
    let depth = 500_000_usize;
    let mut body = vec![1, 0x80 | (depth & 0x7f) as u8, 0x80 | (depth >> 7 & 0x7f) as u8];
    body.push((depth >> 14) as u8);
    body.extend(vec![0x91; depth]);
    assert_eq!(open::<Values>(&with_body::<Values>(&body), &PACKING), None);
}

#[test]
fn a_decompression_bomb_takes_no_more_than_the_limit() {
    let bomb = vec!["x".repeat(30 << 20)];
    for compression in [Compression::Lz4, Compression::Zstd] {
        let generous = Packing { compression, max_bytes: 64 << 20, ..PACKING };
        let bytes = seal::<Listed<Serde<String>>>(&bomb, &generous).expect("bytes");
        assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
        assert_eq!(open::<Listed<Serde<String>>>(&bytes, &generous), Some(bomb.clone()));
        assert_eq!(open::<Listed<Serde<String>>>(&bytes, &PACKING), None);
        // The same with a length that the limit allows.
        let mut small = bytes;
        small[14..18].copy_from_slice(&1000_u32.to_le_bytes());
        forge(&mut small);
        assert_eq!(open::<Listed<Serde<String>>>(&small, &PACKING), None);
    }
}

#[test]
fn compressed_bytes_are_smaller_where_that_is_worth_it() {
    let len =
        |packing: &Packing, count| seal::<Books>(&books(count), packing).expect("bytes").len();
    let [none, lz4, zstd] = packings();
    assert!(len(&lz4, 100) < len(&none, 100) && len(&zstd, 100) < len(&lz4, 100));
    // What would grow is left as it is.
    assert_eq!(len(&lz4, 0), len(&none, 0));
    let above = Packing { compress_from: 1 << 16, ..zstd };
    assert_eq!(len(&above, 100), len(&none, 100));
}

/// A user's own type that does not expect what it did not write.
#[derive(Clone, Debug, PartialEq)]
pub struct Touchy;

impl From<Touchy> for sea_orm::Value {
    fn from(_: Touchy) -> Self {
        sea_orm::Value::Int(Some(1))
    }
}

impl ValueType for Touchy {
    fn try_from(_: sea_orm::Value) -> Result<Self, ValueTypeErr> {
        panic!("this was not written by me");
    }

    fn type_name() -> String {
        "Touchy".into()
    }

    fn array_type() -> ArrayType {
        ArrayType::Int
    }

    fn column_type() -> sea_orm::ColumnType {
        sea_orm::ColumnType::Integer
    }
}

impl sea_orm::sea_query::Nullable for Touchy {
    fn null() -> sea_orm::Value {
        sea_orm::Value::Int(None)
    }
}

impl sea_orm::TryGetable for Touchy {
    fn try_get_by<I: sea_orm::ColIdx>(
        _: &sea_orm::QueryResult,
        _: I,
    ) -> Result<Self, sea_orm::TryGetError> {
        Ok(Self)
    }
}

mod touchy {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "touchy")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub it: super::Touchy,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[test]
fn a_conversion_that_panics_is_a_miss() {
    let model = touchy::Model { id: 1, it: Touchy };
    let bytes = seal::<Columns<touchy::Entity>>(&model, &PACKING).expect("bytes");
    assert_eq!(open::<Columns<touchy::Entity>>(&bytes, &PACKING), None);
}
