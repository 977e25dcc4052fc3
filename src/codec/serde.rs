//! Any type through its own serde, as MessagePack with field names: that keeps `flatten`,
//! `default`, untagged enums and everything else that needs to see what it reads.

use std::any::type_name;
use std::io;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::input::put_bytes;
use super::options::Strict;
use super::{Codec, Fingerprint, Input, Unencodable};

/// A type that serde can write and read; `V` is the way in which rows become one, since two ways
/// may give the same type.
#[derive(Debug)]
pub struct Serde<T, V = ()>(PhantomData<fn() -> (T, V)>);

impl<T, V> Codec for Serde<T, V>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    V: 'static,
{
    type Value = T;
    const HAS_BYTES: bool = true;

    #[allow(private_interfaces)]
    fn fingerprint(into: &mut Fingerprint) {
        into.text("serde");
        into.text(type_name::<(T, V)>());
    }

    fn encode(value: &T, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        put_bytes(out, &write(value, Vec::new())?);
        Ok(())
    }

    #[allow(private_interfaces)]
    fn decode(input: &mut Input<'_>) -> Option<T> {
        let bytes = input.bytes()?;
        let value = read(bytes, |reader| T::deserialize(&mut reader.with_human_readable()))?;
        // Serde reads an older struct's bytes too, where it can: they would be written otherwise now.
        let mut written = Census::default();
        io::Write::write_all(&mut written, bytes).ok()?;
        (write(&value, Census::default()).ok()? == written).then_some(value)
    }

    /// Its encoded size: near enough for a budget.
    fn heap_bytes(value: &T) -> usize {
        // A value that serde refuses is refused again, with the reason, where it is to be stored.
        write(value, Census::default()).map_or(0, |census| census.total())
    }

    /// What serde skips can't be seen.
    fn same(a: &T, b: &T) -> bool {
        write(a, Census::default()).ok() == write(b, Census::default()).ok()
    }
}

/// Deeper values than serde_json reads; more could be meant to overflow the stack.
const MAX_DEPTH: usize = 128;

/// A value that takes all of the bytes.
pub(crate) fn read<'b, T, E>(
    mut bytes: &'b [u8],
    read: impl FnOnce(Reader<'_, 'b>) -> Result<T, E>,
) -> Option<T> {
    let mut reader = rmp_serde::Deserializer::new(&mut bytes);
    reader.set_max_depth(MAX_DEPTH);
    let value = read(reader).ok()?;
    // Bytes that nobody asked for belong to another type.
    bytes.is_empty().then_some(value)
}

pub(crate) type Reader<'r, 'b> =
    rmp_serde::Deserializer<rmp_serde::decode::ReadReader<&'r mut &'b [u8]>>;

/// Some types write text where people may read it and bytes elsewhere, but behind `flatten` serde
/// always reads as for people.
pub(crate) fn write<T: Serialize + ?Sized, W: io::Write>(
    value: &T,
    out: W,
) -> Result<W, Unencodable> {
    let mut writer = rmp_serde::Serializer::new(out).with_struct_map().with_human_readable();
    value.serialize(Strict(&mut writer)).map_err(|error| Unencodable(error.to_string()))?;
    Ok(writer.into_inner())
}

/// How often each byte was written: the same for a map in whatever order.
#[derive(PartialEq)]
struct Census([u32; 256]);

impl Default for Census {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Census {
    fn total(&self) -> usize {
        self.0.iter().map(|count| *count as usize).sum()
    }
}

impl io::Write for Census {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0[usize::from(*byte)] += 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
