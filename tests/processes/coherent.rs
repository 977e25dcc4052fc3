//! Processes that only read and write: whatever one acknowledged, the others see.

use std::time::{Duration, Instant};

use crate::check::{Verdict, check};
use crate::crew::{Crew, Job, Told};
use crate::history::{History, from_the_store};
use crate::shelf::{AUTHORS, books};
use crate::support::redis::Server;
use crate::wire::{Operation, Redis, What};
use crate::{alone, can_run, setting};

/// Of each task, four of which are a process.
const OPERATIONS: u64 = 1_000;

/// No run takes that long, by far.
pub const LONGEST: Duration = Duration::from_secs(3600);

async fn run(job: &Job, workers: usize) -> (Told, History) {
    let redis = Server::start(&[]).await;
    let mut crew = Crew::start(job, vec![Redis::Server(redis.url()); workers]).await;
    crew.order("go").await;
    let told = crew.end(LONGEST).await;
    let history = History::new(&told, books(workers), AUTHORS, job.bound_ms);
    (told, history)
}

pub fn failed<'t>(told: &'t Told) -> Vec<&'t String> {
    let failure = |did: &'t Operation| match &did.what {
        What::Failed(why) => Some(why),
        _ => None,
    };
    told.did.iter().filter_map(failure).collect()
}

pub fn assert_clock(history: &History) {
    let error = history.clock_error;
    assert!(
        error < 1_000_000,
        "the machine's clock was set during the run ({error} ns): try again"
    );
}

async fn keeps_its_promise(bound_ms: Option<u64>) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    for workers in [2, 4] {
        let operations = setting("PROCESSES_OPERATIONS", OPERATIONS) * 2 / workers as u64;
        let job = Job { bound_ms, operations, ..Job::default() };
        let seed = job.seed;
        let began = Instant::now();
        let (told, history) = run(&job, workers).await;
        let took = began.elapsed();
        let verdict = check(&history, &told.did);
        let (store, failed) = (from_the_store(&told), failed(&told));
        let Verdict { reads, hits, excused, .. } = verdict;
        println!(
            "{workers} processes, bound {bound_ms:?}, seed {seed}: {} operations in {took:.1?}, \
             {reads} reads checked, {hits} hits, from the store at least {store:?}, \
             clocks within {} ns",
            told.did.len(),
            history.clock_error,
        );
        assert_clock(&history);
        assert!(failed.is_empty(), "failed queries: {failed:?}");
        assert!(verdict.violations.is_empty(), "seed {seed}: {}", verdict.text());
        assert_eq!(excused, 0, "the store was always there: {:?}", told.heard);
        assert!(hits > reads / 5, "too few hits to mean anything");
        assert!(store.iter().all(|count| *count > 0), "nothing came from other processes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_shows_every_process_what_any_process_acknowledged() {
    keeps_its_promise(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_by_200_ms_is_never_further_behind() {
    keeps_its_promise(Some(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_by_a_second_is_never_further_behind() {
    keeps_its_promise(Some(1_000)).await;
}
