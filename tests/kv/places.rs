//! Where values live, each put to the same test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::{DatabaseStoreConfig, RedisConfig};
use sea_orm_cache::{Kv, KvConfig, ManualClock, QueryCacheBuilder};

use crate::support::redis::{Server, is_there};
use crate::support::servers::{Backend, TestDb};

pub const MINUTE: Duration = Duration::from_secs(60);

pub struct Place {
    pub name: &'static str,
    pub cache: QueryCache,
    clock: Arc<ManualClock>,
    server: Option<Server>,
    database: Option<(DatabaseConnection, TestDb)>,
}

/// In memory, in Redis, in a Cluster if there is one, and in each database.
pub async fn all() -> Vec<Place> {
    let mut all = vec![Place::new("memory", None, |builder| builder).await];
    if is_there() {
        let server = Server::start(&[]).await;
        let config = RedisConfig::new(server.url());
        all.push(Place::new("Redis", Some(server), |builder| builder.redis(config)).await);
    }
    match std::env::var("REDIS_CLUSTER_URLS") {
        Ok(urls) => {
            let config = RedisConfig::cluster(urls.split(','));
            all.push(Place::new("Cluster", None, |builder| builder.redis(config)).await);
        }
        Err(_) => {
            assert!(std::env::var("REQUIRE_SERVERS").is_err(), "REDIS_CLUSTER_URLS is not set");
            println!("left out: REDIS_CLUSTER_URLS is not set (scripts/with-servers sets it)");
        }
    }
    for backend in Backend::reachable() {
        all.push(Place::database(backend).await);
    }
    all
}

/// Where time can be moved.
pub async fn timed() -> Vec<Place> {
    all().await.into_iter().filter(|place| place.name != "Cluster").collect()
}

impl Place {
    async fn new(
        name: &'static str,
        server: Option<Server>,
        set: impl FnOnce(QueryCacheBuilder) -> QueryCacheBuilder,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let clock = Arc::new(ManualClock::default());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let builder = QueryCache::builder()
            .prefix(&format!("kv{}-{number}", std::process::id()))
            .clock(clock.clone())
            .named("sessions", KvConfig::new().ttl(2 * MINUTE))
            .named("rates", KvConfig::new().max_value_bytes(100));
        let cache = set(builder).build().await.expect("a cache");
        Self { name, cache, clock, server, database: None }
    }

    async fn database(backend: Backend) -> Self {
        let name = match backend {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::MySql => "MariaDB",
        };
        let database = TestDb::new(backend).await;
        let pool = database.pool(4).await;
        let config = DatabaseStoreConfig::new(pool.clone()).create_tables();
        let place = Self::new(name, None, |builder| builder.database(config)).await;
        Self { database: Some((pool, database)), ..place }
    }

    pub fn kv(&self) -> Kv {
        self.cache.kv()
    }

    /// This time passes, for every key.
    pub async fn later(&self, time: Duration) {
        if let Some((pool, _)) = &self.database {
            let ms = time.as_millis();
            let sql = format!(
                "UPDATE sea_orm_cache_cell SET value_until = value_until - {ms},
                    held_until = held_until - {ms}, ends_at = ends_at - {ms}"
            );
            pool.execute_unprepared(&sql).await.expect("time passes");
            return;
        }
        let Some(server) = &self.server else { return self.clock.advance(time) };
        let script = "for _, key in ipairs(redis.call('KEYS', '*')) do
            redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[1])
        end";
        server.command(&["EVAL", script, "0", &time.as_millis().to_string()]).await;
    }
}
