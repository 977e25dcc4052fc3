//! Breaks one rule of the design at a time and shows that the tests notice: the referee on random
//! schemas, or the one race in which the rule matters. What only shows in an interleaving inside
//! the memory tier is in `src/interleavings.rs`, what only shows in the protocol's order in
//! `protocol_model`.
#![cfg(feature = "__mutation")]

mod referee;
mod scenarios;
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm_cache::fault::{Fault, set};
use support::servers::Backend;

/// Seeds that the referee may use up for one broken rule.
const SEEDS: std::ops::Range<u64> = 1..400;
const PER_SEED: usize = 250;

/// Rules that the referee's single task shows to be broken.
const BY_REFEREE: &[Fault] = &[
    Fault::WriterDropsWhole,
    Fault::WriterDropsRow,
    Fault::WriterDropsAnyRow,
    Fault::WriterDropsAppear,
    Fault::WriterDropsAppearPart,
    Fault::WriterDropsAppearAny,
    Fault::WriterDropsGone,
    Fault::WriterDropsGonePart,
    Fault::WriterDropsGoneAny,
    Fault::WriterDropsColumn,
    Fault::WriterDropsColumnPart,
    Fault::WriterDropsColumnAny,
    Fault::WriterDropsGuard,
    Fault::WriterDropsAll,
    Fault::ReaderDropsRow,
    Fault::ReaderDropsAnyRow,
    Fault::ReaderDropsAppear,
    Fault::ReaderDropsGone,
    Fault::ReaderDropsColumn,
    Fault::ReaderDropsGuard,
    Fault::ReuseVersions,
    Fault::MissingIsEqual,
    Fault::NoCascade,
    Fault::NoTriggers,
    Fault::NoGenerated,
    Fault::CaseInsensitiveKeys,
    Fault::NullableIsNull,
    Fault::OffsetByRows,
    Fault::CommitForgets,
];

/// How the referee on this database noticed, if it did. Two tasks at a time, since a server is mostly
/// waited for.
fn by_referee(backend: Backend) -> Option<String> {
    let (next, found) = (AtomicU64::new(SEEDS.start), Mutex::new(None));
    std::thread::scope(|scope| {
        let search = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            while found.lock().expect("the finding").is_none() {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= SEEDS.end {
                    return;
                }
                if let Err(stale) = runtime.block_on(referee::run_seed(seed, PER_SEED, backend)) {
                    let at = stale.operations.len();
                    let how = format!("referee, seed {seed}, operation {at}");
                    *found.lock().expect("the finding") = Some(how);
                }
            }
        };
        scope.spawn(search);
        scope.spawn(search);
    });
    found.into_inner().expect("the finding")
}

macro_rules! by_scenario {
    ($runtime:ident, $missed:ident, $($fault:ident => $scenario:ident),* $(,)?) => {$(
        for backend in Backend::reachable() {
        set(Fault::$fault);
        let outcome = $runtime.block_on(scenarios::$scenario(backend));
        set(Fault::None);
        match outcome {
            Err(stale) => println!("{backend:?}: mutation {:?}: found by {}: {stale}", Fault::$fault, stringify!($scenario)),
            Ok(()) => {
                println!("{backend:?}: mutation {:?}: MISSED by {}", Fault::$fault, stringify!($scenario));
                $missed.push(Fault::$fault);
            }
        }
        }
    )*};
}

#[test]
fn every_broken_rule_is_noticed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut missed = Vec::new();
    for fault in BY_REFEREE {
        set(*fault);
        // The switch is the whole process's, so the databases take their turns at the same time.
        let found = std::thread::scope(|scope| {
            let search = |backend| (backend, scope.spawn(move || by_referee(backend)));
            let searches: Vec<_> = Backend::reachable().into_iter().map(search).collect();
            let ended = searches.into_iter().map(|(backend, thread)| (backend, thread.join()));
            ended.collect::<Vec<_>>()
        });
        set(Fault::None);
        for (backend, found) in found {
            match found.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Some(how) => println!("{backend:?}: mutation {fault:?}: found by the {how}"),
                None => {
                    println!("{backend:?}: mutation {fault:?}: MISSED");
                    missed.push(*fault);
                }
            }
        }
    }
    by_scenario!(runtime, missed,
        NoOverlapCheck => write_to_a_shown_row_while_the_query_runs,
        StampAfterSql => write_to_a_count_while_the_query_runs,
        BumpBeforeCommit => fill_just_before_the_commit,
        SavepointForgets => write_in_a_savepoint,
        CommitForgets => fill_just_before_a_transactions_commit,
        HitInTransaction => read_in_a_transaction_that_is_rolled_back,
        CancelForgets => cancelled_write,
        OldSchema => new_index_after_connect,
        KeyIgnoresScope => one_scope_never_reads_anothers_entry,
        KeyIgnoresValues => other_values_are_another_question,
    );
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
