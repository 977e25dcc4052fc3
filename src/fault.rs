//! Test-only switches that break one rule at a time, so that the tests can show that they would
//! notice. Without the hidden feature `__mutation` every switch is the constant `false`.

/// One rule of the design, broken. Not part of the public API.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
// Without the feature nothing sets them, and nothing outside sees them.
#[allow(missing_docs, dead_code, unreachable_pub)]
pub enum Fault {
    None,
    WriterDropsWhole,
    WriterDropsRow,
    WriterDropsAnyRow,
    WriterDropsAppear,
    WriterDropsAppearPart,
    WriterDropsAppearAny,
    WriterDropsGone,
    WriterDropsGonePart,
    WriterDropsGoneAny,
    WriterDropsColumn,
    WriterDropsColumnPart,
    WriterDropsColumnAny,
    WriterDropsGuard,
    WriterDropsAll,
    ReaderDropsRow,
    ReaderDropsAnyRow,
    ReaderDropsAppear,
    ReaderDropsGone,
    ReaderDropsColumn,
    ReaderDropsGuard,
    NoOverlapCheck,
    RowTagsBeforeGuard,
    BumpBeforeCommit,
    StampAfterSql,
    ReuseVersions,
    MissingIsEqual,
    NoCascade,
    NoTriggers,
    NoGenerated,
    CaseInsensitiveKeys,
    /// Reads are cached while nothing is known of the schema.
    CacheWithoutCatalog,
    /// A value does not rest on the entries that answered within it.
    RecordNoHits,
    /// Nor on what was read from the database.
    RecordNoFills,
    /// Nor is it refused where a part of it can't be recorded.
    RecordDespiteRefusal,
    SuspendForgets,
    RecordNoDrops,
    RecordOneConnection,
    KeepTransactionReads,
    FoldedStays,
    FoldedCascades,
    FoldedPrimaryKeys,
    NullableIsNull,
    SavepointForgets,
    CommitForgets,
    CancelForgets,
    HitInTransaction,
    OffsetByRows,
    KeyIgnoresValues,
    KeyIgnoresScope,
    OldSchema,
    OneLocalBump,
    IgnoreSilence,
    KeepAfterSilence,
    MessagesNotLogged,
    NoConfirmation,
    TrustWhileAway,
    NoGuardInStore,
    PromoteUnchecked,
    /// What is in the outbox is deleted, and nothing is bumped.
    OutboxForgets,
    /// The cache answers, however long nobody has listened.
    OutboxUnproven,
    /// Who begins to listen keeps what he knew before.
    OutboxKeepsEntries,
    /// Without a store a process takes out what it owed before the one that listens has heard it.
    OutboxSettlesUnheard,
    /// What a listener of another prefix or version has heard counts as known.
    OutboxTrustsStrangers,
    /// A look that was held up does not ask whether the lease is still its own.
    OutboxAssumesLease,
    /// A transaction does not note what it owes.
    OwesNothing,
    /// In a store of files: versions are deleted once, in any order.
    OnePass,
    /// Guards are compared before late versions are taken.
    GuardsBeforeLate,
    /// Whether tags are blocked is looked at before their versions are.
    BlocksBeforeVersions,
    /// A version that ends soon is written anew, for longer.
    VersionWrittenAgain,
    /// Versions in a server's database are deleted by one statement.
    DeleteOnce,
}

#[cfg(feature = "__mutation")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Fault;

    static ACTIVE: AtomicU8 = AtomicU8::new(Fault::None as u8);

    /// Breaks `fault` in the whole process until another one is set.
    #[doc(hidden)]
    pub fn set(fault: Fault) {
        ACTIVE.store(fault as u8, Ordering::SeqCst);
    }

    pub(crate) fn broken(fault: Fault) -> bool {
        ACTIVE.load(Ordering::SeqCst) == fault as u8
    }
}

#[cfg(not(feature = "__mutation"))]
mod switch {
    use super::Fault;

    #[inline(always)]
    pub(crate) const fn broken(_: Fault) -> bool {
        false
    }
}

pub(crate) use switch::broken;
#[cfg(feature = "__mutation")]
#[doc(hidden)]
pub use switch::set;
