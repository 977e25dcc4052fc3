//! Settings of a cache.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::{Capture, Engine, QueryCache};
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::event::Observer;

/// Builds a [`QueryCache`]. Every setting has a default.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
/// use std::time::Duration;
/// use sea_orm_cache::{Event, QueryCache};
///
/// let cache = QueryCache::builder()
///     .prefix("shop")
///     .version(2)
///     .default_ttl(Duration::from_secs(300))
///     .max_bytes(64 << 20)
///     .observer(|event: &Event<'_>| eprintln!("{event}"))
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct QueryCacheBuilder {
    pub(crate) prefix: Arc<str>,
    pub(crate) version: u32,
    pub(crate) default_ttl: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) capture: Capture,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Default for QueryCacheBuilder {
    fn default() -> Self {
        Self {
            prefix: "sea-orm".into(),
            version: 1,
            // Long enough to be worth it; what the cache can't see is stale no longer than this.
            default_ttl: Duration::from_secs(300),
            // Some 50,000 small lists, and little beside a web server's own memory.
            max_bytes: 64 << 20,
            capture: Capture::Auto,
            clock: Arc::new(SystemClock::default()),
            observer: None,
        }
    }
}

impl QueryCacheBuilder {
    /// The first part of every key, to keep applications apart that share a store. Letters,
    /// digits, `-`, `_` and `.`; the default is `sea-orm`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The version of the application's data format: with another one, older entries are never
    /// used. The default is 1.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The TTL of queries that do not give their own. The default is 5 minutes.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = ttl;
        self
    }

    /// How many bytes entries may take in memory, at most; past it the least useful go. Beside
    /// them the versions of tags take a sixteenth of this, but at most 32 MiB. 0 stores nothing.
    /// The default is 64 MiB.
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// When the rows of a write are read before it. The default is [`Capture::Auto`].
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = capture;
        self
    }

    /// The clock by which entries expire, for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who is told what the cache does.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Builds the cache. Memory only: no server is needed.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`] if a setting is wrong; the message names it.
    pub async fn build(self) -> Result<QueryCache, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.prefix.is_empty() || !self.prefix.chars().all(allowed) {
            return Err(Error::config(format!(
                "prefix {:?} must be made of letters, digits, '-', '_' and '.'",
                self.prefix
            )));
        }
        Ok(QueryCache { engine: Arc::new(Engine::new(self)) })
    }
}

impl std::fmt::Debug for QueryCacheBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryCacheBuilder")
            .field("prefix", &self.prefix)
            .field("version", &self.version)
            .field("default_ttl", &self.default_ttl)
            .field("max_bytes", &self.max_bytes)
            .field("capture", &self.capture)
            .finish_non_exhaustive()
    }
}
