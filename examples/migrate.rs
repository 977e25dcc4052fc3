//! A migrator with the command line that SeaORM gives it: a table, the outbox, and the table's
//! triggers.
//!
//! ```console
//! DATABASE_URL='sqlite://shop.db?mode=rwc' cargo run --example migrate -- up
//! ```

use sea_orm_cache_migration::{CacheOutbox, CacheTriggers};
use sea_orm_migration::prelude::*;

mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_migration::sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(DeriveMigrationName)]
struct CreateBook;

#[async_trait::async_trait]
impl MigrationTrait for CreateBook {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = |table: &mut TableCreateStatement| {
            table
                .table("book")
                .if_not_exists()
                .col(ColumnDef::new("id").integer().not_null().auto_increment().primary_key())
                .col(ColumnDef::new("title").string().not_null())
                .col(ColumnDef::new("price").integer().not_null())
                .to_owned()
        };
        manager.create_table(columns(&mut Table::create())).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("book").if_exists().to_owned()).await
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(CreateBook),
            Box::new(CacheOutbox::new()),
            Box::new(CacheTriggers::for_entities((book::Entity,))),
        ]
    }
}

#[tokio::main]
async fn main() {
    cli::run_cli(Migrator).await;
}
