//! Listening to the outbox: one look after the other, for as long as the connection is used.

use std::any::Any;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sea_orm::{DbBackend, DbErr};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::durable::{self, Owed};
use super::follower::Follower;
use super::lease::{self, LEASE_MS, Lease};
use super::row::{self, Note};
use super::{delete, record};
use crate::change::{Bump, Change, Effect};
use crate::database::{Database, Root};
use crate::effect::bump_of_changes;
use crate::event::{Cause, Event};
use crate::fault::{Fault, broken};
use crate::shared::{Shared, Under};
use crate::stats::count;
use crate::sync::lock;
use crate::tag::TagId;

/// So many notes are read at once.
const BATCH: usize = 1_000;

/// Between two looks while there is something to hear; each look in vain doubles it.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// After this a new connection is handed out although nothing is known yet.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// A bump that one of us owes and that is older is done again: he may have failed to say it is done.
const OWN_MS: i64 = 600_000;

/// Listens from now on, and waits a little until that is so.
pub(crate) async fn begin(database: &Arc<Database>, connection: &(dyn Any + Sync)) {
    let Some(follower) = &database.follower else { return };
    let (weak, root, backend) = (Arc::downgrade(database), database.root.clone(), database.backend);
    let waking = wake_on_notes(database, connection, follower);
    let listening = run(weak, root, follower.clone(), backend);
    database.background(async move {
        listening.await;
        waking.inspect(AbortHandle::abort);
    });
    let mut heard = follower.heard.subscribe();
    let _ = timeout(FIRST_LOOK, heard.wait_for(|heard| *heard > 0)).await;
}

/// Has the database itself wake the listener, where it can.
#[cfg(feature = "postgres-notify")]
fn wake_on_notes(
    database: &Database,
    connection: &dyn Any,
    follower: &Arc<Follower>,
) -> Option<AbortHandle> {
    let waking = super::notify::wake(connection, follower)?;
    Some(database.background(waking))
}

#[cfg(not(feature = "postgres-notify"))]
fn wake_on_notes(_: &Database, _: &dyn Any, _: &Arc<Follower>) -> Option<AbortHandle> {
    None
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
    // Else it would be done once more, by whoever listens next.
    let _ = settle(&*root, &follower, backend).await;
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
        if !follower.shares && !broken(Fault::OutboxKeepsEntries) {
            // Whoever listened before has heard, and deleted, what we know nothing of.
            engine.forget_entries();
        }
        if follower.shares && !follower.is_one_of_us(&lease.owner) {
            // He has told another store of it, or other keys.
            follower.untold.store(true, Ordering::Relaxed);
            engine.bump(&Bump::all(), || Cause::Foreign);
        }
    }
    follower.listening.store(true, Ordering::Relaxed);
    let found = hear_all(database, follower, &lease).await?;
    if follower.untold.load(Ordering::Relaxed) {
        delivered(database).await?;
        follower.untold.store(false, Ordering::Relaxed);
    }
    // What is owed was left alone if it is younger.
    let done_ms = lease.before_ms() - follower.grace_ms();
    let pause_ms = follower.shares.then(|| follower.proof_pause().as_millis() as i64);
    let kept = match !ours || lease::is_due(&lease, done_ms, pause_ms) {
        true => lease::publish(root, state, backend, me, done_ms).await?,
        // If this was held up before it read, another one may have heard, and deleted, in between.
        false => lease::ask(root, state, backend).await?.owner == *me,
    };
    if !kept && !broken(Fault::OutboxAssumesLease) {
        return Err(lost());
    }
    follower.prove(sent_ms.checked_sub(follower.grace_ms() as u64), done_ms);
    Ok(found)
}

fn lost() -> DbErr {
    DbErr::Custom("somebody else listens by now".into())
}

/// Another process listens: through the store, if that is the same, we know what it heard, and up to
/// when.
fn elsewhere(database: &Database, follower: &Follower, lease: &Lease, sent_ms: u64) {
    if !follower.shares || !follower.is_one_of_us(&lease.owner) {
        if let Some(other) = of_same_cache(database, lease) {
            // What it heard was bumped in the same memory.
            let known = other.proven.load(Ordering::SeqCst);
            follower.prove(known.checked_sub(1), *other.heard.borrow());
            return;
        }
        if !follower.elsewhere.swap(true, Ordering::Relaxed) {
            database.engine.tell(|| Event::OutboxElsewhere);
        }
        return;
    }
    if let Some(since_ms) = lease.since_ms() {
        follower.prove(sent_ms.checked_sub(since_ms), lease.done_ms);
    }
}

