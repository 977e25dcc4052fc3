//! The outbox's own tables, and on which tables triggers write into it.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};

use super::triggers::{self, Watched};
use super::watch;
use crate::catalog;
use crate::error::Error;
use crate::schema::{Schema, Table};
use crate::sql::Dialect;

/// The names of triggers and functions are made of it, and PostgreSQL has 63 bytes for them.
const MAX_NAME: usize = 40;

/// The tables into which other programs' writes are noted, by triggers, and the triggers.
///
/// All of this is for migrations: what is done here is done in the database once, not by each
/// process. Each call may be repeated.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sea_orm::{ConnectionTrait, Database};
/// use sea_orm_cache::Outbox;
///
/// let db = Database::connect("sqlite::memory:").await?;
/// db.execute_unprepared("CREATE TABLE book (id INTEGER PRIMARY KEY, price INTEGER)").await?;
/// let outbox = Outbox::default();
/// outbox.create(&db).await?;
/// outbox.watch(&db, ["book"]).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Outbox {
    name: String,
    notifies: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { name: Self::DEFAULT_NAME.to_owned(), notifies: false }
    }
}

impl Outbox {
    /// The name that is used if none is given.
    pub const DEFAULT_NAME: &str = "sea_orm_cache_outbox";

    /// An outbox of its own, for the caches of one prefix, version and store.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] unless the name is of small letters, digits and `_`, begins with a
    /// letter, and has 40 bytes at most.
    ///
    /// ```
    /// assert!(sea_orm_cache::Outbox::named("shop_changes").is_ok());
    /// assert!(sea_orm_cache::Outbox::named("shop-changes").is_err());
    /// ```
    pub fn named(name: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if name.len() > MAX_NAME || !begins || !name.chars().all(allowed) {
            return Err(Error::config(format!(
                "outbox: {name:?} must begin with a letter, be made of small letters, digits and \
                 '_', and have {MAX_NAME} bytes at most"
            )));
        }
        Ok(Self { name: name.to_owned(), notifies: false })
    }

    /// The triggers also tell of each note by PostgreSQL's NOTIFY, on a channel of the outbox's name.
    /// By it the listener is woken (`OutboxConfig::notified`, feature `postgres-notify`), which
    /// otherwise looks by itself, several times within its bound. It costs each write a little more,
    /// and those that commit at the same time wait for each other. PostgreSQL refuses to prepare a
    /// transaction for two-phase commit that has sent one, and to commit while its queue of them is
    /// full. Elsewhere it does nothing.
    ///
    /// ```
    /// let outbox = sea_orm_cache::Outbox::default().notifying();
    /// ```
    #[must_use]
    pub fn notifying(mut self) -> Self {
        self.notifies = true;
        self
    }

    /// The table with the changes.
    ///
    /// ```
    /// assert_eq!(sea_orm_cache::Outbox::default().table(), "sea_orm_cache_outbox");
    /// ```
    pub fn table(&self) -> &str {
        &self.name
    }

    /// The table that says who listens, and what the triggers were made for.
    ///
    /// ```
    /// assert_eq!(sea_orm_cache::Outbox::default().state_table(), "sea_orm_cache_outbox_state");
    /// ```
    pub fn state_table(&self) -> String {
        format!("{}_state", self.name)
    }

