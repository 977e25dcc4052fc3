//! The migrations on each database: up and down, again and again, with data, and beside a user's own
//! later migrations.

mod support;

use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use sea_orm_cache::store::{DatabaseStore, DatabaseStoreConfig, Store};
use sea_orm_cache::{Event, OutboxConfig, QueryCache};
use sea_orm_cache_migration::{CacheOutbox, CacheTable, CacheTriggers};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};
use support::servers::{Backend, TestDb};

mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

struct CreateBook;

impl MigrationName for CreateBook {
    fn name(&self) -> &str {
        "m1_create_book"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateBook {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = "CREATE TABLE book (id INTEGER PRIMARY KEY, price INTEGER NOT NULL)";
        manager.get_connection().execute_unprepared(sql).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE book").await.map(drop)
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(CreateBook),
            Box::new(CacheTable::named("cache_entries").unlogged()),
            Box::new(CacheOutbox::new()),
            Box::new(CacheTriggers::for_entities((book::Entity,))),
        ]
    }
}

async fn notes(db: &DatabaseConnection) -> i64 {
    let sql = "SELECT count(*) AS n FROM sea_orm_cache_outbox";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect("the outbox").expect("a count");
    row.try_get_by_index(0).expect("a number")
}

async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[tokio::test]
async fn up_down_and_up_again_leave_what_one_up_leaves() {
    for backend in Backend::reachable() {
        let file = TestDb::new(backend).await;
        let db = file.pool(1).await;
        for round in 0..3 {
            Migrator::up(&db, None).await.unwrap_or_else(|e| panic!("{backend:?} {round}: {e}"));
            run(&db, "INSERT INTO book (id, price) VALUES (1, 100)").await;
            run(&db, "UPDATE book SET price = 200").await;
            run(&db, "DELETE FROM book").await;
            assert_eq!(
                notes(&db).await,
                4,
                "{backend:?}: with what was before there were triggers"
            );
            // Also what is there already.
            let manager = SchemaManager::new(&db);
            for migration in Migrator::migrations().iter().skip(1) {
                migration.up(&manager).await.unwrap_or_else(|e| panic!("{backend:?}: {e}"));
            }
            run(&db, "INSERT INTO book (id, price) VALUES (1, 100)").await;
            assert_eq!(notes(&db).await, 5, "{backend:?}: each write is noted once");
            let config = DatabaseStoreConfig::new(db.clone()).table("cache_entries");
            let store = DatabaseStore::new(config, "shop", 1).expect("a store");
            store.connect().await.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
            Migrator::down(&db, None).await.unwrap_or_else(|e| panic!("{backend:?} {round}: {e}"));
            for migration in Migrator::migrations().iter().skip(1).rev() {
                migration.down(&manager).await.unwrap_or_else(|e| panic!("{backend:?}: {e}"));
            }
        }
    }
}

#[tokio::test]
async fn a_column_that_is_added_or_dropped_later_is_told_and_no_write_is_lost() {
    for backend in Backend::reachable() {
        let file = TestDb::new(backend).await;
        let db = file.pool(2).await;
        Migrator::up(&db, None).await.expect("up");
        run(&db, "INSERT INTO book (id, price) VALUES (1, 100)").await;
        assert!(outdated(&db).await.is_empty(), "{backend:?}");

        run(&db, "ALTER TABLE book ADD COLUMN pages INTEGER").await;
        assert_eq!(outdated(&db).await, ["book"], "{backend:?}");
        run(&db, "UPDATE book SET pages = 3").await;
        CacheTriggers::for_entities((book::Entity,))
            .up(&SchemaManager::new(&db))
            .await
            .expect("up");
        assert!(outdated(&db).await.is_empty(), "{backend:?}");
        let again = CacheTriggers::for_entities((book::Entity,)).again("m2_cache_triggers");
        let manager = SchemaManager::new(&db);
        again.up(&manager).await.expect("up");
        again.down(&manager).await.expect("down");
        assert!(outdated(&db).await.is_empty(), "{backend:?}: what the first one made stays");
        let before = notes(&db).await;
        run(&db, "UPDATE book SET price = 7").await;
        assert_eq!(notes(&db).await, before + 1, "{backend:?}");

        // SQLite refuses it for as long as a trigger names the column.
        let dropped = db.execute_unprepared("ALTER TABLE book DROP COLUMN pages").await;
        assert_eq!(dropped.is_err(), backend == Backend::Sqlite, "{backend:?}: {dropped:?}");
        if dropped.is_ok() {
            assert_eq!(outdated(&db).await, ["book"], "{backend:?}");
            let before = notes(&db).await;
            run(&db, "UPDATE book SET price = 5").await;
            run(&db, "DELETE FROM book").await;
            assert_eq!(notes(&db).await, before + 2, "{backend:?}");
        }
    }
}

/// The tables that `connect` says have triggers of an older form.
async fn outdated(db: &DatabaseConnection) -> Vec<String> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = found.clone();
    let observer = move |event: &Event<'_>| {
        if let Event::TriggersOutdated { table, .. } = event {
            seen.lock().expect("the list").push((*table).to_owned());
        }
    };
    let builder = QueryCache::builder().outbox(OutboxConfig::new()).observer(observer);
    let cache = builder.build().await.expect("a cache");
    drop(cache.connect(db.clone()).await.expect("a connection"));
    // The listener eats the notes.
    std::mem::take(&mut *found.lock().expect("the list"))
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    for backend in Backend::reachable() {
        let file = TestDb::new(backend).await;
        let db = file.pool(1).await;
        let manager = SchemaManager::new(&db);
        CacheOutbox::new().up(&manager).await.expect("up");
        let missing = CacheTriggers::for_entities(vec!["magazine".to_owned()]).up(&manager).await;
        let error = missing.expect_err("no table").to_string();
        assert!(error.contains("magazine"), "{backend:?}: {error}");
    }
}
