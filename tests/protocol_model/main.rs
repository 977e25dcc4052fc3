//! The fill and bump protocol, explored exhaustively: every order in which two writers, two
//! readers and the environment can take their steps. The design must never be stale, and every
//! broken rule must be found stale, or this model could not see the rule.
//!
//! # What is modelled
//!
//! One table, one entry that shows the rows a and b, with the tags `T:pk=a`, `T:pk=b` and `T+`.
//!
//! - *Writers*: W0 updates a, W1 upserts b (it bumps `T+`, too); each writes once. Commit visible,
//!   record appended to the guard, other tags bumped one at a time, caller told. Any number of
//!   other writers change rows that the entry does not show; only their records matter here.
//! - *The guard* is a log: a number that each record raises, and the tags named by the last few
//!   records. A load that the log does not reach back to is refused. The plain guard, which
//!   refuses whenever it moved, is explored, too.
//! - *Cancelled writers*: a writer may stay at its beginning for ever; after that only its caller
//!   can go away, which leaves the bumps to the detached task.
//! - *Commits of unknown outcome*: doubt, bump, "unknown" reported, known to be over, bump, end of
//!   the doubt; the commit lands at any time before "over", or never.
//! - *Readers* read again and again, for ever. A look-up takes the entry at once, then compares one
//!   version after the other. A load reads or creates one version after the other, looks at the
//!   guard and at the doubt in two separate steps, may be abandoned anywhere, and may be joined
//!   anywhere. A joiner compares the result's versions after the load's end.
//! - *Evictions* of the entry and of any version, at any time, any number of times.
//!
//! That readers never stop and versions are made without end still gives few states, because
//! states that nothing can ever tell apart are made equal (`state.rs`);
//! `the_reductions_lose_no_state` checks this against the unreduced state space.
//!
//! # What is not modelled
//!
//! A process that dies between commit and bump, a database that shows a commit to one connection
//! earlier than to another, tags that share a counter (they only bump more), several tables (their
//! guards are independent), an evicted guard, time (a TTL only evicts), and more than one tier.

mod model;
mod programs;
mod protocol;
mod rules;
mod state;

use protocol::Protocol;
use rules::{Break, World};
use state::State;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::{BTreeSet, HashSet};

/// Explores the unbroken protocol and asserts every property. Both readers have the same program
/// and are kept sorted, so in a trace their numbers may swap from one step to the next.
fn assert_sound(world: World) {
    let checker = Protocol::new(world, None).checker().threads(2).spawn_bfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    println!("{states} states, {transitions} transitions: {world:?}");
    checker.assert_properties();
}

#[test]
fn the_design_never_serves_stale_data() {
    assert_sound(World { may_lose: [false, true], ..World::default() });
}

#[test]
fn two_commits_in_doubt_never_serve_stale_data() {
    let calm = World { upsert: false, strangers: false, evictions: false, ..World::default() };
    assert_sound(World { may_lose: [true, true], ..calm });
}

#[test]
fn a_log_of_several_records_never_serves_stale_data() {
    assert_sound(World { log: 2, upsert: false, ..World::default() });
}

#[test]
fn a_guard_without_a_log_never_serves_stale_data() {
    assert_sound(World { plain_guard: true, upsert: false, ..World::default() });
}

#[test]
#[ignore = "minutes, even in release: the tests above explore its parts"]
fn the_whole_design_at_once_never_serves_stale_data() {
    let whole = World { may_lose: [true, true], ..World::default() };
    assert_sound(whole);
    assert_sound(World { plain_guard: true, ..whole });
    assert_sound(World { log: 2, ..whole });
}

/// One thread makes the search breadth-first to the letter and the counts the same every time.
#[test]
fn every_broken_rule_is_found_stale() {
    let mut unseen = vec![];
    for rule in Break::ALL {
        let promise = rule.violates();
        let checker = Protocol::new(rule.world(), Some(rule))
            .checker()
            .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([promise])))
            .spawn_bfs()
            .join();
        match checker.discovery(promise) {
            Some(path) => println!(
                "{rule:?}: found stale in {} states, after {} steps, against: {promise}",
                checker.unique_state_count(),
                path.into_actions().len(),
            ),
            None => unseen.push(rule),
        }
    }
    assert!(unseen.is_empty(), "the model does not see {unseen:?}");
}

fn reachable(model: &Protocol) -> HashSet<State> {
    let mut pending = model.init_states();
    let mut reached: HashSet<State> = pending.iter().cloned().collect();
    while let Some(state) = pending.pop() {
        for next in model.next_states(&state) {
            if reached.insert(next.clone()) {
                pending.push(next);
            }
        }
    }
    reached
}

/// The reduced exploration reaches exactly the reductions of all states, and no property can tell
/// a state from its reduction.
#[test]
fn the_reductions_lose_no_state() {
    let small = World { upsert: false, strangers: false, evictions: false, ..World::default() };
    let reduced = reachable(&Protocol::new(small, None));
    let model = Protocol::new(small, None).without_reductions();
    let properties = model.properties();
    let (mut all, mut images) = (0, HashSet::new());
    for state in reachable(&model) {
        let mut image = state.clone();
        model.reduce(&mut image);
        for p in &properties {
            let agree = (p.condition)(&model, &state) == (p.condition)(&model, &image);
            assert!(agree, "{}: {state:?} is not {image:?}", p.name);
        }
        images.insert(image);
        all += 1;
    }
    println!("{all} states, {} after reduction", images.len());
    assert!(images == reduced, "{} states, but {} explored", images.len(), reduced.len());
}
