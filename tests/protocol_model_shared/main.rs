//! The protocol of several processes that share a store, each with a memory tier in front of it,
//! explored exhaustively like that of one process (`tests/protocol_model`): the design must never
//! be stale, and every missing safeguard must be found stale.
//!
//! # What is modelled
//!
//! One row, written once (value 0, then 1) by process 0, or twice; one entry that shows it. The
//! entry depends on the row's tag, known after the SQL, or on one known before it, or on both.
//!
//! - *The store* has an epoch, versions that know the epoch they were created in, and the entry.
//!   Its scripts are atomic. It may be flushed, lose a version, become what it was at an earlier
//!   time under a new epoch, and be out of reach. In a cluster the entry has its own node.
//! - *A reader* looks into memory, asks the store, or marks there, runs its SQL and puts. What the
//!   store did and what the process makes of the answer are two steps. Any read may miss memory.
//! - *`Strong`*: what memory has is confirmed by the store, each time.
//! - *`Bounded`*: memory answers while its stamps hold and the channel is proven. Bumps come
//!   through the channel in order, however late; a broken connection loses what is under way.
//! - *A load's joiners* ask again whatever the mode asks: the load may be older than they are.
//! - *The writer* bumps memory, the store, and memory again before it acknowledges. One that gives
//!   the store up leaves its bump overdue.
//! - *Time* passes between any two steps, only as far as `World::end`.
//!
//! Every run begins with nothing cached, with an entry in the store, in memory, and in both.
//!
//! # What is not modelled
//!
//! The steps within one local bump or one local check (the other model's matter), a process that
//! dies between commit and bump, commits of unknown outcome, versions of one entry on several
//! nodes, TTLs, and scripts that arrive after their caller gave them up (they only bump more).

mod breaks;
mod fill;
mod get;
mod model;
mod process;
mod properties;
mod protocol;
mod reader;
mod reduce;
mod rules;
mod state;
mod store;

use properties::ACKNOWLEDGED;
use protocol::Protocol;
use rules::{
    BOTH, BOUNDED, Break, EACH, Fault, HERE, KNOWN_ONLY, Node, Nodes, STRONG, THERE, World,
};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

const CALM: &[Fault] = &[];
const FLUSH: &[Fault] = &[Fault::Flush];
const EVICT: &[Fault] = &[Fault::Evict];
const ROLLBACK: &[Fault] = &[Fault::Rollback(Node::Only)];
const VERSIONS_ROLL_BACK: &[Fault] = &[Fault::Rollback(Node::Versions)];
const ENTRIES_ROLL_BACK: &[Fault] = &[Fault::Rollback(Node::Entries)];
const TIMEOUT: &[Fault] = &[Fault::Timeout];
const AWAY: &[Fault] = &[Fault::Away];

fn explore(model: Protocol) {
    let world = model.world;
    let checker = model.checker().spawn_bfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    println!("{states} states, {transitions} transitions: {world:?}");
    checker.assert_properties();
}

fn assert_sound(world: World) {
    explore(Protocol::new(world, None));
}

#[test]
fn strong_reads_see_acknowledged_writes_of_any_process() {
    for faults in [CALM, FLUSH, EVICT, ROLLBACK] {
        for readers in [HERE, THERE, EACH] {
            assert_sound(World { faults, readers, joins: true, ..STRONG });
        }
        assert_sound(World { faults, tags: KNOWN_ONLY, joins: true, ..STRONG });
    }
    assert_sound(World { tags: BOTH, readers: &[(0, 1), (1, 2)], ..STRONG });
}

#[test]
fn strong_reads_see_the_writes_of_a_process_that_is_cut_off() {
    let cut_off = World { joins: true, ..STRONG };
    for faults in [AWAY, TIMEOUT] {
        for readers in [HERE, EACH] {
            assert_sound(World { faults, readers, ..cut_off });
        }
    }
    let faults = &[Fault::Rollback(Node::Only), Fault::Away];
    assert_sound(World { faults, readers: EACH, ..cut_off });
}

#[test]
fn bounded_reads_see_the_writes_of_their_own_process_at_once() {
    let here = World { readers: HERE, joins: true, end: 0, ..BOUNDED };
    for faults in [CALM, FLUSH, EVICT, ROLLBACK, AWAY] {
        assert_sound(World { faults, ..here });
        assert_sound(World { faults, tags: KNOWN_ONLY, ..here });
    }
}

