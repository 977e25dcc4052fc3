//! What stands around a value's bytes in a store, so that anything else is known as such.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `sORC` |
//! | 1 | version of this format |
//! | 1 | compression of the body: 0 none, 1 LZ4, 2 Zstandard |
//! | 8 | fingerprint of the value's type, little-endian like all that follow |
//! | 4 | length of the body before compression |
//! | 4 | CRC-32 of all that stands before, and of the body as it is stored |
//! | … | the body |

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::compression::{Compression, PLAIN, decompress};
use super::{Codec, Fingerprint, Input, Unencodable};
use crate::event::Reason;

const MAGIC: [u8; 4] = *b"sORC";
const VERSION: u8 = 1;
const HEAD: usize = 22;

/// How values are packed.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// How.
    pub compression: Compression,
    /// Bodies shorter than this, in bytes, are not compressed.
    pub compress_from: usize,
    /// Larger bodies are neither written nor read, in bytes before compression.
    pub max_bytes: usize,
}

/// A value's bytes for a store.
///
/// # Errors
///
/// [`Reason::TooLarge`] above the limit, [`Reason::Unencodable`] if the value has no bytes.
pub fn seal<K: Codec>(value: &K::Value, packing: &Packing) -> Result<Vec<u8>, Reason> {
    let mut body = Vec::with_capacity(256);
    K::encode(value, &mut body).map_err(|Unencodable(why)| Reason::Unencodable(why))?;
    let too_large = Reason::TooLarge { bytes: body.len() };
    let Some(len) = u32::try_from(body.len()).ok().filter(|_| body.len() <= packing.max_bytes)
    else {
        return Err(too_large);
    };
    let large = body.len() >= packing.compress_from;
    let shorter = large.then(|| packing.compression.compress(&body)).flatten();
    let (method, body) =
        shorter.filter(|(_, shorter)| shorter.len() < body.len()).unwrap_or((PLAIN, body));
    let mut out = Vec::with_capacity(HEAD + body.len());
    out.extend(MAGIC);
    out.extend([VERSION, method]);
    out.extend(fingerprint::<K>().to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(checksum(&out, &body).to_le_bytes());
    out.extend_from_slice(&body);
    Ok(out)
}

/// The value in a store's bytes; `None` for anything that [`seal`] did not write for this type.
/// Takes memory in proportion to the limit, and does not panic.
pub fn open<K: Codec>(bytes: &[u8], packing: &Packing) -> Option<K::Value> {
    let (head, stored) = bytes.split_at_checked(HEAD)?;
    let mut input = Input::new(head, 0);
    if input.array()? != MAGIC || input.byte()? != VERSION {
        return None;
    }
    let method = input.byte()?;
    let of_type = u64::from_le_bytes(input.array()?);
    let len = u32::from_le_bytes(input.array()?) as usize;
    let sum = u32::from_le_bytes(input.array()?);
    let intact = sum == checksum(&head[..HEAD - 4], stored);
    if !intact || of_type != fingerprint::<K>() || len > packing.max_bytes {
        return None;
    }
    let unpacked;
    let body = match method {
        PLAIN => stored,
        _ => {
            unpacked = decompress(method, stored, len)?;
            &unpacked[..]
        }
    };
    if body.len() != len {
        return None;
    }
    let decode = || {
        let mut input = Input::new(body, packing.max_bytes);
        let value = K::decode(&mut input)?;
        (input.left() == 0).then_some(value)
    };
    // A user's own conversion may panic on a value that it never wrote.
    catch_unwind(AssertUnwindSafe(decode)).ok()?
}

fn fingerprint<K: Codec>() -> u64 {
    let mut fingerprint = Fingerprint::new();
    K::fingerprint(&mut fingerprint);
    fingerprint.finish()
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}
