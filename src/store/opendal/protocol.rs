//! The contract of a store, on files of which each is read, replaced or removed by itself.
//!
//! See the module above for why this order of steps is enough.

use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};

use super::files::{Files, Life};
use super::format::{self, Entry, Is, Stamp};
use crate::fault::{Fault, broken};
use crate::key::{Key, PROTOCOL, hex, segment};
use crate::store::{
    Bumped, Bumps, Epoch, FillId, Found, Got, Kept, Mark, Marked, Put, StoreError, TagId, Turn,
    Unique,
};

/// How long a version is kept, in milliseconds, that an entry of a usual life depends on: a week,
/// after which what depends on it is made anew once.
const VERSION_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// As much of an entry as tells whether it is the one that the caller has: with up to 160 tags.
const HEAD_BYTES: u64 = 4 << 10;

/// Longer prefixes stand in names by their digest: a key of Memcached's has at most 250 bytes.
const LONGEST_PREFIX: usize = 40;

/// The files of one cache.
pub(super) struct Core<F> {
    pub(super) files: F,
    pub(super) folder: String,
    pub(super) epoch: Epoch,
    /// Do all who share it go by one clock? Then nothing comes from the future.
    pub(super) one_clock: bool,
}

/// The folder of the cache of this prefix and version. Nothing in a prefix leads out of it.
pub(super) fn folder(prefix: &str, version: u32) -> String {
    let mut name = segment(prefix);
    if name.len() > LONGEST_PREFIX {
        name = hex(&Sha256::digest(prefix)[..20]);
    }
    format!("cache-{name}-v{version}-{PROTOCOL}")
}

/// What all of these give, so many at a time.
pub(super) async fn each<T>(
    width: usize,
    calls: impl Iterator<Item = impl Future<Output = Result<T, StoreError>>>,
) -> Result<Vec<T>, StoreError> {
    stream::iter(calls.collect::<Vec<_>>()).buffered(width).try_collect().await
}

impl<F: Files> Core<F> {
    fn entry(&self, key: &Key) -> String {
        let name = hex(&Sha256::digest(key.to_string()));
        // In folders by the first two digits: a file system takes its time for very large ones.
        format!("{}/e/{}/{name}", self.folder, &name[..2])
    }

    fn version(&self, id: TagId) -> String {
        format!("{}/t/{:02x}/{:016x}", self.folder, id.0 & 0xff, id.0)
    }

    async fn read_version(&self, id: TagId) -> Result<Option<Stamp>, StoreError> {
        let place = self.version(id);
        let bytes = self.files.read(place.clone(), None).await?;
        Ok(bytes.and_then(|bytes| Stamp::read(Is::Version, &place, &bytes)))
    }

    /// The versions of tags as they are.
    async fn versions(&self, ids: &[TagId]) -> Result<Vec<Option<Unique>>, StoreError> {
        let read = |id: &TagId| {
            let id = *id;
            async move { Ok(self.read_version(id).await?.map(|stamp| stamp.unique)) }
        };
        each(self.files.width(), ids.iter().map(read)).await
    }

    /// The versions of tags, those that are missing created. Each is written once, and never
    /// again: after a bump that would make valid what it ended. So one that ends too soon gets no
    /// more time, but a successor.
    async fn versions_now(
        &self,
        ids: &[TagId],
        create: Unique,
        keep_ms: u64,
    ) -> Result<Vec<Unique>, StoreError> {
        let now_ms = self.files.now_ms();
        let life_ms = VERSION_MS.max(keep_ms.saturating_mul(2));
        let enough_ms = now_ms + keep_ms.min(life_ms / 4);
        let one = |id: &TagId| {
            let place = self.version(*id);
            async move {
                let bytes = self.files.read(place.clone(), None).await?;
                let there = bytes.and_then(|bytes| Stamp::read(Is::Version, &place, &bytes));
                let mut unique = create;
                match there {
                    Some(stamp) if stamp.until_ms >= enough_ms => return Ok(stamp.unique),
                    Some(stamp) if broken(Fault::VersionWrittenAgain) => unique = stamp.unique,
                    _ => {}
                }
                let bytes = Stamp { until_ms: now_ms + life_ms, unique }.bytes(Is::Version, &place);
                self.files.write(place, bytes, Life::AtLeast(life_ms)).await?;
                Ok(unique)
            }
        };
        each(self.files.width(), ids.iter().map(one)).await
    }

