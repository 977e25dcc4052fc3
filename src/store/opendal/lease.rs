//! The right to load, so that others wait.
//!
//! It saves work and nothing rests on it: where a service can't tell whether a file was there, or
//! at the moment a right ends, two may have it.

use super::files::{Files, Life};
use super::format::{Is, Stamp};
use super::protocol::Core;
use crate::key::hex;
use crate::store::{Lease, StoreError, Turn, Unique};

/// Who has the right where nobody need have it: such a result is not stored.
const NOBODY: Unique = [0; 16];

/// For how long that is known, in milliseconds.
const NOBODY_MS: u64 = 1_000;

impl<F: Files> Core<F> {
    fn right(&self, digest: &[u8; 32]) -> String {
        format!("{}/l/{}", self.folder, hex(digest))
    }

    pub(super) async fn ask_for_right(&self, lease: &Lease<'_>) -> Result<Turn, StoreError> {
        let place = self.right(&lease.key.digest);
        let now_ms = self.files.now_ms();
        let there = self.files.read(place.clone(), None).await?;
        if let Some(bytes) = &there {
            match Stamp::read(Is::Lease, &place, bytes) {
                Some(stamp) if stamp.until_ms <= now_ms => self.files.delete(place.clone()).await?,
                Some(stamp) if stamp.unique == NOBODY => return Ok(Turn::Free),
                // Somebody is writing it, or it is damaged; who removes old files will remove it.
                _ => return Ok(Turn::Theirs),
            }
        }
        let stamp = Stamp { until_ms: now_ms + lease.ms, unique: lease.token };
        let bytes = stamp.bytes(Is::Lease, &place);
        if let Some(created) = self.files.create(place.clone(), bytes.clone()).await? {
            return Ok(if created { Turn::Ours } else { Turn::Theirs });
        }
        self.files.write(place.clone(), bytes, Life::AtMost(lease.ms)).await?;
        // Another may have done the same: the later one has it.
        let there = self.files.read(place.clone(), None).await?;
        let last = there.and_then(|bytes| Stamp::read(Is::Lease, &place, &bytes));
        Ok(if last == Some(stamp) { Turn::Ours } else { Turn::Theirs })
    }

    pub(super) async fn give_back(
        &self,
        digest: &[u8; 32],
        token: &Unique,
        never: bool,
    ) -> Result<(), StoreError> {
        let place = self.right(digest);
        let there = self.files.read(place.clone(), None).await?;
        let has = there.and_then(|bytes| Stamp::read(Is::Lease, &place, &bytes));
        if has.is_none_or(|stamp| stamp.unique != *token) {
            return Ok(());
        }
        if !never {
            return self.files.delete(place).await;
        }
        let until_ms = self.files.now_ms() + NOBODY_MS;
        let bytes = Stamp { until_ms, unique: NOBODY }.bytes(Is::Lease, &place);
        self.files.write(place, bytes, Life::AtMost(NOBODY_MS)).await
    }
}
