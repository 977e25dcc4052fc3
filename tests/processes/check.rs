//! Is each read what the database had at one moment, and was that moment late enough?

use std::fmt::Write;

use crate::clock::{MS, Moment};
use crate::history::{History, Promise, Row, Version};
use crate::wire::{Operation, Query, Seen, What};

/// A row's number, and its author unless it is not there.
type State = (i64, Option<i32>);

/// How many violations, and how many rows of each, are told in full.
const TOLD: usize = 2;

#[derive(Debug, Default)]
pub struct Verdict {
    pub reads: usize,
    pub hits: usize,
    /// Each in words.
    pub violations: Vec<String>,
    /// Reads that would be ones if what the store could not be told counted, too.
    pub excused: usize,
}

impl Verdict {
    /// The first violations, for a panic.
    pub fn text(&self) -> String {
        let first = self.violations.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
        format!("{} of {} reads are wrong:\n{first}", self.violations.len(), self.reads)
    }
}

pub fn check<'o>(
    history: &History,
    operations: impl IntoIterator<Item = &'o Operation>,
) -> Verdict {
    let mut verdict = Verdict::default();
    for did in operations {
        let What::Read(query, seen) = &did.what else { continue };
        verdict.reads += 1;
        verdict.hits += usize::from(did.hit);
        if fits(history, Promise::Strict, did, *query, seen) {
            continue;
        }
        if fits(history, Promise::Kept, did, *query, seen) {
            verdict.excused += 1;
        } else {
            verdict.violations.push(describe(history, did, *query, seen));
        }
    }
    verdict
}

/// Each row must be shown as one of the states that it may still be shown in; and all of them
/// together must have been there at one moment.
fn fits(history: &History, promise: Promise, did: &Operation, query: Query, seen: &Seen) -> bool {
    let error = history.clock_error;
    let span = (did.start.saturating_sub(error), did.end + error);
    let may_show = |id: i32| -> Vec<State> {
        let row = &history.rows[id as usize];
        let some = row.may_show(promise, did.worker, span).into_iter();
        some.map(|at| state(&row.versions[at])).collect()
    };
    if let (Query::Key(id), Seen::Rows(rows)) = (query, seen) {
        let shown = rows.first().map(|(_, author, n)| (*n, Some(*author)));
        return rows.len() <= 1
            && rows.iter().all(|row| row.0 == id)
            && may_show(id).iter().any(|(n, author)| match shown {
                Some(shown) => shown == (*n, *author),
                None => author.is_none(),
            });
    }
    if !is_in_order(query, seen) {
        return false;
    }
    let ids = 0..history.rows.len() as i32;
    let late_enough: Vec<_> = ids.map(may_show).collect();
    if !answers(query, seen, &late_enough) {
        return false;
    }
    // It is what was there until the first change that it does not show, or until its end.
    let changes = history.rows.iter().flat_map(|row| {
        let some = row.may_show(promise, did.worker, span).into_iter();
        some.map(|at| row.gone[at])
    });
    let mut moments: Vec<Moment> = changes.filter(|moment| *moment < span.1).collect();
    moments.push(span.1);
    moments.sort_unstable();
    moments.into_iter().rev().any(|moment| {
        let states = |row: &Row| row.at(moment, error).map(state).collect::<Vec<_>>();
        answers(query, seen, &history.rows.iter().map(states).collect::<Vec<_>>())
    })
}

fn state(version: &Version) -> State {
    (version.n, version.author)
}

fn is_in_order(query: Query, seen: &Seen) -> bool {
    let Seen::Rows(rows) = seen else { return true };
    match query {
        Query::Ranked(_) | Query::Top => rows.is_sorted_by_key(|(id, _, n)| (-*n, *id)),
        _ => rows.is_sorted_by_key(|(id, ..)| *id),
    }
}

/// May this be the answer while each row is in one of these states?
fn answers(query: Query, seen: &Seen, states: &[Vec<State>]) -> bool {
    match (query, seen) {
        (Query::Count(author), Seen::Count(count)) => {
            let mine = |state: &State| state.1 == Some(author);
            let least = states.iter().filter(|some| some.iter().all(mine)).count();
            let most = states.iter().filter(|some| some.iter().any(mine)).count();
            let none_is_impossible = states.iter().all(|some| !some.is_empty());
            none_is_impossible && (least..=most).contains(&(*count as usize))
        }
        (_, Seen::Rows(rows)) => {
            states.iter().zip(0..).all(|(some, id)| match rows.iter().find(|row| row.0 == id) {
                Some((_, author, n)) => some.contains(&(*n, Some(*author))),
                None => some.iter().any(|state| is_left_out(query, rows, id, *state)),
            })
        }
        _ => false,
    }
}

/// Is a row in this state none of those that the query asks for?
fn is_left_out(query: Query, rows: &[(i32, i32, i64)], id: i32, (n, author): State) -> bool {
    match query {
        Query::Top => {
            let last = rows.last().filter(|_| rows.len() == 3);
            author.is_none() || last.is_some_and(|(last, _, least)| (-n, id) > (-least, *last))
        }
        Query::Author(of) | Query::Ranked(of) => author != Some(of),
        Query::Key(_) | Query::Count(_) => true,
    }
}

fn describe(history: &History, did: &Operation, query: Query, seen: &Seen) -> String {
    let since = |moment: Moment| (moment as i128 - did.start as i128) as f64 / MS as f64;
    let mut text = format!(
        "process {} at {} ns, for {:.3} ms, {}: {query:?} gave {seen:?}",
        did.worker,
        did.start,
        since(did.end),
        if did.hit { "a hit" } else { "no hit" },
    );
    let span = (did.start, did.end);
    let mut told = 0;
    for (row, id) in history.rows.iter().zip(0..) {
        let may_show = row.may_show(Promise::Kept, did.worker, span);
        let fine = |at: &usize| match seen {
            Seen::Rows(rows) => match rows.iter().find(|row| row.0 == id) {
                Some((_, author, n)) => state(&row.versions[*at]) == (*n, Some(*author)),
                None => is_left_out(query, rows, id, state(&row.versions[*at])),
            },
            Seen::Count(_) => false,
        };
        let concerned = match query {
            Query::Key(key) => key == id,
            Query::Count(author) => row.versions.iter().any(|v| v.author == Some(author)),
            _ => true,
        };
        let wrong = concerned && !may_show.iter().any(fine);
        told += usize::from(wrong);
        if wrong && told <= TOLD {
            describe_row(&mut text, row, id, &may_show, did.start);
        }
    }
    if told == 0 {
        text += "\n  each row for itself may be so, but they never were at one moment";
    }
    text
}

fn describe_row(text: &mut String, row: &Row, id: i32, may_show: &[usize], start: Moment) {
    let since = |moment: Moment| (moment as i128 - start as i128) as f64 / MS as f64;
    let _ = write!(text, "\n  book {id} should be one of {may_show:?}");
    let first = may_show.first().copied().unwrap_or(0);
    for (at, version) in row.versions.iter().enumerate().skip(first.saturating_sub(3)).take(5) {
        let Version { n, author, writer, .. } = version;
        let _ = write!(
            text,
            "\n    [{at}] n = {n}, author {author:?}, by process {writer}: sent at {:.3} ms, \
             acknowledged at {:.3} ms, others told at {:.3} ms",
            since(version.begun),
            since(version.acknowledged),
            since(version.told),
        );
    }
}
