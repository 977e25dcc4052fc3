//! One state of the world.

/// Versions and fills are only ever compared, so a number is as good as a unique name.
pub(crate) type Id = u8;
pub(crate) const NO_ID: Id = 0;
/// The one name of every version, if versions are reused.
pub(crate) const REUSED: Id = 62;

/// The table's guard: no entry depends on it, every write bumps it.
pub(crate) const GUARD: usize = 0;
/// A tag known before the SQL.
pub(crate) const KNOWN: usize = 1;
/// The tag of a row that the SQL showed.
pub(crate) const ROW: usize = 2;
pub(crate) const TAGS: usize = 3;

/// Local stamps that still hold, one bit for each tag; a bump takes them away for ever.
pub(crate) type Stamps = u8;
/// The stamp of `*`.
pub(crate) const ALL: Stamps = 1 << TAGS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Version {
    /// The store's epoch when it was created.
    pub(crate) epoch: u8,
    pub(crate) id: Id,
}

pub(crate) const MISSING: Version = Version { epoch: 0, id: NO_ID };

/// What the store keeps under the key, and what a read has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) value: Option<u8>,
    /// Tells the fills apart. Without `Strong` nobody asks.
    pub(crate) fill: Id,
    pub(crate) versions: [Version; TAGS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) epoch: u8,
    pub(crate) versions: [Version; TAGS],
    pub(crate) entry: Option<Entry>,
}

/// An entry of a memory tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) value: Option<u8>,
    pub(crate) fill: Id,
    pub(crate) stamps: Stamps,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Bump,
    /// With the time when it was sent.
    Heartbeat(u8),
}

/// The connection that is subscribed to the bumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    #[default]
    Up,
    Down,
    /// One of two done: subscribed, everything forgotten.
    HalfUp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) kept: Option<Kept>,
    /// How many writes were acknowledged although the store has not heard of them.
    pub(crate) overdue: u8,
    pub(crate) link: Link,
    pub(crate) under_way: Vec<Message>,
    /// Every bump that was acknowledged before this time has been applied.
    pub(crate) proven: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// Asks whether a write is overdue.
    Trust,
    Get,
    /// The second half of a `Get` that takes two steps.
    Confirm,
    /// Takes local stamps for the store's entry.
    Stamp,
    /// Takes it into the memory tier.
    Promote,
    Mark,
    Sql,
    /// Takes its own result into the memory tier.
    Keep,
    Put,
    /// The second half of a `Put` that takes two steps.
    Write,
    /// `Strong`: hears that the store had the entry, or took it.
    Hear,
    /// Waits for the load of another reader of its process.
    Join,
    /// Was handed something by the load that it waited for; asks whether the channel is proven.
    Prove,
    /// The same for the stamps of what it found in memory or was handed.
    Check,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Reader {
    pub(crate) process: usize,
    /// How many reads it has not ended.
    pub(crate) left: u8,
    pub(crate) phase: Phase,
    /// The least value that it may return.
    pub(crate) must: u8,
    /// No bump in the local log since the mark.
    pub(crate) clean: bool,
    pub(crate) stamps: Stamps,
    /// The store's epoch at the mark, if there was a mark.
    pub(crate) epoch: Option<u8>,
    /// What it has so far; between mark and put also the guard's version.
    pub(crate) copy: Entry,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Writer {
    /// What it writes; known from the commit on.
    pub(crate) value: u8,
    pub(crate) gave_up: bool,
    pub(crate) next: u8,
    /// When it was acknowledged.
    pub(crate) told: Option<u8>,
    /// When it was both acknowledged and known to the store.
    pub(crate) shared: Option<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) db: u8,
    pub(crate) now: u8,
    pub(crate) store: Store,
    pub(crate) snapshot: Option<Store>,
    pub(crate) processes: [Process; 2],
    pub(crate) writers: Vec<Writer>,
    pub(crate) readers: Vec<Reader>,
    /// How far each of the world's faults has gone.
    pub(crate) faults: [u8; 2],
    /// A read returned an older value than it may.
    pub(crate) stale: bool,
    pub(crate) unanswered: bool,
}
