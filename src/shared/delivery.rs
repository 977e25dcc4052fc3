//! Bumps on their way to the store, and whether it is there at all.
//!
//! One task sends: what comes in while a call is under way goes with the next one, so many writers
//! share a round trip, and nothing is lost with a caller who goes away. A store that fails is away
//! until one attempt has delivered everything that is due: only then is it asked again, since what
//! it has was not told of writes that were acknowledged in the meantime.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::{Shared, alive};
use crate::cache::Engine;
use crate::event::Event;
use crate::fault::{Fault, broken};
use crate::key::Key;
use crate::store::{Bumps, StoreError, Unique};
use crate::sync::{Mutex, lock};
use crate::tag::TagId;

/// Between two attempts to reach a store that is away; each one doubles it.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a writer waits at most for the task that delivers.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// More rights to load are not given back; they end by themselves.
const MAX_RELEASES: usize = 1_000;

/// More tags than this are not kept for a store that is away: it is told that everything changed.
const MAX_DUE: usize = 100_000;

pub(crate) struct Delivery {
    due: Mutex<Due>,
    wake: Arc<Notify>,
    up: AtomicBool,
    progress: watch::Sender<Progress>,
}

/// What the store has to be told.
#[derive(Debug, Default)]
struct Due {
    batch: Batch,
    /// What was sent, and not answered yet.
    under_way: Arc<Batch>,
    /// How many bumps ever came.
    came: u64,
}

#[derive(Debug, Default, Clone)]
struct Batch {
    ids: HashSet<TagId>,
    block: Vec<(TagId, Unique)>,
    unblock: Vec<(TagId, Unique)>,
    /// Rights to load that end, and whether nobody need have them again soon.
    releases: Vec<(Key, Unique, bool)>,
    /// The versions of the schemas that the writes were understood under.
    schemas: HashSet<Option<Unique>>,
}

/// The version of the schemas under which it was found which tags are bumped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Under {
    /// They are the same under each.
    Any,
    /// This one; `None`: it is not known, so more may have to be bumped.
    Schema(Option<Unique>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    delivered: u64,
    away: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            due: Mutex::default(),
            wake: Arc::default(),
            up: AtomicBool::new(false),
            progress: watch::Sender::new(Progress { delivered: 0, away: true }),
        }
    }
}

