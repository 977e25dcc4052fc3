//! What goes through the codec comes back equal, and what is no value of the type is a miss.
#![cfg(feature = "__codec")]

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod columns;
mod databases;
mod models;
mod sample;

use sea_orm_cache::{Codec, Compression, Packing, open, seal};

const PACKING: Packing =
    Packing { compression: Compression::None, compress_from: 0, max_bytes: 1 << 20 };

fn packings() -> [Packing; 3] {
    [Compression::None, Compression::Lz4, Compression::Zstd]
        .map(|compression| Packing { compression, ..PACKING })
}

/// The value from its bytes, by every way to pack them.
fn through<K: Codec>(value: &K::Value) -> Vec<K::Value> {
    let come_back = |packing| {
        let bytes = seal::<K>(value, &packing).expect("bytes");
        open::<K>(&bytes, &packing).expect("the value")
    };
    packings().map(come_back).into()
}
