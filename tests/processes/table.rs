//! What users saw of each outage, as a table.

use std::time::Duration;

use crate::check::check;
use crate::clock::{MS, Moment};
use crate::crew::Told;
use crate::history::History;
use crate::scene::Span;
use crate::wire::{Notice, Operation, What};

pub struct Line {
    pub what: String,
    pub stale: usize,
    pub failed: usize,
    cells: String,
}

/// What happened between a span's begin and the next one's.
pub fn lines(told: &Told, history: &History, spans: &[Span]) -> Vec<Line> {
    let until = spans.iter().skip(1).map(|next| next.begin).chain([Moment::MAX]);
    spans.iter().zip(until).map(|(span, until)| line(told, history, span, until)).collect()
}

fn line(told: &Told, history: &History, span: &Span, until: Moment) -> Line {
    let within = |from: Moment, to: Moment| {
        told.did.iter().filter(move |did| (from..to).contains(&did.start))
    };
    let verdict = check(history, within(span.begin, until));
    verdict.violations.iter().take(2).for_each(|text| println!("{}: {text}", span.what));
    let reads = |from, to| {
        within(from, to).filter(|did| matches!(did.what, What::Read(..))).collect::<Vec<_>>()
    };
    let broken = reads(span.begin, span.end);
    // Those that began before it, too.
    let felt = |did: &&Operation| {
        did.end > span.begin && did.start < span.well && matches!(did.what, What::Read(..))
    };
    let mut times: Vec<u64> = told.did.iter().filter(felt).map(|did| did.end - did.start).collect();
    times.sort_unstable();
    let worst = times.last().copied().unwrap_or(0);
    let most = times.get(times.len() * 99 / 100).copied().unwrap_or(0);
    let rate =
        |some: &[&Operation]| 100 * some.iter().filter(|did| did.hit).count() / some.len().max(1);
    let hits_again = (0..told.heard.len()).map(|worker| {
        let hit = |did: &&Operation| did.worker == worker && did.hit;
        within(span.end, until).filter(hit).map(|did| did.start - span.end).min()
    });
    let back = told.heard.iter().flatten().filter_map(|(at, notice)| {
        let is = *notice == Notice::Back && (span.begin..until).contains(at);
        is.then(|| at.saturating_sub(span.end))
    });
    let failed = within(span.begin, until).filter(|did| matches!(did.what, What::Failed(_)));
    let failed = failed.count();
    let cells = format!(
        "{} | {} | {} | {} | {} | {} | {} | {} | {} %",
        ms(span.end - span.begin),
        verdict.reads,
        back.max().map_or("-".into(), ms),
        hits_again.max().flatten().map_or("never".into(), ms),
        ms(span.well - span.end),
        ms(most),
        ms(worst),
        verdict.excused,
        rate(&broken),
    );
    let Span { what, .. } = span.clone();
    Line { what, stale: verdict.violations.len(), failed, cells }
}

fn ms(nanoseconds: u64) -> String {
    format!("{} ms", Duration::from_nanos(nanoseconds + MS / 2).as_millis())
}

/// In Markdown.
pub fn print(title: &str, lines: &[Line]) {
    println!("\n{title}\n");
    println!(
        "| outage | stale | failed | lasted | reads | store back | first hit again | as before | \
         99% of reads within | slowest read | behind undelivered writes | hits meanwhile |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for Line { what, stale, failed, cells, .. } in lines {
        println!("| {what} | {stale} | {failed} | {cells} |");
    }
    println!();
}
