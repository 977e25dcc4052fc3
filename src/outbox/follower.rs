//! What one connected database's outbox tells, and when the cache may answer by it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::durable::{self, Owed};
use super::lease::{self, LEASE_MS};
use super::listen::SHORTEST_PAUSE;
use super::row::Note;
use super::{OutboxConfig, triggers};
use crate::change::Bump;
use crate::database::Database;
use crate::error::Error;
use crate::event::Event;
use crate::fault::{Fault, broken};
use crate::key::hex;
use crate::schema::{Name, Schema};
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
    /// There is a store, through which others hear what one has heard.
    pub(super) shares: bool,
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
    /// By the table that a note names, those that may have changed in any way.
    misled: Mutex<HashMap<Name, Vec<Name>>>,
}

/// Where a cascade of InnoDB begins that reaches a table whose triggers it does not fire.
fn unwatched_parents(made: &HashMap<Name, String>, schema: &Schema) -> Vec<Name> {
    let mut reached: Vec<Name> = made.keys().cloned().collect();
    let mut at = 0;
    while let Some(child) = reached.get(at).cloned() {
        at += 1;
        for key in schema.foreign_keys.iter().filter(|key| key.child == child && key.acts()) {
            if !reached.contains(&key.parent) {
                reached.push(key.parent.clone());
            }
        }
    }
    reached.split_off(made.len())
}

impl Follower {
    /// `whose`: the caches for which each of them hears.
    pub(crate) fn new(config: &OutboxConfig, shares: bool, whose: &str) -> Self {
        let whose = hex(&Sha256::digest(format!("{shares}:{whose}"))[..8]);
        Self {
            state: format!("{}_state", config.table),
            config: config.clone(),
            me: format!("{whose}-{}", hex(&unique())),
            shares,
            proven: AtomicU64::new(0),
            heard: watch::Sender::new(0),
            listening: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
            untold: AtomicBool::new(false),
            wake: Notify::new(),
            settled: Mutex::default(),
            notes: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
            misled: Mutex::default(),
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
        whose(owner) == whose(&self.me) || broken(Fault::OutboxTrustsStrangers)
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

    /// Names the tables whose triggers are gone, or were made for what the table was before.
    pub(crate) async fn tell_outdated(&self, database: &Database, schema: &Schema) {
        let (root, backend) = (&*database.root, database.backend);
        let sql = format!("SELECT name, note FROM {} WHERE name <> 'listener'", self.state);
        let Ok(rows) = root.query(Statement::from_string(backend, sql)).await else { return };
        let mut made: HashMap<Name, String> = HashMap::new();
        for row in rows {
            let name: Result<String, _> = row.try_get_by("name");
            let note: Result<String, _> = row.try_get_by("note");
            let (Ok(name), Ok(note)) = (name, note) else { continue };
            let Some(table) = name.strip_prefix(triggers::MARK) else { continue };
            made.insert(table.into(), note);
        }
        let Ok(rows) = root.query(triggers::find(backend)).await else { return };
        let Ok(there) = triggers::there(&rows, backend) else { return };
        // They may be hidden.
        let all_seen = schema.partly_hidden.is_none();
        let names = |table: &Name| triggers::names(&self.config.table, table, backend);
        let complete = |table: &Name| {
            let is_there = |name: String| {
                !triggers::is_needed(&name) || there.contains(&(name, table.clone()))
            };
            names(table).into_iter().any(|names| names.into_iter().all(is_there))
        };
        let (mut tell, mut misled) = (BTreeSet::new(), HashMap::new());
        for (table, note) in &made {
            let known = schema.table(table);
            if known.is_some_and(|known| triggers::note(known) != *note) {
                misled.insert(table.clone(), vec![table.clone()]);
                tell.insert(table.clone());
            } else if known.is_some() && all_seen && !complete(table) {
                tell.insert(table.clone());
            }
            // Triggers go with a table that is renamed, and go on to name it as before.
            let names = names(table).concat();
            for (name, other) in &there {
                let another = names.contains(name) && other != table;
                if another && !(made.contains_key(other) && complete(other)) {
                    misled.entry(table.clone()).or_default().push(other.clone());
                    tell.insert(other.clone());
                }
            }
        }
        for part in schema.tables.values().filter(|part| !made.contains_key(&part.name)) {
            // It was added since.
            tell.extend(part.part_of.iter().filter(|whole| made.contains_key(*whole)).cloned());
        }
        if backend == DbBackend::MySql {
            tell.extend(unwatched_parents(&made, schema));
        }
        *lock(&self.misled) = misled;
        for table in tell {
            let run = format!("Outbox::watch(&db, [{table:?}]), or CacheTriggers again");
            database.engine.tell(|| Event::TriggersOutdated { table: &table, run: &run });
        }
    }

    /// The tables of which this note tells less than it should: their triggers are outdated.
    pub(super) fn misled(&self, note: &Note) -> Vec<Name> {
        lock(&self.misled).get(&*note.table).cloned().unwrap_or_default()
    }

    /// Notes what a transaction is about to owe, as part of it.
    pub(crate) async fn owe(
        &self,
        conn: &impl ConnectionTrait,
        bump: &Bump,
        schema: Option<Unique>,
    ) -> Result<Option<Owed>, DbErr> {
        durable::owe(conn, &self.config.table, &self.me, bump, schema).await
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
