//! A database that another process writes behind the cache's back, with plain SeaORM; and when the
//! cached reader sees it.
//!
//! ```console
//! cargo run --example foreign_writes
//! POSTGRES_URL=postgres://user:password@localhost/shop cargo run --example foreign_writes
//! ```

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, EntityTrait, Set};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Outbox, OutboxConfig};
use sea_orm_cache_migration::{CacheOutbox, CacheTriggers};
use sea_orm_migration::{MigrationTrait, SchemaManager};

mod cake {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "foreign_writes_cake")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

type Failure = Box<dyn std::error::Error>;

const TABLE: &str = "foreign_writes_cake";
const OUTBOX: &str = "foreign_writes_outbox";
const CHANGES: i32 = 20;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    if let Ok(url) = std::env::var("OTHER_PROGRAM") {
        return other_program(&url).await;
    }
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display());
    watch(&file).await?;
    if let Some(url) = std::env::var("POSTGRES_URL").ok().filter(|url| !url.is_empty()) {
        watch(&url).await?;
    }
    Ok(())
}

/// Knows nothing of any cache.
async fn other_program(url: &str) -> Result<(), Failure> {
    let db = Database::connect(url).await?;
    for price in 1..=CHANGES {
        let cake = cake::ActiveModel { id: Set(1), price: Set(price) };
        cake::Entity::update(cake).exec(&db).await?;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    Ok(())
}

async fn watch(url: &str) -> Result<(), Failure> {
    let plain = Database::connect(url).await?;
    println!("{:?}", plain.get_database_backend());
    prepare(&plain).await?;

    let outbox = OutboxConfig::new().table(OUTBOX).bound(Duration::from_millis(250));
    let cache = QueryCache::builder().outbox(outbox).build().await?;
    let db = cache.connect(plain.clone()).await?;
    let price = || cake::Entity::find_by_id(1).cached(Duration::from_secs(60)).require_one(&db);

    let mut other = Command::new(std::env::current_exe()?)
        .env("OTHER_PROGRAM", url)
        .stdout(Stdio::null())
        .spawn()?;
    let (began, mut seen, mut reads) = (Instant::now(), 0, 0u64);
    while seen < CHANGES && began.elapsed() < Duration::from_secs(30) {
        let now = price().await?.price;
        reads += 1;
        if now != seen {
            println!("  {:>5} ms: the reader sees price {now}", began.elapsed().as_millis());
            seen = now;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    other.wait()?;
    let stats = cache.stats();
    println!("  {reads} reads, {} of them from the cache", stats.total.hits);
    if let Some(outbox) = stats.outbox {
        println!(
            "  {} notes heard, the last one {} ms after it was written",
            outbox.notes, outbox.lag_ms
        );
    }
    assert_eq!(seen, CHANGES, "the last change was not seen");
    clean(&plain).await
}

/// What migrations do in an application.
async fn prepare(db: &DatabaseConnection) -> Result<(), Failure> {
    clean(db).await?;
    let create = format!("CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY, price INTEGER NOT NULL)");
    db.execute_unprepared(&create).await?;
    db.execute_unprepared(&format!("INSERT INTO {TABLE} VALUES (1, 0)")).await?;
    let manager = SchemaManager::new(db);
    CacheOutbox::table(OUTBOX)?.up(&manager).await?;
    CacheTriggers::for_entities((cake::Entity,)).outbox(OUTBOX)?.up(&manager).await?;
    Ok(())
}

async fn clean(db: &DatabaseConnection) -> Result<(), Failure> {
    db.execute_unprepared(&format!("DROP TABLE IF EXISTS {TABLE}")).await?;
    Outbox::named(OUTBOX)?.drop(db).await?;
    Ok(())
}
