//! The checker can fail: with one rule of the cache broken it finds what is stale.
//!
//! Two rules matter all the time, so this load shows them for certain. The others close windows of
//! microseconds, or matter for as long as the store is out of reach, which it only meets now and
//! then; `shared_gate` shows each of them for certain, and `TrustWhileAway`, which no load does.
//!
//! Where the rule only matters when the store is slow or out of reach, the first process has such
//! a time of it, again and again; the second one never.

use std::time::Duration;

use sea_orm_cache::fault::Fault;

use crate::check::{Verdict, check};
use crate::coherent::LONGEST;
use crate::crew::{Crew, Job};
use crate::history::History;
use crate::shelf::{AUTHORS, books};
use crate::support::proxy::Proxy;
use crate::support::redis::Server;
use crate::wire::Redis;
use crate::{alone, can_run, setting};

/// How the first process reaches Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Calm,
    /// Everything takes a while.
    Slow,
    /// For a while nothing passes, but all of it afterwards.
    Stalls,
    /// For a while there is no connection.
    Cuts,
}

/// The rule, the bound, the weather, and how many of eight operations are writes: the first
/// process's, and the second one's.
type Case = (Fault, Option<u64>, Weather, [u8; 2]);

const CERTAIN: &[Case] = &[
    (Fault::NoConfirmation, None, Weather::Calm, [1, 1]),
    (Fault::NoGuardInStore, None, Weather::Slow, [1, 1]),
];

const BY_CHANCE: &[Case] = &[
    // Shorter than the time after which the channel counts as lost.
    (Fault::IgnoreSilence, Some(40), Weather::Stalls, [0, 2]),
    (Fault::KeepAfterSilence, Some(40), Weather::Cuts, [0, 2]),
    (Fault::OneLocalBump, Some(200), Weather::Slow, [3, 3]),
    (Fault::PromoteUnchecked, Some(100), Weather::Slow, [2, 2]),
    (Fault::MessagesNotLogged, Some(100), Weather::Slow, [2, 2]),
];

async fn run(case: Case, seed: u64, spells: usize) -> Verdict {
    let (fault, bound_ms, weather, writes) = case;
    let redis = Server::start(&[]).await;
    let proxy = redis.proxy().await;
    let fault = Some(format!("{fault:?}"));
    let job = Job { bound_ms, fault, writes, seed, pause_us: 300, ..Job::default() };
    let reaching = [format!("redis://127.0.0.1:{}", proxy.port), redis.url()];
    let mut crew = Crew::start(&job, reaching.map(Redis::Server).into()).await;
    crew.order("go").await;
    for _ in 0..spells {
        make(weather, &proxy).await;
    }
    crew.order("stop").await;
    let told = crew.end(LONGEST).await;
    check(&History::new(&told, books(2), AUTHORS, bound_ms), &told.did)
}

/// A second of it, or so.
async fn make(weather: Weather, proxy: &Proxy) {
    let pause = async |ms| tokio::time::sleep(Duration::from_millis(ms)).await;
    match weather {
        Weather::Calm => {}
        Weather::Slow => proxy.delay(Duration::from_millis(10)),
        Weather::Stalls => {
            proxy.stall(true);
            pause(500).await;
            proxy.stall(false);
        }
        Weather::Cuts => {
            proxy.refuse(true);
            pause(400).await;
            proxy.refuse(false);
        }
    }
    pause(400).await;
}

/// Tries a few seeds.
async fn are_found(cases: &[Case], spells: usize, tries: u64) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let first = setting("PROCESSES_SEED", 1);
    let mut unseen = Vec::new();
    for case in cases {
        let mut found = false;
        for seed in first..first + tries {
            let verdict = run(*case, seed, spells).await;
            println!("{:?}, seed {seed}: {}", case.0, verdict.text());
            found = !verdict.violations.is_empty();
            if found {
                break;
            }
        }
        if !found {
            unseen.push(case.0);
        }
    }
    assert!(unseen.is_empty(), "nothing was found with {unseen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_that_matters_all_the_time_is_found() {
    are_found(CERTAIN, 4, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes, and by chance"]
async fn a_broken_rule_that_rarely_matters_is_found_sooner_or_later() {
    are_found(BY_CHANCE, 40, 6).await;
}
