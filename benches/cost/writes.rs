//! What the wrapper adds to a write of which the cache has nothing to gain.

use std::error::Error;
use std::time::Instant;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Set,
    Statement,
};
use sea_orm_cache::prelude::*;

use crate::shelf::{self, TTL, book, median, verdict};

const ROUNDS: i32 = 20_000;

async fn active_model(db: &impl ConnectionTrait, n: i32) -> Result<(), DbErr> {
    let id = 1 + n % 1_000;
    book::ActiveModel { id: Set(id), price: Set(n), ..Default::default() }.update(db).await?;
    Ok(())
}

async fn raw(db: &impl ConnectionTrait, n: i32) -> Result<(), DbErr> {
    let sql = "UPDATE book SET price = ? WHERE id = ?";
    let values = [n.into(), (1 + n % 1_000).into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    Ok(())
}

/// Times of one write on the plain and on the cached connection, in turns, in microseconds.
struct Times {
    plain: Vec<f64>,
    cached: Vec<f64>,
}

macro_rules! measure {
    ($write:ident, $plain:expr, $cached:expr) => {{
        let mut times = Times { plain: Vec::new(), cached: Vec::new() };
        for n in 0..ROUNDS {
            // Who is first changes.
            for turn in 0..2 {
                let start = Instant::now();
                if (turn + n) % 2 == 0 {
                    $write($plain, n).await?;
                    times.plain.push(start.elapsed().as_nanos() as f64 / 1_000.0);
                } else {
                    $write($cached, n).await?;
                    times.cached.push(start.elapsed().as_nanos() as f64 / 1_000.0);
                }
            }
        }
        times
    }};
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    let plain: DatabaseConnection = shelf::create(5_000).await?;
    let wrapped = shelf::create(5_000).await?;
    let db = QueryCache::builder().build().await?.connect(wrapped).await?;
    // Entries that no write touches, and that would gain nothing from captured rows.
    for id in 2_000..3_000 {
        book::Entity::find_by_id(id).cached(TTL).one(&db).await?;
    }
    for (name, times) in [
        ("ActiveModel", measure!(active_model, &plain, &db)),
        ("raw SQL with values", measure!(raw, &plain, &db)),
    ] {
        let (plain, cached) = (median(times.plain), median(times.cached));
        println!("a write, {name}: plain {plain:.1} µs, through the cache {cached:.1} µs");
        verdict(&format!("(d) added to a write, {name}"), cached - plain, " µs", 5.0, false);
    }
    println!("captures: {}", db.cache().stats().captures);
    Ok(())
}
