//! The error of setting a cache up. Using it never fails: the database answers.

use std::fmt;

use sea_orm::DbErr;

/// Why a cache could not be built or connected.
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

    /// A setting of the builder is wrong; the message names it.
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
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Config(message) => f.write_str(message),
            Kind::NoRuntime => f.write_str(
                "connect() must be called inside a Tokio runtime: writes whose callers go away are \
                 finished on it",
            ),
            Kind::Database(error) => write!(f, "the database did not answer: {error}"),
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
