//! The tables of the database store as a migration.

use sea_orm_cache::store::database::{create_statements, drop_statements};
use sea_orm_migration::sea_orm::ConnectionTrait;
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};

/// Creates the tables of `DatabaseStoreConfig`; `down` drops them.
///
/// ```
/// use sea_orm_cache_migration::CacheTable;
/// use sea_orm_migration::MigrationName;
///
/// assert_eq!(CacheTable::named("cache_entries").unlogged().name(), "cache_entries_v1");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct CacheTable {
    table: String,
    unlogged: bool,
    name: String,
}

impl CacheTable {
    /// The table of this name, as in `DatabaseStoreConfig::table`, and those that go with it.
    pub fn named(table: &str) -> Self {
        Self { table: table.to_owned(), unlogged: false, name: format!("{table}_v1") }
    }

    /// On PostgreSQL: they are not written to its log. Writes cost less, and after a crash the cache
    /// is empty.
    pub fn unlogged(mut self) -> Self {
        self.unlogged = true;
        self
    }
}

impl MigrationName for CacheTable {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CacheTable {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        let backend = conn.get_database_backend();
        for sql in create_statements(backend, &self.table, self.unlogged).map_err(DbErr::from)? {
            conn.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        for sql in drop_statements(conn.get_database_backend(), &self.table).map_err(DbErr::from)? {
            conn.execute_unprepared(&sql).await?;
        }
        Ok(())
    }
}
