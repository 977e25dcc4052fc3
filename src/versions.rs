//! The versions of tags, in memory.
//!
//! A version is created when a reader first needs it and *deleted* by a bump; a missing version
//! never equals anything, and no version is ever used twice. So a bump of a tag that nobody
//! depends on costs one look at a cache line and leaves nothing behind.
//!
//! The table is an array of buckets of eight words. A word holds 16 bits of its tag's hash and a
//! 48-bit version (at a million new versions a second they last nine years). Two tags that share
//! a word are invalidated together, and a full bucket gives up one of its words: both only
//! invalidate too much.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::change::Bump;
use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::schema::Name;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, lock};
use crate::tag::{Tag, TagId};

const WAYS: usize = 8;
const VERSION_BITS: u32 = 48;

/// Guards share this many logs, by the hash of the table's name.
const LOGS: usize = 64;

/// One more has every bump, for fills that do not know their tables before or that must see the
/// bumps of other processes.
const EVERY_BUMP: usize = LOGS;

/// What a log remembers: at ten tags a write, 1,600 writes to its tables. A query that takes
/// longer than that many writes is not stored if it shows rows by key.
const LOG_TAGS: usize = 16 * 1024;

/// In a doubt, stands for all tables.
pub(crate) const EVERY_TABLE: &str = "*";

#[derive(Debug)]
pub(crate) struct Versions {
    words: Box<[AtomicU64]>,
    next: AtomicU64,
    /// The version of `*`, which every entry depends on.
    all: AtomicU64,
    logs: Box<[Mutex<Log>]>,
    doubts: Mutex<HashMap<Name, usize>>,
    doubtful: AtomicUsize,
    /// Do other processes bump, too?
    shared: bool,
}

/// The versions that an entry was made with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamps {
    all: u64,
    ways: Vec<u32>,
    words: Vec<u64>,
}

/// A table's recent bumps: the guard.
#[derive(Debug, Default)]
struct Log {
    sequence: u64,
    tags: usize,
    records: VecDeque<Arc<[TagId]>>,
}

/// The state of a table's guard at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    log: usize,
    sequence: u64,
    table: Name,
}