/// Another connection of the same cache to the same database, if it is that which listens.
fn of_same_cache(database: &Database, lease: &Lease) -> Option<Arc<Follower>> {
    let connected = database.engine.connected();
    let mut followers = connected.iter().filter_map(|other| other.follower.as_ref());
    let has = |other: &&Arc<Follower>| other.me == lease.owner && !lease.is_free();
    followers.find(has).cloned()
}

/// Takes out what we owed and have done. Without a store only we know of it: unless it is we who
/// listen, it is left to who does, whose entries may depend on it.
async fn settle(root: &dyn Root, follower: &Follower, backend: DbBackend) -> Result<(), DbErr> {
    let (table, me) = (&follower.config.table, &follower.me);
    let owed = std::mem::take(&mut *lock(&follower.settled));
    for some in owed.chunks(BATCH) {
        let ids: Vec<_> = some.iter().map(|Owed(id)| &**id).collect();
        let gone = match follower.shares || broken(Fault::OutboxSettlesUnheard) {
            true => delete::settled(root, table, backend, &ids).await,
            false => delete::heard(root, table, backend, &ids, me).await,
        };
        if let Err(error) = gone {
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
    let (since_ms, until_ms) =
        (lease.now_ms - follower.grace_ms(), lease.now_ms + follower.grace_ms());
    let own_ms = lease.now_ms - OWN_MS;
    let mut found = false;
    let mut kept = Instant::now();
    loop {
        let table = &follower.config.table;
        let select =
            row::select(table, backend, BATCH, (since_ms, until_ms), (&follower.me, own_ms));
        let rows = database.root.query(select).await?;
        if rows.is_empty() {
            return Ok(found);
        }
        found = true;
        let notes = rows.iter().map(Note::read).collect::<Result<Vec<_>, _>>()?;
        hear(database, follower, &notes).await?;
        let oldest_ms = notes.iter().map(|note| note.created_ms).min().unwrap_or(lease.now_ms);
        let lag_ms = u64::try_from(lease.now_ms.saturating_sub(oldest_ms)).unwrap_or(0);
        follower.lag_ms.store(lag_ms, Ordering::Relaxed);
        follower.notes.fetch_add(notes.len() as u64, Ordering::Relaxed);
        let ids: Vec<_> = notes.iter().map(|note| &*note.id).collect();
        let gone = delete::heard(&*database.root, table, backend, &ids, &follower.me).await?;
        if gone == 0 {
            // Not ours any more, or somebody deletes what he should not.
            return Err(lost());
        }
        // Now, so that a panic of who is told does not have them heard again and again.
        database.engine.tell(|| Event::OutboxHeard { notes: notes.len(), lag_ms });
        if notes.len() < BATCH {
            return Ok(true);
        }
        if kept.elapsed() > Duration::from_millis(LEASE_MS as u64 / 3) {
            let (state, me) = (&follower.state, &follower.me);
            // What is yet to be heard is not claimed.
            if !lease::publish(&*database.root, state, backend, me, lease.done_ms).await? {
                return Err(lost());
            }
            kept = Instant::now();
        }
    }
}

/// Bumps what the notes tell, and waits until the store knows.
async fn hear(database: &Arc<Database>, follower: &Follower, notes: &[Note]) -> Result<(), DbErr> {
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
            let unknown = |table| Change { table, effect: Effect::Unknown };
            changes.extend(follower.misled(note).into_iter().map(unknown));
        }
    }
    if !changes.is_empty() {
        let engine = &database.engine;
        let ruled = engine.rules.are_there();
        let mut bump = bump_of_changes(changes.into_iter().collect(), schema, ruled);
        if !schema.known || schema.partly_hidden.is_some() {
            // As for our own writes: what they bring about can't be told.
            bump.more();
        }
        database.bump(&understanding, &bump, || Cause::Foreign);
        if let Some(changes) = &bump.changes {
            let under = Under::Schema(database.version_of(&understanding));
            engine.fire_foreign(changes, schema, under);
        }
    }
    delivered(database).await
}

/// The store knows of it.
async fn delivered(database: &Database) -> Result<(), DbErr> {
    let engine = &database.engine;
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
            schema.is_some() && schema == engine.shared.as_ref().and_then(Shared::schema)
        }
    };
    let all = [TagId::all()];
    let ids = if same { ids } else { &all };
    // Of which tables they are can't be told.
    engine.last_bumps.note(&Bump::all(), engine.clock.now_ms());
    engine.versions.bump_ids(ids);
    if let Some(shared) = &engine.shared {
        shared.delivery.push(ids, Under::Any);
    }
    count(&engine.stats.bumps);
    engine.tell(|| Event::Bump { cause: &Cause::Foreign, tags: &[] });
}
