//! Whatever happens to Redis while everybody reads and writes: nothing is stale, no query fails,
//! and it goes on as before when Redis does.

use crate::breaks::ALL;
use crate::coherent::{LONGEST, assert_clock, failed};
use crate::crew::Crew;
use crate::history::History;
use crate::scene::{Scene, Span, WORKERS, load};
use crate::shelf::{AUTHORS, books};
use crate::table;
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
pub async fn passes(title: &str, mut crew: Crew, spans: &[Span], bound_ms: Option<u64>) {
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

#[tokio::test(flavor = "multi_thread")]
async fn strong_outlives_every_outage_of_the_store() {
    survives("`Coherence::Strong`", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_outlives_every_outage_of_the_store() {
    survives("`Coherence::Bounded(200 ms)`", Some(200)).await;
}
