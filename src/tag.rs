//! Tags: what an entry depends on, and what a write bumps.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use crate::key::Family;

/// Something an entry depends on. A write *bumps* tags; an entry is valid while none of its tags
/// was bumped since it was filled.
///
/// The [`Display`](fmt::Display) form is the one that events, [`explain`](crate::Explanation) and
/// the documentation use: `book!`, `book:pk=5`, `book+author_id=7`, `book#price¦author_id=7`.
///
/// ```
/// use sea_orm_cache::{KeyValue, Part, Tag};
///
/// let tag = Tag::Appear("book".into(), Some(Part::one("author_id", KeyValue::Int(7))));
/// assert_eq!(tag.to_string(), "book+author_id=7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tag {
    /// `*`: every entry depends on it.
    All,
    /// `T!`: bumped by every write to the table, before its other tags.
    Guard(Arc<str>),
    /// `T*`: bumped by a write of which nothing more is known.
    Whole(Arc<str>),
    /// `T:pk=v`, or `T:pk=*` for rows whose keys are unknown (`None`).
    Row(Arc<str>, Option<Vec<KeyValue>>),
    /// `T+`, `T+c=v`: a row appears.
    Appear(Arc<str>, Option<Part>),
    /// `T-`, `T-c=v`: a row goes.
    Gone(Arc<str>, Option<Part>),
    /// `T#m`, `T#m¦c=v`: column `m` of a row changes.
    Column(Arc<str>, Arc<str>, Option<Part>),
    /// A name that the user gave with [`tag`](crate::Cached::tag), or that an entity declares.
    User(Arc<str>),
    /// `list:book`: every entry of a family and a table depends on this.
    Family(Family, Arc<str>),
}

/// A slice of a table: its rows with one value in one key column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    /// The key column.
    pub column: Arc<str>,
    /// The value that the rows share; `None` for "some slice, unknown which".
    pub value: Option<KeyValue>,
}

/// A key column's value in its canonical form: equal values of the column have equal forms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyValue {
    /// SQL NULL.
    Null,
    /// Any integer type, and booleans as 0 and 1.
    Int(i64),
    /// Text under a byte-wise collation.
    Text(String),
    /// A blob, and UUIDs where the database stores them as blobs.
    Bytes(Vec<u8>),
}

impl Part {
    /// The slice of rows with `column` = `value`.
    ///
    /// ```
    /// use sea_orm_cache::{KeyValue, Part};
    /// assert_eq!(Part::one("id", KeyValue::Null).to_string(), "id=NULL");
    /// ```
    pub fn one(column: impl Into<Arc<str>>, value: KeyValue) -> Self {
        Self { column: column.into(), value: Some(value) }
    }

    /// An unknown slice by `column`.
    ///
    /// ```
    /// assert_eq!(sea_orm_cache::Part::any("id").to_string(), "id=*");
    /// ```
    pub fn any(column: impl Into<Arc<str>>) -> Self {
        Self { column: column.into(), value: None }
    }
}

/// A tag's 64-bit name, the same in every process. A collision only invalidates too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagId(pub u64);

impl TagId {
    /// The name of `*`.
    pub(crate) fn all() -> Self {
        Tag::All.id()
    }

    /// What stands for the schemas of all databases: every entry in a store depends on it.
    pub(crate) fn schema() -> Self {
        let mut name = Name::new();
        name.part(b"s");
        name.finish()
    }

    /// The name of a view of single values, whose version is a part of their keys.
    pub(crate) fn view(path: &str) -> Self {
        let mut name = Name::new();
        name.part(b"kv");
        name.part(path.as_bytes());
        name.finish()
    }
}

/// Names a tag by its parts. SipHash with fixed keys, so that a user-supplied key value can't
/// easily be aimed at another tag's name; and over bytes of our own, since what `derive(Hash)`
/// feeds may differ between compilers, and so between processes.
struct Name(#[allow(deprecated)] std::hash::SipHasher);

impl Name {
    fn new() -> Self {
        #[allow(deprecated)]
        Self(std::hash::SipHasher::new_with_keys(0x5ea0_0ca0, 0x7a65_0001))
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.write(&(bytes.len() as u64).to_le_bytes());
        self.0.write(bytes);
    }

    fn value(&mut self, value: &KeyValue) {
        match value {
            KeyValue::Null => self.0.write(&[0]),
            KeyValue::Int(number) => {
                self.0.write(&[1]);
                self.0.write(&number.to_le_bytes());
            }
            KeyValue::Text(text) => {
                self.0.write(&[2]);
                self.part(text.as_bytes());
            }
            KeyValue::Bytes(bytes) => {
                self.0.write(&[3]);
                self.part(bytes);
            }
        }
    }

    fn slice(&mut self, of: &Option<Part>) {
        if let Some(Part { column, value }) = of {
            self.part(column.as_bytes());
            self.0.write(&[value.is_some().into()]);
            if let Some(value) = value {
                self.value(value);
            }
        }
    }

    fn finish(self) -> TagId {
        TagId(self.0.finish())
    }
}

impl Tag {
    pub(crate) fn id(&self) -> TagId {
        let mut name = Name::new();
        match self {
            Self::All => name.part(b"*"),
            Self::Guard(table) => {
                name.part(b"!");
                name.part(table.as_bytes());
            }
            Self::Whole(table) => {
                name.part(b"T*");
                name.part(table.as_bytes());
            }
            Self::Row(table, key) => {
                name.part(b":");
                name.part(table.as_bytes());
                name.0.write(&[key.is_some().into()]);
                key.iter().flatten().for_each(|value| name.value(value));
            }
            Self::Appear(table, part) => {
                name.part(b"+");
                name.part(table.as_bytes());
                name.slice(part);
            }
            Self::Gone(table, part) => {
                name.part(b"-");
                name.part(table.as_bytes());
                name.slice(part);
            }
            Self::Column(table, column, part) => {
                name.part(b"#");
                name.part(table.as_bytes());
                name.part(column.as_bytes());
                name.slice(part);
            }
            Self::User(user) => {
                name.part(b"@");
                name.part(user.as_bytes());
            }
            Self::Family(family, table) => {
                name.part(b"f");
                name.part(family.name().as_bytes());
                name.part(table.as_bytes());
            }
        }
        name.finish()
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Text(s) => write!(f, "{s:?}"),
            Self::Bytes(b) => {
                f.write_str("x'")?;
                b.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.column),
            None => write!(f, "{}=*", self.column),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, separator: &str, part: &Option<Part>| match part {
            Some(part) => write!(f, "{separator}{part}"),
            None => Ok(()),
        };
        match self {
            Self::All => f.write_str("*"),
            Self::Guard(t) => write!(f, "{t}!"),
            Self::Whole(t) => write!(f, "{t}*"),
            Self::Row(t, None) => write!(f, "{t}:pk=*"),
            Self::Row(t, Some(values)) => {
                write!(f, "{t}:pk=")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::Appear(t, p) => write!(f, "{t}+").and_then(|()| part(f, "", p)),
            Self::Gone(t, p) => write!(f, "{t}-").and_then(|()| part(f, "", p)),
            Self::Column(t, m, p) => write!(f, "{t}#{m}").and_then(|()| part(f, "¦", p)),
            Self::User(name) => write!(f, "@{name}"),
            Self::Family(family, table) => write!(f, "{family}:{table}"),
        }
    }
}
