//! The end of a cached read: what is given to the caller, and stored.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::internal::Place;
use super::options::Mode;
use super::outcome::{Outcome, Source};
use super::read::{Answered, Filling, Progress, ReadThrough, as_ms};
use crate::cache::Engine;
use crate::codec::{Results, open, seal};
use crate::event::{Event, Reason};
use crate::key::Key;
use crate::memory::{ENTRY_OVERHEAD, Entry};
use crate::shared::{Coherence, Shared};
use crate::stats::count;
use crate::store::FillId;
use crate::sync::lock;
use crate::tag::Tag;

/// A result, and what became of the read.
pub(crate) struct Known<V> {
    pub(crate) value: Arc<V>,
    kept: Kept,
}

enum Kept {
    Found(Arc<Entry>, Source),
    Filled(Arc<Entry>),
    Refused(Option<Key>, Option<Reason>),
}

impl<V> Known<V> {
    pub(super) fn found(answered: Answered<V>) -> Self {
        let Answered { value, entry, source } = answered;
        Self { value, kept: Kept::Found(entry, source) }
    }

    /// The entry that answered.
    pub(super) fn entry(&self) -> Option<&Arc<Entry>> {
        match &self.kept {
            Kept::Found(entry, _) => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn outcome(self, engine: &Engine, told: bool) -> Outcome<Arc<V>> {
        let value = self.value;
        match self.kept {
            Kept::Found(entry, source) => Outcome::of_entry(value, &entry, source, engine, told),
            Kept::Filled(entry) => Outcome::of_entry(value, &entry, Source::Database, engine, told),
            Kept::Refused(key, reason) => Outcome::refused(value, key, reason),
        }
    }
}

impl<D: Place, R: Results> ReadThrough<'_, D, R> {
    /// The result: an entry's, or this answer, which is stored if that is safe.
    ///
    /// # Errors
    ///
    /// The answer's.
    pub(crate) async fn keep<E>(&self, answer: Result<R::Value, E>) -> Result<Arc<R::Value>, E> {
        self.finish(answer).await.map(|known| known.value)
    }

    /// The same for an entry that answers.
    pub(crate) fn told(&self) -> Option<Known<R::Value>> {
        let Progress::Found(Answered { value, entry, source }) = &*lock(&self.progress) else {
            return None;
        };
        self.is_over();
        let (value, entry, source) = (value.clone(), entry.clone(), *source);
        Some(Known::found(Answered { value, entry, source }))
    }

    /// [`keep`](Self::keep), with what became of it.
    ///
    /// # Errors
    ///
    /// The answer's.
    pub(crate) async fn finish<E>(
        &self,
        answer: Result<R::Value, E>,
    ) -> Result<Known<R::Value>, E> {
        let refused =
            |value, reason| Known { value: Arc::new(value), kept: Kept::Refused(None, reason) };
        let progress = std::mem::replace(&mut *lock(&self.progress), Progress::Bypassing(None));
        // What failed, or went another way, was recorded as such.
        self.is_over();
        match progress {
            Progress::Found(found) => Ok(Known::found(found)),
            Progress::Waiting | Progress::Looked(_) => Ok(refused(answer?, None)),
            Progress::Bypassing(reason) => Ok(refused(answer?, reason)),
            Progress::Filling(mut filling) => {
                self.record_fill(&filling, answer.is_err());
                let value = Arc::new(answer?);
                let (leader, counters) = (filling.leader.take(), filling.counters.clone());
                let key = filling.key.clone();
                let shared = self.engine().shared.as_ref();
                let held = filling.held.take();
                let stored = match shared {
                    None => self.store(*filling, value.clone(), None),
                    Some(shared) => {
                        Box::pin(self.store_shared(shared, *filling, value.clone())).await
                    }
                };
                match (held, &stored) {
                    (Some(held), Ok(entry)) if entry.fill.is_some() => drop(held.over()),
                    (Some(held), stored) => {
                        held.given_up(stored.as_ref().is_err_and(|reason| !reason.passes()));
                    }
                    _ => {}
                }
                if let Err(reason) = &stored {
                    // What is old would go on to answer: this result is never kept.
                    let never = self.options.freshness.is_asked_for() && !reason.passes();
                    if never || self.options.mode == Mode::Refresh {
                        self.engine().memory.forget(&key.digest);
                    }
                    if self.options.mode == Mode::Refresh {
                        // What is there now may be what the caller wanted to be rid of.
                        if let Some(shared) = shared.filter(|shared| shared.is_trusted())
                            && let Err(error) = shared.store.remove(&key).await
                        {
                            shared.failed(self.engine(), &error);
                        }
                    }
                    count(&counters.refused);
                    self.engine().tell(|| Event::FillRefused { key: &key, reason });
                }
                match (leader, &stored) {
                    (Some(leader), Ok(entry)) => leader.land(Some(entry.clone())),
                    (Some(leader), Err(reason)) if !reason.passes() => leader.land(None),
                    _ => {}
                }
                let kept = match stored {
                    Ok(entry) => Kept::Filled(entry),
                    Err(reason) => Kept::Refused(Some(key), Some(reason)),
                };
                Ok(Known { value, kept })
            }
        }
    }

    /// The result's TTL, jitter included, in milliseconds.
    ///
    /// # Errors
    ///
    /// Why it is not to be stored, whatever happened meanwhile.
    fn ttl_ms(&self, filling: &Filling<'_>, value: &R::Value) -> Result<u64, Reason> {
        if let Some(reason) = &filling.refusal {
            return Err(reason.clone());
        }
        if self.options.skip_empty && R::is_empty(value) {
            return Err(Reason::Empty);
        }
        if self.decide.is_some_and(|decide| !decide.keeps(R::items(value))) {
            return Err(Reason::Declined);
        }
        let ttl = self.decide.and_then(|decide| decide.ttl(R::items(value)));
        let ttl = ttl.unwrap_or(self.ttl);
        if ttl.is_zero() {
            return Err(Reason::ZeroTtl);
        }
        Ok(self.engine().spread(as_ms(ttl)))
    }

    /// Steps 3 to 5 in the store, then 4 and 5 in memory. Memory that must be confirmed by the
    /// store keeps nothing that is not there.
    async fn store_shared(
        &self,
        shared: &Shared,
        mut filling: Filling<'_>,
        value: Arc<R::Value>,
    ) -> Result<Arc<Entry>, Reason> {
        let ttl_ms = self.ttl_ms(&filling, &value)?;
        if self.is_private() {
            return Err(Reason::InTransaction);
        }
        let packing = &self.engine().packing;
        let body = if R::HAS_BYTES { seal::<R>(&value, packing) } else { Ok(Vec::new()) };
        let put = self.put(shared, &mut filling.fill, &filling.key, body, ttl_ms).await;
        let in_store = match put {
            Ok(Some(fill)) => Some((fill, ttl_ms)),
            Ok(None) if shared.coherence == Coherence::Strong => return Err(Reason::StoreAway),
            Err(reason) if shared.coherence == Coherence::Strong => return Err(reason),
            _ => None,
        };
        self.store(filling, value, in_store)
    }

    /// Steps 4 and 5 in memory. `in_store`: the store has it, under this name and with this TTL.
    fn store(
        &self,
        filling: Filling<'_>,
        value: Arc<R::Value>,
        in_store: Option<(FillId, u64)>,
    ) -> Result<Arc<Entry>, Reason> {
        let engine = self.engine();
        let ttl_ms = match in_store {
            Some((_, ttl_ms)) => ttl_ms,
            None => self.ttl_ms(&filling, &value)?,
        };
        let load_ms = engine.clock.now_ms().saturating_sub(filling.began_ms);
        filling.counters.load_ms.store(load_ms, Ordering::Relaxed);
        let through = engine.check_codec && R::HAS_BYTES;
        let value = if through { self.through_codec(&value)? } else { value };
        let heap_bytes = R::heap_bytes(&value);
        let (order, filled_ms) = (filling.fill.order, filling.fill.filled_ms);
        let (stamps, tags) = filling.fill.finish(engine)?;
        if self.is_private() {
            // It wrote while the query ran.
            return Err(Reason::InTransaction);
        }
        let kept: Option<Arc<[Tag]>> =
            tags.as_deref().filter(|_| self.options.told).map(Into::into);
        let kept_bytes = kept.as_deref().map_or(0, |tags| {
            let text = |tag: &Tag| size_of::<Tag>() + tag.to_string().len();
            tags.iter().map(text).sum()
        });
        let bytes =
            size_of::<R::Value>() + heap_bytes + stamps.bytes() + kept_bytes + ENTRY_OVERHEAD;
        let fits = bytes <= engine.max_entry_bytes();
        if !fits && in_store.is_none() {
            return Err(Reason::TooLarge { bytes });
        }
        let entry = Arc::new(Entry {
            key: filling.key,
            kind: self.kind(),
            order,
            value,
            stamps,
            fill: in_store.map(|(fill, _)| fill),
            filled_ms,
            ttl_ms,
            keep_ms: self.options.freshness.keep_ms().into(),
            ended: false.into(),
            load_ms,
            tags: kept,
            bytes,
            counters: filling.counters,
        });
        if fits {
            engine.memory.insert(entry.clone());
        }
        count(&entry.counters.fills);
        let tags = tags.as_deref().unwrap_or_default();
        engine.tell(|| Event::Fill { key: &entry.key, tags, bytes });
        Ok(entry)
    }

    /// What a store that holds bytes would give back.
    fn through_codec(&self, value: &R::Value) -> Result<Arc<R::Value>, Reason> {
        let packing = &self.engine().packing;
        let bytes = seal::<R>(value, packing)?;
        let again = open::<R>(&bytes, packing).filter(|again| R::same(value, again));
        again.map(Arc::new).ok_or_else(|| {
            Reason::Unencodable("what was decoded is not what was encoded".to_owned())
        })
    }
}
