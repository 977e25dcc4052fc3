//! A bump with few and with many entries in the cache, and the memory that small entries take.

use std::error::Error;
use std::time::Instant;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Statement};
use sea_orm_cache::prelude::*;

use crate::memory::Memory;
use crate::shelf::{self, TTL, book, median, verdict};

const FEW: i32 = 1_000;
const MANY: i32 = 1_000_000;

/// Room for all of them, and as large a table of versions in both caches.
const MAX_BYTES: usize = 2 << 30;

/// Each write and bump is measured this often.
const ROUNDS: i32 = 20_000;

/// Times of one cache.
struct Times {
    db: CachedConnection,
    bumps_ns: Vec<f64>,
    writes_us: Vec<f64>,
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    // One database for all: another one would have another thread of SQLite's, which the system
    // may place better or worse than the first for a whole run.
    let plain = shelf::create(10_000).await?;
    let (few, many) = (open(&plain, FEW).await?, open(&plain, MANY).await?);
    println!("{} entries, {} of them valid", MANY, many.db.cache().count_valid());
    let (mut both, mut bare) = ([few, many], Vec::new());
    for n in 0..ROUNDS {
        bare.push(update(&plain, n).await?);
        for turn in 0..2 {
            // Who is first changes, so that a busy machine slows down both.
            let times = &mut both[((turn + n) % 2) as usize];
            // A tag that an entry depends on, so that there is something to delete.
            let id = 1 + n % 100;
            book::Entity::find_by_id(id).cached(TTL).tag("homepage").one(&times.db).await?;
            let start = Instant::now();
            times.db.cache().invalidate_tag("homepage").await;
            times.bumps_ns.push(start.elapsed().as_nanos() as f64);
            times.writes_us.push(update(&times.db, n).await?);
        }
    }
    let bare = median(bare);
    let [few, many] = both.map(|times| (median(times.bumps_ns), median(times.writes_us)));
    println!("a write on the plain connection: {bare:.1} µs");
    for (name, (bump, write)) in [(FEW, few), (MANY, many)] {
        println!("with {name} entries: a bump {bump:.0} ns, a write {write:.1} µs");
    }
    verdict("(e) a bump, many / few", many.0 / few.0, " x", 1.2, false);
    verdict("(e) a write, many / few", many.1 / few.1, " x", 1.2, false);
    verdict("(e) added to a write, many - few", many.1 - few.1, " µs", 1.0, false);
    Ok(())
}

/// A cache with this many small entries: of ids that do not exist, so that all of an entry but its
/// empty result is overhead.
async fn open(plain: &DatabaseConnection, entries: i32) -> Result<Times, Box<dyn Error>> {
    let cache = QueryCache::builder().max_bytes(MAX_BYTES).build().await?;
    let db = cache.connect(plain.clone()).await?;
    let before = Memory::now(&cache);
    for n in 0..entries {
        book::Entity::find_by_id(-1 - n).cached(TTL).one(&db).await?;
    }
    if entries == MANY {
        let grown = Memory::now(&cache).since(&before);
        println!("{entries} small entries take {grown}");
        let empty = size_of::<Option<book::Model>>() as f64;
        for (name, bytes) in [("the process", grown.resident), ("the heap", grown.heap)] {
            let each = bytes as f64 / f64::from(entries) - empty;
            verdict(&format!("(f) overhead of each, in {name}"), each, " bytes", 400.0, false);
        }
    }
    Ok(Times { db, bumps_ns: Vec::new(), writes_us: Vec::new() })
}

/// The time of one update in microseconds.
async fn update(db: &impl ConnectionTrait, n: i32) -> Result<f64, DbErr> {
    let sql = "UPDATE book SET price = ? WHERE id = ?";
    let values = [n.into(), (1_000 + n % 1_000).into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let start = Instant::now();
    db.execute_raw(statement).await?;
    Ok(start.elapsed().as_nanos() as f64 / 1_000.0)
}
