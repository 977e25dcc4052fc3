//! Writes of other programs, and of processes that died: what was changed is noted in the user's
//! own database, by the transaction that changes it, and one listener turns it into bumps.
//!
//! Two tables are needed: the outbox, and beside it (`…_state`) who listens. [`Outbox`] makes them,
//! and the triggers that write into them; the crate `sea-orm-cache-migration` has the same as
//! migrations. What is in the outbox is either
//!
//! - a *change*, written by a trigger: table, operation, the row's key columns before and after,
//!   and which columns changed; or
//! - a *bump* that one of our own transactions owes ([`OutboxConfig::durable_bumps`]).
//!
//! The listener reads whatever is there, in whatever order it became visible, bumps, waits until
//! the store knows, and deletes what it read by its id. A transaction that commits late is seen
//! when it is visible: no position is remembered. Bumps may be done twice; none can be lost: what
//! was not deleted is read again.
//!
//! Staleness is bounded as for [`Bounded`](crate::Coherence::Bounded): an answer of the cache needs
//! a proof that all that was committed up to some moment is known here, and that moment is no
//! longer ago than the bound. Without one the database answers.

mod config;
mod delete;
mod durable;
mod follower;
mod lease;
mod listen;
#[cfg(feature = "postgres-notify")]
mod notify;
mod record;
mod row;
mod tables;
mod triggers;
mod watch;

pub use self::config::OutboxConfig;
pub(crate) use self::durable::Owed;
pub(crate) use self::follower::Follower;
pub(crate) use self::listen::begin;
pub use self::tables::Outbox;

/// What the triggers' names, and those of what they call, begin with: so the catalog knows them.
pub(crate) const RESERVED: &str = "sea_orm_cache_";

/// The form of what triggers write. Another one is not read: the whole table counts as changed.
pub(crate) const FORMAT: u32 = 1;

/// Is this trigger or function one of ours?
pub(crate) fn is_own(name: &str) -> bool {
    name.get(..RESERVED.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}
