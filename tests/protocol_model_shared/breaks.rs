//! Where each missing safeguard shows.

use crate::rules::{BOUNDED, Break, Fault, HERE, KNOWN_ONLY, Node, STRONG, World};

const ROLLBACK: &[Fault] = &[Fault::Rollback(Node::Only)];
const BREAK: &[Fault] = &[Fault::Break];
const AWAY: &[Fault] = &[Fault::Away];
const TIMEOUT: &[Fault] = &[Fault::Timeout];

impl Break {
    pub(crate) const ALL: &[Self] = &[
        Self::GetIgnoresEpoch,
        Self::PutIgnoresEpoch,
        Self::PutIgnoresGuard,
        Self::GuardComparedBeforeRow,
        Self::VersionReused,
        Self::MissingIsEqual,
        Self::LocalBumpOnlyBefore,
        Self::PublishBeforeDelete,
        Self::AckBeforeSend,
        Self::PromotionWithoutLogCheck,
        Self::PromotionChecksLogFirst,
        Self::PromotionStampsAllAfterGet,
        Self::KeepWithoutLogCheck,
        Self::MessageNotInLog,
        Self::ReconnectWithoutForgetting,
        Self::ForgetBeforeSubscribing,
        Self::HeartbeatBeforeForgetting,
        Self::SilenceIgnored,
        Self::StampsBeforeChannel,
        Self::JoinerIgnoresSilence,
        Self::HeartbeatOvertakes,
        Self::ProvenAtReceipt,
        Self::StoreTrustedWhileOverdue,
        Self::OverdueAskedBeforeMark,
        Self::OverdueAfterLocalBump,
        Self::NoLocalBumpOnGivingUp,
        Self::TrustedBeforeDelivery,
        Self::FirstDeliveryClearsAll,
        Self::StrongHitWithoutConfirmation,
        Self::StrongJoinerWithoutConfirmation,
        Self::JoinerIgnoresStamps,
        Self::JoinOfRefusedLoad,
    ];

    /// What shows nowhere: the promise does without, if the worlds are like this.
    pub(crate) const REDUNDANT: &[(Self, World)] = &[
        // It only ends a lost cause sooner; the bump after the store's is the one that counts.
        (Self::LocalBumpOnlyAfter, World { readers: HERE, faults: TIMEOUT, end: 0, ..BOUNDED }),
        // A tag known before the SQL has a version from the mark, which ends like the guard's.
        (Self::PutIgnoresGuard, World { tags: KNOWN_ONLY, ..STRONG }),
        (Self::PutIgnoresEpoch, World { tags: KNOWN_ONLY, faults: ROLLBACK, ..STRONG }),
    ];

    /// A small world that shows it.
    pub(crate) fn world(self) -> World {
        let here = World { readers: HERE, end: 0, ..BOUNDED };
        match self {
            Self::GetIgnoresEpoch | Self::PutIgnoresEpoch => World { faults: ROLLBACK, ..STRONG },
            Self::PutIgnoresGuard
            | Self::GuardComparedBeforeRow
            | Self::MissingIsEqual
            | Self::AckBeforeSend
            | Self::StrongHitWithoutConfirmation => STRONG,
            // A reader between the bump and its own look-up creates the version again.
            Self::VersionReused => World { tags: KNOWN_ONLY, ..STRONG },
            Self::StrongJoinerWithoutConfirmation => World { joins: true, ..STRONG },
            Self::StoreTrustedWhileOverdue | Self::TrustedBeforeDelivery => {
                World { readers: HERE, faults: AWAY, ..STRONG }
            }
            Self::FirstDeliveryClearsAll => {
                World { readers: HERE, writers: 2, faults: TIMEOUT, ..STRONG }
            }
            Self::LocalBumpOnlyBefore | Self::LocalBumpOnlyAfter => here,
            Self::OverdueAskedBeforeMark
            | Self::OverdueAfterLocalBump
            | Self::NoLocalBumpOnGivingUp => World { faults: AWAY, ..here },
            Self::PublishBeforeDelete
            | Self::PromotionWithoutLogCheck
            | Self::PromotionChecksLogFirst
            | Self::KeepWithoutLogCheck
            | Self::StampsBeforeChannel
            | Self::MessageNotInLog
            | Self::HeartbeatOvertakes
            | Self::SilenceIgnored => BOUNDED,
            Self::ProvenAtReceipt => World { end: 3, ..BOUNDED },
            Self::ReconnectWithoutForgetting
            | Self::ForgetBeforeSubscribing
            | Self::PromotionStampsAllAfterGet
            | Self::HeartbeatBeforeForgetting => World { faults: BREAK, ..BOUNDED },
            Self::JoinerIgnoresSilence | Self::JoinerIgnoresStamps | Self::JoinOfRefusedLoad => {
                World { joins: true, ..BOUNDED }
            }
        }
    }
}
