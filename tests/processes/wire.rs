//! What the parent and its workers tell each other, one JSON line each.

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// In its environment a worker finds its [`Setup`].
pub const ROLE: &str = "PROCESSES_WORKER";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The parent listens there.
    pub parent: u16,
    pub worker: usize,
    pub workers: usize,
    pub database: String,
    pub redis: Redis,
    /// `None`: strong.
    pub bound_ms: Option<u64>,
    /// The name of a rule of the cache that is broken in this process.
    pub fault: Option<String>,
    pub seed: u64,
    /// Of each task.
    pub operations: u64,
    /// So many of eight operations are writes.
    pub writes: u8,
    /// Between two operations, on average.
    pub pause_us: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Redis {
    Server(String),
    Sentinel { url: String, name: String },
}

/// From a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Line {
    Ready,
    Did(Operation),
    Heard { at: Moment, notice: Notice },
    Over(Summary),
}

/// What the cache told of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    Away(String),
    Back,
    ChannelLost,
    Error(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operation {
    pub worker: usize,
    pub task: usize,
    pub start: Moment,
    pub end: Moment,
    /// An entry answered.
    pub hit: bool,
    /// The write was acknowledged although the store was not told; and when that was known.
    pub undelivered: Option<Moment>,
    pub what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum What {
    Read(Query, Seen),
    /// The states that the rows have from now on.
    Wrote(Vec<State>),
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Query {
    Key(i32),
    /// An author's books by their keys.
    Author(i32),
    /// The same by their numbers.
    Ranked(i32),
    /// The three largest numbers.
    Top,
    Count(i32),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Key, author, number.
    Rows(Vec<(i32, i32, i64)>),
    Count(u64),
}

/// One of the states that a row goes through; their numbers grow, and none comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub id: i32,
    pub n: i64,
    /// `None`: there is no such row.
    pub author: Option<i32>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    pub hits: u64,
    pub misses: u64,
    pub fills: u64,
    pub refused: u64,
    pub bypassed: u64,
    pub clock_error: u64,
}
