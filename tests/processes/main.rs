//! The promise between real processes: this program starts itself again as 2 or 4 workers, which
//! share a PostgreSQL database and a Redis, and read and write through a cache each. They tell what
//! they did and saw, and when; their parent checks the whole history afterwards.
//!
//! `PROCESSES_OPERATIONS` sets how many operations a task does (default 1,000), `PROCESSES_SEED`
//! the seed, `PROCESSES_ROUNDS` how often each outage comes, `PROCESSES_ONLY` a part of the names of
//! those that do.

mod breaks;
mod check;
mod clock;
mod coherent;
mod crew;
mod failovers;
mod gate;
mod history;
mod leases;
mod outages;
mod reads;
mod scene;
mod sentinel;
mod shelf;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod wire;
mod worker;
#[allow(dead_code)]
#[path = "../shared/processes.rs"]
mod world;
mod writes;

use tokio::sync::{Mutex, MutexGuard};

use support::redis::is_there;
use support::servers::Backend;

fn can_run() -> bool {
    is_there() && Backend::Postgres.is_reachable()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Several processes are load enough: one test at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
