//! The error of setting a cache up, and of writing single values. Cached queries never fail by
//! the cache: the database answers.

use std::fmt;
use std::time::Duration;

use sea_orm::DbErr;

/// Why a cache could not be built or connected, or a value not be written with [`Kv`](crate::Kv).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let error = sea_orm_cache::QueryCache::builder().prefix("a:b").build().await.unwrap_err();
/// assert!(error.is_config());
/// assert!(error.to_string().contains("prefix"));
/// # }
/// ```
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Config(String),
    NoRuntime,
    Database(DbErr),
    Store(String),
    Value(String),
    Counter(String),
    LockLost(u64),
    Unheard(Duration),
}

impl Error {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self(Kind::Config(message.into()))
    }

    pub(crate) fn no_runtime() -> Self {
        Self(Kind::NoRuntime)
    }

    pub(crate) fn database(error: DbErr) -> Self {
        Self(Kind::Database(error))
    }

    pub(crate) fn store(error: impl fmt::Display) -> Self {
        Self(Kind::Store(error.to_string()))
    }

    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self(Kind::Value(message.into()))
    }

    pub(crate) fn counter(message: impl Into<String>) -> Self {
        Self(Kind::Counter(message.into()))
    }

    pub(crate) fn lock_lost(token: u64) -> Self {
        Self(Kind::LockLost(token))
    }

    pub(crate) fn unheard(waited: Duration) -> Self {
        Self(Kind::Unheard(waited))
    }

    /// A setting of the builder, or an argument, is wrong; the message names it.
    pub fn is_config(&self) -> bool {
        matches!(self.0, Kind::Config(_))
    }

    /// There is no Tokio runtime to finish writes on when their callers go away.
    pub fn is_no_runtime(&self) -> bool {
        matches!(self.0, Kind::NoRuntime)
    }

    /// The database did not answer.
    pub fn is_database(&self) -> bool {
        matches!(self.0, Kind::Database(_))
    }

    /// The cache's store is away, or did not do it. It may have been done all the same.
    pub fn is_store(&self) -> bool {
        matches!(self.0, Kind::Store(_))
    }

    /// The value can't be stored: it has no bytes, or too many.
    pub fn is_value(&self) -> bool {
        matches!(self.0, Kind::Value(_))
    }

    /// What is under the key is no counter, or would no longer fit an `i64`.
    pub fn is_counter(&self) -> bool {
        matches!(self.0, Kind::Counter(_))
    }

    /// The lock was lost before it was released: others may have had it.
    pub fn is_lock_lost(&self) -> bool {
        matches!(self.0, Kind::LockLost(_))
    }

    /// Nobody heard what other programs wrote for too long.
    pub fn is_unheard(&self) -> bool {
        matches!(self.0, Kind::Unheard(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Config(message) | Kind::Value(message) | Kind::Counter(message) => {
                f.write_str(message)
            }
            Kind::NoRuntime => f.write_str(
                "connect() must be called inside a Tokio runtime: writes whose callers go away are \
                 finished on it",
            ),
            Kind::Database(error) => write!(f, "the database did not answer: {error}"),
            Kind::Store(error) => write!(f, "the cache's store did not do it: {error}"),
            Kind::LockLost(token) => write!(
                f,
                "the lock of token {token} was lost before it was released: its time was over, or \
                 the store lost it"
            ),
            Kind::Unheard(waited) => {
                write!(f, "what other programs wrote was not heard within {waited:?}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for DbErr {
    /// So that `?` works in functions that return SeaORM's error.
    fn from(error: Error) -> Self {
        match error.0 {
            Kind::Database(error) => error,
            _ => Self::Custom(error.to_string()),
        }
    }
}
