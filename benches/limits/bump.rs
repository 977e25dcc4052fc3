//! A bump with few and with many entries in the cache, and the memory that small entries take.

use std::error::Error;
use std::time::Instant;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, Statement};
use sea_orm_cache::prelude::*;

use crate::memory::resident_bytes;
use crate::shelf::{self, TTL, book, median, verdict};

const FEW: i32 = 1_000;
const MANY: i32 = 1_000_000;

/// Room for all of them.
const MAX_BYTES: usize = 2 << 30;

/// Each write and bump is measured this often.
const ROUNDS: i32 = 20_000;

/// Medians of one state of the cache.
struct Cost {
    bump_ns: f64,
    write_us: f64,
    plain_us: f64,
}

impl Cost {
    fn added_us(&self) -> f64 {
        self.write_us - self.plain_us
    }
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    let wrapped = shelf::create(10_000).await?;
    let plain = shelf::create(10_000).await?;
    let cache = QueryCache::builder().max_bytes(MAX_BYTES).build().await?;
    let db = cache.connect(wrapped).await?;
    fill(&db, 0, FEW).await?;
    let few = measure(&db, &plain).await?;

    let (resident, before) = (resident_bytes(), cache.stats());
    fill(&db, FEW, MANY).await?;
    let (grown, stats) = (resident_bytes() - resident, cache.stats());
    let many = measure(&db, &plain).await?;

    let new = (stats.entries - before.entries) as f64;
    println!("{} entries, {} of them valid", stats.entries, cache.count_valid());
    println!(
        "a small entry: {:.0} bytes in the process, {:.0} in the cache's own account",
        grown as f64 / new,
        (stats.bytes - before.bytes) as f64 / new
    );
    // The entries are ids that do not exist, so all of an entry but its empty result is overhead.
    let empty = size_of::<Option<book::Model>>() as f64;
    verdict("(f) overhead of a small entry", grown as f64 / new - empty, " bytes", 400.0, false);
    for (name, cost) in [(FEW, &few), (MANY, &many)] {
        println!(
            "with {name} entries: a bump {:.0} ns; a write {:.1} µs, plain {:.1} µs",
            cost.bump_ns, cost.write_us, cost.plain_us
        );
    }
    verdict("(e) bump with many / few", many.bump_ns / few.bump_ns, " x", 1.2, false);
    verdict("(e) added to a write, many / few", many.added_us() / few.added_us(), " x", 1.2, false);
    verdict("(e) a write, many / few", many.write_us / few.write_us, " x", 1.2, false);
    Ok(())
}

/// One entry for each id, of rows that do not exist.
async fn fill(db: &CachedConnection, from: i32, to: i32) -> Result<(), DbErr> {
    for n in from..to {
        book::Entity::find_by_id(-1 - n).cached(TTL).one(db).await?;
    }
    Ok(())
}

async fn measure(db: &CachedConnection, plain: &impl ConnectionTrait) -> Result<Cost, DbErr> {
    let (mut bump, mut write, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..ROUNDS {
        // A tag that an entry depends on, so that there is something to delete.
        book::Entity::find_by_id(n % 100).cached(TTL).tag("homepage").one(db).await?;
        let start = Instant::now();
        db.cache().invalidate_tag("homepage");
        bump.push(start.elapsed().as_nanos() as f64);
        for turn in 0..2 {
            let start = Instant::now();
            if (turn + n) % 2 == 0 {
                update(db, n).await?;
                write.push(start.elapsed().as_nanos() as f64 / 1_000.0);
            } else {
                update(plain, n).await?;
                bare.push(start.elapsed().as_nanos() as f64 / 1_000.0);
            }
        }
    }
    Ok(Cost { bump_ns: median(bump), write_us: median(write), plain_us: median(bare) })
}

async fn update(db: &impl ConnectionTrait, n: i32) -> Result<(), DbErr> {
    let sql = "UPDATE book SET price = ? WHERE id = ?";
    let values = [n.into(), (1_000 + n % 1_000).into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    Ok(())
}
