//! Values that have no exact form in bytes.
//!
//! What an entity loader gives is one: SeaORM's relations write "loaded, and there is none" and
//! "not loaded" alike through serde, and are no columns either.

use std::fmt;
use std::marker::PhantomData;

use sea_orm::{EntityTrait, Iterable, ModelTrait};

use super::{Codec, Fingerprint, Input, Unencodable};
use crate::value::heap_bytes;

/// A model with what was loaded for it, which is only kept in memory.
#[derive(Debug)]
pub struct InMemory<T>(PhantomData<fn() -> T>);

impl<T: ModelTrait + Sync + 'static> Codec for InMemory<T> {
    type Value = T;
    const HAS_BYTES: bool = false;

    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint) {
        into.text("in memory");
    }

    fn encode(_: &T, _: &mut Vec<u8>) -> Result<(), Unencodable> {
        Err(Unencodable("it is only kept in memory".to_owned()))
    }

    #[allow(private_interfaces)]
    fn decode(_: &mut Input<'_>) -> Option<T> {
        None
    }

    /// The length of its debug form, the only thing that tells of its relations, or what its own
    /// columns hold, if that form hides them.
    fn heap_bytes(value: &T) -> usize {
        let mut counter = Counter(0);
        // Ours never fails.
        let _ = fmt::write(&mut counter, format_args!("{value:?}"));
        let columns = <T::Entity as EntityTrait>::Column::iter();
        counter.0.max(columns.map(|column| heap_bytes(&value.get(column))).sum())
    }

    fn same(_: &T, _: &T) -> bool {
        false
    }
}

/// Counts bytes and keeps none.
struct Counter(usize);

impl fmt::Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