impl Batch {
    fn everything() -> Self {
        Self { ids: HashSet::from([TagId::all()]), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.is_told() && self.releases.is_empty()
    }

    /// Is there nothing that entries depend on?
    fn is_told(&self) -> bool {
        self.ids.is_empty() && self.block.is_empty() && self.unblock.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.block.extend(other.block);
        self.unblock.extend(other.unblock);
        self.schemas.extend(other.schemas);
        self.releases.extend(other.releases);
        // They end by themselves, too.
        self.releases.truncate(MAX_RELEASES);
        if self.ids.len() > MAX_DUE {
            self.ids = HashSet::from([TagId::all()]);
        }
    }
}

impl Delivery {
    /// The store answers, and nothing is due yet.
    pub(crate) fn begin(&self) {
        self.up.store(true, Ordering::SeqCst);
        self.progress.send_modify(|progress| progress.away = false);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// How many tags the store was not told of yet.
    pub(crate) fn due(&self) -> usize {
        let due = lock(&self.due);
        due.batch.ids.len() + due.under_way.ids.len()
    }

    pub(crate) fn push(&self, ids: &[TagId], under: Under) {
        let schemas = match under {
            Under::Any => HashSet::new(),
            Under::Schema(schema) => HashSet::from([schema]),
        };
        let ids = ids.iter().copied().collect();
        self.add(Batch { ids, schemas, ..Batch::default() });
    }

    /// What these stand for is about to change, and nothing that depends on them is stored until it
    /// has.
    pub(crate) fn block(&self, tags: impl IntoIterator<Item = TagId>, who: Unique, begins: bool) {
        let mut batch = Batch::default();
        let list = if begins { &mut batch.block } else { &mut batch.unblock };
        list.extend(tags.into_iter().map(|tag| (tag, who)));
        self.add(batch);
    }

    /// A right to load ends, whatever became of the load.
    pub(crate) fn release(&self, key: Key, token: Unique, never: bool) {
        self.add(Batch { releases: vec![(key, token, never)], ..Batch::default() });
    }

    fn add(&self, batch: Batch) {
        let mut due = lock(&self.due);
        due.batch.add(batch);
        due.came += 1;
        drop(due);
        self.wake.notify_one();
    }

    /// Waits until the store knows of every bump so far, or is known to be away.
    ///
    /// # Errors
    ///
    /// It is away. The bumps are kept and told as soon as it is back.
    pub(crate) async fn delivered(&self, engine: &Engine) -> Result<(), ()> {
        let came = lock(&self.due).came;
        if self.progress.borrow().delivered >= came {
            return Ok(());
        }
        let mut progress = self.progress.subscribe();
        let over = progress.wait_for(|progress| progress.delivered >= came || progress.away);
        match timeout(LONGEST_WAIT, over).await {
            Ok(Ok(progress)) if progress.delivered >= came => return Ok(()),
            Ok(_) => {}
            // Each call is bounded, so the runtime that the cache was built on is gone.
            Err(_) => self.went_away(engine, &StoreError::away("nobody delivers any more")),
        }
        // An entry may have come from the store into memory since the bump here.
        self.bump_again(engine);
        Err(())
    }

    /// What is to be sent next, and how many bumps came until then.
    fn take(&self) -> (Arc<Batch>, u64) {
        let mut due = lock(&self.due);
        let mut batch = std::mem::take(&mut due.batch);
        let unanswered = std::mem::take(&mut due.under_way);
        batch.add(Arc::unwrap_or_clone(unanswered));
        due.under_way = Arc::new(batch);
        (due.under_way.clone(), due.came)
    }

    /// What was taken is told. If not under the current schema, more may have changed.
    fn answered(&self, understood: bool) {
        let mut due = lock(&self.due);
        due.under_way = Arc::default();
        if !understood {
            due.batch.add(Batch::everything());
        }
    }

    /// In memory, once more, whatever the store does not know of.
    fn bump_again(&self, engine: &Engine) {
        if broken(Fault::OneLocalBump) {
            return;
        }
        let due = lock(&self.due);
        let ids: Vec<_> = due.batch.ids.iter().chain(&due.under_way.ids).copied().collect();
        drop(due);
        engine.versions.bump_ids(&ids);
    }

    /// From now on nobody asks the store.
    pub(crate) fn went_away(&self, engine: &Engine, error: &StoreError) {
        if self.up.swap(false, Ordering::SeqCst) {
            let error = error.to_string();
            engine.tell(|| Event::StoreAway { error: &error });
        }
        self.bump_again(engine);
        self.progress.send_modify(|progress| progress.away = true);
        self.wake.notify_one();
    }
}

/// Delivers, until nobody uses the cache any more.
pub(super) async fn run(engine: Weak<Engine>) {
    let mut pause = PAUSE;
    loop {
        let Some(living) = alive(&engine) else { return };
        let Some(shared) = &living.shared else { return };
        let wake = shared.delivery.wake.clone();
        let was_up = shared.delivery.is_up();
        // A listener of the user's may panic; the bumps must arrive all the same.
        let attempt = AssertUnwindSafe(attempt(&living, shared)).catch_unwind().await;
        let failed = match attempt {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(StoreError::away("a listener panicked")),
        };
        if let Some(error) = &failed {
            let telling = || shared.delivery.went_away(&living, error);
            let _ = std::panic::catch_unwind(AssertUnwindSafe(telling));
        }
        drop(living);
        match failed {
            None => {
                pause = PAUSE;
                wake.notified().await;
            }
            // The first attempt to reach it again comes at once.
            Some(_) if was_up => {}
            Some(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Sends what is due; to a store that is away, as the one who finds out whether it is back.
async fn attempt(engine: &Arc<Engine>, shared: &Shared) -> Result<(), StoreError> {
    if shared.delivery.is_up() {
        return deliver(engine, shared).await;
    }
    shared.store.connect().await?;
    loop {
        deliver(engine, shared).await?;
        if back(shared) {
            if shared.schema().is_none() {
                // It could not be read while nobody could say under which version that was.
                engine.forget_schemas();
            }
            engine.tell(|| Event::StoreBack);
            return Ok(());
        }
    }
}

/// The store has everything: it may be asked again, unless more came in.
fn back(shared: &Shared) -> bool {
    let due = lock(&shared.delivery.due);
    if !due.batch.is_empty() || !due.under_way.is_empty() {
        return false;
    }
    shared.delivery.up.store(true, Ordering::SeqCst);
    shared.delivery.progress.send_modify(|progress| progress.away = false);
    true
}

/// Sends what is due, until nothing is.
async fn deliver(engine: &Arc<Engine>, shared: &Shared) -> Result<(), StoreError> {
    let delivery = &shared.delivery;
    loop {
        let (batch, came) = delivery.take();
        if batch.is_empty() {
            delivery.progress.send_modify(|progress| progress.delivered = came);
            return Ok(());
        }
        // Whatever happens until this is answered, it stays due.
        let understood = tell(engine, shared, &batch).await?;
        delivery.answered(understood);
        if understood {
            delivery.progress.send_modify(|progress| progress.delivered = came);
        }
        for (key, token, never) in &batch.releases {
            shared.store.release(key, token, *never).await?;
        }
    }
}

/// Sends the bumps of a batch; `false` if they were found under another schema than the current one.
async fn tell(engine: &Arc<Engine>, shared: &Shared, batch: &Batch) -> Result<bool, StoreError> {
    if batch.is_told() {
        return Ok(true);
    }
    let ids: Vec<_> = batch.ids.iter().copied().collect();
    let bumps = Bumps {
        ids: &ids,
        block: &batch.block,
        unblock: &batch.unblock,
        watch: &[TagId::schema()],
        message: &super::mirror::bumped(&shared.own, &ids),
    };
    let bumped = shared.store.bump(bumps).await?;
    if !broken(Fault::OneLocalBump) {
        // An entry may have come from the store into memory before the store was told.
        engine.versions.bump_ids(&ids);
    }
    let current = bumped.watched.first().copied().flatten();
    if shared.schema() != current {
        engine.schema_moved();
    }
    // Who is told that everything changed needs no schema.
    let same = |schema: &Option<Unique>| schema.is_some() && *schema == current;
    Ok(batch.ids.contains(&TagId::all()) || batch.schemas.iter().all(same))
}

#[cfg(all(test, not(feature = "__shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_kept_is_given_up_for_everything() {
        let delivery = Delivery::default();
        let ids: Vec<_> = (0..1_000_000).map(TagId).collect();
        for some in ids.chunks(1_000) {
            delivery.push(some, Under::Any);
            assert!(delivery.due() <= MAX_DUE + 1_000);
        }
        let everything = TagId::all();
        assert!(lock(&delivery.due).batch.ids.contains(&everything));
    }
}
