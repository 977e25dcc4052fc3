//! Where a view's values are, and under which generations.
//!
//! With a store, an operation goes out together with the question for the generations, under those
//! that were seen last: one round trip. If they turn out to be others, it was done where nobody
//! looks any more, and is done again. So whatever is cleared at whatever moment, the operation was
//! done in a space that was current while it went on: generations never come back.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::{OptionFuture, join, join_all};

use super::Kv;
use super::memory::MemoryCells;
use crate::key::{hex, segment};
use crate::shared::Shared;
use crate::store::{Bumps, Cells, Mark, StoreError, Unique, unique};

/// What the keys of a view begin with under its generations.
#[derive(Clone)]
pub(super) struct Space(String);

impl Space {
    pub(super) fn cell(&self, key: &str) -> String {
        format!("{}{}}}", self.0, segment(key))
    }
}

impl Kv {
    /// Does something with the cells, if they can be reached.
    pub(super) async fn ask<'a, T, F>(
        &'a self,
        work: impl FnOnce(&'a dyn Cells) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let Some(shared) = &self.engine.shared else { return work(self.memory()).await };
        if !shared.is_trusted() {
            return Err(StoreError::away("it is away"));
        }
        let unsupported = || StoreError::unsupported("it has no place for single values");
        let done = work(shared.store.cells().ok_or_else(unsupported)?).await;
        if let Err(error) = &done
            // What we may not do is no outage.
            && !error.is_denied()
        {
            shared.failed(&self.engine, error);
        }
        done
    }

    /// Does something in the view's current space. `ttl_ms`: how long what it writes may live.
    pub(super) async fn run<'a, T, F>(
        &'a self,
        ttl_ms: u64,
        work: impl Fn(&'a dyn Cells, Space) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.ask(|cells| async move {
            let Some(shared) = &self.engine.shared else {
                return work(cells, self.space(&self.generations())).await;
            };
            let known = self.levels.iter().map(|id| self.named.generations.get(id));
            let known: Option<Vec<_>> = known.collect();
            let early = known.as_deref().map(|known| work(cells, self.space(known)));
            let (current, early) =
                join(self.current(shared, ttl_ms), OptionFuture::from(early)).await;
            let current = current?;
            match early {
                Some(done) if known.as_ref() == Some(&current) => done,
                _ => work(cells, self.space(&current)).await,
            }
        })
        .await
    }

    /// Ends the view's generation, and so everything that was written under it.
    pub(super) async fn end_generation(&self) -> Result<(), StoreError> {
        let own = &self.levels[self.levels.len() - 1..];
        self.ask(|_| async {
            self.named.generations.remove(&own[0]);
            match &self.engine.shared {
                Some(shared) => {
                    let bumps = Bumps { ids: own, ..Default::default() };
                    shared.store.bump(bumps).await.map(drop)
                }
                None => Ok(()),
            }
        })
        .await
    }

    /// The generations that the store has, those that are missing created.
    async fn current(&self, shared: &Shared, ttl_ms: u64) -> Result<Vec<Unique>, StoreError> {
        let keep_ms = self.engine.keep_ms(Duration::from_millis(ttl_ms));
        let mark = Mark { entry: None, ids: &self.levels, create: unique(), keep_ms, lease: None };
        let versions = shared.store.mark(mark).await?.versions;
        let current: Option<Vec<_>> = versions.into_iter().collect();
        let current = current.ok_or_else(|| StoreError::refused("a view has no generation"))?;
        for (id, generation) in self.levels.iter().zip(&current) {
            self.named.generations.insert(*id, *generation);
        }
        Ok(current)
    }

    /// The same in memory.
    fn generations(&self) -> Vec<Unique> {
        let of =
            |id| self.named.generations.get_or_insert_with(id, || Ok::<_, Infallible>(unique()));
        self.levels.iter().map(|id| of(id).unwrap_or_else(|never| match never {})).collect()
    }

    fn space(&self, generations: &[Unique]) -> Space {
        let (prefix, version) = (&self.engine.prefix, self.engine.version);
        let generations: String = generations.iter().map(|one| hex(one)).collect();
        Space(format!("{prefix}:v{version}:kv:{{{}:{generations}:", self.path))
    }

    /// The largest value that is stored, in bytes.
    pub(super) fn max_value_bytes(&self) -> usize {
        let max = self.named.max_value_bytes;
        if self.engine.shared.is_some() { max } else { max.min(self.memory().max_bytes()) }
    }

    fn memory(&self) -> &MemoryCells {
        let new = || MemoryCells::new(self.named.max_bytes, self.engine.clock.clone());
        self.named.memory.get_or_init(new)
    }
}

/// How many keys are under way at once: enough that a round trip does not count, yet no flood.
const AT_ONCE: usize = 128;

/// Does something with each of many keys.
pub(super) async fn each<'i, I, T, F>(
    items: &'i [I],
    one: impl Fn(&'i I) -> F,
) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut all = Vec::with_capacity(items.len());
    for some in items.chunks(AT_ONCE) {
        for done in join_all(some.iter().map(&one)).await {
            all.push(done?);
        }
    }
    Ok(all)
}
