//! What the engine does for a store that processes share; without one, nothing.

use std::time::Duration;

use sea_orm::DbErr;

use super::{Shared, WhenAway};
use crate::cache::Engine;
use crate::change::Bump;
use crate::event::Event;
use crate::store::Unique;
use crate::sync::lock;
use crate::tag::TagId;

impl Engine {
    /// What was bumped so far is known to the store, too. A write is acknowledged after this.
    ///
    /// # Errors
    ///
    /// If it is not, and [`WhenAway::Refuse`] was asked for.
    pub(crate) async fn delivered(&self) -> Result<(), DbErr> {
        let Some(shared) = &self.shared else { return Ok(()) };
        if shared.delivery.delivered(self).await.is_ok() {
            return Ok(());
        }
        self.tell(|| Event::Undelivered { tags: shared.delivery.due() });
        match shared.when_away {
            WhenAway::Proceed => Ok(()),
            WhenAway::Refuse => Err(DbErr::Custom(
                "the write was done, but other processes could not be told: the cache's store is \
                 away (WhenAway::Refuse)"
                    .into(),
            )),
        }
    }

    /// May a write be sent?
    ///
    /// # Errors
    ///
    /// If the store is away, and [`WhenAway::Refuse`] was asked for.
    pub(crate) fn may_write(&self) -> Result<(), DbErr> {
        match &self.shared {
            Some(shared) if shared.when_away == WhenAway::Refuse && !shared.is_trusted() => {
                Err(DbErr::Custom(
                    "the write was not sent: the cache's store is away (WhenAway::Refuse)".into(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Other processes have bumped these.
    pub(crate) fn heard(&self, ids: &[TagId]) {
        self.versions.bump_ids(ids);
    }

    /// Another process has changed a schema: none is known any more, until it is read again.
    pub(crate) fn schema_moved(&self) {
        if let Some(shared) = &self.shared {
            self.move_schema(shared, None);
        }
        for database in self.connected() {
            let reading = database.clone();
            database.spawn(async move { drop(reading.fresh().await) });
        }
    }

    /// Before a catalog is read: what is read from now on is known under the version that the store
    /// has now. `false`: another process is changing a schema, or that can't be told.
    pub(crate) async fn begin_reading(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        let version = shared.mark_schema(self).await;
        if version.is_some() {
            self.move_schema(shared, version);
        }
        version.is_some()
    }

    /// From now on schemas are known under this version. None that was read under another one is
    /// ever current together with it.
    fn move_schema(&self, shared: &Shared, version: Option<Unique>) {
        let _one_at_a_time = lock(&shared.moving);
        if shared.schema() != version {
            shared.set_schema(None);
            self.forget_schemas();
            shared.set_schema(version);
        }
    }

    /// What is in memory may miss what others wrote.
    pub(crate) fn forget_entries(&self) {
        // Nor does anybody know whether a replica has it.
        self.last_bumps.note(&Bump::all(), self.clock.now_ms());
        self.versions.bump_ids(&[TagId::all()]);
    }

    /// How long the store must keep the versions of an entry: its life, from a load that may take
    /// its time.
    pub(crate) fn keep_ms(&self, ttl: Duration) -> u64 {
        const LOAD_MS: u64 = 60_000;
        u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4) + LOAD_MS
    }
}
