//! What it costs to turn a result into bytes and back: 20 rows of 6 columns, beside MessagePack
//! over the same columns' values, and the sizes of both.
//!
//! ```sh
//! cargo bench --bench codec --features __test
//! ```

#[path = "../shelf/mod.rs"]
mod shelf;

use std::hint::black_box;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveModelTrait, Iterable, TryIntoModel};
use sea_orm_cache::{Columns, Compression, Listed, Packing, open, seal};

use shelf::{median, nanos, verdict};

const ROUND: usize = 64;
const ROUNDS: usize = 500;

mod article {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
        pub price: Decimal,
        pub stock: Option<i32>,
        pub updated: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

type Articles = Listed<Columns<article::Entity>>;

fn articles() -> Vec<article::Model> {
    let article = |id: i32| article::Model {
        id: 1_000 + id,
        author_id: 100 + id % 7,
        title: format!("The {id}th thing to know about tea"),
        price: Decimal::new(990 + i64::from(id) * 7, 2),
        stock: (id % 5 > 0).then_some(id * 31),
        updated: DateTimeUtc::from_timestamp_micros(1_790_000_000_123_456 + i64::from(id) * 77_777)
            .expect("a moment"),
    };
    (0..20).map(article).collect()
}

fn to_messagepack(models: &[article::Model]) -> Vec<u8> {
    let values = |model: &article::Model| -> Vec<Value> {
        article::Column::iter().map(|column| model.get(column)).collect()
    };
    let rows: Vec<Vec<Value>> = models.iter().map(values).collect();
    rmp_serde::to_vec(&rows).expect("bytes")
}

fn from_messagepack(bytes: &[u8]) -> Vec<article::Model> {
    let rows: Vec<Vec<Value>> = rmp_serde::from_slice(bytes).expect("rows");
    let model = |row: Vec<Value>| {
        let mut model = <article::ActiveModel as ActiveModelTrait>::default();
        for (column, value) in article::Column::iter().zip(row) {
            model.try_set(column, value).expect("a value");
        }
        model.try_into_model().expect("a model")
    };
    rows.into_iter().map(model).collect()
}

/// Nanoseconds of one run of each, in the middle of many rounds in which they take turns.
fn times(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    let round = |work: &mut dyn FnMut()| nanos(|| (0..ROUND).for_each(|_| work())) / ROUND as f64;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        first.push(round(&mut ours));
        second.push(round(&mut theirs));
    }
    (median(first), median(second))
}

fn main() {
    let packing = |compression| Packing { compression, compress_from: 0, max_bytes: 8 << 20 };
    let plain = packing(Compression::None);
    let models = articles();
    let bytes = seal::<Articles>(&models, &plain).expect("bytes");
    let messagepack = to_messagepack(&models);
    assert_eq!(open::<Articles>(&bytes, &plain).as_ref(), Some(&models));
    assert_eq!(from_messagepack(&messagepack), models);

    println!(
        "20 rows of 6 columns (two integers, a text, a decimal, a nullable integer, a moment)"
    );
    let (ours, theirs) = times(
        || drop(black_box(seal::<Articles>(black_box(&models), &plain))),
        || drop(black_box(to_messagepack(black_box(&models)))),
    );
    report("encode", ours, theirs, 8_000.0);
    let (ours, theirs) = times(
        || drop(black_box(open::<Articles>(black_box(&bytes), &plain))),
        || drop(black_box(from_messagepack(black_box(&messagepack)))),
    );
    report("decode", ours, theirs, 8_000.0);
    let (ours, theirs) = (bytes.len(), messagepack.len());
    println!("size: {ours} bytes, MessagePack {theirs}");
    verdict("size", ours as f64, "bytes", theirs as f64, false);
    for compression in [Compression::Lz4, Compression::Zstd] {
        let packed = seal::<Articles>(&models, &packing(compression)).expect("bytes");
        println!("  with {compression:?}: {} bytes", packed.len());
    }
}

fn report(what: &str, ours: f64, theirs: f64, target: f64) {
    println!("{what}: {:.2} of MessagePack over Value ({:.1} µs)", ours / theirs, theirs / 1e3);
    verdict(what, ours / 1e3, "µs", target / 1e3, false);
}
