//! One column's value.
//!
//! The types that nearly every table has are written by hand; the others, which depend on SeaORM's
//! features, through `sea_query::Value`'s own serde.

use sea_orm::Value;
use serde::de::DeserializeOwned;

use super::input::{Input, put_bytes, put_signed, put_varint};
use super::{Unencodable, chrono, decimal};

/// The kind in the upper bits, whether it is NULL in the lowest.
#[allow(dead_code, reason = "which of them are used depends on the features")]
pub(super) mod kind {
    pub(in crate::codec) const BOOL: u8 = 0;
    pub(in crate::codec) const TINY: u8 = 1;
    pub(in crate::codec) const SMALL: u8 = 2;
    pub(in crate::codec) const INT: u8 = 3;
    pub(in crate::codec) const BIG: u8 = 4;
    pub(in crate::codec) const TINY_UNSIGNED: u8 = 5;
    pub(in crate::codec) const SMALL_UNSIGNED: u8 = 6;
    pub(in crate::codec) const UNSIGNED: u8 = 7;
    pub(in crate::codec) const BIG_UNSIGNED: u8 = 8;
    pub(in crate::codec) const FLOAT: u8 = 9;
    pub(in crate::codec) const DOUBLE: u8 = 10;
    pub(in crate::codec) const STRING: u8 = 11;
    pub(in crate::codec) const CHAR: u8 = 12;
    pub(in crate::codec) const BYTES: u8 = 13;
    /// A value of any other type.
    pub(in crate::codec) const OTHER: u8 = 14;
    pub(in crate::codec) const UUID: u8 = 15;
    pub(in crate::codec) const JSON: u8 = 16;
    pub(in crate::codec) const DECIMAL: u8 = 17;
    pub(in crate::codec) const DATE: u8 = 18;
    pub(in crate::codec) const TIME: u8 = 19;
    pub(in crate::codec) const DATE_TIME: u8 = 20;
    pub(in crate::codec) const UTC: u8 = 21;
    pub(in crate::codec) const LOCAL: u8 = 22;
    pub(in crate::codec) const ZONED: u8 = 23;
}

pub(super) fn encode(value: &Value, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    fn signed(out: &mut Vec<u8>, kind: u8, value: Option<impl Into<i64>>) {
        put(out, kind, value, |out, value| put_signed(out, value.into()));
    }
    fn unsigned(out: &mut Vec<u8>, kind: u8, value: Option<impl Into<u64>>) {
        put(out, kind, value, |out, value| put_varint(out, value.into()));
    }
    match value {
        Value::Bool(v) => unsigned(out, kind::BOOL, *v),
        Value::TinyInt(v) => signed(out, kind::TINY, *v),
        Value::SmallInt(v) => signed(out, kind::SMALL, *v),
        Value::Int(v) => signed(out, kind::INT, *v),
        Value::BigInt(v) => signed(out, kind::BIG, *v),
        Value::TinyUnsigned(v) => unsigned(out, kind::TINY_UNSIGNED, *v),
        Value::SmallUnsigned(v) => unsigned(out, kind::SMALL_UNSIGNED, *v),
        Value::Unsigned(v) => unsigned(out, kind::UNSIGNED, *v),
        Value::BigUnsigned(v) => unsigned(out, kind::BIG_UNSIGNED, *v),
        Value::Float(v) => put(out, kind::FLOAT, *v, |out, v| out.extend(v.to_le_bytes())),
        Value::Double(v) => put(out, kind::DOUBLE, *v, |out, v| out.extend(v.to_le_bytes())),
        Value::Char(v) => unsigned(out, kind::CHAR, *v),
        Value::String(v) => {
            put(out, kind::STRING, v.as_ref(), |out, text| put_bytes(out, text.as_bytes()));
        }
        Value::Bytes(v) => put(out, kind::BYTES, v.as_ref(), |out, bytes| put_bytes(out, bytes)),
        #[cfg(feature = "with-uuid")]
        Value::Uuid(v) => put(out, kind::UUID, v.as_ref(), |out, v| out.extend(v.as_bytes())),
        // Its own serde takes a JSON null for SQL's NULL.
        #[cfg(feature = "with-json")]
        Value::Json(v) => {
            let bytes = v.as_ref().map(rmp_serde::to_vec).transpose().map_err(refused)?;
            put(out, kind::JSON, bytes, |out, bytes| put_bytes(out, &bytes));
        }
        other if chrono::encode(other, out) || decimal::encode(other, out) => {}
        other => {
            let bytes = rmp_serde::to_vec(other).map_err(refused)?;
            // Such a null can be inside an array, or in JSON without our feature for it.
            if by_serde::<Value>(&bytes).as_ref() != Some(other) {
                return Err(Unencodable(format!("serde does not give back {other:?}")));
            }
            put(out, kind::OTHER, Some(bytes), |out, bytes| put_bytes(out, &bytes));
        }
    }
    Ok(())
}

