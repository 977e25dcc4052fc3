//! A Sentinel gives the primary's role to the other server.
//!
//! In a planned failover the old primary does not know of it for eight seconds, and Sentinel tells
//! nobody who is connected to it. A process that connects in this time uses the new one, so the two
//! do not share anything: only `min-replicas-to-write` makes the old one refuse.

use crate::clock;
use crate::crew::{Crew, Job};
use crate::outages::passes;
use crate::scene::{PAUSE_US, Span, WORKERS, load, recovered};
use crate::sentinel::Sentinel;
use crate::wire::Redis;
use crate::{alone, can_run};

/// A primary without a replica takes no writes.
const FENCED: &[&str] = &["--min-replicas-to-write", "1"];

async fn start(sentinel: &Sentinel, bound_ms: Option<u64>) -> Crew {
    let redis = Redis::Sentinel { url: sentinel.url(), name: sentinel.name() };
    let job = Job { bound_ms, pause_us: PAUSE_US, ..Job::default() };
    let mut crew = Crew::start(&job, vec![redis; WORKERS]).await;
    crew.order("go").await;
    load(500).await;
    crew
}

/// Once as planned, and once because its holder died.
async fn survives(title: &str, bound_ms: Option<u64>) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let sentinel = Sentinel::start(&[]).await;
    let crew = start(&sentinel, bound_ms).await;
    let begin = clock::now();
    sentinel.fail_over().await;
    sentinel.knows_both().await;
    let planned = recovered(&crew, "a Sentinel's planned failover", begin).await;
    let begin = clock::now();
    let primary = sentinel.primary().await;
    sentinel.servers[primary.expect("a primary")].kill9();
    sentinel.is_another(primary).await;
    let died = recovered(&crew, "kill -9 of the primary, behind a Sentinel", begin).await;
    passes(title, crew, &[planned, died], bound_ms).await;
}

/// One process connects anew while the other one still uses the old primary.
async fn survives_two_primaries(title: &str, bound_ms: Option<u64>, arguments: &[&str]) {
    if !can_run() {
        return;
    }
    let _alone = alone().await;
    let sentinel = Sentinel::start(arguments).await;
    let crew = start(&sentinel, bound_ms).await;
    let begin = clock::now();
    let old = sentinel.primary().await.expect("a primary");
    sentinel.fail_over().await;
    // Now it tells newcomers of the new one, too.
    load(1_500).await;
    let clients = ["CLIENT", "LIST", "TYPE", "normal"];
    let clients = sentinel.servers[old].command(&clients).await.to_string();
    let worker = clients.lines().find(|line| line.contains("cmd=evalsha"));
    let id = worker.and_then(|line| line.split_whitespace().next()?.strip_prefix("id="));
    // Where the old one refuses, all have left it.
    if let Some(id) = id {
        sentinel.servers[old].command(&["CLIENT", "KILL", "ID", id]).await;
    }
    sentinel.knows_both().await;
    let span: Span = recovered(&crew, "one process connects to the new primary", begin).await;
    passes(title, crew, &[span], bound_ms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_outlives_failovers() {
    survives("`Coherence::Strong`, behind a Sentinel", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounded_outlives_failovers() {
    survives("`Coherence::Bounded(200 ms)`, behind a Sentinel", Some(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_replaced_primary_takes_no_writes_two_primaries_do_no_harm() {
    survives_two_primaries("`Coherence::Strong`, min-replicas-to-write 1", None, FENCED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_primaries_do_no_harm() {
    survives_two_primaries("`Coherence::Strong`, two primaries", None, &[]).await;
}
