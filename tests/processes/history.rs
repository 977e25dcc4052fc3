//! What was written, and which states of a row a read may show.

use std::collections::HashMap;

use crate::clock::{MS, Moment, NEVER};
use crate::crew::Told;
use crate::wire::{Notice, What};

/// A state of a row, and the write that brought it about.
#[derive(Debug, Clone)]
pub struct Version {
    pub n: i64,
    /// `None`: there is no such row.
    pub author: Option<i32>,
    pub begun: Moment,
    pub acknowledged: Moment,
    pub writer: usize,
    /// From when on the other processes' store knows of it; that is the acknowledgement, unless
    /// that came without.
    pub told: Moment,
}

/// All states of one row, in their order, and what follows from it.
#[derive(Debug)]
pub struct Row {
    pub versions: Vec<Version>,
    /// From when on a read must not show it: for each reader, and for each version.
    stale_from: Vec<Vec<Moment>>,
    /// The same if each acknowledgement counted as told.
    strictly_from: Vec<Vec<Moment>>,
    /// When it was overwritten for certain.
    pub gone: Vec<Moment>,
    /// No later version was begun before.
    next_begun: Vec<Moment>,
}

pub struct History {
    pub rows: Vec<Row>,
    pub clock_error: u64,
}

/// What a read may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing that was overwritten before, as far as the other processes could be told.
    Kept,
    /// Not even what they could not be told of.
    Strict,
}

impl History {
    /// `bound_ms`: how far behind other processes' writes a read may be.
    pub fn new(told: &Told, books: i32, authors: i32, bound_ms: Option<u64>) -> Self {
        let first = |id| Version {
            n: 0,
            author: Some(id % authors),
            begun: 0,
            acknowledged: 0,
            writer: usize::MAX,
            told: 0,
        };
        let mut all: Vec<Vec<Version>> = (0..books).map(|id| vec![first(id)]).collect();
        for did in &told.did {
            let What::Wrote(states) = &did.what else { continue };
            for state in states {
                all[state.id as usize].push(Version {
                    n: state.n,
                    author: state.author,
                    begun: did.start,
                    acknowledged: did.end,
                    writer: did.worker,
                    told: did
                        .undelivered
                        .map_or(did.end, |at| back(&told.heard[did.worker], at).max(did.end)),
                });
            }
        }
        let (workers, bound) = (told.heard.len(), bound_ms.unwrap_or(0) * MS);
        let rows = all.into_iter().map(|versions| Row::new(versions, workers, bound)).collect();
        // Two of them are compared.
        let errors = told.over.iter().map(|over| over.as_ref().map_or(0, |over| over.clock_error));
        Self { rows, clock_error: 2 * errors.max().unwrap_or(0) }
    }
}

/// When the store was back that could not be told at this moment.
fn back(heard: &[(Moment, Notice)], undelivered: Moment) -> Moment {
    let away = |at: Moment| {
        heard
            .iter()
            .filter(|(when, notice)| *when <= at && matches!(notice, Notice::Away(_)))
            .count()
    };
    let aways = away(undelivered);
    let mut backs = heard.iter().filter(|(_, notice)| *notice == Notice::Back);
    // It came back as often as it went away until then.
    let back = backs.nth(aways.saturating_sub(1)).map_or(NEVER, |(at, _)| *at);
    // If that was before, one was told late: it is the next one.
    if back >= undelivered { back } else { backs.next().map_or(NEVER, |(at, _)| *at) }
}

impl Row {
    fn new(mut versions: Vec<Version>, workers: usize, bound: u64) -> Self {
        versions.sort_by_key(|version| version.n);
        for pair in versions.windows(2) {
            assert!(pair[0].n < pair[1].n, "two writes made one state: {pair:?}");
            assert!(pair[0].begun <= pair[1].acknowledged, "written out of order: {pair:?}");
        }
        let of = |reader: usize, from: fn(&Version) -> Moment| {
            after(&versions, |version| match version.writer == reader || version.n == 0 {
                true => version.acknowledged,
                false => from(version).saturating_add(bound),
            })
        };
        Self {
            stale_from: (0..workers).map(|reader| of(reader, |version| version.told)).collect(),
            strictly_from: (0..workers).map(|reader| of(reader, |v| v.acknowledged)).collect(),
            gone: after(&versions, |version| version.acknowledged),
            next_begun: after(&versions, |version| version.begun),
            versions,
        }
    }

    /// Which versions a read of this process may show that lasted from `start` to `end`.
    pub fn may_show(
        &self,
        promise: Promise,
        reader: usize,
        (start, end): (Moment, Moment),
    ) -> Vec<usize> {
        let from = match promise {
            Promise::Kept => &self.stale_from[reader],
            Promise::Strict => &self.strictly_from[reader],
        };
        let first = from.partition_point(|stale_from| *stale_from < start);
        let mut some = Vec::new();
        for (position, version) in self.versions.iter().enumerate().skip(first) {
            if version.begun <= end {
                some.push(position);
            }
            if self.next_begun[position] > end {
                break;
            }
        }
        some
    }

    /// Those that the database may have shown at this moment.
    pub fn at(&self, moment: Moment, error: u64) -> impl Iterator<Item = &Version> {
        let first = self.gone.partition_point(|gone| gone.saturating_add(error) < moment);
        let last = self.next_begun.partition_point(|begun| *begun <= moment + error);
        let there = self.versions[first..self.versions.len().min(last + 1)].iter();
        there.filter(move |version| version.begun <= moment + error)
    }
}

/// For each version the earliest of what the later ones have.
fn after(versions: &[Version], of: impl Fn(&Version) -> Moment) -> Vec<Moment> {
    let mut earliest = NEVER;
    let mut all: Vec<_> = versions
        .iter()
        .rev()
        .map(|version| {
            let after = earliest;
            earliest = earliest.min(of(version));
            after
        })
        .collect();
    all.reverse();
    all
}

/// How often each worker's hits showed a state that it had never read from the database: it came
/// from the store.
pub fn from_the_store(told: &Told) -> Vec<usize> {
    use crate::wire::{Query, Seen};
    type State = (i32, i32, i64);
    let mut first: HashMap<(usize, State), (Moment, bool)> = HashMap::new();
    for did in &told.did {
        let What::Read(query, Seen::Rows(rows)) = &did.what else { continue };
        let by_key = matches!(query, Query::Key(_));
        for row in rows {
            let seen = first.entry((did.worker, *row)).or_insert((did.start, did.hit && by_key));
            if did.start < seen.0 {
                *seen = (did.start, did.hit && by_key);
            }
        }
    }
    let mut counts = vec![0; told.heard.len()];
    for ((worker, _), (_, hit)) in first {
        counts[worker] += usize::from(hit);
    }
    counts
}
