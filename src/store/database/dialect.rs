//! What the databases spell differently, all of it.
//!
//! Statements are written with `?` for values; [`numbered`](Dialect::numbered) makes PostgreSQL's of
//! them. Lists of tags go as one value, as JSON or an array in a text, so that a statement's text is
//! the same for each length.

use sea_orm::{DbBackend, Value};

use crate::error::Error;
use crate::key::hex;
use crate::store::Unique;

/// One of the three kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    pub(super) fn of(backend: DbBackend) -> Result<Self, Error> {
        match backend {
            DbBackend::Sqlite => Ok(Self::Sqlite),
            DbBackend::Postgres => Ok(Self::Postgres),
            DbBackend::MySql => Ok(Self::MySql),
            other => Err(Error::config(format!(
                "database store: {other:?} is none of SQLite, PostgreSQL, MySQL and MariaDB"
            ))),
        }
    }

    /// One part of a name. What needs escaping was refused before.
    pub(super) fn quote(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{name}`"),
            _ => format!("\"{name}\""),
        }
    }

    /// The same statement with the database's own placeholders.
    pub(super) fn numbered(self, sql: &str) -> String {
        if self != Self::Postgres {
            return sql.to_owned();
        }
        let mut out = String::with_capacity(sql.len() + 32);
        for (number, part) in sql.split('?').enumerate() {
            if number > 0 {
                out += &format!("${number}");
            }
            out += part;
        }
        out
    }

    /// Milliseconds since 1970 by the database's clock, whatever the session's time zone is.
    pub(super) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
            Self::Postgres => "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS bigint)",
            // In integers. A replica's clock does not matter: nobody asks one.
            Self::MySql => "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
        }
    }

    /// The name of the store's present history, as 32 hexadecimal digits; NULL if there is none.
    /// See the module's words on epochs.
    pub(super) fn epoch(self, table: &str, boot: &str) -> String {
        match self {
            Self::Sqlite => format!("(SELECT id || '{boot}' FROM {table})"),
            Self::Postgres => {
                // Neither `md5` nor `digest`: the first may be forbidden, the other is an extension.
                let all = "id || tableoid::text \
                    || EXTRACT(EPOCH FROM pg_postmaster_start_time())::text";
                format!(
                    "(SELECT lpad(to_hex(hashtextextended({all}, 0)), 16, '0') \
                     || lpad(to_hex(hashtextextended({all}, 1)), 16, '0') FROM {table})"
                )
            }
            Self::MySql => format!(
                "(SELECT LEFT(SHA2(CONCAT_WS(':', id, @@server_id, @@hostname, @@port), 256), 32) \
                 FROM {table} WHERE NOT @@global.read_only AND NOT @@innodb_read_only)"
            ),
        }
    }

    /// Does this server only follow another one? `None`: there is no such thing.
    pub(super) fn is_replica(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT CAST(pg_is_in_recovery() AS int)::bigint"),
            Self::MySql => Some("SELECT CAST(@@global.read_only OR @@innodb_read_only AS SIGNED)"),
        }
    }

    /// The bigger of two numbers.
    pub(super) fn greatest(self) -> &'static str {
        if self == Self::Sqlite { "max" } else { "greatest" }
    }

    /// How an INSERT begins and ends that leaves alone what is there.
    pub(super) fn insert_missing(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => ("INSERT OR IGNORE INTO", ""),
            Self::Postgres => ("INSERT INTO", " ON CONFLICT DO NOTHING"),
            Self::MySql => ("INSERT IGNORE INTO", ""),
        }
    }

    /// The end of an INSERT that replaces these columns of the row with the same key.
    pub(super) fn or_replace(self, columns: &[&str]) -> String {
        let new = columns.iter().map(|column| format!("{column} = {}", self.new_value(column)));
        let new = new.collect::<Vec<_>>().join(", ");
        match self {
            Self::MySql => format!(" ON DUPLICATE KEY UPDATE {new}"),
            _ => format!(" ON CONFLICT (id) DO UPDATE SET {new}"),
        }
    }

    /// Within that, the value that was to be inserted.
    pub(super) fn new_value(self, column: &str) -> String {
        match self {
            Self::MySql => format!("VALUES({column})"),
            _ => format!("excluded.{column}"),
        }
    }

    /// How a number of a row is set so that it can be told what it is then, and how an UPDATE ends
    /// that tells it; MySQL tells it as if it were a new row's number.
    pub(super) fn set_and_tell(self, column: &str, new: &str) -> (String, String) {
        match self {
            // It makes a number without a sign of it.
            Self::MySql => {
                (format!("{column} = CAST(LAST_INSERT_ID({new}) AS SIGNED)"), String::new())
            }
            _ => (format!("{column} = {new}"), format!(" RETURNING {column}")),
        }
    }

    /// Two texts as one.
    pub(super) fn join(self, one: &str, other: &str) -> String {
        match self {
            Self::MySql => format!("CONCAT({one}, {other})"),
            _ => format!("{one} || {other}"),
        }
    }

    /// A list of tags as a value.
    pub(super) fn list(self, tags: &[i64]) -> Value {
        let tags = tags.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        match self {
            Self::Postgres => format!("{{{tags}}}").into(),
            _ => format!("[{tags}]").into(),
        }
    }

    /// That value as a table, and its column.
    pub(super) fn listed(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => ("json_each(?) d", "d.value"),
            Self::Postgres => ("unnest(CAST(? AS bigint[])) AS d(tag)", "d.tag"),
            Self::MySql => ("JSON_TABLE(?, '$[*]' COLUMNS (tag BIGINT PATH '$')) d", "d.tag"),
        }
    }

    /// Is a tag one of these? For MySQL they stand in the text: of a list it makes a table, and then
    /// some servers look at every row, and lock it.
    pub(super) fn among(self, tags: &[i64]) -> (String, Vec<Value>) {
        match self {
            Self::Sqlite => {
                ("tag IN (SELECT value FROM json_each(?))".into(), vec![self.list(tags)])
            }
            Self::Postgres => ("tag = ANY(CAST(? AS bigint[]))".into(), vec![self.list(tags)]),
            Self::MySql => {
                let tags = tags.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
                (format!("tag IN ({tags})"), Vec::new())
            }
        }
    }

    /// How a version is bound, and how it is read: as 32 hexadecimal digits, perhaps with dashes.
    pub(super) fn version(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => ("CAST(? AS uuid)", "::text"),
            _ => ("?", ""),
        }
    }

    /// The columns in which an entry's tags and their versions are.
    pub(super) fn dependency_columns(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["tags", "versions"],
            _ => &["tags"],
        }
    }

    /// How these are bound.
    pub(super) fn dependency_marks(self) -> &'static str {
        match self {
            Self::Postgres => "CAST(? AS bigint[]), CAST(? AS uuid[])",
            _ => "?",
        }
    }

    /// Their values.
    pub(super) fn dependencies(self, tags: &[i64], versions: &[Unique]) -> Vec<Value> {
        if self == Self::Postgres {
            let versions = versions.iter().map(|v| hex(v)).collect::<Vec<_>>().join(",");
            return vec![self.list(tags), format!("{{{versions}}}").into()];
        }
        let pair = |(tag, version): (&i64, &Unique)| format!("\"{}{tag}\"", hex(version));
        let pairs = tags.iter().zip(versions).map(pair).collect::<Vec<_>>().join(",");
        vec![format!("[{pairs}]").into()]
    }

    /// A text that names an entry's tags, see [`tags_in`].
    pub(super) fn tags_text(self) -> &'static str {
        match self {
            Self::Sqlite => "e.tags",
            Self::Postgres => "e.tags::text",
            Self::MySql => "CAST(e.tags AS CHAR)",
        }
    }

    /// Is each of the versions that the entry `e` was put with there and the same? Whatever is in
    /// the columns, this is no error: a part that can't be understood is a version that differs.
    pub(super) fn is_valid(self, versions: &str) -> String {
        let (from, tag, version) = match self {
            Self::Sqlite => (
                "json_each(CASE WHEN json_valid(e.tags) THEN e.tags ELSE '[null]' END) d",
                "CAST(substr(d.value, 33) AS INTEGER)",
                "substr(d.value, 1, 32)",
            ),
            Self::Postgres => {
                ("unnest(e.tags, e.versions) AS d(tag, version)", "d.tag", "d.version")
            }
            Self::MySql => (
                "JSON_TABLE(IF(JSON_VALID(e.tags), e.tags, '[null]'), '$[*]' \
                 COLUMNS (dep VARCHAR(60) CHARACTER SET utf8mb4 PATH '$')) d",
                "CAST(SUBSTR(d.dep, 33) AS SIGNED)",
                "LEFT(d.dep, 32)",
            ),
        };
        // A look-up by key for each: nothing that statistics could lead astray.
        format!(
            "NOT EXISTS (SELECT 1 FROM {from} WHERE COALESCE(\
             (SELECT v.version FROM {versions} v WHERE v.tag = {tag}) <> {version}, 1 = 1))"
        )
    }
}

/// The tags in a text of an array or of JSON; `None` if there is anything else in it.
pub(super) fn tags_in(text: &str) -> Option<Vec<i64>> {
    const VERSION: usize = 32;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let parts = text.split(|c| !is_part(c)).filter(|part| !part.is_empty());
    // In JSON each goes behind its version; a number alone is never that long.
    parts.map(|part| part.get(VERSION..).unwrap_or(part).parse().ok()).collect()
}
