//! The bytes of our files.
//!
//! Each begins with four letters that say what it is, and a number of this format; a checksum that
//! takes in the place it belongs to tells damaged and misplaced ones from ours.
//!
//! | of | letters | what follows |
//! |---|---|---|
//! | a version, a lease, a block | `sORV`, `sORL`, `sORB` | 8 until when (ms), 16 the version or who, 4 CRC-32 |
//! | an entry | `sORE` | 4 CRC-32 of all but the value, 8 born (ms), 8 time to live (ms), 16 its name, 16 epoch, 4 length of the value, 2 n tags, 8·n the tags, 16·n their versions, the value |
//!
//! Numbers are little-endian. The value has a checksum of its own.

use crate::store::{Epoch, FillId, Put, TagId, Unique};

const FORMAT: u8 = 1;

/// A version, a lease or a block: bytes that never were there before, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) until_ms: u64,
    pub(super) unique: Unique,
}

/// What a stamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Version,
    Lease,
    Block,
}

impl Is {
    fn magic(self) -> [u8; 5] {
        let letter = match self {
            Self::Version => b'V',
            Self::Lease => b'L',
            Self::Block => b'B',
        };
        [b's', b'O', b'R', letter, FORMAT]
    }
}

const STAMP: usize = 33;

impl Stamp {
    pub(super) fn bytes(&self, is: Is, place: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(STAMP);
        out.extend(is.magic());
        out.extend(self.until_ms.to_le_bytes());
        out.extend(self.unique);
        out.extend(checksum(place, &out).to_le_bytes());
        out
    }

    /// `None` for anything that was not written there as this.
    pub(super) fn read(is: Is, place: &str, bytes: &[u8]) -> Option<Self> {
        let (rest, sum) = bytes.split_last_chunk::<4>()?;
        let whole = bytes.len() == STAMP && rest.starts_with(&is.magic());
        (whole && checksum(place, rest).to_le_bytes() == *sum).then_some(())?;
        Some(Self {
            until_ms: u64::from_le_bytes(rest[5..13].try_into().ok()?),
            unique: rest[13..].try_into().ok()?,
        })
    }
}

const ENTRY: [u8; 5] = [b's', b'O', b'R', b'E', FORMAT];
const HEAD: usize = 63;

/// An entry, or only its head if that was all that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'b> {
    pub(super) born_ms: u64,
    pub(super) ttl_ms: u64,
    pub(super) fill: FillId,
    pub(super) epoch: Epoch,
    pub(super) tags: Vec<(TagId, Unique)>,
    /// `None`: it was cut off.
    pub(super) body: Option<&'b [u8]>,
}

/// `late`: the versions of the late tags.
pub(super) fn entry(put: &Put<'_>, late: &[Unique], born_ms: u64, place: &str) -> Vec<u8> {
    let n = put.ids.len() + put.late.len();
    let mut out = Vec::with_capacity(HEAD + 24 * n + put.body.len());
    out.extend(ENTRY);
    out.extend([0; 4]);
    out.extend(born_ms.to_le_bytes());
    out.extend(put.ttl_ms.to_le_bytes());
    out.extend(put.fill);
    out.extend(put.epoch);
    // A value is far below 4 GiB, and there are at most MAX_TAGS.
    out.extend((put.body.len() as u32).to_le_bytes());
    out.extend((n as u16).to_le_bytes());
    out.extend(put.ids.iter().chain(put.late).flat_map(|id| id.0.to_le_bytes()));
    out.extend(put.versions.iter().chain(late).flatten());
    let sum = checksum(place, &out[9..]);
    out[5..9].copy_from_slice(&sum.to_le_bytes());
    out.extend(put.body);
    out
}

impl<'b> Entry<'b> {
    /// `None` for anything that was not put there, or is cut before its value begins.
    pub(super) fn read(place: &str, bytes: &'b [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u64::from_le_bytes(head[at..at + 8].try_into().ok()?));
        let n = usize::from(u16::from_le_bytes(head[61..63].try_into().ok()?));
        let (ids, rest) = rest.split_at_checked(8 * n)?;
        let (versions, body) = rest.split_at_checked(16 * n)?;
        let sum = checksum(place, &bytes[9..HEAD + 24 * n]).to_le_bytes();
        if head[..5] != ENTRY || head[5..9] != sum {
            return None;
        }
        let length = u32::from_le_bytes(head[57..61].try_into().ok()?);
        let tag = |(id, version): (&[u8], &[u8])| {
            Some((TagId(u64::from_le_bytes(id.try_into().ok()?)), version.try_into().ok()?))
        };
        Some(Self {
            born_ms: number(9)?,
            ttl_ms: number(17)?,
            fill: head[25..41].try_into().ok()?,
            epoch: head[41..57].try_into().ok()?,
            tags: ids.chunks(8).zip(versions.chunks(16)).map(tag).collect::<Option<_>>()?,
            body: (body.len() == length as usize).then_some(body),
        })
    }
}

/// Until when a file is of use to anybody, if it says so; for who removes what is not.
pub(super) fn ends_ms(bytes: &[u8]) -> Option<u64> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    match bytes.get(..5)? {
        magic if magic == ENTRY => Some(number(9)?.saturating_add(number(17)?)),
        magic if [Is::Version, Is::Lease, Is::Block].iter().any(|is| is.magic() == magic) => {
            number(5)
        }
        _ => None,
    }
}

fn checksum(place: &str, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(place.as_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
