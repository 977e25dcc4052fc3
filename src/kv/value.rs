//! Values as bytes: integers as decimal text, so that they are counters; anything else as
//! `sOKV`, the version of this format, a CRC-32 of the body, and the body in MessagePack.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::codec::{Unencodable, read, write};

const MAGIC: &[u8; 5] = b"sOKV\x01";

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Unencodable> {
    let body = write(value, Vec::new())?;
    if let Some(number) = decoded::<i64>(&body) {
        return Ok(number.to_string().into_bytes());
    }
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + body.len());
    out.extend(MAGIC);
    out.extend(crc32fast::hash(&body).to_le_bytes());
    out.extend(body);
    Ok(out)
}

/// `None` for anything that was not written for such a type. Does not panic.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let number: i64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
        return decoded(&write(&number, Vec::new()).ok()?);
    };
    let (sum, body) = rest.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == crc32fast::hash(body)).then(|| decoded(body))?
}

fn decoded<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let decode = || read(body, |reader| T::deserialize(&mut reader.with_human_readable()));
    // A user's own conversion may panic on a value that it never wrote.
    catch_unwind(AssertUnwindSafe(decode)).ok()?
}
