//! Locks among all processes that share a store.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::Kv;
use crate::error::Error;
use crate::key::segment;
use crate::store::StoreError;

impl Kv {
    /// Takes a lock for this time at most; `None` if somebody has it. Does not wait.
    ///
    /// With a store it is one among all processes that share it, otherwise among the tasks of this
    /// one. It ends by itself when its time is over, so that a process which dies holds nobody up;
    /// a holder that was only slow does not notice. Therefore have whatever must not be done by two
    /// check the [token](KvLock::token). [`clear`](Self::clear) does not end it.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if `ttl` is zero; [`Error::is_store`] if the store is away or refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// if let Some(lock) = kv.lock("nightly report", Duration::from_secs(30)).await? {
    ///     assert!(kv.lock("nightly report", Duration::from_secs(30)).await?.is_none());
    ///     // … UPDATE report SET .., fence = {lock.token()} WHERE fence < {lock.token()} …
    ///     lock.release().await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn lock(&self, name: &str, ttl: Duration) -> Result<Option<KvLock>, Error> {
        let ttl_ms = self.ttl_or_own(ttl);
        if ttl_ms == 0 {
            return Err(Error::config(format!("lock {name:?}: a TTL of zero holds nothing")));
        }
        let (prefix, version, path) = (&self.engine.prefix, self.engine.version, &self.path);
        let key = format!("{prefix}:v{version}:lock:{{{path}:{}}}", segment(name));
        let kv = self.clone();
        let take = async move {
            let token = kv.ask(|cells| cells.lock(&key, ttl_ms)).await?;
            Ok(token.map(|token| KvLock { kv, key, token, over: false }))
        };
        let taken = match Handle::try_current() {
            // If nobody waits for it any more, it is taken all the same, and released at once.
            Ok(runtime) if self.engine.shared.is_some() => runtime
                .spawn(take)
                .await
                .unwrap_or_else(|_| Err(StoreError::away("the runtime ends"))),
            _ => take.await,
        };
        taken.map_err(Error::store)
    }
}

/// A lock that is held, until it is released or dropped, or its time is over.
#[must_use = "it is released when it is dropped"]
pub struct KvLock {
    kv: Kv,
    key: String,
    token: u64,
    over: bool,
}

impl KvLock {
    /// The fencing token: larger than that of everyone who had this lock before. Whoever stores
    /// something under the lock's protection should refuse a smaller token than the last it saw.
    ///
    /// It is a time in microseconds, or one more than the last token where that is larger. So it
    /// grows unless Redis loses what it has while its clock, or that of the server which takes its
    /// place, is behind.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// let mut last = 0;
    /// for _ in 0..3 {
    ///     let lock = kv.lock("report", Duration::from_secs(30)).await?.expect("nobody has it");
    ///     assert!(lock.token() > last);
    ///     last = lock.token();
    /// }
    /// # Ok(()) }
    /// ```
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Gives the lock back. Dropping it does the same, but does not tell how that went.
    ///
    /// # Errors
    ///
    /// [`Error::is_lock_lost`] if it was lost before: its time was over, or the store lost it.
    /// [`Error::is_store`] if the store is away or refuses, so that nothing is known.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// let lock = kv.lock("report", Duration::from_secs(30)).await?.expect("nobody has it");
    /// lock.release().await?;
    /// # Ok(()) }
    /// ```
    pub async fn release(mut self) -> Result<(), Error> {
        let unlocked = unlock(&self.kv, &self.key, self.token).await;
        self.over = true;
        match unlocked.map_err(Error::store)? {
            true => Ok(()),
            false => Err(Error::lock_lost(self.token)),
        }
    }
}

async fn unlock(kv: &Kv, key: &str, token: u64) -> Result<bool, StoreError> {
    kv.ask(|cells| cells.unlock(key, token)).await
}

impl Drop for KvLock {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (kv, key, token) = (self.kv.clone(), std::mem::take(&mut self.key), self.token);
        let has_store = kv.engine.shared.is_some();
        let release = async move { drop(unlock(&kv, &key, token).await) };
        if !has_store {
            // Memory never makes one wait.
            release.now_or_never();
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(release);
        }
        // Otherwise it ends by itself.
    }
}

impl fmt::Debug for KvLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvLock").field("key", &self.key).field("token", &self.token).finish()
    }
}
