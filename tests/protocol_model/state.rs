//! One state of the world, and the one spelling that all equivalent states share.

use std::hash::{Hash, Hasher};

pub(crate) const TAGS: usize = 3;
pub(crate) const ROW_A: usize = 0;
pub(crate) const ROW_B: usize = 1;
/// `T+`: known before the SQL.
pub(crate) const APPEARS: usize = 2;
/// The tag of a row that the entry does not show. It occurs in records only.
pub(crate) const STRANGE_ROW: usize = 3;

/// The most records that a log can be given.
pub(crate) const MAX_LOG: usize = 2;

/// A version that is not there.
pub(crate) const MISSING: u8 = 0;
const CURRENT: u8 = 1;
const OUTDATED: u8 = 2;

/// Tags or rows, one bit each; row and writer have the same number.
pub(crate) type Bits = u8;
/// A version per tag.
pub(crate) type Versions = [u8; TAGS];

/// A result with the versions it was stored under: an entry, or what a reader has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Copied {
    /// The rows whose new value it shows.
    pub(crate) shows: Bits,
    pub(crate) versions: Versions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// Has a copy and compares its versions, one tag at a time.
    Validate,
    /// Runs the fill protocol.
    Load,
    /// Waits for the other reader's load.
    Join,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reader {
    pub(crate) phase: Phase,
    /// The next tag to validate or the next step of the load.
    pub(crate) next: u8,
    /// The guard's sequence number as remembered before the SQL; 0: not remembered.
    pub(crate) seq: u8,
    /// Validate: what the read must show and its copy lacks. Join: what it must show.
    /// Idle: what the read that has just ended failed to show.
    pub(crate) owed: Bits,
    pub(crate) copy: Copied,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Lost its connection while it committed.
    pub(crate) lost: bool,
    /// The next step of its program.
    pub(crate) next: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The rows that hold their new value.
    pub(crate) db: Bits,
    /// The writers whose caller has its answer: acknowledged, or "outcome unknown".
    pub(crate) told: Bits,
    /// The writers that made the table doubtful.
    pub(crate) doubt: Bits,
    pub(crate) tags: Versions,
    /// The guard: the number of its last record, and the tags of the last few, newest first.
    pub(crate) seq: u8,
    pub(crate) records: [Bits; MAX_LOG],
    pub(crate) entry: Option<Copied>,
    pub(crate) writers: [Writer; 2],
    pub(crate) readers: [Reader; 2],
}

/// Four words instead of forty fields: hashing is most of the work in an unoptimised build.
impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut write = |bytes| hasher.write_u64(u64::from_le_bytes(bytes));
        let [a, b, c] = self.tags;
        let [v, w] = self.writers.map(|w| w.next << 1 | u8::from(w.lost));
        write([self.db, self.told, self.doubt, a, b, c, v, w]);
        let entry = self.entry.unwrap_or_default();
        let ([a, b, c], [new, old]) = (entry.versions, self.records);
        let present = u8::from(self.entry.is_some());
        write([present, entry.shows, a, b, c, self.seq, new, old]);
        for r in &self.readers {
            let [a, b, c] = r.copy.versions;
            write([r.phase as u8, r.next, r.seq, r.owed, r.copy.shows, a, b, c]);
        }
    }
}

impl State {
    pub(crate) fn append(&mut self, record: Bits) {
        self.seq += 1;
        self.records.rotate_right(1);
        self.records[0] = record;
    }

    /// A version that was never used: an id that nobody remembers is as good as that.
    pub(crate) fn fresh_version(&self, tag: usize) -> u8 {
        let remembered = |id| {
            let copies = self.readers.iter().map(|r| &r.copy).chain(&self.entry);
            self.tags[tag] == id || copies.into_iter().any(|c| c.versions[tag] == id)
        };
        (1..u8::MAX).find(|id| !remembered(*id)).expect("few copies, many ids")
    }

    fn copies_mut(&mut self) -> impl Iterator<Item = &mut Copied> {
        self.readers.iter_mut().map(|r| &mut r.copy).chain(&mut self.entry)
    }

    /// Versions are only ever compared with the current one, and an id that differs from it now
    /// differs for ever (ids are not reused): which older one it is does not matter.
    pub(crate) fn rename_versions(&mut self) {
        for tag in 0..TAGS {
            let now = self.tags[tag];
            for copy in self.copies_mut() {
                let version = &mut copy.versions[tag];
                if *version != MISSING {
                    *version = if *version == now { CURRENT } else { OUTDATED };
                }
            }
            self.tags[tag] = now.min(CURRENT);
        }
    }

    /// A copy with an outdated version can only ever miss, whatever it shows.
    /// Call it after `rename_versions`.
    pub(crate) fn forget_outdated_copies(&mut self) {
        let outdated = |c: &Copied| c.versions.contains(&OUTDATED);
        self.entry = self.entry.filter(|e| !outdated(e));
        for reader in &mut self.readers {
            if outdated(&reader.copy) {
                match reader.phase {
                    Phase::Load => reader.copy = Copied { shows: 0, versions: [OUTDATED; TAGS] },
                    _ => *reader = Reader::default(),
                }
            }
        }
    }

    /// Only a reader's distance from the log's end matters, and only as far as the log reaches;
    /// so do only the records within such a distance.
    pub(crate) fn renumber_log(&mut self, log: u8) {
        let (too_far, last) = (log + 1, log + 2);
        let mut reach = 0;
        for reader in self.readers.iter_mut().filter(|r| r.seq > 0) {
            let behind = (self.seq - reader.seq).min(too_far);
            reader.seq = last - behind;
            if behind < too_far {
                reach = reach.max(usize::from(behind));
            }
        }
        self.seq = last;
        self.records[reach..].fill(0);
    }

    /// Both readers run the same program, so it does not matter which one is where.
    pub(crate) fn sort_readers(&mut self) {
        self.readers.sort_unstable();
    }
}