    /// Creates both tables, unless they are there.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn create(&self, conn: &impl ConnectionTrait) -> Result<(), DbErr> {
        let (table, state) = (&self.name, self.state_table());
        let backend = conn.get_database_backend();
        // MySQL 5.7 wants a table where there is a condition.
        let dual = if backend == DbBackend::MySql { " FROM DUAL" } else { "" };
        let (id, text, long, after) = match backend {
            DbBackend::Postgres => {
                // Not a sequence: it would change what `lastval()` gives to those who write.
                ("UUID DEFAULT gen_random_uuid() PRIMARY KEY", "TEXT", "TEXT", "")
            }
            DbBackend::MySql => (
                "BIGINT AUTO_INCREMENT PRIMARY KEY",
                "VARCHAR(190)",
                "LONGTEXT",
                " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            ),
            _ => ("INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT", "TEXT", ""),
        };
        let sql = [
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (id {id}, table_name {text} NOT NULL, \
                 operation CHAR(1) NOT NULL, row_before {long}, row_after {long}, \
                 changed {long}, created_ms BIGINT NOT NULL){after}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {state} (name {text} NOT NULL PRIMARY KEY, \
                 owner {text} NOT NULL, until_ms BIGINT NOT NULL, done_ms BIGINT NOT NULL, \
                 note {long}){after}"
            ),
            format!(
                "INSERT INTO {state} (name, owner, until_ms, done_ms) SELECT 'listener', '', 0, 0{dual} \
                 WHERE NOT EXISTS (SELECT 1 FROM {state} WHERE name = 'listener')"
            ),
        ];
        run(conn, sql.into()).await
    }

    /// Drops both tables, if they are there. Take all triggers away first: writes to a table whose
    /// triggers write to what is gone fail.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn drop(&self, conn: &impl ConnectionTrait) -> Result<(), DbErr> {
        conn.execute_unprepared(&format!("DROP TABLE IF EXISTS {}", self.name)).await?;
        conn.execute_unprepared(&format!("DROP TABLE IF EXISTS {}", self.state_table())).await?;
        run(conn, triggers::drop_shared(&self.name, conn.get_database_backend())).await
    }

    /// Makes the triggers of these tables, in the place of those that are there. After a column was
    /// added or dropped, or an index: again.
    ///
    /// Tables are named as in the database; on PostgreSQL outside `public` with their schema
    /// (`sales.book`). A partitioned table's parts get theirs, too.
    ///
    /// No write goes unnoted while old triggers are replaced: each table's are in a transaction, and
    /// on MySQL, which has none for them, the new ones are there before the old ones go. A table that
    /// had none counts as changed: what was read before is read again.
    ///
    /// # Errors
    ///
    /// The database's own, or [`DbErr::Custom`] if there is no such table.
    pub async fn watch<'t>(
        &self,
        conn: &(impl ConnectionTrait + TransactionTrait),
        tables: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), DbErr> {
        let backend = conn.get_database_backend();
        let schema = catalog::load_within(conn).await?;
        let outbox = self.spelled(conn).await?;
        triggers::create_shared(conn, &self.name, &outbox, self.notifies).await?;
        for name in tables {
            let table = find(&schema, name, backend)
                .ok_or_else(|| DbErr::Custom(format!("outbox: there is no table {name:?}")))?;
            for table in with_parts(table, &schema) {
                let mut watched = Watched::new(&outbox, table, name, backend);
                watched.look(conn).await;
                watch::make(conn, &self.state_table(), &watched).await?;
            }
        }
        Ok(())
    }

    /// Takes the triggers of these tables away, if they are there; a table that is gone is none.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn unwatch<'t>(
        &self,
        conn: &(impl ConnectionTrait + TransactionTrait),
        tables: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), DbErr> {
        let backend = conn.get_database_backend();
        let schema = catalog::load_within(conn).await?;
        for name in tables {
            let Some(table) = find(&schema, name, backend) else { continue };
            for table in with_parts(table, &schema) {
                let watched = Watched::new(&self.name, table, name, backend);
                watch::unmake(conn, &self.state_table(), &watched).await?;
            }
        }
        Ok(())
    }

    /// The table, as SQL spells it whatever the session's search path.
    async fn spelled(&self, conn: &impl ConnectionTrait) -> Result<String, DbErr> {
        let backend = conn.get_database_backend();
        if backend != DbBackend::Postgres {
            return Ok(self.name.clone());
        }
        let sql = "SELECT pg_catalog.quote_ident(pg_catalog.current_schema())";
        let row = conn.query_one_raw(Statement::from_string(backend, sql)).await?;
        let schema: Option<String> = row.and_then(|row| row.try_get_by_index(0).ok());
        let none = || DbErr::Custom("outbox: search_path names no schema to create it in".into());
        Ok(format!("{}.{}", schema.ok_or_else(none)?, self.name))
    }
}

pub(super) async fn run(conn: &impl ConnectionTrait, all: Vec<String>) -> Result<(), DbErr> {
    for sql in all {
        conn.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// The table of this name, in whatever case the catalog has it.
fn find<'s>(schema: &'s Schema, name: &str, backend: DbBackend) -> Option<&'s Table> {
    let (of, table) = match name.split_once('.') {
        Some((of, table)) => (Some(of), table),
        None => (None, name),
    };
    schema.table(&Dialect::from(backend).entity_table(of, table, schema)?)
}

/// A table and those that it is made of.
fn with_parts<'s>(table: &'s Table, schema: &'s Schema) -> Vec<&'s Table> {
    let part = |part: &&Table| part.part_of.as_ref() == Some(&table.name);
    let mut parts: Vec<_> = schema.tables.values().filter(part).collect();
    parts.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    parts.insert(0, table);
    parts
}

pub(super) fn placeholder(backend: DbBackend, number: usize) -> String {
    match backend {
        DbBackend::Postgres => format!("${number}"),
        _ => "?".to_owned(),
    }
}
