//! A cached read and the store that processes share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::internal::Place;
use super::options::Mode;
use super::outcome::Source;
use super::read::{Answered, Progress, ReadThrough};
use crate::codec::{Results, open};
use crate::depend::Plan;
use crate::event::{Event, Reason};
use crate::fault::{Fault, broken};
use crate::fill::Fill;
use crate::flight::Leader;
use crate::key::{Digest, Key};
use crate::memory::{ENTRY_OVERHEAD, Entry};
use crate::shared::{Coherence, Failure, Held, LEASE_MS, Looked, Remote, Shared};
use crate::stats::{Counters, count};
use crate::store::{FillId, Found, Got, Turn};
use crate::sync::lock;
use crate::tag::{Tag, TagId};
use crate::versions::{Mark, Stamps};

/// Between two looks whether another process has loaded; each one doubles it.
const PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// An entry of the store, in memory.
pub(super) struct Fetched<V> {
    pub(super) entry: Arc<Entry>,
    value: Arc<V>,
    /// It was invalidated here while it was on its way: it is only for one who asked before that.
    late: bool,
}

impl<V> Fetched<V> {
    /// The value; others who wait for it get it, too.
    pub(super) fn landed(self, leader: Option<Leader<'_>>) -> Arc<V> {
        if let Some(leader) = leader.filter(|_| !self.late) {
            leader.land(Some(self.entry));
        }
        self.value
    }
}

impl<'r, D: Place, R: Results> ReadThrough<'r, D, R> {
    /// What has no bytes is only this process's: its key says so.
    pub(super) fn own_words(&self) -> Option<String> {
        let shared = self.engine().shared.as_ref().filter(|_| !R::HAS_BYTES)?;
        Some(format!("{} {:?}", self.form.words, shared.own))
    }

    /// May an entry answer at all now?
    pub(super) fn may_answer(&self, shared: &Shared) -> bool {
        self.is_proven(shared) || shared.is_trusted()
    }

    fn is_proven(&self, shared: &Shared) -> bool {
        matches!(shared.coherence, Coherence::Bounded(_))
            && shared.mirror.is_proven(self.engine().clock.now_ms())
    }

    /// A valid entry in memory, as far as memory may say so.
    pub(super) async fn find(
        &self,
        shared: &Shared,
        digest: &Digest,
    ) -> Option<((Arc<Entry>, Arc<R::Value>), Source)> {
        if shared.coherence == Coherence::Strong {
            let (known, value) = self.lookup(digest)?;
            let found = self.confirm(shared, known.clone(), value).await?;
            let same = Arc::ptr_eq(&known, &found.0);
            return Some((found, if same { Source::Memory } else { Source::Store }));
        }
        let found = self.is_proven(shared).then(|| self.lookup(digest)).flatten();
        found.map(|found| (found, Source::Memory))
    }

    /// Asks the store whether it has the same entry, and whether it is valid there.
    async fn confirm(
        &self,
        shared: &Shared,
        entry: Arc<Entry>,
        value: Arc<R::Value>,
    ) -> Option<(Arc<Entry>, Arc<R::Value>)> {
        if broken(Fault::NoConfirmation) {
            return Some((entry, value));
        }
        if !shared.is_trusted() {
            return None;
        }
        let fetched = self.fetch(shared, &entry.key, &entry.counters, Some(&entry)).await;
        if fetched.is_none() && shared.is_trusted() {
            count(&entry.counters.invalid);
            self.engine().discard(&entry);
        }
        fetched.map(|fetched| (fetched.entry, fetched.value))
    }

    /// What another task has just loaded, if it still holds for us, who may have come later.
    pub(super) async fn still(
        &self,
        entry: Arc<Entry>,
        value: Arc<R::Value>,
    ) -> Option<(Arc<Entry>, Arc<R::Value>)> {
        match &self.engine().shared {
            Some(shared) if shared.coherence == Coherence::Strong => {
                Box::pin(self.confirm(shared, entry, value)).await
            }
            // In this order: what is proven later may be newer than the versions.
            Some(shared) if !self.is_proven(shared) => None,
            _ => self.engine().versions.hold(&entry.stamps).then_some((entry, value)),
        }
    }

