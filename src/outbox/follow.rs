//! Listening to the outbox: the task, what it knows, and when the cache may answer by it.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::durable::{self, Owed};
use super::lease::{self, LEASE_MS, Lease};
use super::row::{self, Note};
use super::{OutboxConfig, delete, record, triggers};
use crate::change::{Bump, Change};
use crate::database::{Database, Root};
use crate::effect::bump_of_changes;
use crate::error::Error;
use crate::event::{Cause, Event};
use crate::fault::{Fault, broken};
use crate::key::hex;
use crate::schema::Schema;
use crate::shared::Under;
use crate::stats::{OutboxStats, count};
use crate::store::unique;
use crate::sync::{Mutex, lock};
use crate::tag::TagId;

/// So many notes are read at once.
const BATCH: usize = 1_000;

/// Between two looks while there is something to hear; each look in vain doubles it.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// After this a new connection is handed out although nothing is known yet.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// A bump that one of us owes and that is older is done again: he may have failed to say it is done.
const OWN_MS: i64 = 600_000;

/// What one connected database's outbox tells.
#[derive(Debug)]
pub(crate) struct Follower {
    config: OutboxConfig,
    state: String,
    /// This cache, among all that may listen.
    me: String,
    /// When, by our clock, the last look began up to which everything is known, plus one; 0: none.
    proven: AtomicU64,
    /// The same by the database's clock.
    heard: watch::Sender<i64>,
    listening: AtomicBool,
    /// Somebody else listens, and there is no store through which we would know.
    elsewhere: AtomicBool,
    wake: Notify,
    /// Bumps of our own that are done.
    settled: Mutex<Vec<Owed>>,
    notes: AtomicU64,
    lag_ms: AtomicU64,
}

