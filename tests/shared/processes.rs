//! Two caches that share a database and a Redis, as two processes do.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Coherence, ManualClock, QueryCacheBuilder};

use crate::support::redis::Server;
use crate::support::{File, Log, SCHEMA, checked};

pub struct Process {
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub plain: DatabaseConnection,
    pub clock: Arc<ManualClock>,
    pub log: Log,
}

pub struct World {
    pub file: File,
    pub redis: Server,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(arguments: &[&str]) -> Self {
        let file = File::new();
        file.pool(1).await.execute_unprepared(SCHEMA).await.expect("the schema");
        Self { file, redis: Server::start(arguments).await }
    }

    pub async fn process(&self, coherence: Coherence) -> Process {
        self.process_at(&self.redis.url(), |builder| builder.coherence(coherence)).await
    }

    /// A process that reaches Redis by this address.
    pub async fn process_at(
        &self,
        url: &str,
        set: impl FnOnce(QueryCacheBuilder) -> QueryCacheBuilder,
    ) -> Process {
        let (clock, log) = (Arc::new(ManualClock::default()), Log::default());
        let builder = checked()
            .prefix("sea-orm")
            .redis(RedisConfig::new(url))
            .clock(clock.clone())
            .ttl_jitter(0.0)
            .observer(log.observer());
        let cache = set(builder).build().await.expect("a cache");
        let plain = self.file.pool(4).await;
        let db = cache.connect(plain.clone()).await.expect("a connection");
        log.take();
        Process { cache, db, plain, clock, log }
    }
}

impl Process {
    pub async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }

    pub fn away(&self) -> bool {
        self.cache.stats().store.expect("a store").away
    }
}
