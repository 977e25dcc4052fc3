//! The outbox's tables as a migration.

use sea_orm_cache::{Error, Outbox};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};

/// Creates the tables of the outbox; `down` drops them.
///
/// ```
/// use sea_orm_cache_migration::CacheOutbox;
/// use sea_orm_migration::MigrationName;
///
/// assert_eq!(CacheOutbox::new().name(), "sea_orm_cache_outbox_v1");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct CacheOutbox {
    outbox: Outbox,
    name: String,
}

impl Default for CacheOutbox {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheOutbox {
    /// The outbox of the default name.
    pub fn new() -> Self {
        Self::of(Outbox::default())
    }

    /// One of a name of its own, as in `OutboxConfig::table`.
    ///
    /// # Errors
    ///
    /// As [`Outbox::named`].
    pub fn table(name: &str) -> Result<Self, Error> {
        Outbox::named(name).map(Self::of)
    }

    fn of(outbox: Outbox) -> Self {
        let name = format!("{}_v1", outbox.table());
        Self { outbox, name }
    }

    /// Under another name in the table of the migrations that were run; the default is that of the
    /// outbox and the version of its form.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

impl MigrationName for CacheOutbox {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CacheOutbox {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.outbox.create(manager.get_connection()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.outbox.drop(manager.get_connection()).await
    }
}
