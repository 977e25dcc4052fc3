//! A server's database with a schema of the test's own, behind a cache.
#![allow(dead_code)]

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Statement};
use sea_orm_cache::prelude::*;

use crate::support::servers::{Backend, TestDb};
use crate::support::{Log, TTL, author};

pub struct Stage {
    pub plain: DatabaseConnection,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub log: Log,
    pub test: TestDb,
}

impl Stage {
    pub async fn new(backend: Backend, schema: &str) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(4).await;
        plain.execute_unprepared(schema).await.unwrap_or_else(|e| panic!("{schema}: {e}"));
        let log = Log::default();
        let cache =
            crate::support::checked().observer(log.observer()).build().await.expect("a cache");
        let db = cache.connect(plain.clone()).await.expect("a connection");
        Self { test, plain, cache, db, log }
    }

    pub fn backend(&self) -> DbBackend {
        self.plain.get_database_backend()
    }

    /// What a statement depends on, bumps, or why neither.
    pub fn explain(&self, sql: &str) -> String {
        let statement = Statement::from_string(self.backend(), sql);
        let text = self.cache.explain_statement(&statement).to_string();
        let after = text.strip_prefix(sql).unwrap_or(&text);
        after.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Any cached read finds a catalog that is out of date.
    pub async fn read_catalog(&self) {
        let _ = author::Entity::find().cached(TTL).all(&self.db).await;
    }

    pub async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}
