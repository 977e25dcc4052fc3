//! Bound values: their canonical form in tags, and their bytes in digests.

use sea_orm::Value;

use crate::tag::KeyValue;

/// The canonical form of a bound value; `None` if it has none that every column type shares.
pub(crate) fn canonical(value: &Value) -> Option<KeyValue> {
    fn int(value: Option<impl Into<i64>>) -> KeyValue {
        value.map_or(KeyValue::Null, |i| KeyValue::Int(i.into()))
    }
    Some(match value {
        Value::Bool(v) => int(*v),
        Value::TinyInt(v) => int(*v),
        Value::SmallInt(v) => int(*v),
        Value::Int(v) => int(*v),
        Value::BigInt(v) => int(*v),
        Value::TinyUnsigned(v) => int(*v),
        Value::SmallUnsigned(v) => int(*v),
        Value::Unsigned(v) => int(*v),
        Value::BigUnsigned(Some(v)) => KeyValue::Int(i64::try_from(*v).ok()?),
        Value::String(Some(text)) => KeyValue::Text(text.clone()),
        Value::Bytes(Some(bytes)) => KeyValue::Bytes(bytes.clone()),
        #[cfg(feature = "with-uuid")]
        Value::Uuid(Some(uuid)) => KeyValue::Bytes(uuid.as_bytes().to_vec()),
        other if *other == other.as_null() => KeyValue::Null,
        _ => return None,
    })
}

/// Feeds a value to a digest: its type, its length and its bytes, so that no two lists of values
/// give the same input.
pub(crate) fn digest(value: &Value, update: &mut impl FnMut(&[u8])) {
    macro_rules! scalar {
        ($tag:literal, $value:expr) => {
            match $value {
                None => update(&[$tag, 0]),
                Some(v) => {
                    update(&[$tag, 1]);
                    update(&v.to_le_bytes());
                }
            }
        };
    }
    macro_rules! bytes {
        ($tag:literal, $value:expr) => {
            match $value {
                None => update(&[$tag, 0]),
                Some(v) => {
                    update(&[$tag, 1]);
                    update(&(v.len() as u64).to_le_bytes());
                    update(v.as_ref());
                }
            }
        };
    }
    match value {
        Value::Bool(v) => scalar!(1, v.map(u8::from)),
        Value::TinyInt(v) => scalar!(2, v),
        Value::SmallInt(v) => scalar!(3, v),
        Value::Int(v) => scalar!(4, v),
        Value::BigInt(v) => scalar!(5, v),
        Value::TinyUnsigned(v) => scalar!(6, v),
        Value::SmallUnsigned(v) => scalar!(7, v),
        Value::Unsigned(v) => scalar!(8, v),
        Value::BigUnsigned(v) => scalar!(9, v),
        Value::Float(v) => scalar!(10, v),
        Value::Double(v) => scalar!(11, v),
        Value::String(v) => bytes!(12, v.as_ref().map(String::as_bytes)),
        Value::Bytes(v) => bytes!(13, v.as_ref()),
        // The optional types: their debug form names the type and loses nothing.
        other => bytes!(255, Some(format!("{other:?}").as_bytes())),
    }
}

/// How many bytes a value keeps outside itself.
pub(crate) fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::String(Some(text)) => text.capacity(),
        Value::Bytes(Some(bytes)) => bytes.capacity(),
        Value::Bool(_)
        | Value::TinyInt(_)
        | Value::SmallInt(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::TinyUnsigned(_)
        | Value::SmallUnsigned(_)
        | Value::Unsigned(_)
        | Value::BigUnsigned(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::String(None)
        | Value::Bytes(None) => 0,
        #[cfg(feature = "with-rust_decimal")]
        Value::Decimal(_) => 0,
        #[cfg(feature = "with-uuid")]
        Value::Uuid(_) => 0,
        #[cfg(feature = "with-chrono")]
        Value::ChronoDate(_)
        | Value::ChronoTime(_)
        | Value::ChronoDateTime(_)
        | Value::ChronoDateTimeUtc(_)
        | Value::ChronoDateTimeLocal(_)
        | Value::ChronoDateTimeWithTimeZone(_) => 0,
        // The optional types: JSON and arrays may be any size.
        other => format!("{other:?}").len(),
    }
}
