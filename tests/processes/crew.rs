//! The workers of one run, as their parent sees them.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::{self, MS, Moment};
use crate::setting;
use crate::shelf::{self, TASKS};
use crate::support::servers::{Backend, TestDb};
use crate::wire::{Line, Notice, Operation, ROLE, Redis, Setup, Summary, What};

/// For what does not take long.
const PATIENCE: Duration = Duration::from_secs(30);

/// In nanoseconds: longer than any operation takes when nothing is broken.
const SLOW: u64 = 150 * MS;

/// What the workers told.
#[derive(Default)]
pub struct Told {
    ready: usize,
    pub did: Vec<Operation>,
    /// Each worker's, in their order.
    pub heard: Vec<Vec<(Moment, Notice)>>,
    pub over: Vec<Option<Summary>>,
    /// When each worker's last hit began.
    pub last_hit: Vec<Moment>,
    /// How many operations each task has done without a slow one.
    pub quick: Vec<[u32; TASKS]>,
}

pub struct Crew {
    /// Dropped at the end.
    _database: TestDb,
    pub told: Arc<Mutex<Told>>,
    /// Moves whenever something is told.
    news: watch::Receiver<u64>,
    orders: Vec<OwnedWriteHalf>,
    listening: Vec<JoinHandle<()>>,
    children: Vec<Child>,
}

/// What all workers have in common.
#[derive(Debug, Clone)]
pub struct Job {
    pub bound_ms: Option<u64>,
    pub fault: Option<String>,
    pub seed: u64,
    pub operations: u64,
    /// Of eight operations, those of the first worker and of the others.
    pub writes: [u8; 2],
    pub pause_us: u64,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            bound_ms: None,
            fault: None,
            seed: setting("PROCESSES_SEED", 1),
            operations: u64::MAX,
            writes: [1, 1],
            pause_us: 0,
        }
    }
}

impl Crew {
    /// Starts one worker for each way to reach Redis; they are ready, and wait.
    pub async fn start(job: &Job, redis: Vec<Redis>) -> Self {
        clock::now();
        let workers = redis.len();
        let database = TestDb::new(Backend::Postgres).await;
        let pool = database.pool(1).await;
        shelf::set_up(&pool, workers).await;
        pool.close().await.expect("closed");

        let told = Told {
            heard: vec![Vec::new(); workers],
            over: vec![None; workers],
            last_hit: vec![0; workers],
            quick: vec![[0; TASKS]; workers],
            ..Told::default()
        };
        let told = Arc::new(Mutex::new(told));
        let (tell, news) = watch::channel(0);
        let tell = Arc::new(tell);
        let (mut children, mut orders, mut listening) = (Vec::new(), Vec::new(), Vec::new());
        for (worker, redis) in redis.into_iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let setup = Setup {
                parent: listener.local_addr().expect("an address").port(),
                worker,
                workers,
                database: database.url(),
                redis,
                bound_ms: job.bound_ms,
                fault: job.fault.clone(),
                seed: job.seed,
                operations: job.operations,
                writes: job.writes[worker.min(1)],
                pause_us: job.pause_us,
            };
            children.push(spawn(&setup));
            let accepted = timeout(PATIENCE, listener.accept()).await;
            let (from, to) = accepted.expect("a worker").expect("a worker").0.into_split();
            orders.push(to);
            listening.push(tokio::spawn(listen(worker, from, told.clone(), tell.clone())));
        }
        let crew = Self { _database: database, told, news, orders, listening, children };
        assert!(crew.until(PATIENCE, |told| told.ready == workers).await, "the workers start");
        crew
    }

    pub async fn order(&mut self, order: &str) {
        for worker in &mut self.orders {
            // One that is done may be gone.
            let _ = worker.write_all(format!("{order}\n").as_bytes()).await;
        }
    }

    /// Waits until what was told is so; `false` if it takes too long.
    pub async fn until(&self, longest: Duration, is_so: impl Fn(&Told) -> bool) -> bool {
        let mut news = self.news.clone();
        let look = |_: &u64| is_so(&self.told.lock().expect("what was told"));
        timeout(longest, news.wait_for(look)).await.is_ok_and(|told| told.is_ok())
    }

    /// Waits until each worker is done. What they did, what they heard, and their last words.
    pub async fn end(mut self, longest: Duration) -> Told {
        for listening in std::mem::take(&mut self.listening) {
            timeout(longest, listening).await.expect("the workers end").expect("a listener");
        }
        for child in &mut self.children {
            let status = timeout(PATIENCE, child.wait()).await.expect("its end").expect("a child");
            assert!(status.success(), "a worker failed: {status}");
        }
        std::mem::take(&mut *self.told.lock().expect("what was told"))
    }
}

fn spawn(setup: &Setup) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["worker::worker", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, serde_json::to_string(setup).expect("JSON"));
    // What it panics with is worth reading; that one test passed is not.
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("a worker")
}

/// Takes in what one worker tells, until it ends.
async fn listen(
    worker: usize,
    from: OwnedReadHalf,
    told: Arc<Mutex<Told>>,
    news: Arc<watch::Sender<u64>>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = serde_json::from_str(&line).expect("a line");
        take_in(worker, line, &mut told.lock().expect("what was told"));
        news.send_modify(|count| *count += 1);
    }
}

fn take_in(worker: usize, line: Line, told: &mut Told) {
    match line {
        Line::Ready => told.ready += 1,
        Line::Did(operation) => {
            if operation.hit && matches!(operation.what, What::Read(..)) {
                told.last_hit[worker] = told.last_hit[worker].max(operation.start);
            }
            let quick = &mut told.quick[worker][operation.task];
            *quick = if operation.end - operation.start < SLOW { *quick + 1 } else { 0 };
            told.did.push(operation);
        }
        Line::Heard { at, notice } => told.heard[worker].push((at, notice)),
        Line::Over(summary) => told.over[worker] = Some(summary),
    }
}
