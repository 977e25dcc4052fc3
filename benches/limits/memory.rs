//! Does the cache keep to its budget while much more is put in?

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm_cache::prelude::*;

use crate::shelf::{self, TTL, book, verdict};

const MAX_BYTES: usize = 32 << 20;

/// Beside the entries, the versions of tags take a sixteenth.
const VERSIONS_BYTES: usize = MAX_BYTES / 16;

const MIB: f64 = 1_048_576.0;

/// Counts what is asked of the system's allocator.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
}

/// The memory of the process: what the system gives it, what it asked for, and what the cache
/// says that its entries take.
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident: usize,
    pub heap: usize,
    pub account: usize,
}

impl Memory {
    pub fn now(cache: &QueryCache) -> Self {
        Self { resident: resident_bytes(), heap: LIVE.load(Relaxed), account: cache.stats().bytes }
    }

    pub fn since(&self, before: &Self) -> Self {
        Self {
            resident: self.resident.saturating_sub(before.resident),
            heap: self.heap.saturating_sub(before.heap),
            account: self.account.saturating_sub(before.account),
        }
    }

    fn max(&self, other: &Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            heap: self.heap.max(other.heap),
            account: self.account.max(other.account),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes as f64 / MIB;
        let (account, heap, resident) = (mib(self.account), mib(self.heap), mib(self.resident));
        write!(
            f,
            "{account:.2} MiB by the cache's account, {heap:.2} MiB of the heap, \
             {resident:.2} MiB of the process"
        )
    }
}

/// What the process holds in memory, from Linux.
fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.unwrap_or_default() * PAGE
}

pub async fn report() -> Result<(), Box<dyn Error>> {
    let db = shelf::create(5_000).await?;
    let cache = QueryCache::builder().max_bytes(MAX_BYTES).build().await?;
    let db = cache.connect(db).await?;
    // So that what the database and its driver keep is there before.
    for n in 0..1_000 {
        put(&db, n).await?;
    }
    let (start, mut most) = (Memory::now(&cache), Memory::now(&cache));
    let each = start.account / cache.stats().entries.max(1);
    let mut filled = 0;
    for n in 1_000.. {
        put(&db, n).await?;
        filled += each;
        most = most.max(&Memory::now(&cache));
        if filled > 10 * MAX_BYTES {
            break;
        }
    }
    let stats = cache.stats();
    println!(
        "{} MiB put into {} MiB: {} entries of {} left; at most, from {:.2} MiB by account on: {}",
        filled >> 20,
        MAX_BYTES >> 20,
        stats.entries,
        stats.total.fills,
        start.account as f64 / MIB,
        most.since(&start)
    );
    let beyond = |bytes: usize| 100.0 * (bytes as f64 / MAX_BYTES as f64 - 1.0);
    verdict("(f) beyond max_bytes, by account", beyond(most.account), " %", 5.0, false);
    let grown = most.since(&start);
    let heap = start.account + grown.heap;
    verdict("(f) beyond max_bytes, of the heap", beyond(heap), " %", 5.0, false);
    let resident = (start.account + grown.resident).saturating_sub(VERSIONS_BYTES);
    verdict("(f) beyond max_bytes, of the process", beyond(resident), " %", 5.0, false);
    Ok(())
}

/// A list of 1 to 40 books, each time under another key.
async fn put(db: &CachedConnection, n: i32) -> Result<(), sea_orm::DbErr> {
    let select = book::Entity::find()
        .filter(book::Column::AuthorId.gt(n % 250))
        .filter(book::Column::Stock.lt(1_000 + n))
        .order_by_asc(book::Column::Id)
        .limit(1 + n as u64 % 40);
    select.cached(TTL).all_shared(db).await.map(drop)
}
