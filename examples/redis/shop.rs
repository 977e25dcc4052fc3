//! What both processes do alike.

use std::error::Error;
use std::time::{Duration, Instant};

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, QueryOrder};
use sea_orm_cache::Coherence;
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;

pub const TTL: Duration = Duration::from_secs(60);

/// With 20 books each.
pub const AUTHORS: i32 = 20;

pub mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The cache and the connection of one process. Both must be told the same, but for what is each
/// one's own, as the coherence.
pub async fn open(
    coherence: Coherence,
    database: &str,
    redis: &str,
    prefix: &str,
) -> Result<CachedConnection, Box<dyn Error>> {
    let cache = QueryCache::builder()
        .prefix(prefix)
        .redis(RedisConfig::new(redis))
        .coherence(coherence)
        .build()
        .await?;
    if cache.stats().store.is_none_or(|store| store.away) {
        return Err(format!("{redis} does not answer").into());
    }
    Ok(cache.connect(connect(database).await?).await?)
}

pub async fn connect(database: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(database);
    options.sqlx_logging(false).max_connections(2).map_sqlx_sqlite_opts(|options| {
        // A throw-away database need not survive a power cut.
        options.pragma("journal_mode", "WAL").pragma("synchronous", "OFF")
    });
    Database::connect(options).await
}

/// The books of one author.
pub fn books(author: i32) -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(author)).order_by_asc(book::Column::Id)
}

/// Microseconds.
pub async fn timed<T>(read: impl Future<Output = Result<T, DbErr>>) -> Result<f64, DbErr> {
    let start = Instant::now();
    read.await?;
    Ok(start.elapsed().as_nanos() as f64 / 1_000.0)
}

pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

pub fn name(coherence: Coherence) -> &'static str {
    if coherence == Coherence::Strong { "strong" } else { "bounded" }
}
