//! The checker can fail: with one rule of the cache broken it finds what is stale.
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
use crate::{alone, can_run};

/// How the first process reaches Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Calm,
    /// Everything takes a while.
    Slow,
    /// For a while nothing passes, but all of it afterwards.
    Stalls,
    /// For a while there is no connection, and the next one is slow.
    Cuts,
}

/// What this load shows for certain: the rule, the bound, the weather, writes of eight operations.
const SHOWN: &[(Fault, Option<u64>, Weather, u8)] = &[
    (Fault::NoConfirmation, None, Weather::Calm, 1),
    (Fault::IgnoreSilence, Some(200), Weather::Stalls, 1),
    (Fault::KeepAfterSilence, Some(200), Weather::Cuts, 1),
    (Fault::OneLocalBump, Some(200), Weather::Slow, 4),
    (Fault::NoGuardInStore, None, Weather::Slow, 1),
    (Fault::PromoteUnchecked, Some(200), Weather::Slow, 1),
    (Fault::MessagesNotLogged, Some(40), Weather::Slow, 1),
];

async fn run(fault: Fault, bound_ms: Option<u64>, weather: Weather, writes: u8) -> Verdict {
    let redis = Server::start(&[]).await;
    let proxy = redis.proxy().await;
    let fault = Some(format!("{fault:?}"));
    let job = Job { bound_ms, fault, writes, pause_us: 500, ..Job::default() };
    let reaching = [format!("redis://127.0.0.1:{}", proxy.port), redis.url()];
    let mut crew = Crew::start(&job, reaching.map(Redis::Server).into()).await;
    crew.order("go").await;
    for _ in 0..5 {
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
        Weather::Slow => proxy.delay(Duration::from_millis(5)),
        Weather::Stalls => {
            proxy.stall(true);
            pause(500).await;
            proxy.stall(false);
        }
        Weather::Cuts => {
            proxy.delay(Duration::from_millis(20));
            proxy.refuse(true);
            pause(200).await;
            proxy.refuse(false);
            pause(200).await;
            proxy.delay(Duration::ZERO);
        }
    }
    pause(400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_is_found_by_the_check() {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let mut unseen = Vec::new();
    for (fault, bound, weather, writes) in SHOWN {
        let verdict = run(*fault, *bound, *weather, *writes).await;
        println!("{fault:?}: {}", verdict.text());
        if verdict.violations.is_empty() {
            unseen.push(fault);
        }
    }
    assert!(unseen.is_empty(), "nothing was found with {unseen:?}");
}
