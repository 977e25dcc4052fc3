//! What the cache saves and costs on PostgreSQL and MariaDB: a hit, a miss and a write beside the
//! plain call, in one run. Needs `POSTGRES_URL` and `MYSQL_URL`:
//!
//! ```console
//! scripts/with-servers cargo bench --bench servers
//! ```

#[path = "../shelf/mod.rs"]
mod shelf;

use std::error::Error;
use std::time::Instant;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DbErr, EntityTrait, QueryFilter, QueryOrder, Select, Set,
};
use sea_orm_cache::prelude::*;

use shelf::{TTL, book, median, verdict};

const BOOKS: i32 = 5_000;
const ROUNDS: i32 = 3_000;

fn list(author: i32) -> Select<book::Entity> {
    book::Entity::find()
        .filter(book::Column::AuthorId.eq(author))
        .order_by_desc(book::Column::Price)
}

/// The time of one call in microseconds.
async fn time<T>(call: impl Future<Output = Result<T, DbErr>>) -> Result<f64, DbErr> {
    let start = Instant::now();
    call.await?;
    Ok(start.elapsed().as_nanos() as f64 / 1_000.0)
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    // One, so that both sides of a ratio have the same backend process.
    options.sqlx_logging(false).min_connections(1).max_connections(1);
    Database::connect(options).await
}

async fn open(server: &str, name: &str) -> Result<DatabaseConnection, DbErr> {
    let any = if server.starts_with("postgres") { "postgres" } else { "mysql" };
    let admin = connect(&format!("{server}/{any}")).await?;
    admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await?;
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
    let plain = connect(&format!("{server}/{name}")).await?;
    shelf::fill(&plain, BOOKS).await?;
    Ok(plain)
}

/// How long `connect` takes with 200 tables.
async fn catalog(server: &str) -> Result<(), Box<dyn Error>> {
    let plain = open(server, "wide").await?;
    for n in 0..200 {
        let sql = format!(
            "CREATE TABLE wide_{n} (id INTEGER PRIMARY KEY, book_id INTEGER, a INTEGER, b TEXT, \
             FOREIGN KEY (book_id) REFERENCES book (id)); CREATE INDEX wide_i_{n} ON wide_{n} (a)"
        );
        plain.execute_unprepared(&sql).await?;
    }
    let cache = QueryCache::builder().build().await?;
    let mut times = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        cache.connect(plain.clone()).await?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    verdict("connect with 200 tables", median(times), " ms", 50.0, false);
    Ok(())
}

async fn reprice(db: &impl ConnectionTrait, n: i32) -> Result<(), DbErr> {
    let id = 1 + n % 1_000;
    book::ActiveModel { id: Set(id), price: Set(n), ..Default::default() }.update(db).await?;
    Ok(())
}

async fn reprice_many(db: &impl ConnectionTrait, n: i32) -> Result<(), DbErr> {
    let many = book::Entity::update_many().col_expr(book::Column::Price, Expr::value(n));
    many.filter(book::Column::Id.eq(1 + n % 1_000)).exec(db).await?;
    Ok(())
}

async fn report(name: &str, server: &str) -> Result<(), Box<dyn Error>> {
    let plain = open(server, "shelf").await?;
    let db = QueryCache::builder().build().await?.connect(plain.clone()).await?;
    // Another cache, in which nothing would gain by captured rows: what is left is the wrapper.
    let idle = QueryCache::builder().build().await?.connect(plain.clone()).await?;
    for id in 2_000..3_000 {
        book::Entity::find_by_id(id).cached(TTL).one(&idle).await?;
    }
    let of = |n: i32| 60 + n % 200;
    for n in 0..200 {
        list(of(n)).cached(TTL).all_shared(&db).await?;
    }
    let mut times: [Vec<f64>; 10] = Default::default();
    let mut order: Vec<usize> = (0..times.len()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for n in 0..ROUNDS {
        // In random order: what went before warms or cools the server's caches.
        rng.shuffle(&mut order);
        for which in order.iter().copied() {
            times[which].push(match which {
                0 => time(list(of(n)).all(&plain)).await?,
                1 => time(list(of(n)).cached(TTL).all_shared(&db)).await?,
                2 => time(list(of(n)).cached(TTL).refresh().all(&db)).await?,
                3 => time(list(of(n)).all(&db)).await?,
                4 => time(reprice(&plain, n)).await?,
                5 => time(reprice(&idle, n)).await?,
                6 => time(reprice_many(&plain, n)).await?,
                7 => time(reprice_many(&idle, n)).await?,
                8 => time(reprice_many(&db, n)).await?,
                // What the plain calls differ by, measured like all the others.
                _ => time(list(of(n)).all(&plain)).await?,
            });
        }
    }
    let [read, hit, miss, through, write, write_through, many, many_through, captured, again] =
        times.map(median);
    println!(
        "\n{name}, microseconds: read {read:.1}, hit {hit:.2}, miss {miss:.1}, uncached through the \
         wrapper {through:.1}; ActiveModel's update {write:.1}, through the wrapper \
         {write_through:.1}; update_many {many:.1}, through the wrapper {many_through:.1}"
    );
    println!("the same plain read measured twice differs by {:.1} %", 100.0 * (again / read - 1.0));
    verdict("a plain read ÷ a hit", read / hit, "", 100.0, true);
    println!("a miss ÷ a plain read: {:.3}", miss / read);
    let percent = |through: f64, plain: f64| 100.0 * (through / plain - 1.0);
    verdict("added to an uncached read", percent(through, read), " %", 2.0, false);
    verdict("added to an ActiveModel's update", percent(write_through, write), " %", 2.0, false);
    verdict("added to an update_many", percent(many_through, many), " %", 2.0, false);
    catalog(server).await?;
    println!("an update_many whose rows are captured ÷ plain: {:.2}", captured / many);
    println!("captures: {} and {}", db.cache().stats().captures, idle.cache().stats().captures);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (name, variable) in [("PostgreSQL", "POSTGRES_URL"), ("MariaDB", "MYSQL_URL")] {
        match std::env::var(variable) {
            Ok(server) => report(name, &server).await?,
            Err(_) => println!("{name}: left out, because {variable} is not set"),
        }
    }
    Ok(())
}
