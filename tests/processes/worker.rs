//! One of the processes: a cache of its own, and some tasks that read and write through it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm_cache::fault::{self, Fault};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Coherence, Event};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::{self, Moment};
use crate::reads::read;
use crate::shelf::TASKS;
use crate::support::servers::connect;
use crate::wire::{Line, Notice, Operation, ROLE, Redis, Setup, Summary, What};
use crate::writes::Writer;

/// The rules that may be broken from outside.
const FAULTS: &[Fault] = &[
    Fault::NoConfirmation,
    Fault::IgnoreSilence,
    Fault::KeepAfterSilence,
    Fault::NoGuardInStore,
    Fault::OneLocalBump,
    Fault::PromoteUnchecked,
    Fault::MessagesNotLogged,
    Fault::TrustWhileAway,
];

tokio::task_local! {
    /// What the cache tells about the operation under way: did an entry answer, and when was it
    /// known that the store was not told?
    static TOLD: Cell<(bool, Option<Moment>)>;
}

/// Does nothing unless this process was started as a worker.
#[test]
fn worker() {
    let Ok(setup) = std::env::var(ROLE) else { return };
    let setup: Setup = serde_json::from_str(&setup).expect("a setup");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work(setup));
}

async fn work(setup: Setup) {
    clock::now();
    let broken = FAULTS.iter().find(|fault| setup.fault == Some(format!("{fault:?}")));
    assert_eq!(broken.is_some(), setup.fault.is_some(), "no such fault: {:?}", setup.fault);
    fault::set(broken.copied().unwrap_or(Fault::None));

    let parent = TcpStream::connect(("127.0.0.1", setup.parent)).await.expect("the parent");
    let (orders, to_parent) = parent.into_split();
    let mut orders = BufReader::new(orders).lines();
    let (say, said) = unbounded_channel();
    let telling = tokio::spawn(tell(said, to_parent));

    let cache = cache(&setup, say.clone()).await;
    let pool = connect(&setup.database, 8).await;
    let db = cache.connect(pool).await.expect("a connection");
    let _ = say.send(Line::Ready);
    assert_eq!(orders.next_line().await.expect("an order").as_deref(), Some("go"));

    let stopped = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (db, say, stopped) = (db.clone(), say.clone(), stopped.clone());
        tasks.spawn(run(setup.clone(), task, db, say, stopped));
    }
    let stop = async {
        // A parent that is gone needs no answers.
        if orders.next_line().await.ok().flatten().is_none() {
            std::process::exit(1);
        }
        stopped.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stop => {}
        () = async { while let Some(ended) = tasks.join_next().await { ended.expect("a task"); } } => {}
    }
    let stats = cache.stats().total;
    let _ = say.send(Line::Over(Summary {
        hits: stats.hits,
        misses: stats.misses,
        fills: stats.fills,
        refused: stats.refused,
        bypassed: stats.bypassed,
        clock_error: clock::error(),
    }));
    // The cache's observer holds one more end of the channel.
    drop((db, cache, say));
    telling.await.expect("all was told");
}

async fn cache(setup: &Setup, say: UnboundedSender<Line>) -> QueryCache {
    let redis = match &setup.redis {
        Redis::Server(url) => RedisConfig::new(url),
        Redis::Sentinel { url, name } => RedisConfig::sentinel([url], name),
    };
    let coherence = match setup.bound_ms {
        None => Coherence::Strong,
        Some(bound) => Coherence::Bounded(Duration::from_millis(bound)),
    };
    let builder = QueryCache::builder().prefix("processes").redis(redis).coherence(coherence);
    builder.observer(move |event: &Event<'_>| hear(event, &say)).build().await.expect("a cache")
}

fn hear(event: &Event<'_>, say: &UnboundedSender<Line>) {
    let notice = match event {
        Event::Hit { .. } => {
            let _ = TOLD.try_with(|told| told.set((true, told.get().1)));
            return;
        }
        Event::Undelivered { .. } => {
            let _ = TOLD.try_with(|told| told.set((told.get().0, Some(clock::now()))));
            return;
        }
        Event::StoreAway { error } => Notice::Away(error.to_string()),
        Event::StoreBack => Notice::Back,
        Event::ChannelLost => Notice::ChannelLost,
        Event::StoreError { error } => Notice::Error(error.to_string()),
        _ => return,
    };
    let _ = say.send(Line::Heard { at: clock::now(), notice });
}

/// Passes lines on, many at a time.
async fn tell(mut said: UnboundedReceiver<Line>, mut parent: tokio::net::tcp::OwnedWriteHalf) {
    let mut lines = Vec::new();
    while said.recv_many(&mut lines, 256).await > 0 {
        let over = matches!(lines.last(), Some(Line::Over(_)));
        let line = |line: Line| serde_json::to_string(&line).expect("JSON") + "\n";
        let text: String = lines.drain(..).map(line).collect();
        if parent.write_all(text.as_bytes()).await.is_err() || over {
            return;
        }
    }
}

/// One task's operations.
async fn run(
    setup: Setup,
    task: usize,
    db: CachedConnection,
    say: UnboundedSender<Line>,
    stopped: Arc<AtomicBool>,
) {
    let number = (setup.worker * TASKS + task) as u64;
    let mut rng = fastrand::Rng::with_seed(setup.seed.wrapping_mul(1_000) + number);
    let mut writer = Writer::new(&setup, task);
    for _ in 0..setup.operations {
        if stopped.load(Ordering::SeqCst) {
            break;
        }
        let start = clock::now();
        let operation = async {
            let what = if rng.u8(0..8) < setup.writes {
                writer.write(&db, &mut rng).await.map(What::Wrote)
            } else {
                read(&db, &mut rng).await.map(|(query, seen)| What::Read(query, seen))
            };
            (what, TOLD.with(Cell::get))
        };
        let (what, (hit, undelivered)) = TOLD.scope(Cell::default(), operation).await;
        let end = clock::now();
        let what = what.unwrap_or_else(|error| What::Failed(error.to_string()));
        let worker = setup.worker;
        let _ = say.send(Line::Did(Operation { worker, task, start, end, hit, undelivered, what }));
        if setup.pause_us > 0 {
            // Not for correctness: so that the machine is not all that is measured.
            tokio::time::sleep(Duration::from_micros(rng.u64(0..2 * setup.pause_us))).await;
        }
    }
}