    /// The entry first, then its versions: who began after a bump was done finds those gone.
    pub(super) async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        let place = self.entry(key);
        let mut first = known.map(|_| HEAD_BYTES);
        loop {
            let Some(bytes) = self.files.read(place.clone(), first).await? else {
                return Ok(Got::Nothing);
            };
            let Some(entry) = Entry::read(&place, &bytes) else {
                match first.take() {
                    // More tags than there was room for.
                    Some(_) => continue,
                    None => return Ok(Got::Nothing),
                }
            };
            let same = known == Some(&entry.fill);
            if !same && entry.body.is_none() && first.take().is_some() {
                continue;
            }
            let Some(age_ms) = self.age_ms(&entry) else { return Ok(Got::Nothing) };
            let (ids, versions): (Vec<_>, Vec<_>) = entry.tags.iter().copied().unzip();
            let now = self.versions(&ids).await?;
            let valid = now.iter().zip(&versions).all(|(now, then)| *now == Some(*then));
            return Ok(match entry.body {
                _ if !valid || entry.epoch != self.epoch => Got::Nothing,
                _ if same => Got::Same,
                None => Got::Nothing,
                Some(body) => Got::Found(Found {
                    fill: entry.fill,
                    ids,
                    age_ms,
                    ttl_ms: entry.ttl_ms,
                    body: body.to_vec(),
                }),
            });
        }
    }

    /// How old it is, unless its time is over.
    fn age_ms(&self, entry: &Entry<'_>) -> Option<u64> {
        let age_ms = match self.files.now_ms().checked_sub(entry.born_ms) {
            Some(age_ms) => age_ms,
            // The clock was set back, and what is left of its time can't be told.
            None if self.one_clock => return None,
            // Another machine's clock is ahead; the service itself ends the entry.
            None => 0,
        };
        (age_ms < entry.ttl_ms).then_some(age_ms)
    }

    pub(super) async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        if let Some(key) = mark.entry
            && let Got::Found(found) = self.get(key, None).await?
        {
            return Ok(Marked::found(found));
        }
        let mut blocked = self.blocked_if(broken(Fault::BlocksBeforeVersions), mark.ids).await?;
        let versions = self.versions_now(mark.ids, mark.create, mark.keep_ms).await?;
        // After the versions: who blocks writes that first, and then deletes them.
        blocked.extend(self.blocked_if(!broken(Fault::BlocksBeforeVersions), mark.ids).await?);
        let free = |(id, version): (&TagId, Unique)| (!blocked.contains(id)).then_some(version);
        let versions = mark.ids.iter().zip(versions).map(free).collect();
        let turn = match &mark.lease {
            Some(lease) => self.ask_for_right(lease).await?,
            None => Turn::Free,
        };
        Ok(Marked { found: None, epoch: self.epoch, versions, turn })
    }

    pub(super) async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        let kept = self.keep(&put).await;
        // Who waits for it looks again when it is there.
        if let (Ok(_), Some(token)) = (&kept, &put.token) {
            self.give_back(&put.key.digest, token, false).await?;
        }
        kept
    }

    async fn keep(&self, put: &Put<'_>) -> Result<Kept, StoreError> {
        let life = Life::AtMost(put.ttl_ms.saturating_sub(put.age_ms));
        if put.epoch != self.epoch || !self.files.keeps(life) {
            return Ok(Kept::Refused);
        }
        if !put.replace && self.get(put.key, None).await? != Got::Nothing {
            return Ok(Kept::Refused);
        }
        // Late versions before guards: see `bump`.
        let guards_first = broken(Fault::GuardsBeforeLate);
        if guards_first && !self.guards_hold(put).await? {
            return Ok(Kept::Refused);
        }
        let late = self.versions_now(put.late, put.fill, put.keep_ms).await?;
        if !put.late.is_empty() && !self.blocked(put.late).await?.is_empty() {
            return Ok(Kept::Refused);
        }
        if !guards_first && !self.guards_hold(put).await? {
            return Ok(Kept::Refused);
        }
        let place = self.entry(put.key);
        let born_ms = self.files.now_ms().saturating_sub(put.age_ms);
        let bytes = format::entry(put, &late, born_ms, &place);
        self.files.write(place, bytes, life).await?;
        Ok(Kept::Stored)
    }

    async fn guards_hold(&self, put: &Put<'_>) -> Result<bool, StoreError> {
        let ids: Vec<_> = put.guards.iter().map(|(id, _)| *id).collect();
        let now = self.versions(&ids).await?;
        Ok(now.iter().zip(put.guards).all(|(now, (_, then))| *now == Some(*then)))
    }

    pub(super) async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        let of = |(id, _): &(TagId, Unique)| *id;
        let blocks = bump.block.iter().chain(bump.unblock).map(of);
        let ids: Vec<_> = bump.ids.iter().copied().chain(blocks).collect();
        self.block(bump.block).await?;
        self.delete(&ids).await?;
        self.unblock(bump.unblock).await?;
        // Once more, since which of them are guards is not said: an entry whose guards were
        // compared before the first time took the versions of its late tags before that, too.
        if ids.len() > 1 && !broken(Fault::OnePass) {
            self.delete(&ids).await?;
        }
        let watched = self.versions(bump.watch).await?;
        if watched.iter().all(Option::is_none) {
            return Ok(Bumped { watched });
        }
        let blocked = self.blocked(bump.watch).await?;
        let free =
            |(id, version): (&TagId, Option<Unique>)| version.filter(|_| !blocked.contains(id));
        Ok(Bumped { watched: bump.watch.iter().zip(watched).map(free).collect() })
    }

    async fn delete(&self, ids: &[TagId]) -> Result<(), StoreError> {
        let delete = |id: &TagId| self.files.delete(self.version(*id));
        each(self.files.width(), ids.iter().map(delete)).await.map(drop)
    }

    pub(super) async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.files.delete(self.entry(key)).await
    }
}
