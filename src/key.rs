//! Keys of entries.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// The version of what processes that share a store must agree on: how tags are named, which of
/// them a write bumps and a read depends on, and how entries are laid out. Part of every key, so
/// that those of another version are as if they were not there.
pub(crate) const PROTOCOL: u32 = 2;

/// Names one entry: `{prefix}:v{version}:{family}:{table}:{digest}`.
///
/// The digest is SHA-256 over the database's identity, the scope, the result's type, the SQL text
/// and every bound value with its type and length, so that different queries never share a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub(crate) prefix: Arc<str>,
    pub(crate) version: u32,
    pub(crate) family: Family,
    pub(crate) table: Arc<str>,
    pub(crate) digest: Digest,
}

pub(crate) type Digest = [u8; 32];

/// What kind of result an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Family {
    /// One model or none.
    Model,
    /// A list of models.
    #[default]
    List,
    /// A number of rows, or whether there are any.
    Count,
    /// One page of a list.
    Page,
    /// What a loader found for other models.
    Related,
    /// What code of the user's computed. In the place of a table stands the value's name.
    Value,
}

impl Key {
    /// A key, for who writes or tests a [store](crate::store) of another kind.
    ///
    /// ```
    /// use sea_orm_cache::{Family, Key};
    /// let key = Key::new("shop", 1, Family::List, "book", [0; 32]);
    /// assert!(key.to_string().starts_with("shop:v1:list:book:0000"));
    /// ```
    pub fn new(prefix: &str, version: u32, family: Family, table: &str, digest: [u8; 32]) -> Self {
        Self { prefix: prefix.into(), version, family, table: table.into(), digest }
    }

    /// What tells the entry from all others of the same prefix, version, family and table.
    ///
    /// ```
    /// # use sea_orm_cache::{Family, Key};
    /// assert_eq!(Key::new("shop", 1, Family::List, "book", [7; 32]).digest(), &[7; 32]);
    /// ```
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What kind of result the entry holds.
    ///
    /// ```
    /// # use sea_orm_cache::{Family, Key};
    /// fn is_list(key: &Key) -> bool {
    ///     key.family() == Family::List
    /// }
    /// ```
    pub fn family(&self) -> Family {
        self.family
    }

    /// The table of the entity that was selected; of a computed value, its name.
    ///
    /// ```
    /// # use sea_orm_cache::Key;
    /// fn is_book(key: &Key) -> bool {
    ///     key.table() == "book"
    /// }
    /// ```
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl Family {
    pub(crate) const ALL: [Self; 6] =
        [Self::Model, Self::List, Self::Count, Self::Page, Self::Related, Self::Value];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::List => "list",
            Self::Count => "count",
            Self::Page => "page",
            Self::Related => "related",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:v{}:{}:{}:", self.prefix, self.version, self.family, self.table)?;
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.digest) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        f.write_str(std::str::from_utf8(&hex).unwrap_or_default())
    }
}

/// Longer names stand in keys by their digest.
const LONGEST_KEY: usize = 512;

/// What the user gave, of letters, digits and `-._%` alone, or as `#` and a digest if it is too
/// long: so nothing in it ends its part of a key, and different inputs give different parts.
pub(crate) fn segment(text: &str) -> String {
    if text.len() > LONGEST_KEY {
        return format!("#{}", hex(&Sha256::digest(text)));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.extend(['%'].into_iter().chain(digits(byte))),
        }
    }
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().copied().flat_map(digits).collect()
}

fn digits(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
}

#[cfg(all(test, not(feature = "__shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn different_keys_are_different_parts_that_nothing_breaks_out_of() {
        let long = "x".repeat(513);
        let hashed = segment(&long);
        let texts = [
            "", "a", "A", "a:b", "a%3Ab", "*", "a\nb", "{a}", "ü", "u\u{308}", "\0", " ", "#",
            &hashed, &long,
        ];
        let parts: std::collections::HashSet<_> = texts.iter().map(|text| segment(text)).collect();
        assert_eq!(parts.len(), texts.len());
        for part in parts {
            assert!(
                part.chars().all(|c| c.is_ascii_alphanumeric() || "-._%#".contains(c)),
                "{part}"
            );
            assert!(part.len() <= 3 * LONGEST_KEY);
        }
    }
}
