//! Misses are answered by a replica only where it has seen every write that counts.

mod stage;
mod support;

use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};
use sea_orm_cache::prelude::*;
use stage::Stage;
use support::servers::{Backend, connect};
use support::{TTL, author, schema};

/// A server, its replica, and how to hold the replica back.
struct Pair {
    stage: Stage,
    db: CachedConnection,
    replica: sea_orm::DatabaseConnection,
    hold: &'static str,
    go_on: &'static str,
}

impl Pair {
    async fn new(backend: Backend) -> Option<Self> {
        let (variable, hold, go_on) = match backend {
            Backend::Postgres => (
                "POSTGRES_REPLICA_URL",
                "SELECT pg_wal_replay_pause()",
                "SELECT pg_wal_replay_resume()",
            ),
            _ => ("MYSQL_REPLICA_URL", "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"),
        };
        let Ok(url) = std::env::var(variable) else {
            println!("left out: {variable} is not set");
            return None;
        };
        let stage = Stage::new(backend, &schema(backend)).await;
        // It arrives there, too.
        let of = if backend == Backend::Postgres { "postgres" } else { "mysql" };
        let any = connect(&format!("{url}/{of}"), 1).await;
        let arrived = format!("{url}/{}", stage.test.name);
        let replica = loop {
            let exists = match backend {
                Backend::Postgres => {
                    format!("SELECT 1 FROM pg_database WHERE datname = '{}'", stage.test.name)
                }
                _ => format!(
                    "SELECT 1 FROM information_schema.schemata WHERE schema_name = '{}'",
                    stage.test.name
                ),
            };
            let statement = sea_orm::Statement::from_string(stage.backend(), exists);
            if any.query_one_raw(statement).await.expect("an answer").is_some() {
                break connect(&arrived, 2).await;
            }
        };
        let db = CachedConnection::with_replica(stage.db.clone(), replica.clone()).expect("a pair");
        Some(Self { stage, db, replica, hold, go_on })
    }

    async fn names(&self) -> Vec<String> {
        let query = author::Entity::find().order_by_asc(author::Column::Id);
        let authors = query.cached(TTL).all(&self.db).await.expect("authors");
        authors.into_iter().map(|author| author.name).collect()
    }

    /// Was the last miss answered by the replica? Told by a row that only the replica shows late.
    async fn on_replica(&self, sql: &str) {
        self.replica.execute_unprepared(sql).await.expect("the replica obeys");
    }

    /// Waits until what runs in the background is over.
    async fn quiet(&self) {
        while self.stage.cache.stats().background > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Only one test holds a server's replica back at a time.
static HELD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn a_replica_that_lags_never_puts_old_rows_into_the_cache() {
    let _one = HELD.lock().await;
    for backend in Backend::servers() {
        let Some(pair) = Pair::new(backend).await else { continue };
        assert_eq!(pair.names().await, ["Ada", "Bob", "Cleo"]);
        pair.quiet().await;
        pair.on_replica(pair.hold).await;
        for name in ["x", "y"] {
            let sql = format!("UPDATE author SET name = '{name}' WHERE id = 1");
            pair.db.execute_unprepared(&sql).await.expect("a write");
            for _ in 0..3 {
                assert_eq!(pair.names().await[0], name);
            }
        }
        pair.on_replica(pair.go_on).await;
        assert_eq!(pair.names().await[0], "y");
        pair.quiet().await;
    }
}

#[tokio::test]
async fn a_replica_that_has_caught_up_answers_misses() {
    let _one = HELD.lock().await;
    for backend in Backend::servers() {
        let Some(pair) = Pair::new(backend).await else { continue };
        pair.db
            .execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1")
            .await
            .expect("a write");
        // Each miss asks anew in the background until the replica has arrived.
        let reads = |db: CachedConnection| async move {
            author::Entity::find().cached(TTL).refresh().all(&db).await.expect("authors")
        };
        let from_replica = async {
            loop {
                // Behind the cache's back, so that only the replica shows it once it is held back.
                reads(pair.db.clone()).await;
                pair.quiet().await;
                pair.on_replica(pair.hold).await;
                let hidden = "UPDATE author SET name = 'hidden' WHERE id = 2";
                pair.stage.plain.execute_unprepared(hidden).await.expect("a write");
                let seen = reads(pair.db.clone()).await.iter().any(|a| a.name == "hidden");
                let back = "UPDATE author SET name = 'Bob' WHERE id = 2";
                pair.stage.plain.execute_unprepared(back).await.expect("a write");
                pair.on_replica(pair.go_on).await;
                if !seen {
                    break;
                }
            }
        };
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, from_replica).await.expect("the replica is asked");
        // What is not a cached read goes to the primary.
        let plain = author::Entity::find_by_id(1).one(&pair.db).await.expect("an author");
        assert_eq!(plain.expect("author 1").name, "x");
        pair.quiet().await;
    }
}

#[tokio::test]
async fn a_connection_to_a_replica_caches_nothing() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let Some(pair) = Pair::new(Backend::Postgres).await else { return };
    let db = pair.stage.cache.connect(pair.replica.clone()).await.expect("a connection");
    for _ in 0..2 {
        author::Entity::find().cached(TTL).all(&db).await.expect("authors");
    }
    assert_eq!(pair.stage.cache.stats().total.hits, 0);
    pair.quiet().await;
}

#[tokio::test]
async fn a_declared_lag_is_waited_for() {
    let _one = HELD.lock().await;
    for backend in Backend::servers() {
        let Some(pair) = Pair::new(backend).await else { continue };
        let lag = std::time::Duration::from_secs(3600);
        let db =
            CachedConnection::with_replica_lag(pair.stage.db.clone(), pair.replica.clone(), lag);
        let db = db.expect("a pair");
        pair.quiet().await;
        pair.on_replica(pair.hold).await;
        db.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1").await.expect("a write");
        let author = author::Entity::find_by_id(1).cached(TTL).one(&db).await.expect("an author");
        assert_eq!(author.expect("author 1").name, "x");
        pair.on_replica(pair.go_on).await;
        pair.quiet().await;
    }
}

#[tokio::test]
async fn a_replica_of_another_kind_is_refused() {
    let stage = support::Shop::new().await;
    let Some(server) = Backend::servers().first().copied() else { return };
    let other = Stage::new(server, "SELECT 1").await;
    let error = CachedConnection::with_replica(stage.db.clone(), other.plain.clone());
    assert!(error.expect_err("refused").is_config());
}
