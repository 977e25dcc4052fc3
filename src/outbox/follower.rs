//! What one connected database's outbox tells, and when the cache may answer by it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Statement};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::durable::{self, Owed};
use super::lease::{self, LEASE_MS};
use super::listen::SHORTEST_PAUSE;
use super::{OutboxConfig, triggers};
use crate::change::Bump;
use crate::database::Database;
use crate::error::Error;
use crate::event::Event;
use crate::fault::{Fault, broken};
use crate::key::hex;
use crate::schema::Schema;
use crate::stats::OutboxStats;
use crate::store::{Unique, unique};
use crate::sync::{Mutex, lock};

/// What one connected database's outbox tells.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(super) config: OutboxConfig,
    pub(super) state: String,
    /// This cache, among all that may listen: whose it is, and a name of its own.
    pub(super) me: String,
    /// When, by our clock, the last look began up to which everything is known, plus one; 0: none.
    pub(super) proven: AtomicU64,
    /// The same by the database's clock.
    pub(super) heard: watch::Sender<i64>,
    pub(super) listening: AtomicBool,
    /// Somebody else listens, and there is no store through which we would know.
    pub(super) elsewhere: AtomicBool,
    /// The store is yet to be told that what one of another cache has heard may be anything.
    pub(super) untold: AtomicBool,
    pub(super) wake: Notify,
    /// Bumps of our own that are done.
    pub(super) settled: Mutex<Vec<Owed>>,
    pub(super) notes: AtomicU64,
    pub(super) lag_ms: AtomicU64,
}

impl Follower {
    /// `whose`: the caches for which each of them hears.
    pub(crate) fn new(config: &OutboxConfig, whose: &str) -> Self {
        let whose = hex(&Sha256::digest(whose)[..8]);
        Self {
            state: format!("{}_state", config.table),
            config: config.clone(),
            me: format!("{whose}-{}", hex(&unique())),
            proven: AtomicU64::new(0),
            heard: watch::Sender::new(0),
            listening: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
            untold: AtomicBool::new(false),
            wake: Notify::new(),
            settled: Mutex::default(),
            notes: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
        }
    }

    /// Is everything known that others committed longer ago than the bound?
    #[inline]
    pub(crate) fn is_proven(&self, now_ms: u64) -> bool {
        let proven = self.proven.load(Ordering::SeqCst);
        let bound_ms = self.config.bound.as_millis() as u64;
        proven > 0
            && (now_ms.saturating_sub(proven - 1) < bound_ms || broken(Fault::OutboxUnproven))
    }

    /// Does this one hear for us, too? `false` if it is of another prefix, version or store.
    pub(super) fn is_one_of_us(&self, owner: &str) -> bool {
        let whose = |me: &str| me.split_once('-').map(|(whose, _)| whose.to_owned());
        whose(owner) == whose(&self.me)
    }

