//! What a store in a database costs: a hit from it, a confirmation, and a miss, beside a hit from
//! Redis and the query without a cache, in one run. Each database holds both the data and the store.
//!
//! ```sh
//! scripts/with-servers cargo bench --bench database --features redis
//! ```

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Select,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::{DatabaseStoreConfig, RedisConfig};

const TTL: Duration = Duration::from_secs(600);
const AUTHORS: i32 = 64;

mod article {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "bench_article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
        pub stock: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// 20 articles of an author.
fn list(author: i32) -> Select<article::Entity> {
    let all = article::Entity::find().filter(article::Column::AuthorId.eq(author));
    all.order_by_asc(article::Column::Id).limit(20)
}

async fn pool(url: &str) -> Result<DatabaseConnection, Box<dyn Error>> {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).min_connections(1).max_connections(2);
    options.map_sqlx_sqlite_opts(|o| o.pragma("journal_mode", "WAL").pragma("synchronous", "OFF"));
    Ok(Database::connect(options).await?)
}

async fn fill(db: &DatabaseConnection) -> Result<(), Box<dyn Error>> {
    for sql in [
        "DROP TABLE IF EXISTS bench_article",
        "CREATE TABLE bench_article (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL,
            title VARCHAR(100) NOT NULL, stock INTEGER)",
        "CREATE INDEX bench_article_author ON bench_article (author_id)",
    ] {
        db.execute_unprepared(sql).await?;
    }
    let row =
        |id: i32| format!("({id}, {}, 'The {id:4}th thing to know on tea', {id})", id % AUTHORS);
    let rows: Vec<_> = (0..AUTHORS * 40).map(row).collect();
    let insert = format!("INSERT INTO bench_article VALUES {}", rows.join(","));
    db.execute_unprepared(&insert).await?;
    Ok(())
}

async fn time<T>(call: impl Future<Output = T>) -> f64 {
    let start = Instant::now();
    black_box(call.await);
    start.elapsed().as_nanos() as f64 / 1_000.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

async fn report(name: &str, url: &str, redis: Option<&str>) -> Result<(), Box<dyn Error>> {
    let plain = pool(url).await?;
    fill(&plain).await?;
    let own = pool(url).await?;
    let store = || DatabaseStoreConfig::new(own.clone()).table("bench_cache").create_tables();
    // No memory, so that each hit comes from the store; and memory that it confirms.
    let from = QueryCache::builder().max_bytes(0).database(store()).build().await?;
    let confirmed = QueryCache::builder().database(store()).build().await?;
    let mut caches =
        vec![from.connect(plain.clone()).await?, confirmed.connect(plain.clone()).await?];
    if let Some(redis) = redis {
        let prefix = format!("bench{}{name}", std::process::id());
        let redis = QueryCache::builder().prefix(&prefix).redis(RedisConfig::new(redis));
        caches.push(redis.max_bytes(0).build().await?.connect(plain.clone()).await?);
    }
    for db in &caches {
        for author in 0..AUTHORS {
            list(author).cached(TTL).all_shared(db).await?;
        }
    }
    let mut times = vec![Vec::new(); 3 + caches.len()];
    let mut order: Vec<usize> = (0..times.len()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let hits = caches[0].cache().stats().total.hits;
    for n in 0..2_000 {
        rng.shuffle(&mut order);
        for which in order.iter().copied() {
            let author = n % AUTHORS;
            times[which].push(match which {
                0 => time(list(author).all(&plain)).await,
                // What the same call differs by.
                1 => time(list(author).all(&plain)).await,
                2 => time(list(author).cached(TTL).refresh().all(&caches[0])).await,
                cache => time(list(author).cached(TTL).all_shared(&caches[cache - 3])).await,
            });
        }
    }
    assert_eq!(caches[0].cache().stats().total.hits - hits, 2_000, "all were hits");
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let base = medians[0];
    println!("{name}: the query {base:.0} µs, again {:.2}", medians[1] / base);
    for (what, micros) in
        ["a load that is stored", "from the store", "confirmed by it", "from Redis"]
            .iter()
            .zip(&medians[2..])
    {
        println!("  {what}: {micros:.0} µs, ÷ the query {:.2}", micros / base);
    }
    for sql in sea_orm_cache::store::database::drop_statements(
        plain.get_database_backend(),
        "bench_cache",
    )? {
        plain.execute_unprepared(&sql).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let redis = std::env::var("REDIS_URL").ok();
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display());
    report("SQLite", &file, redis.as_deref()).await?;
    for (name, variable, database) in
        [("PostgreSQL", "POSTGRES_URL", "postgres"), ("MariaDB", "MYSQL_URL", "mysql")]
    {
        match std::env::var(variable) {
            Ok(url) => report(name, &format!("{url}/{database}"), redis.as_deref()).await?,
            Err(_) => println!("left out: {name}, because {variable} is not set"),
        }
    }
    Ok(())
}
