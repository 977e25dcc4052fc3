//! What the cache does with a store that other processes share: keeps its own bumps until the
//! store has them, does without it while it is away, and knows when its memory tier may answer.

mod delivery;
mod engine;
mod mirror;
mod remote;

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::cache::Engine;
use crate::error::Error;
use crate::event::Event;
use crate::fault::{Fault, broken};
use crate::shared::delivery::Delivery;
pub(crate) use crate::shared::delivery::Under;
use crate::shared::mirror::Mirror;
pub(crate) use crate::shared::remote::{Failure, Held, LEASE_MS, Looked, Remote};
use crate::stats::{StoreStats, count};
use crate::store::{Consistency, Mark, Store, StoreError, Unique, unique};
use crate::sync::lock;
use crate::tag::TagId;

/// When the memory tier of one process may answer, although others write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Coherence {
    /// Each hit in memory is confirmed by the store: one round trip without the value's bytes. A
    /// read that starts after a write was acknowledged, by whichever process, never returns what
    /// was before. The default.
    #[default]
    Strong,
    /// Memory answers by itself, and may be behind other processes' writes by at most this time.
    /// The store tells of each write at once; a heartbeat proves that it does, and where that is
    /// older than this time, memory is not asked. A process's own writes count at once.
    Bounded(Duration),
}

impl Coherence {
    /// Bounded by one second.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sea_orm_cache::Coherence;
    /// assert_eq!(Coherence::bounded(), Coherence::Bounded(Duration::from_secs(1)));
    /// ```
    pub fn bounded() -> Self {
        Self::Bounded(Duration::from_secs(1))
    }
}

/// What becomes of a write whose invalidation can't be delivered to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenAway {
    /// It goes on. This process reads nothing stale; others may until the store is back, or until
    /// their entries' TTL is over. An event tells it. The default.
    #[default]
    Proceed,
    /// It is refused, before it is sent, if the store is known to be away. If the store goes away
    /// while it is under way, it is done, and an error says so.
    Refuse,
}

/// A store and what is known of it.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) coherence: Coherence,
    pub(crate) when_away: WhenAway,
    /// This cache, among all that share the store.
    pub(crate) own: Unique,
    pub(crate) delivery: Delivery,
    pub(crate) mirror: Mirror,
    /// The version of the schemas that statements are understood under, of all databases.
    schema: crate::sync::Mutex<Option<Unique>>,
    /// Held while that is changed.
    moving: crate::sync::Mutex<()>,
    tasks: crate::sync::Mutex<Vec<JoinHandle<()>>>,
    pub(crate) counts: Counts,
}

/// For people, never to decide anything.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) fetched: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    failed: AtomicU64,
}

impl Shared {
    pub(crate) fn new(store: Arc<dyn Store>, coherence: Coherence, when_away: WhenAway) -> Self {
        let bound = match coherence {
            Coherence::Strong => None,
            Coherence::Bounded(bound) => Some(bound),
        };
        Self {
            store,
            coherence,
            when_away,
            own: unique(),
            delivery: Delivery::default(),
            mirror: Mirror::new(bound),
            schema: crate::sync::Mutex::default(),
            moving: crate::sync::Mutex::default(),
            tasks: crate::sync::Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Connects, and starts what goes on in the background. A store that can't be reached yet is
    /// away, as it may be later; one that does not let us in is a mistake.
    pub(crate) async fn start(engine: &Arc<Engine>) -> Result<(), Error> {
        let Some(shared) = &engine.shared else { return Ok(()) };
        let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
        if shared.coherence != Coherence::Strong && !shared.store.tells() {
            return Err(Error::config(
                "coherence: this store does not tell of bumps; use Coherence::Strong",
            ));
        }
        match shared.store.connect().await {
            Ok(()) => shared.delivery.begin(),
            Err(error) if error.is_denied() => return Err(Error::config(error.to_string())),
            Err(error) => {
                let error = error.to_string();
                engine.tell(|| Event::StoreAway { error: &error });
            }
        }
        let mut tasks = vec![runtime.spawn(delivery::run(Arc::downgrade(engine)))];
        if let Coherence::Bounded(_) = shared.coherence {
            tasks.push(runtime.spawn(mirror::listen(Arc::downgrade(engine))));
        }
        lock(&shared.tasks).extend(tasks);
        if shared.is_trusted() && matches!(shared.coherence, Coherence::Bounded(_)) {
            shared.mirror.begins().await;
        }
        Ok(())
    }

    /// May what the store says be believed? Not while it does not know of writes that were
    /// acknowledged here.
    pub(crate) fn is_trusted(&self) -> bool {
        self.delivery.is_up() || broken(Fault::TrustWhileAway)
    }

    /// Does nobody store what rests on a tag that is blocked?
    pub(crate) fn holds_off(&self) -> bool {
        self.store.consistency() >= Consistency::Full
    }

    /// A call failed: if the store is away, nobody else waits for it.
    pub(crate) fn failed(&self, engine: &Engine, error: &StoreError) {
        count(&self.counts.failed);
        let text = error.to_string();
        engine.tell(|| Event::StoreError { error: &text });
        if !error.is_refused() && !error.is_unsupported() {
            self.delivery.went_away(engine, error);
        }
    }

    pub(crate) fn stats(&self, now_ms: u64) -> StoreStats {
        StoreStats {
            away: !self.delivery.is_up(),
            fetched: self.counts.fetched.load(Ordering::Relaxed),
            confirmed: self.counts.confirmed.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            undelivered: self.delivery.due(),
            behind_ms: self.mirror.behind_ms(now_ms),
        }
    }

    pub(crate) fn schema(&self) -> Option<Unique> {
        *lock(&self.schema)
    }

    pub(crate) fn set_schema(&self, version: Option<Unique>) {
        *lock(&self.schema) = version;
    }

    /// The version of the schemas now; `None` while somebody changes one, or if the store is away.
    pub(crate) async fn mark_schema(&self, engine: &Engine) -> Option<Unique> {
        if !self.is_trusted() {
            return None;
        }
        let ids = [TagId::schema()];
        let keep_ms = engine.keep_ms(engine.default_ttl);
        let mark = Mark { entry: None, ids: &ids, create: unique(), keep_ms, lease: None };
        match self.store.mark(mark).await {
            Ok(marked) => marked.versions.into_iter().next().flatten(),
            Err(error) => {
                self.failed(engine, &error);
                None
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The engine, as long as somebody uses the cache.
fn alive(engine: &Weak<Engine>) -> Option<Arc<Engine>> {
    engine.upgrade()
}