    /// The next look is due now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.config.durable
    }

    /// So long what is owed is left to whoever owes it, in milliseconds.
    pub(super) fn grace_ms(&self) -> i64 {
        if self.config.durable { self.config.bound.as_millis() as i64 / 4 } else { 0 }
    }

    /// Between two looks while there is nothing to hear: several fit within the bound, and so do a
    /// proof of another process, and what is left to those who owe it. And several fit within the
    /// lease, however long the bound is.
    pub(super) fn pause(&self) -> Duration {
        self.proof_pause().min(Duration::from_millis(LEASE_MS as u64 / 6))
    }

    /// Between two proofs for those who do not listen.
    pub(super) fn proof_pause(&self) -> Duration {
        self.config.bound / 5
    }

    /// All is known that was committed until `known_ms` by our clock and `heard_ms` by the database's.
    pub(super) fn prove(&self, known_ms: Option<u64>, heard_ms: i64) {
        if let Some(known_ms) = known_ms {
            self.proven.store(known_ms + 1, Ordering::SeqCst);
        }
        self.heard.send_replace(heard_ms);
    }

    pub(crate) fn tables(&self) -> [&str; 2] {
        [&self.config.table, &self.state]
    }

    pub(crate) fn stats(&self, now_ms: u64) -> OutboxStats {
        let proven = self.proven.load(Ordering::SeqCst);
        OutboxStats {
            listening: self.listening.load(Ordering::Relaxed),
            notes: self.notes.load(Ordering::Relaxed),
            lag_ms: self.lag_ms.load(Ordering::Relaxed),
            behind_ms: (proven > 0).then(|| now_ms.saturating_sub(proven - 1)),
        }
    }

    /// Is there an outbox at all?
    pub(crate) async fn check(&self, database: &Database) -> Result<(), Error> {
        if database.typed_only {
            return Err(Error::config("outbox: the wrapped connection does not take SQL text"));
        }
        let found = lease::ask(&*database.root, &self.state, database.backend).await;
        found.map(drop).map_err(|error| {
            Error::config(format!(
                "outbox: {} can't be read: create it with Outbox::create, or with the migration of \
                 sea-orm-cache-migration ({error})",
                self.state
            ))
        })
    }

    /// Names the tables that were changed since their triggers were made.
    pub(crate) async fn tell_outdated(&self, database: &Database, schema: &Schema) {
        let sql = format!("SELECT name, note FROM {} WHERE name <> 'listener'", self.state);
        let statement = Statement::from_string(database.backend, sql);
        let Ok(rows) = database.root.query(statement).await else { return };
        let mut watched = HashSet::new();
        let tell = |table: &str| {
            let run = format!("Outbox::watch(&db, [{table:?}]), or CacheTriggers again");
            database.engine.tell(|| Event::TriggersOutdated { table, run: &run });
        };
        for row in rows {
            let name: Result<String, _> = row.try_get_by("name");
            let note: Result<String, _> = row.try_get_by("note");
            let (Ok(name), Ok(note)) = (name, note) else { continue };
            let Some(table) = name.strip_prefix(triggers::MARK) else { continue };
            watched.insert(table.to_owned());
            if schema.table(table).is_some_and(|known| triggers::note(known) != note) {
                tell(table);
            }
        }
        for part in schema.tables.values().filter(|part| !watched.contains(&*part.name)) {
            // It was added since.
            if let Some(whole) = part.part_of.as_ref().filter(|whole| watched.contains(&***whole)) {
                tell(whole);
            }
        }
    }

    /// Notes what a transaction is about to owe, as part of it.
    pub(crate) async fn owe(
        &self,
        conn: &impl ConnectionTrait,
        bump: &Bump,
        schema: Option<Unique>,
    ) -> Result<Owed, DbErr> {
        durable::owe(conn, &self.config.table, &self.me, &bump.ids, schema).await
    }

    /// It is done, and the store knows.
    pub(crate) fn settle(&self, owed: Owed) {
        lock(&self.settled).push(owed);
    }

    /// Waits until everything is known that was committed before the call.
    pub(crate) async fn catch_up(&self, database: &Database) -> Result<(), Error> {
        let lease = lease::ask(&*database.root, &self.state, database.backend);
        let now_ms = lease.await.map_err(Error::database)?.now_ms;
        // A later moment may be known from before the clock was set back.
        self.heard.send_replace(0);
        let mut heard = self.heard.subscribe();
        let patience = self.config.bound * 2 + Duration::from_millis(2 * LEASE_MS as u64);
        let waiting = async {
            loop {
                self.wake.notify_one();
                // One that was under way may have begun before.
                let known = heard.wait_for(|heard| *heard >= now_ms);
                if let Ok(known) = timeout(SHORTEST_PAUSE * 4, known).await {
                    return known.is_ok();
                }
            }
        };
        match timeout(patience, waiting).await {
            Ok(true) => Ok(()),
            _ => Err(Error::unheard(patience)),
        }
    }
}
