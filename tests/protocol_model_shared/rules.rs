//! What a run explores (`World`) and the one safeguard that it does without (`Break`).

use crate::state::{KNOWN, ROW};

/// One missing safeguard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// A version of an earlier epoch is as good as one of this one.
    GetIgnoresEpoch,
    /// A fill that was marked in an earlier epoch is stored.
    PutIgnoresEpoch,
    /// A fill is stored although its table was written to since the mark.
    PutIgnoresGuard,
    /// The guard is compared in one step, the row's version taken in the next.
    GuardComparedBeforeRow,
    /// A version that is created again is the same one as before.
    VersionReused,
    /// A missing version counts as equal.
    MissingIsEqual,
    /// No local bump after the store's.
    LocalBumpOnlyBefore,
    /// No local bump before the store's.
    LocalBumpOnlyAfter,
    /// The message is on its way before the versions are deleted.
    PublishBeforeDelete,
    /// The writer is told before the store is.
    AckBeforeSend,
    /// What the store had is kept whatever was bumped since the mark.
    PromotionWithoutLogCheck,
    /// The log is asked before the stamps are taken.
    PromotionChecksLogFirst,
    /// The stamp of `*` is taken after the `Get`, with those of the tags.
    PromotionStampsAllAfterGet,
    /// What the database had is kept whatever was bumped since the mark.
    KeepWithoutLogCheck,
    /// A message deletes versions, but leaves no record in the log.
    MessageNotInLog,
    ReconnectWithoutForgetting,
    ForgetBeforeSubscribing,
    /// Heartbeats count although what may have been missed is not forgotten yet.
    HeartbeatBeforeForgetting,
    /// Entries answer however long no heartbeat came.
    SilenceIgnored,
    /// The stamps are looked at before the channel is.
    StampsBeforeChannel,
    /// So they do for those who joined a load.
    JoinerIgnoresSilence,
    /// Heartbeats come another way than the bumps (as through another node of a cluster).
    HeartbeatOvertakes,
    /// A heartbeat proves the channel up to its receipt.
    ProvenAtReceipt,
    StoreTrustedWhileOverdue,
    /// Whether a write is overdue is asked before the mark.
    OverdueAskedBeforeMark,
    /// The local bump of a write that gives up comes before it says so.
    OverdueAfterLocalBump,
    /// A write that gives up relies on its first local bump.
    NoLocalBumpOnGivingUp,
    /// The first overdue write that is delivered ends the distrust of the others.
    FirstDeliveryClearsAll,
    /// The store is trusted again before it has heard of the write.
    TrustedBeforeDelivery,
    StrongHitWithoutConfirmation,
    StrongJoinerWithoutConfirmation,
    JoinerIgnoresStamps,
    /// A refused load hands its joiners what it has.
    JoinOfRefusedLoad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coherence {
    Bounded,
    Strong,
}

/// Each happens at most once, if it does not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Process 1 loses its subscription, and subscribes again.
    Break,
    /// FLUSHALL.
    Flush,
    /// Any one version is evicted.
    Evict,
    /// The store, or one of its two nodes, becomes what it was at some earlier time.
    Rollback(Node),
    /// The store is out of reach for the writers' process, and comes back.
    Away,
    /// Any writer may find the store out of reach, though everybody else finds it.
    Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Only,
    Versions,
    Entries,
}

/// Where the entry is, and in which order a `Get` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// With the versions: one script reads both.
    Together,
    EntryFirst,
    VersionsFirst,
}

/// What a run explores. The writers' process is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) coherence: Coherence,
    /// What the entry depends on and the write bumps, besides the guard.
    pub(crate) tags: &'static [usize],
    /// How many writes there are; each writes once.
    pub(crate) writers: usize,
    /// For each reader, its process and how often it reads.
    pub(crate) readers: &'static [(usize, u8)],
    pub(crate) joins: bool,
    pub(crate) nodes: Nodes,
    /// At most two.
    pub(crate) faults: &'static [Fault],
    /// The clock stops here.
    pub(crate) end: u8,
}

pub(crate) const ROW_ONLY: &[usize] = &[ROW];
pub(crate) const KNOWN_ONLY: &[usize] = &[KNOWN];
pub(crate) const BOTH: &[usize] = &[KNOWN, ROW];

/// Two reads where the writes are; elsewhere; one here and one there.
pub(crate) const HERE: &[(usize, u8)] = &[(0, 1), (0, 1)];
pub(crate) const THERE: &[(usize, u8)] = &[(1, 1), (1, 1)];
pub(crate) const EACH: &[(usize, u8)] = &[(0, 1), (1, 1)];

pub(crate) const STRONG: World = World {
    coherence: Coherence::Strong,
    tags: ROW_ONLY,
    writers: 1,
    readers: THERE,
    joins: false,
    nodes: Nodes::Together,
    faults: &[],
    end: 0,
};

/// The clock goes far enough for a read after the bound has passed.
pub(crate) const BOUNDED: World = World { coherence: Coherence::Bounded, end: 2, ..STRONG };
