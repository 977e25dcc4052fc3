//! Two workers that reach a Redis through a proxy each, and what becomes of it all.

use std::time::Duration;

use tokio::time::sleep;

use crate::clock::{self, Moment};
use crate::crew::{Crew, Job};
use crate::support::proxy::Proxy;
use crate::support::redis::Server;
use crate::wire::{Notice, Redis};

pub const WORKERS: usize = 2;

/// It has to go on as before within this time.
const RECOVERY: Duration = Duration::from_secs(20);

/// So many quick operations of each task in a row, and it goes on as before.
const AS_BEFORE: u32 = 20;

/// Each task's pause, on average: the machine is not to be what is measured.
pub const PAUSE_US: u64 = 1_000;

pub struct Scene {
    pub server: Server,
    pub proxies: Vec<Proxy>,
    pub crew: Crew,
    pub bound_ms: Option<u64>,
}

/// When something was broken, and when it was whole again.
#[derive(Debug, Clone)]
pub struct Span {
    pub what: String,
    pub begin: Moment,
    pub end: Moment,
    /// Each worker had had hits by then, none thought that the store was away, and each task had
    /// done some operations without a slow one.
    pub well: Moment,
}

impl Scene {
    pub async fn new(bound_ms: Option<u64>) -> Self {
        let server = Server::start(&["--enable-debug-command", "yes"]).await;
        let mut proxies = Vec::new();
        for _ in 0..WORKERS {
            proxies.push(server.proxy().await);
        }
        let job = Job { bound_ms, pause_us: PAUSE_US, ..Job::default() };
        let url = |proxy: &Proxy| Redis::Server(format!("redis://127.0.0.1:{}", proxy.port));
        let crew = Crew::start(&job, proxies.iter().map(url).collect()).await;
        Self { server, proxies, crew, bound_ms }
    }

    /// Longer than the bound, and than any time limit of the cache.
    pub fn long(&self) -> Duration {
        Duration::from_millis(self.bound_ms.unwrap_or(0).max(300) * 3 / 2)
    }
}

/// Not for correctness: the load goes on meanwhile.
pub async fn load(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Waits until all is as before.
pub async fn recovered(crew: &Crew, what: &str, begin: Moment) -> Span {
    let end = clock::now();
    let count = |heard: &[(Moment, Notice)], is: fn(&Notice) -> bool| {
        heard.iter().filter(|(_, notice)| is(notice)).count()
    };
    crew.told.lock().expect("what was told").quick.iter_mut().for_each(|quick| quick.fill(0));
    let is_well = crew.until(RECOVERY, |told| {
        let hit = told.last_hit.iter().all(|moment| *moment >= end);
        let quick = told.quick.iter().flatten().all(|quick| *quick >= AS_BEFORE);
        hit && quick
            && told.heard.iter().all(|heard| {
                count(heard, |notice| matches!(notice, Notice::Away(_)))
                    <= count(heard, |notice| *notice == Notice::Back)
            })
    });
    assert!(is_well.await, "{what}: no hits or no store again within {RECOVERY:?}");
    let well = clock::now();
    Span { what: what.to_owned(), begin, end, well }
}
