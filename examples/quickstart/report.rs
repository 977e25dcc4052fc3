//! What was measured, in tables that a person can read.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, CellAlignment, Table};
use hdrhistogram::Histogram;

use crate::reads::{Asked, READS};
use crate::writes::WRITES;

pub struct Report {
    reads: Vec<Reads>,
    writes: Vec<Writes>,
}

struct Reads {
    uncached: Histogram<u64>,
    cached: Histogram<u64>,
    hits: u64,
    wrong: u64,
}

#[derive(Default, Clone)]
struct Writes {
    count: u64,
    sampled: u64,
    valid: usize,
    ended: usize,
    most: usize,
}

impl Report {
    pub fn new() -> Self {
        // Nanoseconds up to ten seconds, to two digits.
        let histogram = || Histogram::new_with_max(10_000_000_000, 2).expect("valid bounds");
        let reads = || Reads { uncached: histogram(), cached: histogram(), hits: 0, wrong: 0 };
        let reads = READS.iter().map(|_| reads()).collect();
        Self { reads, writes: vec![Writes::default(); WRITES.len()] }
    }

    pub fn read(&mut self, kind: usize, asked: &Asked) {
        let reads = &mut self.reads[kind];
        reads.uncached.saturating_record(asked.uncached.as_nanos() as u64);
        reads.cached.saturating_record(asked.cached.as_nanos() as u64);
        reads.hits += u64::from(asked.hit);
        reads.wrong += u64::from(!asked.same);
    }

    /// `valid`: how many answers the cache knew before and after; `None` if nobody counted.
    pub fn write(&mut self, kind: usize, valid: Option<(usize, usize)>) {
        let writes = &mut self.writes[kind];
        writes.count += 1;
        if let Some((before, after)) = valid {
            writes.sampled += 1;
            writes.valid += before;
            writes.ended += before - after;
            writes.most = writes.most.max(before - after);
        }
    }

    pub fn wrong(&self) -> u64 {
        self.reads.iter().map(|reads| reads.wrong).sum()
    }

    pub fn answers(&self) -> u64 {
        self.reads.iter().map(|reads| reads.cached.len()).sum()
    }

    pub fn hits(&self) -> u64 {
        self.reads.iter().map(|reads| reads.hits).sum()
    }

    pub fn reads_table(&self) -> Table {
        let mut table = table(&[
            "reading",
            "times",
            "from the cache",
            "database: usual",
            "slow",
            "with cache: usual",
            "slow",
        ]);
        for ((_, name, _), reads) in READS.iter().zip(&self.reads) {
            let at = |histogram: &Histogram<u64>, percent| {
                time(Duration::from_nanos(histogram.value_at_percentile(percent)))
            };
            row(
                &mut table,
                name,
                [
                    reads.cached.len().to_string(),
                    percent(reads.hits as f64, reads.cached.len() as f64),
                    at(&reads.uncached, 50.0),
                    at(&reads.uncached, 99.0),
                    at(&reads.cached, 50.0),
                    at(&reads.cached, 99.0),
                ],
            );
        }
        table
    }

    pub fn writes_table(&self) -> Table {
        let mut table = table(&["writing", "times", "answers dropped: average", "most", "kept"]);
        for ((_, name, _), writes) in WRITES.iter().zip(&self.writes) {
            let average = writes.ended as f64 / writes.sampled.max(1) as f64;
            row(
                &mut table,
                name,
                [
                    writes.count.to_string(),
                    format!("{average:.1}"),
                    writes.most.to_string(),
                    percent((writes.valid - writes.ended) as f64, writes.valid as f64),
                ],
            );
        }
        table
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header(header);
    table
}

fn row<const N: usize>(table: &mut Table, name: &str, cells: [String; N]) {
    let right = |text| Cell::new(text).set_alignment(CellAlignment::Right);
    table.add_row([Cell::new(name)].into_iter().chain(cells.into_iter().map(right)));
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.1} %", 100.0 * part / whole.max(1.0))
}

fn time(time: Duration) -> String {
    match time.as_micros() {
        0..10_000 => format!("{} µs", time.as_micros()),
        _ => format!("{} ms", time.as_millis()),
    }
}
