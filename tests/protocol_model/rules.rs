//! What a run explores (`World`) and the one rule of the protocol that it breaks (`Break`).

use crate::model::{ACKNOWLEDGED, REPORTED, SETTLED};

/// One broken rule. Every variant must be found stale, or the model could not see the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// A load stores without looking at the guard again.
    NoCheck,
    /// A writer bumps its other tags before it appends its record to the guard.
    RowTagsBeforeGuard,
    /// A writer bumps everything, then commits.
    BumpBeforeCommit,
    /// A writer acknowledges before it bumps.
    AckBeforeBump,
    /// A version that is created again is the same one as before.
    VersionReused,
    /// A load remembers the guard and all versions after its SQL.
    AllReadAfterSql,
    /// A load remembers the guard after its SQL, though `T+` before it.
    GuardReadAfterSql,
    /// A joiner takes the load's result as it is.
    JoinWithoutRevalidation,
    /// A joiner takes a result that its load was refused to store, if all tags are valid.
    JoinOfRefusedLoad,
    /// A missing version counts as equal.
    MissingIsEqual,
    /// A writer whose caller goes away after the commit stops where it is.
    DropStopsTheBump,
    /// A commit of unknown outcome is followed by one bump and nothing else.
    OneBumpWithoutDoubt,
    /// As above, but fills are refused until the transaction is known to be over.
    OneBumpInDoubt,
    /// Two bumps, but the table is not doubtful between them.
    TwoBumpsWithoutDoubt,
    /// The table becomes doubtful only after the first bump.
    DoubtAfterFirstBump,
    /// The doubt ends before the second bump.
    DoubtEndsBeforeSecondBump,
    /// A record does not name the row tags, so no overlap with them is seen.
    RecordOmitsRowTags,
    /// A load that the log no longer reaches back to counts as one without overlap.
    OverflowIgnored,
}

impl Break {
    pub(crate) const ALL: [Self; 18] = [
        Self::NoCheck,
        Self::RowTagsBeforeGuard,
        Self::BumpBeforeCommit,
        Self::AckBeforeBump,
        Self::VersionReused,
        Self::AllReadAfterSql,
        Self::GuardReadAfterSql,
        Self::JoinWithoutRevalidation,
        Self::JoinOfRefusedLoad,
        Self::MissingIsEqual,
        Self::DropStopsTheBump,
        Self::OneBumpWithoutDoubt,
        Self::OneBumpInDoubt,
        Self::TwoBumpsWithoutDoubt,
        Self::DoubtAfterFirstBump,
        Self::DoubtEndsBeforeSecondBump,
        Self::RecordOmitsRowTags,
        Self::OverflowIgnored,
    ];

    /// The property that must fail. An unacknowledged write can't break the promise itself.
    pub(crate) fn violates(self) -> &'static str {
        match self {
            Self::DropStopsTheBump | Self::OneBumpWithoutDoubt | Self::OneBumpInDoubt => SETTLED,
            Self::TwoBumpsWithoutDoubt
            | Self::DoubtAfterFirstBump
            | Self::DoubtEndsBeforeSecondBump => REPORTED,
            _ => ACKNOWLEDGED,
        }
    }

    /// A small world that shows the break.
    pub(crate) fn world(self) -> World {
        let lost_commit = self.violates() != ACKNOWLEDGED && self != Self::DropStopsTheBump;
        // These three treat a tag known before the SQL differently from the row tags.
        let known_tag = [Self::AllReadAfterSql, Self::GuardReadAfterSql, Self::RecordOmitsRowTags];
        World {
            may_lose: [lost_commit, false],
            upsert: known_tag.contains(&self),
            // Else the shortest way to stale data is often a joined load, not a stored entry.
            joins: matches!(self, Self::JoinWithoutRevalidation | Self::JoinOfRefusedLoad),
            strangers: self == Self::OverflowIgnored,
            evictions: false,
            ..World::default()
        }
    }
}

/// Which parts of the environment a run explores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Writer 1 is an upsert: it bumps `T+` as well, and entries depend on `T+`.
    pub(crate) upsert: bool,
    /// Which writers may lose their connection while they commit.
    pub(crate) may_lose: [bool; 2],
    /// Writes to a row that the entry does not show, any number of them at any time.
    pub(crate) strangers: bool,
    /// A reader may join the other one's load.
    pub(crate) joins: bool,
    /// The entry and any version may be evicted at any time.
    pub(crate) evictions: bool,
    /// How many records the guard's log keeps (at most `state::MAX_LOG`).
    pub(crate) log: u8,
    /// Step 4 refuses whenever the guard moved and looks at no record.
    pub(crate) plain_guard: bool,
}

impl Default for World {
    fn default() -> Self {
        // One record is the least with which overlap and overflow both occur.
        Self {
            upsert: true,
            may_lose: [false; 2],
            strangers: true,
            joins: true,
            evictions: true,
            log: 1,
            plain_guard: false,
        }
    }
}
