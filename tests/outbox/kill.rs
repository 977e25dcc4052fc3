//! A process is killed at each step of a write, and under load at any moment: what it committed is
//! known to the others no later than the bound allows.
//!
//! `KILL_ROUNDS` sets how often one is killed under load (default 4).

use std::process::Stdio;
use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_cache::fault::{Fault, set};
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{OutboxConfig, QueryCache};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::gate::Gate;
use crate::support::servers::{Backend, connect};
use crate::world::{World, number, price, run};

/// A part of a statement's text, and whether the process dies after it rather than before.
const STEPS: [(&str, bool); 6] = [
    ("UPDATE book", false),
    ("UPDATE book", true),
    ("INSERT INTO sea_orm_cache_outbox", false),
    ("INSERT INTO sea_orm_cache_outbox", true),
    ("COMMIT", false),
    ("COMMIT", true),
];

/// Only what a transaction notes itself is there to be heard.
async fn world(backend: Backend) -> World {
    let world = World::new(backend).await;
    let outbox = sea_orm_cache::Outbox::default();
    outbox.unwatch(&world.other, ["author", "book", "review"]).await.expect("no triggers");
    world
}

async fn worker(world: &World, what: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kill::a_worker", "--nocapture"])
        .env("KILL_WORKER", what)
        .env("KILL_URL", worker_url(world).await)
        .env("KILL_PREFIX", &world.file.name)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a worker")
}

/// What a worker does; in the tests' own process, nothing.
#[tokio::test]
async fn a_worker() {
    let Ok(what) = std::env::var("KILL_WORKER") else { return };
    let url = std::env::var("KILL_URL").expect("a database");
    let prefix = std::env::var("KILL_PREFIX").expect("a prefix");
    let redis = RedisConfig::new(std::env::var("REDIS_URL").expect("a Redis"));
    let builder = QueryCache::builder().prefix(&prefix).redis(redis).outbox(durable());
    let cache = builder.build().await.expect("a cache");
    let gate = Gate::new(connect(&url, 4).await);
    let db = cache.connect(gate.clone()).await.expect("a connection");
    if let Some(step) = what.strip_prefix("step ") {
        let (number, fault) = step.split_once(' ').expect("a step");
        let (text, after) = STEPS[number.parse::<usize>().expect("a number")];
        if fault == "fault" {
            set(Fault::OwesNothing);
        }
        let die = async { std::process::abort() };
        if after {
            gate.after(text, die)
        } else {
            gate.before(text, die)
        }
        let _ = db.execute_unprepared("UPDATE book SET price = 500 WHERE id = 1").await;
        println!("survived");
        return;
    }
    let write = |task: i32| {
        let db = db.clone();
        async move {
            for price in 1..20_000 {
                let (id, sql) = (1 + (task + price) % 5, "UPDATE book SET price =");
                let sql = format!("{sql} {} WHERE id = {id}", task * 100_000 + price);
                // Some fail, where the database refuses one of two.
                let done = match price % 2 {
                    0 => db.execute_unprepared(&sql).await.is_ok(),
                    _ => {
                        let transaction = db.begin().await.expect("begun");
                        let done = transaction.execute_unprepared(&sql).await.is_ok();
                        done && transaction.commit().await.is_ok()
                    }
                };
                if done {
                    println!("wrote");
                }
            }
        }
    };
    let tasks = [0, 1, 2].map(|task| tokio::spawn(write(task)));
    for task in tasks {
        task.await.expect("done");
    }
}

fn durable() -> OutboxConfig {
    OutboxConfig::new().durable_bumps()
}

/// As which a worker's sessions are known to the server.
const KILLED: &str = "killed";

async fn worker_url(world: &World) -> String {
    let url = world.file.url();
    match world.file.backend {
        Backend::Sqlite => url,
        Backend::Postgres => format!("{url}?application_name={KILLED}"),
        Backend::MySql => {
            run(&world.other, &format!("CREATE USER IF NOT EXISTS {KILLED}@'%'")).await;
            run(&world.other, &format!("GRANT ALL ON *.* TO {KILLED}@'%'")).await;
            url.replace("root@", &format!("{KILLED}@"))
        }
    }
}

