//! What the user says about listening.

use std::time::Duration;

use super::tables::Outbox;
use crate::error::Error;

/// A poll needs some milliseconds, and several of them must fit.
const SHORTEST_BOUND: Duration = Duration::from_millis(50);

/// Listens to what other programs write, in each database that is connected.
///
/// The database needs the outbox's tables, and the triggers on the tables that others write: see
/// [`Outbox`], or the migrations in `sea-orm-cache-migration`.
///
/// ```no_run
/// # async fn build() -> Result<(), sea_orm_cache::Error> {
/// use std::time::Duration;
/// use sea_orm_cache::{OutboxConfig, QueryCache};
///
/// let outbox = OutboxConfig::new().bound(Duration::from_millis(500)).durable_bumps();
/// let cache = QueryCache::builder().outbox(outbox).build().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct OutboxConfig {
    pub(crate) table: String,
    pub(crate) bound: Duration,
    pub(crate) durable: bool,
    #[cfg(feature = "postgres-notify")]
    pub(crate) notified: bool,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        // As `Coherence::bounded()`: seldom noticed by people, and a few short queries a second.
        let bound = Duration::from_secs(1);
        Self {
            table: Outbox::DEFAULT_NAME.to_owned(),
            bound,
            durable: false,
            #[cfg(feature = "postgres-notify")]
            notified: false,
        }
    }
}

impl OutboxConfig {
    /// The default: one second, in the table `sea_orm_cache_outbox`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The outbox's name, as it was given to [`Outbox::named`]. What is in it is read by the caches
    /// of one prefix, version and store: others need one of their own. (Those of another prefix or
    /// version do not answer while one of these listens; of another store it is not seen.)
    pub fn table(mut self, name: &str) -> Self {
        name.clone_into(&mut self.table);
        self
    }

    /// How old an answer may be, at most, against what other programs have committed. Where it is
    /// not certain that this holds (the database is away, nobody has listened yet) cached queries
    /// ask the database. At least 50 milliseconds; the default is one second.
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Also writes what our own transactions are to invalidate into the outbox, before their COMMIT
    /// and as part of it. So it is done even if the process is killed right after the COMMIT. Costs
    /// one more statement for each transaction, and a transaction for each write that has none. A
    /// transaction whose note can't be written fails. What is committed otherwise is not noted: under
    /// a raw `BEGIN`, by CALL, DO and what is not understood, by DDL and TRUNCATE of MySQL.
    /// Ask for it in all processes that share a store, or in none.
    pub fn durable_bumps(mut self) -> Self {
        self.durable = true;
        self
    }

    /// PostgreSQL's NOTIFY wakes the listener: what others write is heard some milliseconds after
    /// their COMMIT instead of at the next look. The triggers must send it
    /// ([`Outbox::notifying`](crate::Outbox::notifying)). Each process keeps a session of its own for
    /// it, beside the pool. For a connection that is a SeaORM pool to PostgreSQL; others are not
    /// woken. Needs feature `postgres-notify`.
    ///
    /// ```
    /// let outbox = sea_orm_cache::OutboxConfig::new().notified();
    /// ```
    #[cfg(feature = "postgres-notify")]
    pub fn notified(mut self) -> Self {
        self.notified = true;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        Outbox::named(&self.table)?;
        if self.bound < SHORTEST_BOUND {
            return Err(Error::config(format!(
                "outbox: a bound of {:?} is shorter than {SHORTEST_BOUND:?}, in which no answer \
                 can be had for certain",
                self.bound
            )));
        }
        Ok(())
    }
}
