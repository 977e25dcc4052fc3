//! Other programs write while caches read, their clocks an hour apart: each answer is checked against
//! what had been acknowledged longer ago than the bound when the read began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Clock, OutboxConfig, SystemClock};

use crate::support::checked;
use crate::support::servers::Backend;
use crate::world::{World, price};

const BOUND: Duration = Duration::from_millis(200);
const ROUNDS: i32 = 40;

/// A clock that is ahead.
struct Ahead(SystemClock, u64);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        self.0.now_ms() + self.1
    }
}

/// What was written to each book, and when that was acknowledged. One writes each book, and each
/// time a larger price.
#[derive(Default)]
struct History {
    acknowledged: [Mutex<Vec<(Instant, i32)>>; 6],
    reads: AtomicU64,
    over: AtomicU64,
}

impl History {
    fn note(&self, ids: &[i32], price: i32) {
        let now = Instant::now();
        for id in ids {
            self.acknowledged[*id as usize].lock().expect("the history").push((now, price));
        }
    }

    /// The least that a read may show that begins now.
    fn least(&self, id: i32) -> i32 {
        let now = Instant::now();
        let all = self.acknowledged[id as usize].lock().expect("the history");
        let old = |(at, _): &&(Instant, i32)| now.duration_since(*at) > BOUND;
        all.iter().rev().find(old).map_or(0, |(_, price)| *price)
    }

    /// Lets others read for a while.
    async fn pause(&self, reads: u64) {
        let until = self.reads.load(Ordering::SeqCst) + reads;
        while self.reads.load(Ordering::SeqCst) < until {
            tokio::task::yield_now().await;
        }
    }
}

/// Single statements, several rows, transactions that commit late, and some that never do.
async fn write(history: &History, other: &DatabaseConnection, own: [i32; 2], seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let one = |id: i32, price: i32| format!("UPDATE book SET price = {price} WHERE id = {id}");
    for round in 1..=ROUNDS {
        let price = 1_000 * round;
        history.pause(rng.u64(1..12)).await;
        let [first, second] = own;
        match rng.u8(0..4) {
            0 => {
                other.execute_unprepared(&one(first, price)).await.expect("done");
                history.note(&[first], price);
            }
            1 => {
                let both =
                    format!("UPDATE book SET price = {price} WHERE id IN ({first}, {second})");
                other.execute_unprepared(&both).await.expect("done");
                history.note(&own, price);
            }
            kind => {
                let transaction = other.begin().await.expect("begun");
                transaction.execute_unprepared(&one(first, price)).await.expect("done");
                history.pause(rng.u64(0..30)).await;
                transaction.execute_unprepared(&one(second, price)).await.expect("done");
                if kind == 2 {
                    transaction.commit().await.expect("committed");
                    history.note(&own, price);
                } else {
                    transaction.rollback().await.expect("undone");
                }
            }
        }
    }
    history.over.fetch_add(1, Ordering::SeqCst);
}

async fn read(history: &History, db: &CachedConnection, writers: u64, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    while history.over.load(Ordering::SeqCst) < writers {
        let id = rng.i32(1..=4);
        let least = history.least(id);
        let seen = price(db, id).await;
        assert!(seen >= least || least == 0, "book {id}: {seen} was read, {least} was long so");
        history.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_answer_is_older_than_the_bound_whatever_others_write_and_clocks_say() {
    let redis = std::env::var("REDIS_URL").ok();
    for backend in Backend::reachable() {
        for url in [None, redis.as_deref()].into_iter().take(1 + usize::from(redis.is_some())) {
            let world = World::new(backend).await;
            let history = Arc::new(History::default());
            let mut readers = Vec::new();
            // Of those without a store only the listener would answer from memory.
            for ahead in 0..if url.is_some() { 3 } else { 1 } {
                let clock = Ahead(SystemClock::default(), ahead * 3_600_000);
                let builder = checked().outbox(OutboxConfig::new().bound(BOUND));
                let builder = match url {
                    Some(url) => builder.prefix(&world.file.name).redis(RedisConfig::new(url)),
                    None => builder,
                };
                let cache = builder.clock(Arc::new(clock)).build().await.expect("a cache");
                let db = cache.connect(world.file.pool(2).await).await.expect("a connection");
                readers.push((cache, db));
            }
            // SQLite has one writer at a time: a second one would only wait.
            let books: &[[i32; 2]] =
                if backend == Backend::Sqlite { &[[1, 2]] } else { &[[1, 2], [3, 4]] };
            let writers = books.len() as u64;
            let mut tasks = Vec::new();
            for (seed, (_, db)) in readers.iter().enumerate() {
                let (history, db) = (history.clone(), db.clone());
                let reading = async move { read(&history, &db, writers, seed as u64).await };
                tasks.push(tokio::spawn(reading));
            }
            for (seed, own) in books.iter().enumerate() {
                let (history, other, own) = (history.clone(), world.file.pool(1).await, *own);
                let writing = async move { write(&history, &other, own, 7 + seed as u64).await };
                tasks.push(tokio::spawn(writing));
            }
            for task in tasks {
                task.await.expect("nothing stale");
            }
            let reads = history.reads.load(Ordering::SeqCst);
            let hits: u64 = readers.iter().map(|(cache, _)| cache.stats().total.hits).sum();
            println!("{backend:?}, shared {}: {reads} reads, {hits} hits", url.is_some());
            assert!(hits * 4 > reads, "{backend:?}: too few hits to mean anything");
        }
    }
}
