//! What the wrapper adds to a write of which the cache has nothing to gain.

use std::error::Error;
use std::time::Instant;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    FromQueryResult, Set, Statement,
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

/// The same as the cache must do it: with all rows, since a driver may hand out the first one
/// before the write is committed.
async fn active_model_to_the_end(db: &DatabaseConnection, n: i32) -> Result<(), DbErr> {
    let sql = r#"UPDATE "book" SET "price" = ? WHERE "book"."id" = ?
        RETURNING "id", "title", "author_id", "price", "stock""#;
    let values = [n.into(), (1 + n % 1_000).into()];
    let rows =
        db.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    book::Model::from_query_result(&rows[0], "").map(drop)
}

/// The time of one write in microseconds.
async fn time(write: impl Future<Output = Result<(), DbErr>>) -> Result<f64, DbErr> {
    let start = Instant::now();
    write.await?;
    Ok(start.elapsed().as_nanos() as f64 / 1_000.0)
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    // Both on the same database: another one would have another thread of SQLite's, which the
    // system may place better or worse than the first for a whole run.
    let plain = shelf::create(5_000).await?;
    let db = QueryCache::builder().build().await?.connect(plain.clone()).await?;
    // Entries that no write touches, and that would gain nothing from captured rows.
    for id in 2_000..3_000 {
        book::Entity::find_by_id(id).cached(TTL).one(&db).await?;
    }
    let mut times: [Vec<f64>; 5] = Default::default();
    for n in 0..ROUNDS {
        // In every order, so that a busy machine slows down all of them.
        for turn in 0..times.len() {
            let which = (turn + n as usize) % times.len();
            times[which].push(match which {
                0 => time(active_model(&plain, n)).await?,
                1 => time(active_model_to_the_end(&plain, n)).await?,
                2 => time(active_model(&db, n)).await?,
                3 => time(raw(&plain, n)).await?,
                _ => time(raw(&db, n)).await?,
            });
        }
    }
    let [model, to_the_end, cached_model, raw, cached_raw] = times.map(median);
    println!(
        "ActiveModel: plain {model:.1} µs, plain with all rows {to_the_end:.1} µs, through the \
         cache {cached_model:.1} µs; raw: plain {raw:.1} µs, through the cache {cached_raw:.1} µs"
    );
    verdict("(d) added to a write, ActiveModel", cached_model - model, " µs", 5.0, false);
    verdict("(d) added to a write, raw SQL", cached_raw - raw, " µs", 5.0, false);
    println!("captures: {}", db.cache().stats().captures);
    Ok(())
}
