//! Single flight: of several tasks that miss the same key, one asks the database.
//!
//! A load that started before a joiner did may have read before a write that was acknowledged to
//! the joiner. So a joiner gets an *entry* and must check its tags again; it never gets a bare
//! value. A leader that fails, panics or is cancelled wakes everyone who waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::cache::Engine;
use crate::key::Digest;
use crate::memory::Entry;
use crate::sync::{Mutex, lock};

/// How long a task waits for another's load at most. That one goes on only while its caller polls
/// it, who may be waiting for us; what takes longer is loaded by each for himself.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The same for a load of this very task, as in `join!`, but perhaps further up, unpolled.
const LONGEST_WAIT_FOR_SELF: Duration = Duration::from_millis(20);

/// `Some(None)`: such a result is never stored, so nobody needs to wait for it.
type Landed = Option<Option<Arc<Entry>>>;

#[derive(Debug, Default)]
pub(crate) struct Flights {
    open: Mutex<HashMap<Digest, Open>>,
}

#[derive(Debug)]
struct Open {
    sender: Arc<watch::Sender<Landed>>,
    leader: Party,
}

/// What polls a future: its task, or outside any task its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Task(tokio::task::Id),
    Thread(std::thread::ThreadId),
}

impl Party {
    fn current() -> Self {
        tokio::task::try_id().map_or_else(|| Self::Thread(std::thread::current().id()), Self::Task)
    }
}

/// What to do about a missing key.
pub(crate) enum Role<'f> {
    /// Load it, and land the result.
    Lead(Leader<'f>),
    /// Wait for the one who loads it; `true` if that is a future of the same task, which may not
    /// be polled while this one waits.
    Join(watch::Receiver<Landed>, bool),
}

/// Ends the flight when it is dropped, whatever happened.
pub(crate) struct Leader<'f> {
    flights: &'f Flights,
    digest: Digest,
    sender: Arc<watch::Sender<Landed>>,
}

impl Flights {
    pub(crate) fn board(&self, digest: &Digest) -> Role<'_> {
        let mut open = lock(&self.open);
        let party = Party::current();
        if let Some(open) = open.get(digest) {
            return Role::Join(open.sender.subscribe(), open.leader == party);
        }
        let sender = Arc::new(watch::Sender::new(None));
        open.insert(*digest, Open { sender: sender.clone(), leader: party });
        Role::Lead(Leader { flights: self, digest: *digest, sender })
    }
}

impl Leader<'_> {
    /// Hands the entry to everyone who waits, or tells them all to go for themselves.
    pub(crate) fn land(self, entry: Option<Arc<Entry>>) {
        self.sender.send_replace(Some(entry));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        // With the map's reference and ours gone, the waiters' channel closes.
        lock(&self.flights.open).remove(&self.digest);
    }
}

/// The keys that a task loads for whom nobody waits.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    open: Mutex<HashSet<Digest>>,
}

/// Ends the refresh when it is dropped, whatever happened.
pub(crate) struct Turn {
    pub(crate) engine: Arc<Engine>,
    pub(crate) digest: Digest,
}

impl Refreshes {
    /// `None` if one is under way.
    pub(crate) fn begin(&self, engine: &Arc<Engine>, digest: Digest) -> Option<Turn> {
        let first = lock(&self.open).insert(digest);
        first.then(|| Turn { engine: engine.clone(), digest })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.engine.refreshes.open).remove(&self.digest);
    }
}

/// What the leader landed; `None` if it ended without landing.
pub(crate) async fn landed(mut receiver: watch::Receiver<Landed>) -> Landed {
    let landed = receiver.wait_for(Option::is_some).await.ok()?;
    landed.clone()
}

/// The same, if it does not take too long. `own`: it is a load of this very task.
pub(crate) async fn landed_in_time(
    receiver: watch::Receiver<Landed>,
    own: bool,
) -> Result<Landed, Elapsed> {
    timeout(if own { LONGEST_WAIT_FOR_SELF } else { LONGEST_WAIT }, landed(receiver)).await
}
