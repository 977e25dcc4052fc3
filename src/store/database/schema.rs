//! The tables: their names, and the statements that make and drop them.

use sea_orm::DbBackend;

use super::dialect::Dialect;
use crate::error::Error;

/// The longest name of a table, so that those of its companions and indexes fit everywhere.
const LONGEST: usize = 40;

/// The statements that make the store's tables where they are missing, in their order. For who
/// makes tables by migrations instead of [`create_tables`](super::DatabaseStoreConfig::create_tables).
///
/// `table` is a name of letters, digits and `_`, on servers perhaps behind a schema's and a dot;
/// there are three more tables whose names begin with it. `unlogged` counts on PostgreSQL alone, see
/// [`unlogged`](super::DatabaseStoreConfig::unlogged).
///
/// # Errors
///
/// [`Error::is_config`] if the name or the database is none that this can use.
///
/// ```
/// use sea_orm::DbBackend;
/// use sea_orm_cache::store::database::create_statements;
///
/// # fn main() -> Result<(), sea_orm_cache::Error> {
/// let all = create_statements(DbBackend::Postgres, "cache_entries", true)?;
/// assert!(all[0].starts_with(r#"CREATE UNLOGGED TABLE IF NOT EXISTS "cache_entries""#));
/// assert!(create_statements(DbBackend::Postgres, "entries; --", true).is_err());
/// # Ok(()) }
/// ```
pub fn create_statements(
    backend: DbBackend,
    table: &str,
    unlogged: bool,
) -> Result<Vec<String>, Error> {
    let names = Names::new(Dialect::of(backend)?, table)?;
    let Types { number, key, unique, text, bytes, versions, tags } = types(names.dialect);
    let kind = match names.dialect {
        Dialect::Postgres if unlogged => "UNLOGGED TABLE",
        _ => "TABLE",
    };
    // The server empties it whenever it may have lost something: see the module's words on epochs.
    let fleeting = match names.dialect {
        Dialect::Postgres => "UNLOGGED TABLE",
        _ => "TABLE",
    };
    let (engine, memory) = match names.dialect {
        Dialect::MySql => (" ENGINE = InnoDB", " ENGINE = MEMORY"),
        _ => ("", ""),
    };
    let Names { entries, versions: version_table, cells, epoch, .. } = &names;
    let name = |what: &str| names.index(what);
    // MySQL has no CREATE INDEX IF NOT EXISTS.
    let within = |what: &str, columns: &str| match names.dialect {
        Dialect::MySql => format!(", INDEX {} ({columns})", name(what)),
        _ => String::new(),
    };
    let mut all = vec![
        format!(
            "CREATE {kind} IF NOT EXISTS {entries} (id {key} NOT NULL PRIMARY KEY, \
             fill {unique} NOT NULL, epoch {text} NOT NULL, {tags}, checksum {number} NOT NULL, \
             ttl_ms {number} NOT NULL, ends_at {number} NOT NULL, size {number} NOT NULL, \
             body {bytes} NOT NULL{}){engine}",
            within("ends", "ends_at, size")
        ),
        format!(
            "CREATE {kind} IF NOT EXISTS {version_table} (tag {number} NOT NULL PRIMARY KEY, \
             version {versions}, blockers {}, ends_at {number} NOT NULL{}){engine}",
            if names.dialect == Dialect::MySql {
                "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            } else {
                "TEXT"
            },
            within("version_ends", "ends_at")
        ),
        format!(
            "CREATE {kind} IF NOT EXISTS {cells} (id {key} NOT NULL PRIMARY KEY, \
             value {bytes}, number {number}, value_until {number} NOT NULL, holder {text}, \
             held_until {number} NOT NULL, token {number} NOT NULL, ends_at {number} NOT NULL, \
             size {number} NOT NULL{}){engine}",
            within("cell_ends", "ends_at, size")
        ),
        format!(
            "CREATE {fleeting} IF NOT EXISTS {epoch} (n {number} NOT NULL PRIMARY KEY, \
             id {text} NOT NULL){memory}"
        ),
    ];
    if names.dialect != Dialect::MySql {
        // SQLite wants a schema before the index, PostgreSQL none.
        all.push(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {entries} (ends_at, size)",
            name("ends")
        ));
        all.push(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {version_table} (ends_at)",
            name("version_ends")
        ));
        all.push(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {cells} (ends_at, size)",
            name("cell_ends")
        ));
    }
    Ok(all)
}

