//! Simulated caches to compare with: the oracle, invalidation by table, and a TTL alone.

use std::collections::HashMap;

use crate::answer::Answer;
use crate::trace::{Query, Table, Write};

pub trait Rival {
    fn name(&self) -> String;

    /// A read whose right answer is `fresh`.
    fn read(&mut self, now: u64, query: Query, fresh: &Answer) -> Served;

    fn write(&mut self, _: Write) {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    Hit,
    Stale,
    Miss,
}

/// Forgets a result only when it really changed: nothing that is never stale can hit more.
#[derive(Default)]
pub struct Oracle(HashMap<Query, Answer>);

impl Rival for Oracle {
    fn name(&self) -> String {
        "oracle".to_owned()
    }

    fn read(&mut self, _: u64, query: Query, fresh: &Answer) -> Served {
        if self.0.get(&query) == Some(fresh) {
            return Served::Hit;
        }
        self.0.insert(query, fresh.clone());
        Served::Miss
    }
}

/// Forgets all results of a table at each write to it.
#[derive(Default)]
pub struct ByTable {
    versions: [u64; 3],
    entries: HashMap<Query, u64>,
}

impl Rival for ByTable {
    fn name(&self) -> String {
        "invalidation by table".to_owned()
    }

    fn read(&mut self, _: u64, query: Query, _: &Answer) -> Served {
        let version = self.versions[query.table() as usize];
        if self.entries.insert(query, version) == Some(version) {
            Served::Hit
        } else {
            Served::Miss
        }
    }

    fn write(&mut self, write: Write) {
        let table: Table = write.table();
        self.versions[table as usize] += 1;
    }
}

/// Forgets a result some operations after it was read, and takes no notice of writes.
pub struct Ttl {
    operations: u64,
    entries: HashMap<Query, (u64, Answer)>,
}

impl Ttl {
    pub fn new(operations: u64) -> Self {
        Self { operations, entries: HashMap::new() }
    }
}

impl Rival for Ttl {
    fn name(&self) -> String {
        format!("TTL of {} operations", self.operations)
    }

    fn read(&mut self, now: u64, query: Query, fresh: &Answer) -> Served {
        match self.entries.get(&query) {
            Some((filled, answer)) if now - filled < self.operations => {
                if answer == fresh {
                    Served::Hit
                } else {
                    Served::Stale
                }
            }
            _ => {
                self.entries.insert(query, (now, fresh.clone()));
                Served::Miss
            }
        }
    }
}
