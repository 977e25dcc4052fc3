//! Two processes that share a cache through Redis: one writes, the other never answers with what
//! was there before.
//!
//! ```sh
//! cargo run --example redis --features redis
//! ```
//!
//! It uses the Redis at `REDIS_URL`, or starts a `redis-server` of its own; the database is a
//! temporary SQLite file, or a temporary database of the PostgreSQL at `POSTGRES_URL`.

mod other;
mod servers;
mod shop;

use std::error::Error;
use std::process::ExitCode;

use sea_orm::{ActiveModelTrait, Set};
use sea_orm_cache::{CacheSource, Coherence};

use other::{Other, now};
use servers::Servers;
use shop::{TTL, book, books, median, timed};

/// How often the price changes.
const WRITES: usize = 50;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        // The other process is this very program.
        [word, coherence, database, redis, prefix] if word == other::WORD => {
            other::run(coherence, database, redis, prefix).await
        }
        _ => both().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn both() -> Result<(), Box<dyn Error>> {
    let servers = Servers::start().await?;
    println!("The database: {}. Redis: {}.", servers.kind(), servers.redis_kind());
    let mut shown = Ok(());
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        shown = shown.and(show(&servers, coherence).await);
    }
    servers.stop().await?;
    shown
}

async fn show(servers: &Servers, coherence: Coherence) -> Result<(), Box<dyn Error>> {
    println!("\n{coherence:?}");
    // One of our own, so that nothing else in this Redis is touched.
    let prefix = format!("example-{}-{}", std::process::id(), shop::name(coherence));
    let db = shop::open(coherence, &servers.database, &servers.redis, &prefix).await?;
    let mut other = Other::start(coherence, servers, &prefix)?;

    let mut plain = Vec::new();
    for _ in 0..20 {
        plain.push(timed(books().all(&db)).await?);
    }
    say("the database answers", median(plain));
    say("the first cached read: the database answers, Redis and memory keep it", read(&db).await?);
    say("the other process: Redis answers", other.read()?);
    let again: Result<Vec<_>, _> = (0..20).map(|_| other.read()).collect();
    say(
        match coherence {
            Coherence::Strong => "again: memory answers, and Redis confirms that it may",
            _ => "again: memory answers by itself",
        },
        median(again?),
    );

    let mut late = Vec::new();
    for price in 1..=WRITES as i32 {
        other.watch(price)?;
        book::ActiveModel { id: Set(1), price: Set(price), ..Default::default() }
            .update(&db)
            .await?;
        let acknowledged = now();
        // When the other process last asked and was told the old price.
        late.push(other.last_old()?.saturating_sub(acknowledged) as f64);
    }
    late.sort_by(f64::total_cmp);
    let stale = late.iter().filter(|late| **late > 0.0).count();
    println!(
        "  {WRITES} writes here, while the other process reads without pause: {stale} times it was \
         told\n  the old price once more after the write was acknowledged; the latest {:.0} µs after",
        late.last().copied().unwrap_or(0.0)
    );
    if coherence == Coherence::Strong && stale > 0 {
        return Err("Strong must never do that".into());
    }
    Ok(())
}

async fn read(db: &impl CacheSource) -> Result<f64, sea_orm::DbErr> {
    use sea_orm_cache::prelude::*;
    timed(books().cached(TTL).all(db)).await
}

fn say(what: &str, micros: f64) {
    println!("  {micros:>7.0} µs  {what}");
}
