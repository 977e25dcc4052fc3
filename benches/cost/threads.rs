//! Do hits on two threads get in each other's way?
//!
//! Where two threads do not have two cores to themselves, their joint throughput tells little. So
//! the time that a hit takes of its core is measured, too: lines of the processor's caches that
//! both threads write would make it longer.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use sea_orm_cache::prelude::*;

use crate::shelf::{median, verdict};
use crate::{by_author, hit, render_and_hash};

const TIMES: usize = 20_000;
const ROUNDS: usize = 60;

/// What some threads did together.
struct Done {
    per_second: f64,
    core_ns_each: f64,
}

/// Each thread does the work for its own author.
fn run(authors: &[i32], work: impl Fn(i32) + Sync) -> Done {
    let barrier = Barrier::new(authors.len() + 1);
    let (work, barrier) = (&work, &barrier);
    std::thread::scope(|scope| {
        let thread = |author: i32| {
            scope.spawn(move || {
                barrier.wait();
                let before = core_time();
                (0..TIMES).for_each(|_| work(author));
                core_time().saturating_sub(before)
            })
        };
        let threads: Vec<_> = authors.iter().map(|author| thread(*author)).collect();
        barrier.wait();
        let start = Instant::now();
        let core: Duration = threads.into_iter().map(|t| t.join().expect("a thread")).sum();
        let count = (authors.len() * TIMES) as f64;
        Done {
            per_second: count / start.elapsed().as_secs_f64(),
            core_ns_each: core.as_nanos() as f64 / count,
        }
    })
}

/// For how long this thread has had a core, from Linux.
fn core_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Throughput of two threads beside one, and the same if each had a core to itself.
fn scaling(name: &str, authors: [i32; 2], work: impl Fn(i32) + Sync) {
    let (mut wall, mut core) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (one, two) = (run(&authors[..1], &work), run(&authors, &work));
        wall.push(two.per_second / one.per_second);
        core.push(2.0 * one.core_ns_each / two.core_ns_each);
    }
    println!("{name}: {:.2} x by the wall clock", median(wall.clone()));
    wall.sort_by(f64::total_cmp);
    println!("  at best {:.2} x", wall.last().copied().unwrap_or_default());
    verdict("  on cores of their own", median(core), " x", 1.7, true);
}

pub fn report(db: &CachedConnection) {
    println!("(b) two threads beside one");
    scaling("rendering and SHA-256 (what this machine gives)", [7, 8], |author| {
        black_box(render_and_hash(by_author(author)));
    });
    scaling("hits of two entries", [7, 8], |author| {
        black_box(hit(by_author(author), db));
    });
    scaling("hits of one entry", [7, 7], |author| {
        black_box(hit(by_author(author), db));
    });
}