/// The statements that drop the tables of [`create_statements`], where they are.
///
/// # Errors
///
/// [`Error::is_config`] if the name or the database is none that this can use.
///
/// ```
/// use sea_orm::DbBackend;
/// use sea_orm_cache::store::database::drop_statements;
///
/// # fn main() -> Result<(), sea_orm_cache::Error> {
/// let all = drop_statements(DbBackend::MySql, "cache_entries")?;
/// assert!(all.contains(&"DROP TABLE IF EXISTS `cache_entries`".to_owned()));
/// # Ok(()) }
/// ```
pub fn drop_statements(backend: DbBackend, table: &str) -> Result<Vec<String>, Error> {
    let names = Names::new(Dialect::of(backend)?, table)?;
    Ok(names.all().map(|(_, quoted)| format!("DROP TABLE IF EXISTS {quoted}")).to_vec())
}

/// The names of the tables, quoted.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) dialect: Dialect,
    pub(super) entries: String,
    pub(super) versions: String,
    pub(super) cells: String,
    pub(super) epoch: String,
    /// The first one as it was given.
    pub(super) plain: String,
}

impl Names {
    pub(super) fn new(dialect: Dialect, table: &str) -> Result<Self, Error> {
        let wrong =
            |why: &str| Err(Error::config(format!("database store: table {table:?}: {why}")));
        let (schema, name) = match table.rsplit_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, table),
        };
        if schema.is_some() && dialect == Dialect::Sqlite {
            return wrong("SQLite has no schemas, and what is attached counts for one connection");
        }
        for part in [Some(name), schema].into_iter().flatten() {
            let first = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let fits = part.len() <= LONGEST;
            if !first || !fits || !part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return wrong(&format!(
                    "a name has at most {LONGEST} letters, digits and '_', and begins with no digit"
                ));
            }
        }
        let quoted = |end: &str| {
            let schema = schema.map(|schema| format!("{}.", dialect.quote(schema)));
            format!("{}{}", schema.unwrap_or_default(), dialect.quote(&format!("{name}{end}")))
        };
        Ok(Self {
            dialect,
            entries: quoted(""),
            versions: quoted("_version"),
            cells: quoted("_cell"),
            epoch: quoted("_epoch"),
            plain: table.to_owned(),
        })
    }

    /// Each as it was given and quoted.
    pub(super) fn all(&self) -> [(String, &String); 4] {
        let plain = |end: &str| format!("{}{end}", self.plain);
        [
            (plain(""), &self.entries),
            (plain("_version"), &self.versions),
            (plain("_cell"), &self.cells),
            (plain("_epoch"), &self.epoch),
        ]
    }

    /// An index, which has its table's schema.
    fn index(&self, what: &str) -> String {
        let name = self.plain.rsplit('.').next().unwrap_or_default();
        self.dialect.quote(&format!("{name}_{what}"))
    }
}

struct Types {
    number: &'static str,
    key: &'static str,
    unique: &'static str,
    /// 32 hexadecimal digits, or a word.
    text: &'static str,
    bytes: &'static str,
    versions: &'static str,
    tags: &'static str,
}

fn types(dialect: Dialect) -> Types {
    match dialect {
        Dialect::Sqlite => Types {
            number: "INTEGER",
            key: "BLOB",
            unique: "BLOB",
            text: "TEXT",
            bytes: "BLOB",
            versions: "TEXT",
            tags: "tags TEXT NOT NULL",
        },
        Dialect::Postgres => Types {
            number: "bigint",
            key: "bytea",
            unique: "bytea",
            text: "text",
            bytes: "bytea",
            versions: "uuid",
            tags: "tags bigint[] NOT NULL, versions uuid[] NOT NULL",
        },
        Dialect::MySql => Types {
            number: "BIGINT",
            key: "BINARY(32)",
            unique: "BINARY(16)",
            // Compared byte by byte.
            text: "VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            bytes: "LONGBLOB",
            versions: "CHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            tags: "tags JSON NOT NULL",
        },
    }
}
