//! An entry's bytes in Redis.
//!
//! | bytes | what |
//! |---|---|
//! | 5 | `sORE`, version of this format |
//! | 16 | the entry's name |
//! | 16 | epoch: the first half of the server's replication id |
//! | 8 | time to live, in milliseconds, little-endian like all that follow |
//! | 2 | n: how many tags |
//! | 4 | CRC-32 of the key's digest, of what stands before, and of the tags |
//! | 8·n | the tags |
//! | 16·n | their versions |
//! | … | the value |
//!
//! The script that reads it knows these places. A damaged version is never equal to the current
//! one, and the value has a checksum of its own.

use crate::key::Digest;
use crate::store::{Epoch, FillId, Found, Put, TagId, Unique};

const MAGIC: &[u8; 5] = b"sORE\x01";
const HEAD: usize = 51;
const SUM: std::ops::Range<usize> = 47..51;

/// All but the versions of the late tags and the value.
pub(super) fn head(put: &Put<'_>) -> Vec<u8> {
    let n = put.ids.len() + put.late.len();
    let mut out = Vec::with_capacity(HEAD + 24 * n);
    out.extend(MAGIC);
    out.extend(put.fill);
    out.extend(put.epoch);
    out.extend(put.ttl_ms.to_le_bytes());
    // At most MAX_TAGS.
    out.extend((n as u16).to_le_bytes());
    out.extend([0; 4]);
    out.extend(put.ids.iter().chain(put.late).flat_map(|id| id.0.to_le_bytes()));
    let sum = checksum(&put.key.digest, &out);
    out[SUM].copy_from_slice(&sum.to_le_bytes());
    out.extend(put.versions.iter().flatten());
    out
}

/// An entry, taken apart.
// Where one node has everything, its script has compared them already.
#[cfg_attr(not(feature = "redis-cluster"), allow(dead_code))]
pub(super) struct Parts<'b> {
    pub(super) fill: FillId,
    pub(super) epoch: Epoch,
    ttl_ms: u64,
    pub(super) ids: &'b [u8],
    pub(super) versions: &'b [u8],
    body: &'b [u8],
}

/// `None` for anything that was not put under this key.
pub(super) fn parts<'b>(digest: &Digest, bytes: &'b [u8]) -> Option<Parts<'b>> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let n = usize::from(u16::from_le_bytes(head[45..47].try_into().ok()?));
    let (ids, rest) = rest.split_at_checked(8 * n)?;
    let (versions, body) = rest.split_at_checked(16 * n)?;
    let mut summed = bytes[..HEAD + 8 * n].to_vec();
    summed[SUM].fill(0);
    if head[..5] != MAGIC[..] || head[SUM] != checksum(digest, &summed).to_le_bytes() {
        return None;
    }
    Some(Parts {
        fill: head[5..21].try_into().ok()?,
        epoch: head[21..37].try_into().ok()?,
        ttl_ms: u64::from_le_bytes(head[37..45].try_into().ok()?),
        ids,
        versions,
        body,
    })
}

impl Parts<'_> {
    /// The entry, of which so many milliseconds are left.
    pub(super) fn found(&self, left_ms: i64) -> Option<Found> {
        // Without an end it is not as we put it.
        let left_ms = u64::try_from(left_ms).ok().filter(|left| *left <= self.ttl_ms)?;
        let id = |bytes: &[u8]| Some(TagId(u64::from_le_bytes(bytes.try_into().ok()?)));
        Some(Found {
            fill: self.fill,
            ids: self.ids.chunks_exact(8).map(id).collect::<Option<_>>()?,
            age_ms: self.ttl_ms - left_ms,
            ttl_ms: self.ttl_ms,
            body: self.body.to_vec(),
        })
    }
}

fn checksum(digest: &Digest, head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(digest);
    hasher.update(head);
    hasher.finalize()
}

/// Tags as a script takes them.
pub(super) fn ids(ids: &[TagId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0.to_le_bytes()).collect()
}

/// The same, each with who blocks it.
pub(super) fn blocks(blocks: &[(TagId, Unique)]) -> Vec<u8> {
    blocks.iter().flat_map(|(id, who)| [&id.0.to_le_bytes()[..], who].concat()).collect()
}

/// Versions as a script gives them: 16 bytes each, zeros for none.
pub(super) fn versions(bytes: &[u8]) -> Vec<Option<Unique>> {
    let one = |bytes: &[u8]| bytes.try_into().ok().filter(|version| *version != [0; 16]);
    bytes.chunks(16).map(one).collect()
}