/// Its sessions are over, so that nothing of it is committed any more.
async fn is_over(world: &World, mut child: Child) {
    child.wait().await.expect("its end");
    let sql = match world.file.backend {
        Backend::Sqlite => return,
        Backend::Postgres => {
            format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = '{KILLED}'"
            )
        }
        Backend::MySql => {
            format!(
                "SELECT CAST(count(*) AS SIGNED) FROM information_schema.processlist \
                 WHERE db = DATABASE() AND user = '{KILLED}'"
            )
        }
    };
    let over = async {
        while number(&world.other, &sql).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.expect("the end of its sessions");
}

/// What the cache says and what is there, for each book.
async fn compare(world: &World, db: &sea_orm_cache::CachedConnection) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for id in 1..=5 {
        let fresh = format!(
            "SELECT CAST(price AS {}) FROM book WHERE id = {id}",
            match world.file.backend {
                Backend::MySql => "SIGNED",
                _ => "BIGINT",
            }
        );
        all.push((price(db, id).await.into(), number(&world.other, &fresh).await));
    }
    all
}

fn redis() -> Option<String> {
    let url = std::env::var("REDIS_URL").ok();
    assert!(url.is_some() || std::env::var("REQUIRE_SERVERS").is_err(), "REDIS_URL is not set");
    url
}

#[tokio::test]
async fn whichever_step_a_process_dies_at_what_it_committed_is_heard() {
    let Some(url) = redis() else { return };
    for backend in Backend::reachable() {
        for (number, step) in STEPS.iter().enumerate() {
            let world = world(backend).await;
            let (_cache, db) = world.sharing(durable(), &world.file.name, &url).await;
            compare(&world, &db).await;
            is_over(&world, worker(&world, &format!("step {number} whole")).await).await;
            db.catch_up().await.expect("heard");
            let all = compare(&world, &db).await;
            assert!(
                all.iter().all(|(cached, fresh)| cached == fresh),
                "{backend:?} {step:?}: {all:?}"
            );
            let committed = *step == ("COMMIT", true);
            assert_eq!(all[0].1 == 500, committed, "{backend:?} {step:?}: it died where it should");
        }
    }
}

#[tokio::test]
async fn without_a_note_of_what_is_owed_a_death_after_the_commit_leaves_others_stale() {
    let Some(url) = redis() else { return };
    for backend in Backend::reachable() {
        let world = world(backend).await;
        let (_cache, db) = world.sharing(durable(), &world.file.name, &url).await;
        compare(&world, &db).await;
        is_over(&world, worker(&world, "step 5 fault").await).await;
        db.catch_up().await.expect("heard");
        let all = compare(&world, &db).await;
        assert_eq!(all[0], (100, 500), "{backend:?}: the test would not notice");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_under_load_leaves_nothing_stale() {
    let Some(url) = redis() else { return };
    let rounds = std::env::var("KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let mut rng = fastrand::Rng::with_seed(1);
    for backend in Backend::reachable() {
        let world = world(backend).await;
        let (_cache, db) = world.sharing(durable(), &world.file.name, &url).await;
        for round in 0..rounds {
            let mut child = worker(&world, "load").await;
            let output = child.stdout.take().expect("its output");
            let mut lines = BufReader::new(output).lines();
            let mut left = rng.u32(1..200);
            while left > 0 {
                let line = lines.next_line().await.expect("a line");
                let line = line.unwrap_or_else(|| panic!("{backend:?}: it ended by itself"));
                left -= u32::from(line == "wrote");
                // Somebody reads all the while.
                price(&db, 1 + (left % 5) as i32).await;
            }
            child.start_kill().expect("killed");
            is_over(&world, child).await;
            db.catch_up().await.expect("heard");
            let all = compare(&world, &db).await;
            assert!(
                all.iter().all(|(cached, fresh)| cached == fresh),
                "{backend:?} {round}: {all:?}"
            );
        }
        run(&world.other, "SELECT 1").await;
    }
}
