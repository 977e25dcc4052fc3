//! What recording adds to a read within `remember`, and what rules add to a write: both ways in one
//! run, in turn, on SQLite in memory.
//!
//! ```sh
//! cargo bench --bench vocabulary
//! ```

#[path = "../shelf/mod.rs"]
mod shelf;

use std::error::Error;
use std::time::{Duration, Instant};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Invalidate, deps};

use shelf::{TTL, book, median};

/// Reads of one computation.
const READS: u32 = 100;
const ROUNDS: usize = 200;
const WRITES: i32 = 4_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = QueryCache::builder().build().await?;
    let db = cache.connect(shelf::create(5_000).await?).await?;
    recording(&cache, &db).await?;
    rules(&cache, &db).await?;
    Ok(())
}

async fn hits(db: &CachedConnection) -> Result<Duration, DbErr> {
    let start = Instant::now();
    for _ in 0..READS {
        let of_one = book::Entity::find().filter(book::Column::AuthorId.eq(7));
        of_one.cached(TTL).all_shared(db).await?;
    }
    Ok(start.elapsed())
}

/// A hit of 18 rows that depends on 25 tags, within a computation and outside.
async fn recording(cache: &QueryCache, db: &CachedConnection) -> Result<(), DbErr> {
    hits(db).await?;
    let (mut plain, mut recorded, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        plain.push(hits(db).await?.as_nanos() as f64 / f64::from(READS));
        let computed = cache.value("hits").argument(&round).ttl(TTL);
        let start = Instant::now();
        let took = computed.remember(db, |db| async move { hits(&db).await }).await?;
        let whole = start.elapsed().saturating_sub(took);
        recorded.push(took.as_nanos() as f64 / f64::from(READS));
        value.push(whole.as_nanos() as f64 / 1_000.0);
    }
    let (plain, recorded) = (median(plain), median(recorded));
    println!("a hit: {plain:.0} ns; recorded: {recorded:.0} ns, + {:.0} ns", recorded - plain);
    println!("a value of {READS} reads: {:.1} µs around its computation", median(value));
    let mut known = Vec::new();
    for _ in 0..ROUNDS * 10 {
        let start = Instant::now();
        cache.remember(db, "known", TTL, |_| async { Ok::<_, DbErr>(1) }).await?;
        known.push(start.elapsed().as_nanos() as f64);
    }
    println!("a hit of a value: {:.0} ns", median(known));
    let mut known = Vec::new();
    for _ in 0..ROUNDS * 10 {
        let start = Instant::now();
        cache.cached_as("said", TTL, deps![book::Entity], || async { Ok::<_, DbErr>(1) }).await?;
        known.push(start.elapsed().as_nanos() as f64);
    }
    println!("a hit of one whose dependencies are said: {:.0} ns", median(known));
    Ok(())
}

async fn writes(db: &CachedConnection) -> Result<f64, DbErr> {
    let mut all = Vec::new();
    for n in 0..WRITES {
        let sql = "UPDATE book SET price = ? WHERE id = ?";
        let values = [n.into(), (1 + n % 1_000).into()];
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
        let start = Instant::now();
        db.execute_raw(statement).await?;
        all.push(start.elapsed().as_nanos() as f64 / 1_000.0);
    }
    Ok(median(all))
}

/// 20 rules of all kinds, of which each write fires 15.
fn register(cache: &QueryCache) {
    for number in 0..5 {
        let on = || cache.rules().on::<book::Entity>();
        on().invalidates(Invalidate::tag(&format!("tag {number}")));
        on().updates_of([book::Column::Price]).invalidates(Invalidate::lists::<book::Entity>());
        on().inserts().invalidates(Invalidate::all());
        on().updates().calls(|_| async { Ok(()) });
    }
}

async fn rules(cache: &QueryCache, db: &CachedConnection) -> Result<(), DbErr> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        cache.rules().clear();
        without.push(writes(db).await?);
        register(cache);
        with.push(writes(db).await?);
    }
    let (without, with) = (median(without), median(with));
    println!("a write: {without:.1} µs; with 20 rules: {with:.1} µs, + {:.1} µs", with - without);
    Ok(())
}