impl Versions {
    /// A table with room for about `tags` tags that entries depend on at the same time.
    pub(crate) fn new(tags: usize, shared: bool) -> Self {
        let words = tags.next_power_of_two().max(WAYS);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU64::new(1),
            all: AtomicU64::new(0),
            logs: (0..=LOGS).map(|_| Mutex::new(Log::default())).collect(),
            doubts: Mutex::default(),
            doubtful: AtomicUsize::new(0),
            shared,
        }
    }

    /// Stamps with the current version of `*` and of nothing else yet.
    pub(crate) fn start(&self) -> Stamps {
        Stamps { all: self.all.load(Ordering::SeqCst), ..Stamps::default() }
    }

    /// Adds the current version of a tag, creating it if it is missing.
    pub(crate) fn stamp(&self, tag: TagId, stamps: &mut Stamps) {
        let (first, mark) = self.place(tag);
        let bucket = &self.words[first..first + WAYS];
        loop {
            let mut free = None;
            for (way, word) in bucket.iter().enumerate() {
                let current = word.load(Ordering::SeqCst);
                if current != 0 && current >> VERSION_BITS == mark {
                    return stamps.push(first + way, current);
                }
                if current == 0 && free.is_none() {
                    free = Some((way, 0));
                }
            }
            let version = self.next.fetch_add(1, Ordering::SeqCst);
            let (way, old) = free.unwrap_or_else(|| {
                let way = version as usize % WAYS;
                (way, bucket[way].load(Ordering::SeqCst))
            });
            let version = if broken(Fault::ReuseVersions) { 1 } else { version };
            let word = (mark << VERSION_BITS) | (version & ((1 << VERSION_BITS) - 1));
            // Two readers may create the same tag in two ways of the bucket. Each entry then
            // depends on its own, and a bump deletes both.
            let swap = bucket[way].compare_exchange(old, word, Ordering::SeqCst, Ordering::SeqCst);
            if swap.is_ok() {
                return stamps.push(first + way, word);
            }
        }
    }

    /// Are all these versions the current ones?
    #[inline]
    pub(crate) fn hold(&self, stamps: &Stamps) -> bool {
        let missing_is_equal = broken(Fault::MissingIsEqual);
        stamps.all == self.all.load(Ordering::SeqCst)
            && stamps.ways.iter().zip(&stamps.words).all(|(way, word)| {
                let current = self.words[*way as usize].load(Ordering::SeqCst);
                current == *word || (missing_is_equal && current == 0)
            })
    }

    /// Does any entry that may still be valid depend on this tag?
    pub(crate) fn is_read(&self, tag: TagId) -> bool {
        let (first, mark) = self.place(tag);
        self.words[first..first + WAYS].iter().any(|word| {
            let current = word.load(Ordering::SeqCst);
            current != 0 && current >> VERSION_BITS == mark
        })
    }

    /// Invalidates every entry that depends on one of the tags: the tables' guards first, since
    /// a filler that does not yet see its row tags bumped must at least see the guard's record.
    pub(crate) fn bump(&self, bump: &Bump) {
        if broken(Fault::RowTagsBeforeGuard) {
            self.delete_all(bump);
            return self.record(bump);
        }
        self.record(bump);
        self.delete_all(bump);
    }

    /// The same for tags of which only the numbers are known.
    pub(crate) fn bump_ids(&self, ids: &[TagId]) {
        if ids.is_empty() {
            return;
        }
        if !broken(Fault::MessagesNotLogged) {
            let mut sorted = ids.to_vec();
            sorted.sort_unstable();
            lock(&self.logs[EVERY_BUMP]).push(sorted.into());
        }
        for id in ids {
            if *id == TagId::all() {
                self.all.fetch_add(1, Ordering::SeqCst);
            }
            self.delete(*id);
        }
    }

    fn delete_all(&self, bump: &Bump) {
        for (id, tag) in bump.ids.iter().zip(&bump.tags) {
            match tag {
                Tag::All => drop(self.all.fetch_add(1, Ordering::SeqCst)),
                _ => self.delete(*id),
            }
        }
    }

    fn delete(&self, tag: TagId) {
        let (first, mark) = self.place(tag);
        for word in &self.words[first..first + WAYS] {
            loop {
                let current = word.load(Ordering::SeqCst);
                if current == 0 || current >> VERSION_BITS != mark {
                    break;
                }
                // Not a plain store: it could wipe out another tag that just took the place.
                let swap = word.compare_exchange(current, 0, Ordering::SeqCst, Ordering::SeqCst);
                if swap.is_ok() {
                    break;
                }
            }
        }
    }

    fn record(&self, bump: &Bump) {
        if bump.tables.is_empty() && !self.shared {
            return;
        }
        let mut tags = bump.ids.clone();
        tags.sort_unstable();
        let tags: Arc<[TagId]> = tags.into();
        let mut logs: Vec<usize> = bump.tables.iter().map(|table| log_of(table)).collect();
        logs.sort_unstable();
        logs.dedup();
        logs.extend(self.shared.then_some(EVERY_BUMP));
        for log in logs {
            lock(&self.logs[log]).push(tags.clone());
        }
    }

    /// The state of a table's guard now.
    pub(crate) fn mark(&self, table: &Name) -> Mark {
        let log = log_of(table);
        Mark { log, sequence: lock(&self.logs[log]).sequence, table: table.clone() }
    }

    /// The same for every bump, of whatever table.
    pub(crate) fn mark_every(&self) -> Option<Mark> {
        let sequence = || lock(&self.logs[EVERY_BUMP]).sequence;
        self.shared.then(|| Mark { log: EVERY_BUMP, sequence: sequence(), table: "".into() })
    }

    /// May an entry with these tags be stored, if its guards were at `marks` before its SQL?
    ///
    /// # Errors
    ///
    /// The reason why not: a bump since then touched one of the tags, may have done so, or the
    /// outcome of a write is unknown.
    pub(crate) fn check(&self, marks: &[Mark], tags: &[TagId]) -> Result<(), Reason> {
        if self.doubtful.load(Ordering::SeqCst) > 0 {
            let doubts = lock(&self.doubts);
            let everything = doubts.contains_key(EVERY_TABLE);
            if everything || marks.iter().any(|mark| doubts.contains_key(&mark.table)) {
                return Err(Reason::Doubtful);
            }
        }
        if broken(Fault::NoOverlapCheck) {
            return Ok(());
        }
        for mark in marks {
            lock(&self.logs[mark.log]).check(mark.sequence, tags)?;
        }
        Ok(())
    }

    /// From now on nothing is stored that reads these tables, until the same call with `false`.
    pub(crate) fn doubt(&self, tables: &[Name], begins: bool) {
        let mut doubts = lock(&self.doubts);
        for table in tables {
            let count = doubts.entry(table.clone()).or_default();
            *count = if begins { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                doubts.remove(table);
            }
        }
        self.doubtful.store(doubts.len(), Ordering::SeqCst);
    }

    /// The first word of the tag's bucket, and the bits that tell it from the others there.
    fn place(&self, tag: TagId) -> (usize, u64) {
        let bucket = (tag.0 as usize) & (self.words.len() / WAYS - 1);
        (bucket * WAYS, tag.0 >> VERSION_BITS)
    }
}

impl Stamps {
    fn push(&mut self, way: usize, word: u64) {
        self.ways.push(way as u32);
        self.words.push(word);
    }

    /// Also of what another entry was made with.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Only one of two different ones can still hold, and it is the later one.
        self.all = self.all.min(other.all);
        self.ways.extend_from_slice(&other.ways);
        self.words.extend_from_slice(&other.words);
    }

    /// Each of them once.
    pub(crate) fn dedup(&mut self) {
        let mut all: Vec<_> = self.ways.drain(..).zip(self.words.drain(..)).collect();
        all.sort_unstable();
        all.dedup();
        (self.ways, self.words) = all.into_iter().unzip();
    }

    /// The same in as little memory as it takes.
    pub(crate) fn shrink(mut self) -> Self {
        self.ways.shrink_to_fit();
        self.words.shrink_to_fit();
        self
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ways.capacity() * size_of::<u32>() + self.words.capacity() * size_of::<u64>()
    }
}

impl Log {
    fn push(&mut self, tags: Arc<[TagId]>) {
        self.sequence += 1;
        self.tags += tags.len().max(1);
        self.records.push_back(tags);
        while self.tags > LOG_TAGS
            && let Some(oldest) = self.records.pop_front()
        {
            self.tags -= oldest.len().max(1);
        }
    }

    fn check(&self, since: u64, tags: &[TagId]) -> Result<(), Reason> {
        let new = (self.sequence - since) as usize;
        if new > self.records.len() {
            return Err(Reason::TooManyWrites);
        }
        let overlaps = |record: &Arc<[TagId]>| tags.iter().any(|t| record.binary_search(t).is_ok());
        if self.records.iter().rev().take(new).any(overlaps) {
            return Err(Reason::Overlap);
        }
        Ok(())
    }
}

fn log_of(table: &str) -> usize {
    (Tag::Guard(table.into()).id().0 >> 32) as usize % LOGS
}
