//! What reads single values.

use std::future::ready;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use sha2::{Digest, Sha256};

use super::Kv;
use super::place::each;
use super::value::decode;
use crate::flight::{Role, landed_in_time};
use crate::store::{StoreError, When, unique};

/// How long the right to fill a key lasts, in milliseconds. What takes longer is not stored.
const LEASE_MS: u64 = 60_000;

impl Kv {
    /// The value under a key; `None` if there is none, it is of another type, or the store is away.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("pair", &(1, "one"), None).await?;
    /// assert_eq!(kv.get("pair").await, Some((1, "one".to_owned())));
    /// assert_eq!(kv.get::<bool>("pair").await, None);
    /// # Ok(()) }
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let got = self.run(0, |cells, space| async move { cells.get(&space.cell(key)).await });
        decode(&got.await.ok()??)
    }

    /// The values under many keys, in the order of the keys.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set_many([("a", &1), ("b", &2)], None).await?;
    /// assert_eq!(kv.get_many::<i32>(["b", "c", "a"]).await, [Some(2), None, Some(1)]);
    /// # Ok(()) }
    /// ```
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<Option<T>> {
        let keys: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        let got = self.run(0, |cells, space| {
            each(&keys, move |key| {
                let cell = space.cell(key);
                async move {
                    match cells.get(&cell).await {
                        // Under this one is something that nobody here has put.
                        Err(error) if error.is_refused() => Ok(None),
                        got => got,
                    }
                }
            })
        });
        match got.await {
            Ok(all) => all.into_iter().map(|bytes| decode(&bytes?)).collect(),
            Err(_) => keys.iter().map(|_| None).collect(),
        }
    }

    /// How long the value under a key is still kept, to the millisecond; `None` if there is none,
    /// or the store is away.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("k", "v", Duration::from_secs(60)).await?;
    /// assert!(kv.ttl("k").await.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok(()) }
    /// ```
    pub async fn ttl(&self, key: &str) -> Option<Duration> {
        let left = self.run(0, |cells, space| async move { cells.ttl_ms(&space.cell(key)).await });
        left.await.ok()?.map(Duration::from_millis)
    }

    /// The value under a key, or else that of `load`, which is stored.
    ///
    /// Of several tasks of this process that miss the same key one loads, and the others wait for
    /// it, for two seconds at most. What was loaded is not stored if the key was written, deleted or
    /// cleared since the load began, by whichever process; so a value from before a `delete` never
    /// comes back. If the store is away each loads, and nothing is stored; nor is a value that has
    /// no bytes or too many.
    ///
    /// # Errors
    ///
    /// Those of `load`; nothing is stored then. The cache adds none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    /// use sea_orm::DbErr;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// let report = async || Ok::<_, DbErr>("a long report".to_owned());
    /// let shown = kv.get_or_set("report", Duration::from_secs(60), report).await;
    /// assert_eq!(shown.as_deref(), Ok("a long report"));
    /// # Ok(()) }
    /// ```
    pub async fn get_or_set<T, E, F>(
        &self,
        key: &str,
        ttl: impl Into<Option<Duration>>,
        load: impl FnOnce() -> F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, E>>,
    {
        let ttl_ms = self.ttl_or_own(ttl);
        if let Some(value) = self.get(key).await {
            return Ok(value);
        }
        if ttl_ms == 0 {
            return load().await;
        }
        // Where it would be now: after a clear nobody looks there any more.
        let cell = self.run(ttl_ms + LEASE_MS, |_, space| ready(Ok(space.cell(key))));
        let Ok(cell) = cell.await else { return load().await };
        let _leader = match self.engine.flights.board(&Sha256::digest(&cell).into()) {
            Role::Lead(leader) => Some(leader),
            Role::Join(flight, own) => {
                // What it loaded may be from before a write that we must see; what is there is not.
                let _ = landed_in_time(flight, own).await;
                None
            }
        };
        self.fill(&cell, ttl_ms, load).await
    }

    async fn fill<T, E, F>(&self, cell: &str, ttl_ms: u64, load: impl FnOnce() -> F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, E>>,
    {
        let new = unique();
        let leased = self.ask(|cells| cells.lease(cell, &new, LEASE_MS)).await;
        // Another may have filled it since we looked.
        if let Ok((_, Some(bytes))) = &leased
            && let Some(value) = decode(bytes)
        {
            return Ok(value);
        }
        let value = load().await?;
        if let Ok((lease, _)) = leased
            && let Ok(bytes) = self.encoded(cell, &value)
        {
            let put = self.ask(|cells| cells.set(cell, &bytes, ttl_ms, When::Leased(lease)));
            // The value is right, stored or not.
            let _: Result<bool, StoreError> = put.await;
        }
        Ok(value)
    }
}
