//! Another program writes, through a connection of its own: random schemas, statements and
//! transactions, as in `never_stale.rs`. After it was heard each entry equals fresh SQL.
//!
//! `REFEREE_OPERATIONS` and `REFEREE_SEED` are as there; a fiftieth of the operations is run.

mod referee;
mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use support::servers::Backend;

const PER_SEED: usize = 100;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn once_it_was_heard_what_another_program_wrote_is_never_read_as_it_was_before() {
    let wanted = setting("REFEREE_OPERATIONS", 100_000) / 50;
    for backend in Backend::reachable() {
        let share = if backend == Backend::Sqlite { 1 } else { 2 };
        run(backend, wanted / share);
    }
}

fn run(backend: Backend, wanted: u64) {
    let first = setting("REFEREE_SEED", 1);
    let (next, last) = (AtomicU64::new(first), first + wanted.div_ceil(PER_SEED as u64));
    let worker = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (mut operations, mut hits, mut misses) = (0, 0, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= last {
                return (operations, hits, misses);
            }
            match runtime.block_on(referee::run_seed_of(seed, PER_SEED, backend, true)) {
                Ok(tally) => {
                    operations += tally.operations;
                    hits += tally.hits;
                    misses += tally.misses;
                }
                Err(stale) => panic!("{}", runtime.block_on(stale.shrink())),
            }
        }
    };
    let totals = std::thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let [one, two] = totals;
    let (operations, hits) = (one.0 + two.0, one.1 + two.1);
    println!("{backend:?}: {operations} operations, {hits} hits, {} misses", one.2 + two.2);
    assert!(operations >= wanted, "the run was cut short");
    assert!(hits > operations, "too few hits to mean anything");
}
