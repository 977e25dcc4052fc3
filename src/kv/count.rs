//! Counters.

use std::time::Duration;

use super::Kv;
use crate::error::Error;
use crate::store::Counted;

impl Kv {
    /// Adds to a counter, in one step; what it is now. One that is missing begins at 0 and lives
    /// for `ttl`; the time of one that is there goes on. A counter can be read with
    /// [`get`](Self::get), and any integer that was [set](Self::set) is one, up to `i64::MAX`.
    ///
    /// # Errors
    ///
    /// [`Error::is_counter`] if there is something else, or if the sum does not fit an `i64`: then
    /// it is as it was. [`Error::is_store`] if the store is away or refuses; then it may have been
    /// counted, or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// let minute = Duration::from_secs(60);
    /// assert_eq!(kv.incr("logins", 1, minute).await?, 1);
    /// assert_eq!(kv.incr("logins", 9, minute).await?, 10);
    /// # Ok(()) }
    /// ```
    pub async fn incr(
        &self,
        key: &str,
        by: i64,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<i64, Error> {
        let ttl_ms = self.ttl_or_own(ttl);
        let counted = self.run(ttl_ms, |cells, space| async move {
            cells.incr(&space.cell(key), by, ttl_ms).await
        });
        match counted.await.map_err(Error::store)? {
            Counted::Now(value) => Ok(value),
            Counted::Overflow => Err(overflow(key)),
            Counted::NoCounter => {
                Err(Error::counter(format!("what is under the key {key:?} is no counter")))
            }
        }
    }

    /// Subtracts from a counter, as [`incr`](Self::incr) adds. It may become negative.
    ///
    /// # Errors
    ///
    /// As [`incr`](Self::incr).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("stock", &10, None).await?;
    /// assert_eq!(kv.decr("stock", 3, None).await?, 7);
    /// # Ok(()) }
    /// ```
    pub async fn decr(
        &self,
        key: &str,
        by: i64,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<i64, Error> {
        let by = by.checked_neg().ok_or_else(|| overflow(key))?;
        self.incr(key, by, ttl).await
    }
}

fn overflow(key: &str) -> Error {
    Error::counter(format!("the counter {key:?} would not fit an i64"))
}