impl Follower {
    pub(crate) fn new(config: &OutboxConfig) -> Self {
        Self {
            state: format!("{}_state", config.table),
            config: config.clone(),
            me: hex(&unique()),
            proven: AtomicU64::new(0),
            heard: watch::Sender::new(0),
            listening: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
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

    pub(crate) fn is_durable(&self) -> bool {
        self.config.durable
    }

    /// So long what is owed is left to whoever owes it, in milliseconds.
    fn grace_ms(&self) -> i64 {
        if self.config.durable { self.config.bound.as_millis() as i64 / 4 } else { 0 }
    }

    /// Between two looks while there is nothing to hear: several fit within the bound, and so do a
    /// proof of another process, and what is left to those who owe it.
    fn pause(&self) -> Duration {
        self.config.bound / 5
    }

    /// All is known that was committed until `known_ms` by our clock and `heard_ms` by the database's.
    fn prove(&self, known_ms: Option<u64>, heard_ms: i64) {
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
        schema: Option<crate::store::Unique>,
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

/// Listens from now on, and waits a little until that is so.
pub(crate) async fn begin(database: &Arc<Database>) {
    let Some(follower) = &database.follower else { return };
    let (weak, root) = (Arc::downgrade(database), database.root.clone());
    database.background(run(weak, root, follower.clone(), database.backend));
    let mut heard = follower.heard.subscribe();
    let _ = timeout(FIRST_LOOK, heard.wait_for(|heard| *heard > 0)).await;
}

/// Listens, until nobody uses the connection any more.
async fn run(
    database: Weak<Database>,
    root: Arc<dyn Root>,
    follower: Arc<Follower>,
    backend: DbBackend,
) {
    let mut pause = SHORTEST_PAUSE;
    while let Some(living) = database.upgrade() {
        // A listener of the user's may panic; what others write is to be heard all the same.
        let look = AssertUnwindSafe(look(&living, &follower)).catch_unwind().await;
        let found = match look {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                follower.listening.store(false, Ordering::Relaxed);
                let error = error.to_string();
                let telling = || living.engine.tell(|| Event::OutboxUnheard { error: &error });
                let _ = std::panic::catch_unwind(AssertUnwindSafe(telling));
                false
            }
            Err(_) => false,
        };
        drop(living);
        pause = match found {
            true => SHORTEST_PAUSE,
            false => (pause * 2).min(follower.pause()),
        };
        let _ = timeout(pause, follower.wake.notified()).await;
    }
    // Else others would have to wait until the lease is over.
    let _ = lease::give_back(&*root, &follower.state, backend, &follower.me).await;
}

/// One look at what is there; was there anything?
async fn look(database: &Arc<Database>, follower: &Follower) -> Result<bool, DbErr> {
    let engine = &database.engine;
    let (root, backend) = (&*database.root, database.backend);
    let (state, me) = (&follower.state, &follower.me);
    let sent_ms = engine.clock.now_ms();
    settle(root, follower, backend).await?;
    let lease = lease::ask(root, state, backend).await?;
    let ours = lease.owner == *me && !lease.is_free();
    let have = ours || (lease.is_free() && lease::take(root, state, backend, me).await?);
    if !have {
        follower.listening.store(false, Ordering::Relaxed);
        elsewhere(database, follower, &lease, sent_ms);
        return Ok(false);
    }
    if !ours {
        follower.elsewhere.store(false, Ordering::Relaxed);
        if engine.shared.is_none() && !broken(Fault::OutboxKeepsEntries) {
            // Whoever listened before has heard, and deleted, what we know nothing of.
            engine.forget_entries();
        }
    }
    follower.listening.store(true, Ordering::Relaxed);
    let found = hear_all(database, follower, &lease).await?;
    // What is owed was left alone if it is younger.
    let done_ms = lease.before_ms() - follower.grace_ms();
    let pause_ms = engine.shared.as_ref().map(|_| follower.pause().as_millis() as i64);
    if (!ours || lease::is_due(&lease, done_ms, pause_ms))
        && !lease::publish(root, state, backend, me, done_ms).await?
    {
        return Err(lost());
    }
    follower.prove(sent_ms.checked_sub(follower.grace_ms() as u64), done_ms);
    Ok(found)
}

fn lost() -> DbErr {
    DbErr::Custom("somebody else listens by now".into())
}

/// Another process listens: through the store we know what it heard, and up to when.
fn elsewhere(database: &Database, follower: &Follower, lease: &Lease, sent_ms: u64) {
    if database.engine.shared.is_none() {
        if !follower.elsewhere.swap(true, Ordering::Relaxed) {
            database.engine.tell(|| Event::OutboxElsewhere);
        }
        return;
    }
    if let Some(since_ms) = lease.since_ms() {
        follower.prove(sent_ms.checked_sub(since_ms), lease.done_ms);
    }
}

/// Takes out what we owed and have done.
async fn settle(root: &dyn Root, follower: &Follower, backend: DbBackend) -> Result<(), DbErr> {
    let owed = std::mem::take(&mut *lock(&follower.settled));
    for some in owed.chunks(BATCH) {
        let ids: Vec<_> = some.iter().map(|Owed(id)| &**id).collect();
        if let Err(error) = delete::settled(root, &follower.config.table, backend, &ids).await {
            lock(&follower.settled).extend(owed);
            return Err(error);
        }
    }
    Ok(())
}

/// Bumps and deletes until nothing is left.
async fn hear_all(
    database: &Arc<Database>,
    follower: &Follower,
    lease: &Lease,
) -> Result<bool, DbErr> {
    let backend = database.backend;
    // Whoever owes a bump does it himself, unless he is gone.
    let since_ms = lease.now_ms - follower.grace_ms();
    let own_ms = lease.now_ms - OWN_MS;
    let mut found = false;
    loop {
        let table = &follower.config.table;
        let select = row::select(table, backend, BATCH, since_ms, (&follower.me, own_ms));
        let rows = database.root.query(select).await?;
        if rows.is_empty() {
            return Ok(found);
        }
        found = true;
        let notes = rows.iter().map(Note::read).collect::<Result<Vec<_>, _>>()?;
        hear(database, &notes).await?;
        let oldest_ms = notes.iter().map(|note| note.created_ms).min().unwrap_or(lease.now_ms);
        let lag_ms = u64::try_from(lease.now_ms - oldest_ms).unwrap_or(0);
        follower.lag_ms.store(lag_ms, Ordering::Relaxed);
        follower.notes.fetch_add(notes.len() as u64, Ordering::Relaxed);
        database.engine.tell(|| Event::OutboxHeard { notes: notes.len(), lag_ms });
        let ids: Vec<_> = notes.iter().map(|note| &*note.id).collect();
        let gone = delete::heard(&*database.root, table, backend, &ids, &follower.me).await?;
        if gone == 0 {
            // Not ours any more, or somebody deletes what he should not.
            return Err(lost());
        }
        if notes.len() < BATCH {
            return Ok(true);
        }
    }
}

/// Bumps what the notes tell, and waits until the store knows.
async fn hear(database: &Arc<Database>, notes: &[Note]) -> Result<(), DbErr> {
    let engine = &database.engine;
    if broken(Fault::OutboxForgets) {
        return Ok(());
    }
    let understanding = database.fresh().await;
    let schema = &understanding.schema;
    let mut changes: HashSet<Change> = HashSet::new();
    for note in notes {
        if note.operation == "B" {
            let (ids, under) = durable::read(note);
            bump_ids(database, &ids, under);
        } else {
            changes.extend(record::change(note, schema, database.backend));
        }
    }
    if !changes.is_empty() {
        let bump = bump_of_changes(changes.into_iter().collect(), schema, false);
        database.bump(&understanding, &bump, || Cause::Foreign);
    }
    let Some(shared) = &engine.shared else { return Ok(()) };
    let away = || DbErr::Custom("the store is away, so that what was heard is kept".into());
    shared.delivery.delivered(engine).await.map_err(|()| away())
}

/// What another process owed. Which of our entries that are is known by number only.
fn bump_ids(database: &Database, ids: &[TagId], under: Under) {
    let engine = &database.engine;
    let same = match under {
        Under::Any => true,
        Under::Schema(schema) => {
            schema.is_some()
                && schema == engine.shared.as_ref().and_then(crate::shared::Shared::schema)
        }
    };
    let all = [TagId::all()];
    let ids = if same { ids } else { &all };
    engine.versions.bump_ids(ids);
    if let Some(shared) = &engine.shared {
        shared.delivery.push(ids, Under::Any);
    }
    count(&engine.stats.bumps);
    engine.tell(|| Event::Bump { cause: &Cause::Foreign, tags: &[] });
}
