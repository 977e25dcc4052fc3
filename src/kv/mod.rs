//! Single values under keys of the user's, beside what is cached of queries.
//!
//! A key's place is `{prefix}:v{version}:kv:{view:generation:key}`. What the user gave is escaped in
//! it, so nothing can reach beyond its own part. A view and each of those around it have a
//! *generation*, a version of the kind that tags have: to clear a view is to end its generation, and
//! what has the old one in its key is never asked for again.

mod config;
mod count;
mod lock;
mod memory;
mod place;
mod read;
mod value;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::config::KvConfig;
use self::config::Named;
pub(crate) use self::config::Registry;
pub use self::lock::KvLock;
use crate::cache::{Engine, QueryCache};
use crate::error::Error;
use crate::key::segment;
use crate::tag::TagId;

/// What goes on longer than this is as good as forever, and the sums of larger times overflow.
const LONGEST_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Values under keys, counters and locks: in memory, or if the cache has a store, there and only
/// there, so that each process sees at once what another one wrote. Cheap to clone.
///
/// Any value that serde can write and read will do. It is not tied to any query: what you put here
/// stays until its time is over, it is replaced or removed, or there is no room. No write to the
/// database ends it, nor do `invalidate_tag` and `invalidate_all`.
///
/// **Times to live** are given with each call; `None` is the TTL of the cache
/// ([`KvConfig::ttl`]). Zero stores nothing, and [`set`](Self::set) then removes what is there. More
/// than 100 years count as 100 years.
///
/// **Views.** [`version`](Self::version) and [`prefixed`](Self::prefixed) give views whose keys are
/// apart from all others'; [`clear`](Self::clear) ends what is in a view and in views of that one.
///
/// **If the store is away**, reads find nothing and writes are errors ([`Error::is_store`]), both
/// without waiting for it. Otherwise values are as safe as Redis keeps them: they may be evicted,
/// and a failover may lose the last writes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// use std::time::Duration;
/// use sea_orm_cache::prelude::*;
///
/// let cache = QueryCache::builder().build().await?;
/// let kv = cache.kv();
/// kv.set("greeting", "hello", Duration::from_secs(60)).await?;
/// assert_eq!(kv.get::<String>("greeting").await.as_deref(), Some("hello"));
/// assert_eq!(kv.incr("visits", 1, None).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Kv {
    engine: Arc<Engine>,
    named: Arc<Named>,
    /// The view's name in keys.
    path: Arc<str>,
    /// Its own name and those of the views around it, as far as generations go.
    levels: Arc<[TagId]>,
}

impl QueryCache {
    /// Values, counters and locks under keys of your own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.kv().set("answer", &42, None).await?;
    /// # Ok(()) }
    /// ```
    pub fn kv(&self) -> Kv {
        self.kv_of("", self.engine.kv.unnamed.clone())
    }

    /// The same apart from all others, with a TTL and limits of its own.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if [`QueryCacheBuilder::named`](crate::QueryCacheBuilder::named) was not
    /// called with this name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use std::time::Duration;
    /// use sea_orm_cache::{KvConfig, QueryCache};
    ///
    /// let sessions = KvConfig::new().ttl(Duration::from_secs(1800)).max_bytes(8 << 20);
    /// let cache = QueryCache::builder().named("sessions", sessions).build().await?;
    /// cache.kv_named("sessions")?.set("5f2c", "user 7", None).await?;
    /// assert!(cache.kv_named("session").is_err());
    /// # Ok(()) }
    /// ```
    pub fn kv_named(&self, name: &str) -> Result<Kv, Error> {
        match self.engine.kv.named.get(name) {
            Some(named) => Ok(self.kv_of(name, named.clone())),
            None => Err(Error::config(format!(
                "there is no cache named {name:?}; QueryCacheBuilder::named makes one"
            ))),
        }
    }

    fn kv_of(&self, name: &str, named: Arc<Named>) -> Kv {
        let levels = [TagId::view(name)].into();
        Kv { engine: self.engine.clone(), named, path: name.into(), levels }
    }
}

impl Kv {
    /// A view for another version of your values: where their types change, old and new processes
    /// don't read each other's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// kv.set("cart", "a list", None).await?;
    /// assert_eq!(kv.version(2).get::<String>("cart").await, None);
    /// # Ok(()) }
    /// ```
    pub fn version(&self, version: u32) -> Self {
        self.within(&format!("v{version}"))
    }

    /// A view with keys of its own: `prefixed("user:")` and key `5` is none of this view's keys,
    /// nor is it `user:5`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let kv = sea_orm_cache::QueryCache::builder().build().await?.kv();
    /// let users = kv.prefixed("user:");
    /// users.set("5", "Ada", None).await?;
    /// kv.set("motd", "hello", None).await?;
    /// users.clear().await?;
    /// assert_eq!(users.get::<String>("5").await, None);
    /// assert!(kv.get::<String>("motd").await.is_some());
    /// # Ok(()) }
    /// ```
    pub fn prefixed(&self, prefix: &str) -> Self {
        self.within(&format!("p{}", segment(prefix)))
    }

    fn within(&self, part: &str) -> Self {
        let path: Arc<str> = format!("{}:{part}", self.path).into();
        let levels = self.levels.iter().copied().chain([TagId::view(&path)]).collect();
        Self { path, levels, ..self.clone() }
    }

    /// A TTL in milliseconds; one that is not zero does not become zero.
    fn ttl_or_own(&self, ttl: impl Into<Option<Duration>>) -> u64 {
        let ttl = ttl.into().unwrap_or(self.named.ttl);
        let ms = ttl.as_nanos().div_ceil(1_000_000);
        u64::try_from(ms).unwrap_or(u64::MAX).min(LONGEST_MS)
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kv").field(&self.path).finish()
    }
}
