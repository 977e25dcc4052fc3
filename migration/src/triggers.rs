//! The triggers of some entities as a migration.

use sea_orm_cache::{Error, Outbox};
use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, SchemaManager};

use crate::entities::Entities;

/// Makes the triggers that note what is written to some entities, in the place of older ones; `down`
/// takes them away, but see [`again`](Self::again).
///
/// ```
/// # mod book {
/// #     use sea_orm_migration::sea_orm;
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "book")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use sea_orm_cache_migration::CacheTriggers;
///
/// let triggers = CacheTriggers::for_entities((book::Entity,));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct CacheTriggers {
    outbox: Outbox,
    tables: Vec<String>,
    name: String,
    again: bool,
}

impl CacheTriggers {
    /// The triggers of these entities, for the outbox of the default name. As a tuple, or a vector of
    /// tables' names.
    pub fn for_entities(entities: impl Entities) -> Self {
        let name = "sea_orm_cache_triggers_v1".to_owned();
        Self { outbox: Outbox::default(), tables: entities.tables(), name, again: false }
    }

    /// For the outbox of another name.
    ///
    /// # Errors
    ///
    /// As [`Outbox::named`].
    pub fn outbox(mut self, name: &str) -> Result<Self, Error> {
        self.outbox = Outbox::named(name)?;
        Ok(self)
    }

    /// They also tell of each note by PostgreSQL's NOTIFY: see [`Outbox::notifying`].
    pub fn notifying(mut self) -> Self {
        self.outbox = self.outbox.notifying();
        self
    }

    /// Under another name in the table of the migrations that were run: for a second one. The default
    /// is `sea_orm_cache_triggers_v1`.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// For tables that have triggers from an earlier migration and were changed since. `down` leaves
    /// the new ones, so that what is written stays heard; SQLite refuses to drop a column that they
    /// name, so what drops it calls [`Outbox::unwatch`] before, and [`Outbox::watch`] after.
    ///
    /// `name`: in the table of the migrations that were run.
    ///
    /// ```
    /// # mod book {
    /// #     use sea_orm_migration::sea_orm;
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "book")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// use sea_orm_cache_migration::CacheTriggers;
    ///
    /// let again = CacheTriggers::for_entities((book::Entity,)).again("m20270101_000002_cache_triggers");
    /// ```
    pub fn again(mut self, name: &str) -> Self {
        self.again = true;
        self.named(name)
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| &**table)
    }
}

impl MigrationName for CacheTriggers {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CacheTriggers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.outbox.watch(manager.get_connection(), self.tables()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if self.again {
            return Ok(());
        }
        self.outbox.unwatch(manager.get_connection(), self.tables()).await
    }
}
