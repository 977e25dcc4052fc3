//! A bookshop with an outbox, written by another program.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{ManualClock, Outbox, OutboxConfig, QueryCacheBuilder};

use crate::support::servers::{Backend, TestDb};
use crate::support::{Log, TTL, book, checked, schema};

pub struct World {
    pub file: TestDb,
    /// The other program's.
    pub other: DatabaseConnection,
    pub clock: Arc<ManualClock>,
    pub log: Log,
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        let file = TestDb::new(backend).await;
        let other = file.pool(2).await;
        for sql in schema(backend).split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
            run(&other, sql).await;
        }
        let outbox = Outbox::default();
        outbox.create(&other).await.expect("an outbox");
        outbox.watch(&other, ["author", "book", "review"]).await.expect("triggers");
        // Tables that were not watched before count as changed.
        run(&other, "DELETE FROM sea_orm_cache_outbox").await;
        let clock = Arc::new(ManualClock::default());
        // There is a time before the first look.
        clock.advance(TTL);
        Self { file, other, clock, log: Log::default() }
    }

    /// A cache of its own, with a time that stands still.
    pub async fn cache(&self, config: OutboxConfig) -> (QueryCache, CachedConnection) {
        self.built(checked(), config).await
    }

    /// One that shares a Redis with others of its prefix.
    pub async fn sharing(
        &self,
        config: OutboxConfig,
        prefix: &str,
        url: &str,
    ) -> (QueryCache, CachedConnection) {
        let builder = checked().prefix(prefix).redis(RedisConfig::new(url));
        self.built(builder, config).await
    }

    async fn built(
        &self,
        builder: QueryCacheBuilder,
        config: OutboxConfig,
    ) -> (QueryCache, CachedConnection) {
        let builder = builder.outbox(config).clock(self.clock.clone()).ttl_jitter(0.0);
        let cache = builder.observer(self.log.observer()).build().await.expect("a cache");
        let db = cache.connect(self.file.pool(3).await).await.expect("a connection");
        (cache, db)
    }

    pub async fn write(&self, sql: &str) {
        run(&self.other, sql).await;
    }

    /// How many notes lie in the outbox.
    pub async fn notes(&self) -> i64 {
        number(&self.other, "SELECT count(*) FROM sea_orm_cache_outbox").await
    }
}

pub async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// The database's clock as an expression, in milliseconds.
pub fn now_ms(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        Backend::MySql => "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
        Backend::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    }
}

/// The price of a book through the cache.
pub async fn price(db: &CachedConnection, id: i32) -> i32 {
    let found = book::Entity::find_by_id(id).cached(TTL).one(db).await.expect("an answer");
    found.expect("the book").price
}

/// Was the last answer an entry's?
pub async fn hits(cache: &QueryCache, db: &CachedConnection, id: i32) -> bool {
    let before = cache.stats().total.hits;
    price(db, id).await;
    cache.stats().total.hits > before
}
