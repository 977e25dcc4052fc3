//! The tables, and the server that they are on.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_cache::QueryCache;
use sea_orm_cache::store::database::{create_statements, drop_statements};
use sea_orm_cache::store::{Bumps, DatabaseStore, DatabaseStoreConfig, Got, Store};

use crate::stage::{Stage, all, bump, fill, key};
use crate::support::servers::{Backend, TestDb, connect};

#[tokio::test]
async fn missing_tables_are_an_error_that_names_them_and_the_way_out() {
    for backend in Backend::reachable() {
        let database = TestDb::new(backend).await;
        let pool = database.pool(2).await;
        let config = || DatabaseStoreConfig::new(pool.clone()).table("entry");
        let error = QueryCache::builder().database(config()).build().await.expect_err("no table");
        let text = error.to_string();
        assert!(error.is_config() && text.contains("entry_version"), "{backend:?}: {text}");
        assert!(text.contains("create_tables") && text.contains("migration"), "{text}");
        // By a migration of the user's.
        let create = create_statements(pool.get_database_backend(), "entry", false);
        for sql in create.expect("statements") {
            pool.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let cache = QueryCache::builder().database(config()).build().await.expect("a cache");
        assert!(!cache.stats().store.expect("a store").away, "{backend:?}");
        for sql in drop_statements(pool.get_database_backend(), "entry").expect("statements") {
            pool.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let error = QueryCache::builder().database(config()).build().await.expect_err("no table");
        assert!(error.is_config(), "{error}");
    }
}

#[tokio::test]
async fn tables_are_created_once_whoever_begins() {
    for backend in Backend::reachable() {
        let database = TestDb::new(backend).await;
        let mut stores = Vec::new();
        for _ in 0..4 {
            let config = DatabaseStoreConfig::new(database.pool(2).await);
            let config = config.create_tables().unlogged();
            stores.push(DatabaseStore::new(config, "shop", 1).expect("a store"));
        }
        for connected in futures_util::future::join_all(stores.iter().map(Store::connect)).await {
            connected.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        }
        fill(&stores[0], &key(1), b"value").await;
        assert!(matches!(stores[3].get(&key(1), None).await, Ok(Got::Found(_))), "{backend:?}");
    }
}

#[tokio::test]
async fn a_table_of_another_layout_is_an_error_that_says_so() {
    for stage in all().await {
        stage.sql("ALTER TABLE entry DROP COLUMN checksum").await;
        let config = DatabaseStoreConfig::new(stage.pool.clone()).table("entry").create_tables();
        let error = QueryCache::builder().database(config).build().await.expect_err("a column");
        assert!(error.is_config() && error.to_string().contains("checksum"), "{error}");
    }
}

#[test]
fn names_that_need_escaping_are_refused() {
    let long = "x".repeat(41);
    for name in ["", "a b", "a\"b", "a`b", "a;b", "1a", "a.b.c", ".a", "a.", "ü", &long] {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
            let error = create_statements(backend, name, false).expect_err(name);
            assert!(error.is_config() && error.to_string().contains("table"), "{error}");
            assert!(drop_statements(backend, name).is_err());
        }
    }
    assert!(create_statements(DbBackend::Sqlite, "main.entry", false).is_err());
    assert!(create_statements(DbBackend::Postgres, "cache.entry", false).is_ok());
}

#[tokio::test]
async fn a_schema_of_its_own_will_do() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, |config| config).await;
    stage.sql("CREATE SCHEMA cache").await;
    let config = DatabaseStoreConfig::new(stage.pool.clone()).table("cache.entry").create_tables();
    let store = DatabaseStore::new(config, "shop", 1).expect("a store");
    store.connect().await.expect("connected");
    fill(&store, &key(1), b"value").await;
    assert!(matches!(store.get(&key(1), None).await, Ok(Got::Found(_))));
    assert_eq!(stage.number("SELECT COUNT(*) FROM cache.entry").await, 1);
}

