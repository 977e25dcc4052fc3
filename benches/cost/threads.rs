//! Do hits on two threads get in each other's way?

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use sea_orm_cache::prelude::*;

use crate::shelf::{median, verdict};
use crate::{by_author, hit};

const HITS: usize = 20_000;
const ROUNDS: usize = 60;

/// Hits per second of these threads together, each asking for its own author.
fn throughput(db: &CachedConnection, authors: &[i32]) -> f64 {
    let barrier = Barrier::new(authors.len() + 1);
    let mut start = Instant::now();
    std::thread::scope(|scope| {
        for author in authors {
            let barrier = &barrier;
            scope.spawn(move || {
                let select = by_author(*author);
                barrier.wait();
                for _ in 0..HITS {
                    black_box(hit(select.clone(), db));
                }
            });
        }
        barrier.wait();
        start = Instant::now();
    });
    (authors.len() * HITS) as f64 / start.elapsed().as_secs_f64()
}

/// The same work without a cache: what two threads of this machine give at best just now.
fn machine(threads: usize) -> f64 {
    let mut start = Instant::now();
    let barrier = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let select = by_author(7);
                barrier.wait();
                for _ in 0..HITS {
                    black_box(crate::render_and_hash(select.clone()));
                }
            });
        }
        barrier.wait();
        start = Instant::now();
    });
    (threads * HITS) as f64 / start.elapsed().as_secs_f64()
}

pub fn report(db: &CachedConnection) {
    let (mut apart, mut same, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one = throughput(db, &[7]);
        apart.push(throughput(db, &[7, 8]) / one);
        same.push(throughput(db, &[7, 7]) / one);
        bare.push(machine(2) / machine(1));
    }
    println!("rendering and SHA-256 on two threads / one: {:.2} x", median(bare));
    verdict("(b) hits on two threads / one, two entries", median(apart), " x", 1.7, true);
    verdict("(b) hits on two threads / one, one entry", median(same), " x", 1.7, true);
}
