//! The referee's long run: see `referee/mod.rs`.
//!
//! `REFEREE_OPERATIONS` sets how many operations are run (default 100,000), `REFEREE_SEED` the
//! first seed.

mod referee;
mod support;

use support::servers::Backend;

use std::sync::atomic::{AtomicU64, Ordering};

const PER_SEED: usize = 250;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Runs seeds on two threads until enough operations were done.
#[test]
fn after_every_acknowledged_operation_each_entry_equals_fresh_sql() {
    let wanted = setting("REFEREE_OPERATIONS", 100_000);
    for backend in Backend::reachable() {
        // A server takes several times longer for each.
        let share = if backend == Backend::Sqlite { 1 } else { 10 };
        run(backend, wanted / share);
    }
}

fn run(backend: Backend, wanted: u64) {
    let first = setting("REFEREE_SEED", 1);
    let next = AtomicU64::new(first);
    let last = first + wanted.div_ceil(PER_SEED as u64);
    let worker = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut total = referee::Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= last {
                return total;
            }
            match runtime.block_on(referee::run_seed(seed, PER_SEED, backend)) {
                Ok(tally) => {
                    total.operations += tally.operations;
                    total.hits += tally.hits;
                    total.misses += tally.misses;
                    total.refused += tally.refused;
                }
                Err(stale) => panic!("{}", runtime.block_on(stale.shrink())),
            }
        }
    };
    let totals = std::thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let operations: u64 = totals.iter().map(|total| total.operations).sum();
    let hits: u64 = totals.iter().map(|total| total.hits).sum();
    let misses: u64 = totals.iter().map(|total| total.misses).sum();
    println!(
        "{backend:?}: {operations} operations, {hits} entries compared with fresh SQL, {misses} misses"
    );
    assert!(operations >= wanted, "the run was cut short");
    assert!(hits > operations, "too few hits to mean anything");
}
