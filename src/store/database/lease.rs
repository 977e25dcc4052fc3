//! Rights to load entries: rows beside those of single values.

use super::Inner;
use super::cells::New;
use super::entries::{right, token};
use super::versions::ms;
use crate::key::Key;
use crate::store::{Lease, StoreError, Turn, Unique};

/// How long others are told that a load leads to nothing, in milliseconds.
const NEVER_MS: i64 = 1_000;
const NEVER: &str = "never";

impl Inner {
    /// The right to load an entry, unless somebody has it.
    pub(super) async fn take(&self, lease: &Lease<'_>) -> Result<Turn, StoreError> {
        let (place, held) = (right(lease.key), ms(lease.ms));
        let new = New { holder: Some(token(&lease.token)), held, kept: held, ..New::default() };
        if self.insert_cell(&place, new).await? {
            return Ok(Turn::Ours);
        }
        let values = vec![token(&lease.token), held.into(), held.into(), place[..].into()];
        if self.changed(&self.sql.cells.take, values).await? {
            return Ok(Turn::Ours);
        }
        // The word in the place of a holder is none.
        let cell = self.find(&place).await?;
        let never = cell.is_some_and(|cell| cell.held && cell.holder.is_none());
        Ok(if never { Turn::Free } else { Turn::Theirs })
    }

    pub(super) async fn give_back(&self, key: &Key, own: &Unique) -> Result<(), StoreError> {
        let values = vec![right(key)[..].into(), token(own)];
        self.talk.execute(&self.sql.cells.give_back, values).await.map(drop)
    }

    pub(super) async fn release(
        &self,
        key: &Key,
        own: &Unique,
        never: bool,
    ) -> Result<(), StoreError> {
        if !never {
            return self.give_back(key, own).await;
        }
        let values =
            vec![NEVER.into(), NEVER_MS.into(), NEVER_MS.into(), right(key)[..].into(), token(own)];
        self.talk.execute(&self.sql.cells.hand_over, values).await.map(drop)
    }
}
