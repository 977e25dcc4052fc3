//! Whatever happens to Redis while everybody reads and writes: nothing is stale, no query fails,
//! and it goes on as before when Redis does.

use crate::breaks::ALL;
use crate::clock;
use crate::coherent::{LONGEST, assert_clock, failed};
use crate::crew::{Crew, Job};
use crate::history::History;
use crate::scene::{PAUSE_US, Scene, Span, WORKERS, load, recovered};
use crate::sentinel::Sentinel;
use crate::shelf::{AUTHORS, books};
use crate::table;
use crate::wire::Redis;
use crate::{alone, can_run, setting};

async fn survives(title: &str, bound_ms: Option<u64>) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let mut scene = Scene::new(bound_ms).await;
    scene.crew.order("go").await;
    load(500).await;
    let only = std::env::var("PROCESSES_ONLY").unwrap_or_default();
    let mut spans = Vec::new();
    for _ in 0..setting("PROCESSES_ROUNDS", 1) {
        for (what, happening) in ALL.iter().filter(|(what, _)| what.contains(&only)) {
            spans.push(happening.happens(what, &scene).await);
        }
        // Without the snapshot that the next round must not find.
        scene.server.command(&["FLUSHALL"]).await;
        scene.server.command(&["SAVE"]).await;
    }
    passes(title, scene.crew, &spans, bound_ms).await;
}

/// Ends the load, tells what became of it, and checks it.
async fn passes(title: &str, mut crew: Crew, spans: &[Span], bound_ms: Option<u64>) {
    crew.order("stop").await;
    let told = crew.end(LONGEST).await;
    let history = History::new(&told, books(WORKERS), AUTHORS, bound_ms);
    assert_clock(&history);
    let lines = table::lines(&told, &history, spans);
    table::print(title, &lines);
    let failed = failed(&told);
    assert!(failed.is_empty(), "failed queries: {failed:?}");
    let stale: Vec<_> = lines.iter().filter(|line| line.stale > 0).map(|line| &line.what).collect();
    assert!(stale.is_empty(), "stale reads: {stale:?}");
}

/// The primary's role goes to the other server, once as planned and once because its holder died.
async fn survives_failovers(title: &str, bound_ms: Option<u64>) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let sentinel = Sentinel::start().await;
    let redis = Redis::Sentinel { url: sentinel.url(), name: sentinel.name() };
    let job = Job { bound_ms, pause_us: PAUSE_US, ..Job::default() };
    let mut crew = Crew::start(&job, vec![redis; WORKERS]).await;
    crew.order("go").await;
    load(500).await;
    let begin = clock::now();
    sentinel.fail_over().await;
    let planned = recovered(&crew, "a Sentinel's planned failover", begin).await;
    sentinel.knows_both().await;
    let begin = clock::now();
    let primary = sentinel.primary().await;
    sentinel.servers[primary.expect("a primary")].kill9();
    sentinel.is_another(primary).await;
    let died = recovered(&crew, "kill -9 of the primary, behind a Sentinel", begin).await;
    passes(title, crew, &[planned, died], bound_ms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_outlives_every_outage_of_the_store() {
    survives("`Coherence::Strong`", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_outlives_every_outage_of_the_store() {
    survives("`Coherence::Bounded(200 ms)`", Some(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_outlives_failovers_by_a_sentinel() {
    survives_failovers("`Coherence::Strong`, behind a Sentinel", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_outlives_failovers_by_a_sentinel() {
    survives_failovers("`Coherence::Bounded(200 ms)`, behind a Sentinel", Some(200)).await;
}
