//! A bookshop whose reads are cached: how often the cache knows the answer, how fast it gives it,
//! what each kind of change invalidates, and that no answer is ever out of date.
//!
//! ```sh
//! cargo run --example quickstart
//! ```

mod data;
mod popular;
mod reads;
mod report;
mod shop;
mod writes;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use fake::rand::rngs::StdRng;
use fake::rand::{RngExt, SeedableRng};
use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{ConnectOptions, Database};
use sea_orm_cache::prelude::*;

use popular::Popular;
use reads::READS;
use report::Report;
use writes::WRITES;

const OPERATIONS: u64 = 40_000;

/// Of all operations.
const READ_SHARE: f64 = 0.9;

/// What a write invalidates is counted for one in so many, since it means looking at every entry.
const SAMPLE: u64 = 4;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let start = Instant::now();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bookshop.db");
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    // A throw-away database need not survive a power cut.
    options.sqlx_logging(false).max_connections(4).map_sqlx_sqlite_opts(|options| {
        options.pragma("journal_mode", "WAL").pragma("synchronous", "OFF")
    });
    let plain = Database::connect(options).await?;
    let mut rng = StdRng::seed_from_u64(7);
    println!("Filling a bookshop on SQLite with {} rows ...", data::ROWS);
    data::create(&plain, &mut rng).await?;

    // All that an application does for the cache: build it, wrap its connection with it, and write
    // `.cached(ttl)` in its reads.
    let cache = QueryCache::builder().build().await?;
    let db = cache.connect(plain).await?;

    let report = open_the_shop(&db, &mut rng).await?;
    print(&report, &cache, start);
    Ok(if report.wrong() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Visitors read and buy; each read is put to the database as well, to compare.
async fn open_the_shop(db: &CachedConnection, rng: &mut StdRng) -> Result<Report, Box<dyn Error>> {
    let (popular, mut report) = (Popular::new(), Report::new());
    let bar = ProgressBar::new(OPERATIONS).with_message("reading and writing");
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")?);
    for n in 0..OPERATIONS {
        if rng.random_bool(READ_SHARE) {
            let kind = pick(READS.map(|(_, _, share)| share), rng);
            report.read(kind, &reads::read(READS[kind].0, db, &popular, rng).await?);
        } else {
            let kind = pick(WRITES.map(|(_, _, share)| share), rng);
            let counted = n % SAMPLE == 0;
            let before = counted.then(|| db.cache().count_valid());
            writes::write(WRITES[kind].0, db, &popular, rng).await?;
            report.write(kind, before.map(|before| (before, db.cache().count_valid())));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// One of several kinds, each as often as its share.
fn pick<const N: usize>(shares: [u32; N], rng: &mut StdRng) -> usize {
    let mut left = rng.random_range(0..shares.iter().sum());
    let found = shares.iter().position(|share| match left.checked_sub(*share) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    found.unwrap_or(N - 1)
}

fn print(report: &Report, cache: &QueryCache, start: Instant) {
    println!("\nHOW FAST: every question was put to the database and to the cache.");
    println!("(usual: half of the answers were faster than this; slow: only 1 in 100 was slower)");
    println!("{}", report.reads_table());
    if cfg!(debug_assertions) {
        println!("This is a debug build; with --release all of these times are shorter.");
    }
    println!("\nHOW PRECISE: a change drops only those stored answers that it may have touched.");
    println!("{}", report.writes_table());
    let (answers, hits, wrong) = (report.answers(), report.hits(), report.wrong());
    let stats = cache.stats();
    println!("\nHOW CORRECT: every answer was compared with what the database said just then.");
    println!("  {answers} answers, {hits} of them from the cache, {wrong} out of date or wrong");
    println!("  {} answers stored, in {} KiB of memory", stats.entries, stats.bytes >> 10);
    println!("\nDone in {:.0} seconds.", start.elapsed().as_secs_f64());
}