    /// The store's entry, which then is in memory, too.
    async fn fetch(
        &self,
        shared: &Shared,
        key: &Key,
        counters: &Arc<Counters>,
        known: Option<&Arc<Entry>>,
    ) -> Option<Fetched<R::Value>> {
        let promotion = self.promotion(shared)?;
        let fill = known.and_then(|entry| entry.fill);
        match shared.store.get(key, fill.as_ref()).await {
            Ok(Got::Found(found)) => self.promote(promotion, found, key, counters),
            Ok(Got::Same) => {
                count(&shared.counts.confirmed);
                let entry = known?.clone();
                let value = entry.value.clone().downcast().ok()?;
                Some(Fetched { entry, value, late: false })
            }
            Ok(Got::Nothing) => None,
            Err(error) => {
                shared.failed(self.engine(), &error);
                None
            }
        }
    }

    /// Before the store is asked for an entry. `None`: it may not be.
    fn promotion(&self, shared: &Shared) -> Option<Promotion> {
        let engine = self.engine();
        // Also before it is asked whether it is trusted: a bump from now on is in the log.
        let mark = engine.versions.mark_every();
        let (order, stamps) = (engine.next_load(), engine.versions.start());
        shared.is_trusted().then_some(Promotion { mark, order, stamps })
    }

    /// An entry of the store comes into memory, unless it was invalidated here on its way. `None`:
    /// it is not what this query can use.
    fn promote(
        &self,
        promotion: Promotion,
        found: Found,
        key: &Key,
        counters: &Arc<Counters>,
    ) -> Option<Fetched<R::Value>> {
        let engine = self.engine();
        let Promotion { mark, order, mut stamps } = promotion;
        let Found { fill, ids, age_ms, ttl_ms, body } = found;
        let value = Arc::new(open::<R>(&body, &engine.packing)?);
        if !self.is_young(&value, age_ms) {
            count(&counters.expired);
            return None;
        }
        for id in ids.iter().filter(|id| **id != TagId::all()) {
            engine.versions.stamp(*id, &mut stamps);
        }
        let stamps = stamps.shrink();
        let bytes = size_of::<R::Value>() + R::heap_bytes(&value) + stamps.bytes() + ENTRY_OVERHEAD;
        let entry = Arc::new(Entry {
            key: key.clone(),
            kind: self.kind(),
            order,
            value: value.clone(),
            stamps,
            fill: Some(fill),
            filled_ms: engine.clock.now_ms().saturating_sub(age_ms),
            ttl_ms,
            keep_ms: self.options.freshness.keep_ms().into(),
            ended: false.into(),
            load_ms: counters.load_ms.load(Ordering::Relaxed),
            tags: None,
            bytes,
            counters: counters.clone(),
        });
        let marks = mark.as_slice();
        let late = engine.versions.check(marks, &ids).is_err() && !broken(Fault::PromoteUnchecked);
        if !late && bytes <= engine.max_entry_bytes() {
            engine.memory.insert(entry.clone());
        }
        Some(Fetched { entry, value, late })
    }

    /// The store's part of a fill.
    pub(super) fn remote(&self, replace: bool) -> Remote {
        let engine = self.engine();
        let keep_ms = engine.keep_ms(self.ttl.max(engine.default_ttl));
        let recorded = self.reading.as_ref().map_or(0, |reading| reading.recorder.keep_ms);
        Remote::new(keep_ms.max(recorded), replace)
    }

