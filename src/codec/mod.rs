//! Values ↔ bytes, and how large values are in memory.
//!
//! An entity's model goes through its columns, so it needs no serde derive and none can change
//! it; everything else goes through serde. A codec is a type that is never made: which one a read
//! uses is decided where its select is known.

#[cfg_attr(not(feature = "with-chrono"), path = "absent.rs")]
mod chrono;
mod columns;
mod compression;
#[cfg_attr(not(feature = "with-rust_decimal"), path = "absent.rs")]
mod decimal;
mod envelope;
mod in_memory;
mod input;
mod options;
mod scalar;
mod serde;

use std::marker::PhantomData;

pub use self::serde::Serde;
pub(crate) use self::serde::{read, write};
pub use columns::{Columns, StorableEntity};
pub use compression::Compression;
pub use envelope::{Packing, open, seal};
pub use in_memory::InMemory;
pub(crate) use input::{Fingerprint, Input, put_len};

/// Why a value has no bytes, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unencodable(pub(crate) String);

/// How a value is kept.
pub trait Codec: 'static {
    /// The typed value.
    type Value: Send + Sync + 'static;

    /// Does the value come back from bytes? If not, it is only kept in memory.
    #[doc(hidden)]
    const HAS_BYTES: bool;

    /// Says everything about the type that makes older bytes useless when it changes.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint);

    #[doc(hidden)]
    fn encode(value: &Self::Value, out: &mut Vec<u8>) -> Result<(), Unencodable>;

    /// `None` for anything that `encode` did not write.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn decode(input: &mut Input<'_>) -> Option<Self::Value>;

    /// What the value keeps outside itself, in bytes.
    #[doc(hidden)]
    fn heap_bytes(value: &Self::Value) -> usize;

    /// Are these the same, as far as the codec can tell? Only for the check of the codec itself.
    #[doc(hidden)]
    fn same(a: &Self::Value, b: &Self::Value) -> bool;
}

/// The codec of a read's whole result.
pub(crate) trait Results: Codec {
    /// One of them; what `cache_if` sees.
    type Item;

    /// The items of the result; none for a number.
    #[doc(hidden)]
    fn items(value: &Self::Value) -> &[Self::Item];

    /// Was nothing found?
    #[doc(hidden)]
    fn is_empty(value: &Self::Value) -> bool;
}

macro_rules! marker {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<K>(PhantomData<fn() -> K>);
    };
}

marker!(
    /// Any number of values.
    Listed
);
marker!(
    /// One value or none.
    Maybe
);

impl<K: Codec> Codec for Listed<K> {
    type Value = Vec<K::Value>;
    const HAS_BYTES: bool = K::HAS_BYTES;

    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint) {
        into.text("list");
        K::fingerprint(into);
    }

    fn encode(value: &Self::Value, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        put_len(out, value.len());
        value.iter().try_for_each(|item| K::encode(item, out))
    }

    #[allow(private_interfaces)]
    fn decode(input: &mut Input<'_>) -> Option<Self::Value> {
        let len = input.len()?;
        let mut items = input.list(len)?;
        for _ in 0..len {
            items.push(K::decode(input)?);
        }
        Some(items)
    }

    fn heap_bytes(value: &Self::Value) -> usize {
        value.len() * size_of::<K::Value>() + value.iter().map(K::heap_bytes).sum::<usize>()
    }

    fn same(a: &Self::Value, b: &Self::Value) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| K::same(a, b))
    }
}

impl<K: Codec> Results for Listed<K> {
    type Item = K::Value;

    fn items(value: &Self::Value) -> &[K::Value] {
        value
    }

    fn is_empty(value: &Self::Value) -> bool {
        value.is_empty()
    }
}

impl<K: Codec> Codec for Maybe<K> {
    type Value = Option<K::Value>;
    const HAS_BYTES: bool = K::HAS_BYTES;

    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint) {
        into.text("option");
        K::fingerprint(into);
    }

    fn encode(value: &Self::Value, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        out.push(value.is_some().into());
        value.as_ref().map_or(Ok(()), |value| K::encode(value, out))
    }

    #[allow(private_interfaces)]
    fn decode(input: &mut Input<'_>) -> Option<Self::Value> {
        match input.byte()? {
            0 => Some(None),
            1 => Some(Some(K::decode(input)?)),
            _ => None,
        }
    }

    fn heap_bytes(value: &Self::Value) -> usize {
        value.as_ref().map_or(0, K::heap_bytes)
    }

    fn same(a: &Self::Value, b: &Self::Value) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => K::same(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<K: Codec> Results for Maybe<K> {
    type Item = K::Value;

    fn items(value: &Self::Value) -> &[K::Value] {
        value.as_slice()
    }

    fn is_empty(value: &Self::Value) -> bool {
        value.is_none()
    }
}

/// A number of rows, or whether there are any.
impl<T> Results for Serde<T>
where
    Self: Codec,
{
    type Item = std::convert::Infallible;

    fn items(_: &Self::Value) -> &[Self::Item] {
        &[]
    }

    fn is_empty(_: &Self::Value) -> bool {
        false
    }
}

macro_rules! tuple {
    ($($codec:ident $place:tt),+) => {
        impl<$($codec: Codec),+> Codec for ($($codec,)+) {
            type Value = ($($codec::Value,)+);
            const HAS_BYTES: bool = true $(&& $codec::HAS_BYTES)+;

            #[allow(private_interfaces)]
            fn fingerprint(into: &mut Fingerprint) {
                into.text("tuple");
                $($codec::fingerprint(into);)+
                into.text("end");
            }

            fn encode(value: &Self::Value, out: &mut Vec<u8>) -> Result<(), Unencodable> {
                $($codec::encode(&value.$place, out)?;)+
                Ok(())
            }

            #[allow(private_interfaces)]
            fn decode(input: &mut Input<'_>) -> Option<Self::Value> {
                Some(($($codec::decode(input)?,)+))
            }

            fn heap_bytes(value: &Self::Value) -> usize {
                0 $(+ $codec::heap_bytes(&value.$place))+
            }

            fn same(a: &Self::Value, b: &Self::Value) -> bool {
                true $(&& $codec::same(&a.$place, &b.$place))+
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
