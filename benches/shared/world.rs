//! Articles in an SQLite file, lists of them in Redis, and the caches that read them.

use std::error::Error;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use sea_orm::prelude::{DateTimeUtc, Decimal};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Set,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Coherence, QueryCacheBuilder};

use crate::server::Server;
use crate::shelf::TTL;

pub const AUTHORS: i32 = 64;
const ROWS: u64 = 20;

pub mod article {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
        pub price: Decimal,
        pub stock: Option<i32>,
        pub updated: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What an entry depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A second page: what its columns could show.
    Columns,
    /// The rows that it shows, and what could come in.
    Rows,
}

/// 20 articles of an author.
pub fn list(author: i32, by: By) -> Select<article::Entity> {
    let all = article::Entity::find()
        .filter(article::Column::AuthorId.eq(author))
        .order_by_asc(article::Column::Id)
        .limit(ROWS);
    match by {
        By::Columns => all.offset(ROWS),
        By::Rows => all,
    }
}

pub struct World {
    _folder: tempfile::TempDir,
    pub server: Server,
    pub bare: MultiplexedConnection,
    /// The only connection to the database: all caches have it, too, so that both sides of a ratio
    /// wake the same thread.
    pub plain: DatabaseConnection,
    /// The keys of the lists in Redis; the first is that of author 0.
    pub by_columns: Vec<String>,
    pub by_rows: Vec<String>,
    /// Redis and no memory; both, each way; and memory alone.
    pub remote: CachedConnection,
    pub strong: CachedConnection,
    pub bounded: CachedConnection,
    pub memory: CachedConnection,
}

impl World {
    pub async fn new() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let server = Server::start().await?;
        let mut bare = server.connect().await?;
        let plain = connect(&folder).await?;
        fill(&plain).await?;
        let redis = || QueryCache::builder().redis(RedisConfig::new(&server.url));
        let remote = open(redis().max_bytes(0), &plain).await?;
        let strong = open(redis(), &plain).await?;
        let bounded = open(redis().coherence(Coherence::bounded()), &plain).await?;
        let memory = open(QueryCache::builder(), &plain).await?;
        let mut keys = Vec::new();
        for by in [By::Columns, By::Rows] {
            for author in 0..AUTHORS {
                for db in [&strong, &remote, &bounded, &memory] {
                    list(author, by).cached(TTL).all_shared(db).await?;
                }
                let found: Vec<String> =
                    redis::cmd("KEYS").arg("sea-orm:v1:*").query_async(&mut bare).await?;
                keys.extend(found.into_iter().find(|key| !keys.contains(key)));
            }
        }
        let by_rows = keys.split_off(AUTHORS as usize);
        let by_columns = keys;
        let world = Self {
            _folder: folder,
            server,
            bare,
            plain,
            by_columns,
            by_rows,
            remote,
            strong,
            bounded,
            memory,
        };
        world.describe().await?;
        Ok(world)
    }

    pub fn keys(&self, by: By) -> &[String] {
        match by {
            By::Columns => &self.by_columns,
            By::Rows => &self.by_rows,
        }
    }

    /// The same connection through a cache of its own.
    pub async fn open(&self, cache: QueryCacheBuilder) -> Result<CachedConnection, Box<dyn Error>> {
        open(cache, &self.plain).await
    }

    async fn describe(&self) -> Result<(), Box<dyn Error>> {
        let mut bare = self.bare.clone();
        for by in [By::Columns, By::Rows] {
            let key = self.keys(by).first().ok_or("nothing was stored")?;
            let entry: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut bare).await?;
            // Where its format says how many tags it has.
            let tags = u16::from_le_bytes([entry[45], entry[46]]);
            println!("by {by:?}: {tags} tags, {} bytes", entry.len());
        }
        let hits = self.remote.cache().stats().total.hits;
        assert_eq!(hits, 2 * AUTHORS as u64, "each list came from Redis");
        assert_eq!(self.remote.cache().stats().entries, 0);
        assert_eq!(self.strong.cache().stats().entries, 2 * AUTHORS as usize);
        Ok(())
    }
}

async fn connect(folder: &tempfile::TempDir) -> Result<DatabaseConnection, Box<dyn Error>> {
    let path = folder.path().join("articles.db");
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options.sqlx_logging(false).min_connections(1).max_connections(1);
    options.map_sqlx_sqlite_opts(|options| {
        options.pragma("journal_mode", "WAL").pragma("synchronous", "OFF")
    });
    Ok(Database::connect(options).await?)
}

async fn open(
    cache: QueryCacheBuilder,
    plain: &DatabaseConnection,
) -> Result<CachedConnection, Box<dyn Error>> {
    Ok(cache.build().await?.connect(plain.clone()).await?)
}

async fn fill(db: &DatabaseConnection) -> Result<(), Box<dyn Error>> {
    db.execute_unprepared(
        "CREATE TABLE article (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL,
            title TEXT NOT NULL, price REAL NOT NULL, stock INTEGER, updated TEXT NOT NULL);
         CREATE INDEX article_author ON article (author_id)",
    )
    .await?;
    let ids: Vec<i32> = (0..AUTHORS * 2 * ROWS as i32).collect();
    for ids in ids.chunks(1_000) {
        let rows = ids.iter().map(|id| article::ActiveModel {
            id: Set(*id),
            author_id: Set(id % AUTHORS),
            title: Set(format!("The {id:4}th thing to know on tea")),
            price: Set(Decimal::new(990 + i64::from(*id) * 7, 2)),
            stock: Set((id % 5 > 0).then_some(id * 31)),
            updated: Set(DateTimeUtc::UNIX_EPOCH
                + Duration::from_millis(u64::from(id.unsigned_abs()) * 77_777_777)),
        });
        article::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}
