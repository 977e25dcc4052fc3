//! What writes single values.

use std::time::Duration;

use serde::ser::Serialize;

use super::Kv;
use super::place::each;
use super::value::encode;
use crate::error::Error;
use crate::store::When;

impl Kv {
    /// Puts a value under a key, in the place of what is there.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] if the store is away or refuses; [`Error::is_value`] if the value has no
    /// bytes, or too many.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("k", "value", Duration::from_secs(60)).await?;
    /// kv.set("k", "value", Duration::ZERO).await?;
    /// assert_eq!(kv.get::<String>("k").await, None);
    /// # Ok(()) }
    /// ```
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        self.set_many([(key, value)], ttl).await
    }

    /// Puts each value under its key. If that is an error, some of them may have been put.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set_many([("one", "1st"), ("two", "2nd")], None).await?;
    /// # Ok(()) }
    /// ```
    pub async fn set_many<'v, T: Serialize + ?Sized + 'v>(
        &self,
        values: impl IntoIterator<Item = (impl AsRef<str>, &'v T)>,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        let ttl_ms = self.ttl_or_own(ttl);
        let encoded = values.into_iter().map(|(key, value)| {
            let key = key.as_ref();
            Ok((key.to_owned(), self.encoded(key, value)?))
        });
        let values = encoded.collect::<Result<Vec<_>, Error>>()?;
        let set = self.run(ttl_ms, |cells, space| {
            each(&values, move |(key, bytes)| {
                let cell = space.cell(key);
                async move {
                    match ttl_ms {
                        0 => cells.delete(&cell).await,
                        _ => cells.set(&cell, bytes, ttl_ms, When::Always).await,
                    }
                }
            })
        });
        set.await.map(drop).map_err(Error::store)
    }

    /// Puts a value under a key if nothing is there; `true` if it was put. Of several that add at
    /// the same time one is told so.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// assert!(kv.add("request 17", &true, None).await?);
    /// assert!(!kv.add("request 17", &true, None).await?);
    /// # Ok(()) }
    /// ```
    pub async fn add<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<bool, Error> {
        let (ttl_ms, bytes) = (self.ttl_or_own(ttl), self.encoded(key, value)?);
        if ttl_ms == 0 {
            return Ok(false);
        }
        let bytes = &bytes[..];
        let add = self.run(ttl_ms, |cells, space| async move {
            cells.set(&space.cell(key), bytes, ttl_ms, When::Absent).await
        });
        add.await.map_err(Error::store)
    }

    /// Removes the value under a key; `true` if there was one.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] if the store is away or refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// assert!(!kv.delete("k").await?);
    /// # Ok(()) }
    /// ```
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.delete_many([key]).await? == 1)
    }

    /// Removes the values under many keys; how many there were. If that is an error, some of them
    /// may have been removed.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] if the store is away or refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("a", &1, None).await?;
    /// assert_eq!(kv.delete_many(["a", "b"]).await?, 1);
    /// # Ok(()) }
    /// ```
    pub async fn delete_many(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<usize, Error> {
        let keys: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        let deleted = self.run(0, |cells, space| {
            each(&keys, move |key| {
                let cell = space.cell(key);
                async move { cells.delete(&cell).await }
            })
        });
        let deleted = deleted.await.map_err(Error::store)?;
        Ok(deleted.into_iter().filter(|was_there| *was_there).count())
    }

    /// Gives the value under a key a new TTL, from now on; `false` if there is none. Zero removes
    /// it.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] if the store is away or refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    ///
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("session", "user 7", Duration::from_secs(60)).await?;
    /// assert!(kv.touch("session", Duration::from_secs(3600)).await?);
    /// # Ok(()) }
    /// ```
    pub async fn touch(&self, key: &str, ttl: impl Into<Option<Duration>>) -> Result<bool, Error> {
        let ttl_ms = self.ttl_or_own(ttl);
        if ttl_ms == 0 {
            // Also a load that is under way.
            return self.delete(key).await;
        }
        let touch = self
            .run(ttl_ms, |cells, space| async move { cells.touch(&space.cell(key), ttl_ms).await });
        touch.await.map_err(Error::store)
    }

    /// Ends every value of this view and of views of it, in all processes, however many there are.
    /// Others stay, and so do locks. In Redis the values are not found any more, and go when their
    /// time is over.
    ///
    /// # Errors
    ///
    /// [`Error::is_store`] if the store is away or refuses.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("k", "value", None).await?;
    /// kv.clear().await?;
    /// assert_eq!(kv.get::<String>("k").await, None);
    /// # Ok(()) }
    /// ```
    pub async fn clear(&self) -> Result<(), Error> {
        self.end_generation().await.map_err(Error::store)
    }

    /// A value's bytes, if they may be stored.
    pub(super) fn encoded<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let bytes = encode(value).map_err(|why| {
            Error::value(format!("the value for the key {key:?} has no bytes: {}", why.0))
        })?;
        let max = self.max_value_bytes();
        if bytes.len() > max {
            let len = bytes.len();
            return Err(Error::value(format!(
                "the value for the key {key:?} has {len} bytes; at most {max} are stored"
            )));
        }
        Ok(bytes)
    }
}