#[test]
fn bounded_reads_elsewhere_see_writes_when_the_bound_has_passed() {
    assert_sound(World { joins: true, ..BOUNDED });
    for faults in [FLUSH, EVICT, ROLLBACK, TIMEOUT] {
        assert_sound(World { faults, ..BOUNDED });
    }
    assert_sound(World { tags: KNOWN_ONLY, end: 3, ..BOUNDED });
}

#[test]
fn bounded_reads_see_writes_that_a_broken_channel_lost() {
    assert_sound(World { faults: &[Fault::Break], joins: true, ..BOUNDED });
}

#[test]
#[ignore = "a minute: the tests above explore its parts"]
fn larger_bounded_worlds_keep_the_promise_too() {
    assert_sound(World { faults: &[Fault::Break, Fault::Timeout], ..BOUNDED });
    assert_sound(World { faults: &[Fault::Break, Fault::Rollback(Node::Only)], ..BOUNDED });
    assert_sound(World { readers: &[(1, 2), (1, 1)], ..BOUNDED });
    // The other process fills the store while a write is overdue.
    let readers = &[(0, 1), (0, 1), (1, 1)];
    assert_sound(World { faults: TIMEOUT, readers, end: 0, ..BOUNDED });
}

#[test]
fn two_writes_of_one_process_may_both_be_overdue() {
    assert_sound(World { writers: 2, faults: TIMEOUT, readers: HERE, ..STRONG });
}

#[test]
fn in_a_cluster_versions_are_confirmed_after_the_entry() {
    let nodes = Nodes::EntryFirst;
    for faults in [CALM, FLUSH, EVICT, VERSIONS_ROLL_BACK, ENTRIES_ROLL_BACK] {
        assert_sound(World { faults, nodes, readers: EACH, joins: true, ..STRONG });
        assert_sound(World { faults, nodes, readers: HERE, joins: true, end: 0, ..BOUNDED });
    }
    let faults = &[Fault::Rollback(Node::Versions), Fault::Rollback(Node::Entries)];
    assert_sound(World { faults, nodes, joins: true, ..STRONG });
    assert_sound(World { nodes, joins: true, ..BOUNDED });
}

/// A read that saw the versions before a bump began before its acknowledgement. So this order is
/// no staler; it only needs the names of all tags before the entry names them.
#[test]
fn in_a_cluster_versions_may_as_well_be_read_first() {
    let nodes = Nodes::VersionsFirst;
    for faults in [CALM, FLUSH, EVICT, VERSIONS_ROLL_BACK] {
        assert_sound(World { faults, nodes, readers: EACH, joins: true, ..STRONG });
    }
    assert_sound(World { nodes, joins: true, ..BOUNDED });
}

/// One thread makes the search breadth-first to the letter and the counts the same every time.
#[test]
fn every_missing_safeguard_is_found_stale() {
    let mut unseen = vec![];
    for rule in Break::ALL {
        let checker = Protocol::new(rule.world(), Some(*rule))
            .checker()
            .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([ACKNOWLEDGED])))
            .spawn_bfs()
            .join();
        match checker.discovery(ACKNOWLEDGED) {
            Some(path) => {
                let (states, steps) = (checker.unique_state_count(), path.into_actions());
                println!("{rule:?}: found in {states} states, after {}: {steps:?}", steps.len());
            }
            None => unseen.push(rule),
        }
    }
    assert!(unseen.is_empty(), "the model does not see {unseen:?}");
}

#[test]
fn what_is_redundant_is_known_to_be() {
    for (rule, world) in Break::REDUNDANT {
        let checker = Protocol::new(*world, Some(*rule)).checker().spawn_bfs().join();
        checker.assert_no_discovery(ACKNOWLEDGED);
    }
}

/// Nothing that the reductions leave out is stale.
#[test]
fn the_reductions_hide_nothing() {
    let strong = World { readers: EACH, joins: true, ..STRONG };
    let worlds = [
        World { faults: ROLLBACK, ..strong },
        World { faults: TIMEOUT, ..strong },
        World { faults: ROLLBACK, coherence: BOUNDED.coherence, readers: HERE, ..strong },
        World { nodes: Nodes::EntryFirst, ..strong },
        World { joins: true, ..BOUNDED },
    ];
    for world in worlds {
        explore(Protocol::new(world, None).without_reductions());
    }
}
