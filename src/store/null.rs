//! Keeps nothing.

use async_trait::async_trait;

use super::{
    Bumped, Bumps, FillId, Got, Kept, Listener, Mark, Marked, Put, Store, StoreError, Turn, Unique,
};
use crate::key::Key;

/// A store that keeps nothing: with it every read goes to the database.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// use sea_orm_cache::QueryCache;
/// use sea_orm_cache::store::NullStore;
///
/// let cache = QueryCache::builder().store(NullStore).build().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NullStore;

#[async_trait]
impl Store for NullStore {
    async fn connect(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn get(&self, _: &Key, _: Option<&FillId>) -> Result<Got, StoreError> {
        Ok(Got::Nothing)
    }

    async fn mark(&self, mark: Mark<'_>) -> Result<Marked, StoreError> {
        let versions = vec![Some(mark.create); mark.ids.len()];
        Ok(Marked { found: None, epoch: [0; 16], versions, turn: Turn::Free })
    }

    async fn put(&self, _: Put<'_>) -> Result<Kept, StoreError> {
        Ok(Kept::Refused)
    }

    async fn release(&self, _: &Key, _: &Unique, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remove(&self, _: &Key) -> Result<(), StoreError> {
        Ok(())
    }

    async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        Ok(Bumped { watched: vec![None; bump.watch.len()] })
    }

    fn tells(&self) -> bool {
        false
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, StoreError> {
        Err(StoreError::unsupported("a store that keeps nothing tells nothing"))
    }
}
