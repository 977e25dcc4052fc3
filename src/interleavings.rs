//! The memory tier's interleavings, explored with `shuttle`
//! (`cargo test --features __shuttle --lib interleavings`).
//!
//! A row's number stands for the database; a reader fills an entry that shows it by the steps of
//! `fill.rs`, a writer changes it and bumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::sync::Mutex;
use shuttle::sync::atomic::AtomicU64;
use shuttle::{future, thread};

use crate::change::{Bump, Change, Effect, Image, Row};
use crate::flight::{Flights, Role, landed};
use crate::key::{Family, Key};
use crate::memory::Entry;
use crate::schema::Schema;
use crate::stats::Registry;
use crate::tag::{KeyValue, Tag, TagId};
use crate::versions::{Stamps, Versions};

const SCHEDULES: usize = 20_000;

/// Two rows in one table, and the entry that shows row 1.
struct World {
    versions: Versions,
    rows: [AtomicU64; 2],
    entry: Mutex<Option<(u64, Stamps)>>,
    /// The last number of row 1 that was acknowledged.
    acknowledged: AtomicU64,
}

fn row_tag(row: usize) -> Tag {
    Tag::Row("t".into(), Some(vec![KeyValue::Int(row as i64)]))
}

impl World {
    /// `tags` as small as possible makes tags share words and push each other out.
    fn new() -> Self {
        Self {
            versions: Versions::new(8, false),
            rows: [AtomicU64::new(1), AtomicU64::new(1)],
            entry: Mutex::new(None),
            acknowledged: AtomicU64::new(1),
        }
    }

    fn write(&self, row: usize) {
        let number = self.rows[row].fetch_add(1, Ordering::SeqCst) + 1;
        let mut bump = Bump::default();
        bump.add(
            &Change { table: "t".into(), effect: Effect::Update { set: Vec::new(), rows: vec![] } },
            &Schema::default(),
        );
        bump.push(row_tag(row));
        self.versions.bump(&bump);
        if row == 0 {
            self.acknowledged.fetch_max(number, Ordering::SeqCst);
        }
    }

    fn read(&self) -> u64 {
        let must = self.acknowledged.load(Ordering::SeqCst);
        let entry = self.entry.lock().unwrap().clone();
        let number = match entry {
            Some((number, stamps)) if self.versions.hold(&stamps) => number,
            _ => self.fill(),
        };
        assert!(number >= must, "stale: {number} after {must} was acknowledged");
        number
    }

    fn fill(&self) -> u64 {
        let mark = self.versions.mark(&"t".into());
        let mut stamps = self.versions.start();
        self.versions.stamp(Tag::Row("t".into(), None).id(), &mut stamps);
        let number = self.rows[0].load(Ordering::SeqCst);
        let id: TagId = row_tag(0).id();
        self.versions.stamp(id, &mut stamps);
        if self.versions.check(&[mark], &[id]).is_ok() {
            *self.entry.lock().unwrap() = Some((number, stamps));
        }
        number
    }

    fn settled(&self) {
        if let Some((number, stamps)) = self.entry.lock().unwrap().clone()
            && self.versions.hold(&stamps)
        {
            assert_eq!(number, self.rows[0].load(Ordering::SeqCst), "stale for ever");
        }
    }
}

fn explore(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_pct(test, SCHEDULES, 3);
}

fn readers_and_writers() {
    let world = Arc::new(World::new());
    let spawn = |work: fn(&World)| {
        let world = world.clone();
        thread::spawn(move || work(&world))
    };
    let tasks = [
        spawn(|world| world.write(0)),
        spawn(|world| world.write(1)),
        spawn(|world| {
            world.read();
            world.read();
        }),
        spawn(|world| {
            world.read();
        }),
    ];
    for task in tasks {
        task.join().unwrap();
    }
    world.settled();
}

#[test]
fn a_reader_never_misses_an_acknowledged_write() {
    explore(readers_and_writers);
}

#[test]
fn two_readers_that_create_one_tag_both_lose_it_to_a_bump() {
    explore(|| {
        let versions = Arc::new(Versions::new(8, false));
        let create = || {
            let versions = versions.clone();
            thread::spawn(move || {
                let mut stamps = versions.start();
                versions.stamp(row_tag(0).id(), &mut stamps);
                stamps
            })
        };
        let (one, two) = (create(), create());
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        let mut bump = Bump::default();
        bump.push(row_tag(0));
        versions.bump(&bump);
        assert!(!versions.hold(&one) && !versions.hold(&two));
    });
}