#[tokio::test]
async fn a_standby_is_away() {
    let Some(url) = replica("POSTGRES_REPLICA_URL") else { return };
    let pool = connect(&format!("{url}/postgres"), 1).await;
    let store = DatabaseStore::new(DatabaseStoreConfig::new(pool).create_tables(), "shop", 1);
    let error = store.expect("a store").connect().await.expect_err("a standby");
    assert!(!error.is_denied() && error.to_string().contains("follows"), "{error}");
}

/// The server of this test is another's replica, and may be written to.
#[tokio::test]
async fn a_primary_that_was_replaced_answers_nothing_and_is_away() {
    let Some(url) = replica("MYSQL_REPLICA_URL") else { return };
    // One session each, and none of what they do goes into the server's own log.
    let session = async |database: &str| {
        let pool = connect(&format!("{url}/{database}"), 1).await;
        pool.execute_unprepared("SET SESSION sql_log_bin = 0").await.expect("not logged");
        pool
    };
    let admin = session("mysql").await;
    admin.execute_unprepared("CREATE DATABASE replaced").await.expect("a database");
    let config = DatabaseStoreConfig::new(session("replaced").await).create_tables();
    let store = DatabaseStore::new(config, "shop", 1).expect("a store");
    store.connect().await.expect("connected");
    fill(&store, &key(1), b"value").await;
    assert!(matches!(store.get(&key(1), None).await, Ok(Got::Found(_))));
    // Its connections stay open.
    admin.execute_unprepared("SET GLOBAL read_only = 1").await.expect("read-only");
    let got = store.get(&key(1), None).await;
    // The user of the tests may write all the same.
    let bumped = store.bump(Bumps::default()).await;
    let again = store.connect().await;
    admin.execute_unprepared("SET GLOBAL read_only = 0").await.expect("as before");
    admin.execute_unprepared("DROP DATABASE replaced").await.expect("dropped");
    assert!(!matches!(got, Ok(Got::Found(_) | Got::Same)), "{got:?}");
    assert!(bumped.is_err_and(|error| error.to_string().contains("follows")));
    assert!(again.is_err_and(|error| !error.is_denied() && error.to_string().contains("follows")));
}

fn replica(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    assert!(url.is_some() || std::env::var("REQUIRE_SERVERS").is_err(), "{variable} is not set");
    if url.is_none() {
        println!("left out: {variable} is not set (scripts/with-servers sets it)");
    }
    url
}

#[tokio::test]
async fn another_history_of_the_database_answers_nothing() {
    for stage in all().await {
        fill(&stage.store, &key(1), b"value").await;
        assert!(matches!(stage.get(&key(1)).await, Got::Found(_)));
        let marked = crate::stage::mark(&stage.store, &[1, 2]).await;
        // As after a crash (PostgreSQL), a restart (MySQL), or by hand (SQLite).
        stage.sql("DELETE FROM entry_epoch").await;
        assert_eq!(stage.get(&key(1)).await, Got::Nothing, "{:?}", stage.backend);
        let put = crate::stage::put(&stage.store, &key(2), &marked, &[1, 2], &[], &[], b"x").await;
        assert_eq!(put, sea_orm_cache::store::Kept::Refused, "{:?}", stage.backend);
        fill(&stage.store, &key(1), b"again").await;
        assert!(matches!(stage.get(&key(1)).await, Got::Found(_)), "{:?}", stage.backend);
    }
}

/// (A dump of MySQL's does: see README.)
#[tokio::test]
async fn what_a_restored_dump_brings_back_is_no_entry() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, |config| config).await;
    fill(&stage.store, &key(1), b"old").await;
    assert!(matches!(stage.get(&key(1)).await, Got::Found(_)));
    let tables = ["entry", "entry_version", "entry_cell", "entry_epoch"];
    for table in tables {
        stage.sql(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
    }
    bump(&stage.store, &[1]).await;
    assert_eq!(stage.get(&key(1)).await, Got::Nothing);
    // It makes them anew.
    let drop = drop_statements(DbBackend::Postgres, "entry").expect("all");
    let create = create_statements(DbBackend::Postgres, "entry", false).expect("all");
    for sql in drop.iter().chain(&create) {
        stage.sql(sql).await;
    }
    for table in tables {
        stage.sql(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
    }
    assert_eq!(stage.get(&key(1)).await, Got::Nothing);
}
