//! Are results stored while another task keeps writing other rows of the same table?

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm_cache::CachedConnection;
use sea_orm_cache::prelude::*;

use crate::shelf::{self, TTL, book, median, verdict};
use crate::slow::Slow;

const TIME: Duration = Duration::from_secs(4);
const WRITES_PER_SECOND: u64 = 1_000;

/// Readers and the writer share the table, not the rows.
const READ_AUTHORS: i32 = 200;
const FIRST_WRITTEN_BOOK: i32 = 4_000;

type Db = CachedConnection<Slow>;

pub async fn report() -> Result<(), Box<dyn Error>> {
    let cache = QueryCache::builder().build().await?;
    let db = cache.connect(Slow(shelf::create(5_000).await?)).await?;
    for (name, top) in [("lists by author", false), ("top 10 by price of an author", true)] {
        let before = cache.stats().total;
        let (times, written) = under_fire(&db, top).await?;
        let after = cache.stats().total;
        let (stored, refused) = (after.fills - before.fills, after.refused - before.refused);
        println!(
            "{name}: {} queries of {:.2} ms, {} writes a second; {stored} stored, {refused} refused",
            times.len(),
            median(times),
            written / TIME.as_secs(),
        );
        let share = 100.0 * stored as f64 / (stored + refused) as f64;
        verdict(&format!("(g) fills under fire, {name}"), share, " %", 90.0, true);
    }
    Ok(())
}

/// The queries' times in milliseconds, and the number of writes.
async fn under_fire(db: &Db, top: bool) -> Result<(Vec<f64>, u64), Box<dyn Error>> {
    let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = tokio::spawn(write(db.clone(), done.clone(), written.clone()));
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < TIME {
        let mut query = book::Entity::find()
            .filter(book::Column::AuthorId.eq(times.len() as i32 % READ_AUTHORS));
        if top {
            query = query.order_by_desc(book::Column::Price).limit(10);
        }
        let asked = Instant::now();
        query.cached(TTL).refresh().all_shared(db).await?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    done.store(true, Ordering::Relaxed);
    writer.await??;
    Ok((times, written.load(Ordering::Relaxed)))
}

async fn write(db: Db, done: Arc<AtomicBool>, written: Arc<AtomicU64>) -> Result<(), DbErr> {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / WRITES_PER_SECOND));
    let mut book = FIRST_WRITTEN_BOOK;
    while !done.load(Ordering::Relaxed) {
        tick.tick().await;
        book = FIRST_WRITTEN_BOOK + (book + 1) % 1_000;
        book::Entity::update_many()
            .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).add(1))
            .filter(book::Column::Id.eq(book))
            .exec(&db)
            .await?;
        written.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