fn entry(number: u64, stamps: Stamps) -> Arc<Entry> {
    let key = Key {
        prefix: "p".into(),
        version: 1,
        family: Family::List,
        table: "t".into(),
        digest: [0; 32],
    };
    let counters = Registry::default().of("t");
    let value = Arc::new(number);
    Arc::new(Entry {
        key,
        kind: (std::any::TypeId::of::<u64>(), None),
        order: 0,
        value,
        stamps,
        fill: None,
        filled_ms: 0,
        ttl_ms: u64::MAX,
        keep_ms: 0.into(),
        ended: false.into(),
        load_ms: 0,
        tags: None,
        bytes: 1,
        counters,
    })
}

/// One task's read through a flight, by the steps of `fill.rs`.
async fn fly(world: &World, flights: &Flights, loads: &AtomicUsize, revalidate: bool) -> u64 {
    let must = world.acknowledged.load(Ordering::SeqCst);
    for _ in 0..3 {
        match flights.board(&[0; 32]) {
            Role::Join(flight, _) => {
                let Some(Some(entry)) = landed(flight).await else { continue };
                if !revalidate || world.versions.hold(&entry.stamps) {
                    let number = *entry.value.clone().downcast::<u64>().unwrap();
                    assert!(number >= must, "stale: {number} after {must} was acknowledged");
                    return number;
                }
            }
            Role::Lead(leader) => {
                loads.fetch_add(1, Ordering::SeqCst);
                let mut stamps = world.versions.start();
                world.versions.stamp(row_tag(0).id(), &mut stamps);
                let number = world.rows[0].load(Ordering::SeqCst);
                future::yield_now().await;
                leader.land(Some(entry(number, stamps)));
                return number;
            }
        }
    }
    world.rows[0].load(Ordering::SeqCst)
}

fn joiners_and_a_writer(revalidate: bool) {
    let world = Arc::new(World::new());
    let (flights, loads) = (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let (world, flights, loads) = (world.clone(), flights.clone(), loads.clone());
        tasks.push(thread::spawn(move || {
            future::block_on(fly(&world, &flights, &loads, revalidate));
        }));
    }
    let writer = world.clone();
    tasks.push(thread::spawn(move || writer.write(0)));
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn a_joiner_never_gets_what_was_read_before_a_write_that_it_must_see() {
    explore(|| joiners_and_a_writer(true));
}

#[test]
#[should_panic(expected = "stale")]
fn a_joiner_that_does_not_revalidate_is_found_stale() {
    explore(|| joiners_and_a_writer(false));
}

#[test]
fn a_leader_that_panics_or_is_cancelled_strands_nobody() {
    explore(|| {
        let flights = Arc::new(Flights::default());
        let world = Arc::new(World::new());
        let loads = Arc::new(AtomicUsize::new(0));
        let lost = flights.clone();
        let leader = thread::spawn(move || {
            future::block_on(async {
                if let Role::Lead(leader) = lost.board(&[0; 32]) {
                    future::yield_now().await;
                    drop(leader);
                }
            });
        });
        let mut tasks = vec![leader];
        for _ in 0..2 {
            let (world, flights, loads) = (world.clone(), flights.clone(), loads.clone());
            tasks.push(thread::spawn(move || {
                assert_eq!(future::block_on(fly(&world, &flights, &loads, true)), 1);
            }));
        }
        for task in tasks {
            task.join().unwrap();
        }
    });
}

/// The mutations that only an interleaving inside the memory tier shows.
#[cfg(feature = "__mutation")]
mod gate {
    use super::*;
    use crate::fault::{Fault, set};

    #[test]
    fn each_broken_rule_of_the_memory_tier_is_found() {
        for fault in [Fault::RowTagsBeforeGuard, Fault::NoOverlapCheck, Fault::MissingIsEqual] {
            set(fault);
            let found = std::panic::catch_unwind(|| explore(readers_and_writers)).is_err();
            set(Fault::None);
            assert!(found, "{fault:?} went unnoticed");
            println!("mutation {fault:?}: found");
        }
    }
}