    /// Step 1 in the store; before the first statement, unless its entry is there: `true`, and it
    /// answers. If another process is loading it, waits for that.
    pub(super) async fn mark(&self, shared: &Shared, plan: &Plan, may_wait: bool) -> bool {
        let Some(Marking { mut remote, key, counters, first }) = self.take_remote() else {
            return false;
        };
        let mut look = first && self.options.mode == Mode::Cached;
        // One that holds a connection must not wait for one that may be waiting for it.
        let lease = look && may_wait && R::HAS_BYTES && D::MAY_LOAD;
        let (mut waited, mut pause) = (Duration::ZERO, PAUSE);
        loop {
            let Some(promotion) = self.promotion(shared) else {
                self.refuse(Reason::StoreAway);
                break;
            };
            let engine = self.db.engine();
            let entry = look.then_some(&key);
            let held = lease.then(|| Held::new(engine, &key));
            let marked = remote.mark(shared, engine, plan, entry, held.as_ref()).await;
            // Without an answer it may have been given to us.
            let others =
                matches!(marked, Ok(Looked::Found(_) | Looked::Marked(Turn::Theirs | Turn::Free)));
            let held = held.and_then(|held| if others { held.over() } else { Some(held) });
            let turn = match marked {
                Ok(Looked::Marked(turn)) => turn,
                Ok(Looked::Found(found)) => {
                    let ids = self.reading.as_ref().map(|_| found.ids.clone());
                    let mark = promotion.mark.clone();
                    let fetched = self.promote(promotion, found, &key, &counters);
                    if let Some(fetched) = fetched
                        && self.record_found(shared, &key, &fetched, mark, ids).await
                    {
                        count(&shared.counts.fetched);
                        self.fetched(fetched, &key, &counters);
                        return true;
                    }
                    // It is there, but of no use to us.
                    look = false;
                    remote = self.remote(true);
                    remote.new = self.known(plan, &key);
                    continue;
                }
                Err(failure) => {
                    self.refuse(failure.reason(shared, self.engine()));
                    break;
                }
            };
            if turn != Turn::Theirs || waited >= Duration::from_millis(LEASE_MS) {
                self.marked(remote, held);
                break;
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // If they have given up it may be our turn. The versions are taken anew with it.
            remote = self.remote(!look);
            remote.new = self.known(plan, &key);
        }
        if first {
            self.missed(&key, &counters);
        }
        false
    }

    /// The tags that are known before the first statement.
    fn known(&self, plan: &Plan, key: &Key) -> Vec<TagId> {
        plan.always.iter().chain(&self.own_tags(key)).map(Tag::id).collect()
    }

    fn take_remote(&self) -> Option<Marking> {
        match &mut *lock(&self.progress) {
            Progress::Filling(filling) => {
                let first = filling.statements <= 1;
                let remote = filling.fill.remote.take()?;
                let (key, counters) = (filling.key.clone(), filling.counters.clone());
                Some(Marking { remote, key, counters, first })
            }
            _ => None,
        }
    }

    /// The store takes part in the fill.
    fn marked(&self, remote: Remote, held: Option<Held>) {
        if let Progress::Filling(filling) = &mut *lock(&self.progress) {
            filling.held = filling.held.take().or(held);
            filling.fill.remote = Some(remote);
        }
    }

    /// It does not. Then it is not even known whether the schema is still what we think.
    fn refuse(&self, reason: Reason) {
        if let Progress::Filling(filling) = &mut *lock(&self.progress) {
            filling.refuse(reason);
        }
    }

    /// The store had it.
    fn fetched(&self, fetched: Fetched<R::Value>, key: &Key, counters: &Counters) {
        count(&counters.hits);
        self.engine().tell(|| Event::Hit { key });
        let mut progress = lock(&self.progress);
        let leader = match &mut *progress {
            Progress::Filling(filling) => filling.leader.take(),
            _ => None,
        };
        let entry = fetched.entry.clone();
        let value = fetched.landed(leader);
        *progress = Progress::Found(Answered { value, entry, source: Source::Store });
    }

    /// Steps 3 to 5 in the store. `None`: it takes no part.
    ///
    /// # Errors
    ///
    /// Why it was not stored there.
    pub(super) async fn put(
        &self,
        shared: &Shared,
        fill: &mut Fill,
        key: &Key,
        body: Result<Vec<u8>, Reason>,
        ttl_ms: u64,
    ) -> Result<Option<FillId>, Reason> {
        let engine = self.engine();
        let Some(remote) = fill.remote.take() else { return Ok(None) };
        if !R::HAS_BYTES && shared.coherence != Coherence::Strong {
            // It is in the store only so that memory can be confirmed.
            return Ok(None);
        }
        let age_ms = engine.clock.now_ms().saturating_sub(fill.filled_ms);
        let put = match body {
            Ok(body) => remote.put(shared, key, &body, age_ms, ttl_ms).await,
            Err(reason) => Err(Failure::Reason(reason)),
        };
        put.map(Some).map_err(|failure| failure.reason(shared, engine))
    }
}

/// Memory's state before the store was asked for an entry.
struct Promotion {
    mark: Option<Mark>,
    order: u64,
    stamps: Stamps,
}

/// What a fill rests on in the store, while it is asked for more.
struct Marking {
    remote: Remote,
    key: Key,
    counters: Arc<Counters>,
    /// Before the first statement.
    first: bool,
}
