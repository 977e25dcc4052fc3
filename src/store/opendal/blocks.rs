//! Who holds others off a tag.
//!
//! Where folders can be listed there is one file for each block, so nobody writes what another
//! wrote. Elsewhere all of them are in one file: two processes that change it at the same moment
//! may lose one of the changes, which is why such a store is not [`Full`](super::Consistency::Full).

use std::collections::HashSet;

use super::files::{Files, Life};
use super::format::{Is, Stamp};
use super::protocol::{Core, each};
use crate::key::hex;
use crate::store::{StoreError, TagId, Unique, unique};

/// How long a block lives that nobody ends, in milliseconds.
const BLOCK_MS: u64 = 300_000;

/// So much clocks may differ, in milliseconds, where the service ends by itself what is over.
const SLACK_MS: u64 = 3_600_000;

impl<F: Files> Core<F> {
    fn blocks(&self) -> String {
        format!("{}/b/", self.folder)
    }

    fn together(&self) -> String {
        format!("{}/blocks", self.folder)
    }

    /// Those of these tags that somebody blocks.
    pub(super) async fn blocked(&self, ids: &[TagId]) -> Result<HashSet<TagId>, StoreError> {
        let now_ms = self.now_ms();
        let Some(listed) = self.files.list(self.blocks()).await? else {
            let all = self.read_together().await?;
            let holds =
                all.iter().filter(|block| block.until_ms > now_ms && ids.contains(&block.id));
            return Ok(holds.map(|block| block.id).collect());
        };
        let names: Vec<_> = listed.into_iter().map(|file| file.name).collect();
        let known = |name: &String| ids.iter().copied().find(|id| name.starts_with(&tag(*id)));
        let relevant = names.iter().filter_map(|name| Some((known(name)?, name.clone())));
        let look = |(id, name): (TagId, String)| async move {
            let place = format!("{}{name}", self.blocks());
            let bytes = self.files.read(place.clone(), None).await?;
            // What is damaged holds: who removes old files will remove it.
            let over = |bytes: &Vec<u8>| {
                Stamp::read(Is::Block, &place, bytes).is_some_and(|stamp| stamp.until_ms <= now_ms)
            };
            Ok(bytes.filter(|bytes| !over(bytes)).map(|_| id))
        };
        let holding = each(self.files.width(), relevant.map(look)).await?;
        Ok(holding.into_iter().flatten().collect())
    }

    pub(super) async fn blocked_if(
        &self,
        now: bool,
        ids: &[TagId],
    ) -> Result<HashSet<TagId>, StoreError> {
        if now { self.blocked(ids).await } else { Ok(HashSet::new()) }
    }

    /// From now on these are blocked.
    pub(super) async fn block(&self, blocks: &[(TagId, Unique)]) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let until_ms = self.files.now_ms() + BLOCK_MS;
        if self.files.list(self.blocks()).await?.is_none() {
            let mut all = self.read_together().await?;
            all.retain(|other| !blocks.contains(&(other.id, other.who)));
            all.extend(blocks.iter().map(|(id, who)| Block { id: *id, who: *who, until_ms }));
            return self.write_together(all).await;
        }
        // Each under a name of its own: while a file takes another's place a list may lack both.
        let write = |(id, who): &(TagId, Unique)| {
            let place = format!("{}{}{}-{}", self.blocks(), tag(*id), hex(who), hex(&unique()));
            let bytes = Stamp { until_ms, unique: *who }.bytes(Is::Block, &place);
            self.files.write(place, bytes, Life::AtLeast(BLOCK_MS))
        };
        each(self.files.width(), blocks.iter().map(write)).await.map(drop)
    }

    /// These are no longer blocked by these.
    pub(super) async fn unblock(&self, blocks: &[(TagId, Unique)]) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let Some(listed) = self.files.list(self.blocks()).await? else {
            let mut all = self.read_together().await?;
            all.retain(|block| !blocks.contains(&(block.id, block.who)));
            return self.write_together(all).await;
        };
        let theirs: Vec<_> =
            blocks.iter().map(|(id, who)| format!("{}{}-", tag(*id), hex(who))).collect();
        let ends = |name: &String| theirs.iter().any(|start| name.starts_with(start));
        let names = listed.into_iter().map(|file| file.name).filter(ends);
        let delete = |name: String| self.files.delete(format!("{}{name}", self.blocks()));
        each(self.files.width(), names.map(delete)).await.map(drop)
    }

    /// By which blocks end.
    fn now_ms(&self) -> u64 {
        let slack_ms = if self.one_clock { 0 } else { SLACK_MS };
        self.files.now_ms().saturating_sub(slack_ms)
    }

    async fn read_together(&self) -> Result<Vec<Block>, StoreError> {
        let bytes = self.files.read(self.together(), None).await?;
        Ok(bytes.and_then(|bytes| read_all(&self.together(), &bytes)).unwrap_or_default())
    }

    async fn write_together(&self, mut all: Vec<Block>) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        all.retain(|block| block.until_ms > now_ms);
        if all.is_empty() {
            return self.files.delete(self.together()).await;
        }
        let place = self.together();
        let bytes = all.iter().flat_map(|block| {
            let stamp = Stamp { until_ms: block.until_ms, unique: block.who };
            [&block.id.0.to_le_bytes()[..], &stamp.bytes(Is::Block, &place)].concat()
        });
        let bytes = bytes.collect();
        self.files.write(place, bytes, Life::AtLeast(BLOCK_MS)).await
    }
}

/// What the names of a tag's blocks begin with.
fn tag(id: TagId) -> String {
    format!("{:016x}-", id.0)
}

struct Block {
    id: TagId,
    who: Unique,
    until_ms: u64,
}

fn read_all(place: &str, bytes: &[u8]) -> Option<Vec<Block>> {
    const ONE: usize = 8 + 33;
    let one = |bytes: &[u8]| {
        let (id, stamp) = bytes.split_first_chunk::<8>()?;
        let stamp = Stamp::read(Is::Block, place, stamp)?;
        let id = TagId(u64::from_le_bytes(*id));
        Some(Block { id, who: stamp.unique, until_ms: stamp.until_ms })
    };
    bytes.chunks(ONE).map(one).collect()
}
