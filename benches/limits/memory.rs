//! Does the cache keep to its budget while much more is put in?

use std::error::Error;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm_cache::prelude::*;

use crate::shelf::{self, TTL, book, verdict};

const MAX_BYTES: usize = 32 << 20;

/// What the process holds in memory, from Linux.
pub fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.unwrap_or_default() * PAGE
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    let db = shelf::create(5_000).await?;
    let cache = QueryCache::builder().max_bytes(MAX_BYTES).build().await?;
    let db = cache.connect(db).await?;
    let before = resident_bytes();
    let (mut put_in, mut most, mut most_resident) = (0, 0, before);
    let mut per_entry = 0;
    for n in 0.. {
        // Lists of 1 to 40 books, each with another key.
        book::Entity::find()
            .filter(book::Column::AuthorId.gt(n % 250))
            .filter(book::Column::Stock.lt(1_000 + n))
            .order_by_asc(book::Column::Id)
            .limit(1 + n as u64 % 40)
            .cached(TTL)
            .all_shared(&db)
            .await?;
        let stats = cache.stats();
        if stats.bytes * 10 < MAX_BYTES {
            per_entry = stats.bytes / stats.entries.max(1);
        }
        put_in += per_entry;
        most = most.max(stats.bytes);
        if n % 256 == 0 {
            most_resident = most_resident.max(resident_bytes());
        }
        if put_in > 10 * MAX_BYTES {
            break;
        }
    }
    let stats = cache.stats();
    println!(
        "budget {} MiB, put in {} MiB: {} entries of {} left, at most {:.2} MiB by its account, \
         {:.2} MiB more in the process (versions of tags: {} MiB at most)",
        MAX_BYTES >> 20,
        put_in >> 20,
        stats.entries,
        stats.total.fills,
        most as f64 / f64::from(1 << 20),
        (most_resident - before) as f64 / f64::from(1 << 20),
        MAX_BYTES / 16 >> 20
    );
    let beyond = 100.0 * (most as f64 / MAX_BYTES as f64 - 1.0);
    verdict("(f) beyond max_bytes, by its account", beyond, " %", 5.0, false);
    let versions = MAX_BYTES / 16;
    let held = (most_resident - before).saturating_sub(versions) as f64;
    let beyond = 100.0 * (held / MAX_BYTES as f64 - 1.0);
    verdict("(f) beyond max_bytes, in the process", beyond, " %", 5.0, false);
    Ok(())
}
