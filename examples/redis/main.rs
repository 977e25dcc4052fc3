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
use sea_orm_cache::Coherence;
use sea_orm_cache::prelude::*;

use other::{Other, now};
use servers::Servers;
use shop::{AUTHORS, TTL, book, books, median, timed};

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

    let (mut plain, mut fill, mut from_redis, mut again) = (vec![], vec![], vec![], vec![]);
    for author in 0..AUTHORS {
        plain.push(timed(books(author).all(&db)).await?);
        fill.push(timed(books(author).cached(TTL).all(&db)).await?);
        from_redis.push(other.read(author)?);
        again.push(other.read(author)?);
    }
    say("the database answers", plain);
    say("the first cached read: the database answers, Redis and memory keep it", fill);
    say("the first in the other process: Redis answers", from_redis);
    say(
        match coherence {
            Coherence::Strong => "again there: memory answers, and Redis confirms that it may",
            _ => "again there: memory answers by itself",
        },
        again,
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
        "  {WRITES} writes here, while the other process reads without pause. After a write was"
    );
    match stale {
        0 => println!("  acknowledged, no read there began that was told the old price."),
        _ => println!(
            "  acknowledged, reads there were told the old price after {stale} of them, for {:.0} µs \
             at most.",
            late[WRITES - 1]
        ),
    }
    if coherence == Coherence::Strong && stale > 0 {
        return Err("Strong must never do that".into());
    }
    Ok(())
}

fn say(what: &str, micros: Vec<f64>) {
    println!("  {:>7.0} µs  {what}", median(micros));
}