pub(super) fn decode(input: &mut Input<'_>) -> Option<Value> {
    fn signed<T: TryFrom<i64>>(is_some: bool, input: &mut Input<'_>) -> Option<Option<T>> {
        some(is_some, || input.signed()?.try_into().ok())
    }
    fn unsigned<T: TryFrom<u64>>(is_some: bool, input: &mut Input<'_>) -> Option<Option<T>> {
        some(is_some, || input.varint()?.try_into().ok())
    }
    let head = input.byte()?;
    let full = head & 1 == 1;
    Some(match head >> 1 {
        kind::BOOL => Value::Bool(match unsigned::<u8>(full, input)? {
            None => None,
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(_) => return None,
        }),
        kind::TINY => Value::TinyInt(signed(full, input)?),
        kind::SMALL => Value::SmallInt(signed(full, input)?),
        kind::INT => Value::Int(signed(full, input)?),
        kind::BIG => Value::BigInt(signed(full, input)?),
        kind::TINY_UNSIGNED => Value::TinyUnsigned(unsigned(full, input)?),
        kind::SMALL_UNSIGNED => Value::SmallUnsigned(unsigned(full, input)?),
        kind::UNSIGNED => Value::Unsigned(unsigned(full, input)?),
        kind::BIG_UNSIGNED => Value::BigUnsigned(unsigned(full, input)?),
        kind::FLOAT => Value::Float(some(full, || input.array().map(f32::from_le_bytes))?),
        kind::DOUBLE => Value::Double(some(full, || input.array().map(f64::from_le_bytes))?),
        kind::CHAR => Value::Char(some(full, || char::from_u32(input.varint()?.try_into().ok()?))?),
        kind::STRING => Value::String(some(full, || {
            std::str::from_utf8(input.bytes()?).ok().map(str::to_owned)
        })?),
        kind::BYTES => Value::Bytes(some(full, || input.bytes().map(<[u8]>::to_vec))?),
        #[cfg(feature = "with-uuid")]
        kind::UUID => {
            Value::Uuid(some(full, || input.array().map(sea_orm::prelude::Uuid::from_bytes))?)
        }
        #[cfg(feature = "with-json")]
        kind::JSON => Value::Json(some(full, || by_serde(input.bytes()?))?),
        kind::OTHER if full => by_serde(input.bytes()?)?,
        kind => chrono::decode(kind, full, input).or_else(|| decimal::decode(kind, full, input))?,
    })
}

/// A value's head, and the value if it is not NULL.
pub(super) fn put<T>(
    out: &mut Vec<u8>,
    kind: u8,
    value: Option<T>,
    write: impl FnOnce(&mut Vec<u8>, T),
) {
    out.push(kind << 1 | u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

/// What stands behind a head.
pub(super) fn some<T>(is_some: bool, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if is_some { read().map(Some) } else { Some(None) }
}

fn by_serde<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    super::serde::read(bytes, |mut reader| T::deserialize(&mut reader))
}

fn refused(error: rmp_serde::encode::Error) -> Unencodable {
    Unencodable(error.to_string())
}
