//! What the catalogs of PostgreSQL and MariaDB tell, seen through what statements depend on.

mod support;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_cache::prelude::*;
use support::Log;
use support::servers::{Backend, TestDb};

/// A database with this schema behind a cache.
pub struct Stage {
    _db: TestDb,
    pub plain: DatabaseConnection,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub log: Log,
}

impl Stage {
    pub async fn new(backend: Backend, schema: &str) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(4).await;
        plain.execute_unprepared(schema).await.unwrap_or_else(|e| panic!("{schema}: {e}"));
        let log = Log::default();
        let cache = QueryCache::builder().observer(log.observer()).build().await.expect("a cache");
        let db = cache.connect(plain.clone()).await.expect("a connection");
        Self { _db: test, plain, cache, db, log }
    }

    pub fn backend(&self) -> DbBackend {
        self.plain.get_database_backend()
    }

    /// What a statement depends on, bumps, or why neither.
    pub fn explain(&self, sql: &str) -> String {
        let statement = Statement::from_string(self.backend(), sql);
        let text = self.cache.explain_statement(&statement).to_string();
        text.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("; ")
    }
}

#[tokio::test]
async fn keys_of_all_kinds_are_read() {
    for backend in Backend::servers() {
        let stage = Stage::new(
            backend,
            "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL);
             CREATE TABLE book (id BIGINT PRIMARY KEY, author_id INTEGER, price INTEGER,
                FOREIGN KEY (author_id) REFERENCES author (id) ON DELETE CASCADE);",
        )
        .await;
        println!("{:?}", stage.log.take());
        println!("{}", stage.explain("SELECT id, price FROM book WHERE author_id = 7"));
        println!("{}", stage.explain("DELETE FROM author WHERE id = 7"));
    }
}
