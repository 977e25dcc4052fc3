//! Where the files are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::opendal::Operator;
use ::opendal::services::{Fs, Memcached};

use super::files::WallClock;
use super::local;
use crate::clock::Clock;
use crate::error::Error;
use crate::store::Consistency;

/// Which service of OpenDAL's keeps entries and versions, and how to talk to it. Give one to
/// [`QueryCacheBuilder::opendal`](crate::QueryCacheBuilder::opendal).
///
/// ```
/// use sea_orm_cache::QueryCache;
/// use sea_orm_cache::store::{Consistency, OpendalConfig};
///
/// // The processes of one machine share a folder.
/// let folder = std::env::temp_dir().join("sea-orm-cache-doc");
/// let builder = QueryCache::builder().opendal(OpendalConfig::filesystem(folder));
///
/// // Those of several machines share a Memcached, which promises less: see `Consistency`.
/// let builder = QueryCache::builder()
///     .opendal(OpendalConfig::memcached("tcp://127.0.0.1:11211"))
///     .weaker_consistency(Consistency::PerKey);
/// ```
#[derive(Clone)]
#[must_use]
pub struct OpendalConfig {
    kind: Kind,
    pub(super) timeout: Duration,
    pub(super) connections: usize,
    pub(super) clock: Arc<dyn Clock>,
}

#[derive(Clone)]
enum Kind {
    Filesystem { folder: PathBuf },
    Memcached { endpoint: String, user: Option<(String, String)> },
    Operator(Operator),
}

impl OpendalConfig {
    fn of(kind: Kind, timeout: Duration, connections: usize) -> Self {
        Self { kind, timeout, connections, clock: Arc::new(WallClock) }
    }

    /// Files in a folder of their own, which is made if it is missing, for processes of one
    /// machine. They need the same rights there. Nobody else may change it, nor bring back an
    /// older state of it while the machine runs.
    ///
    /// On Linux, and in a file system that is known to be of one machine (ext4, XFS, Btrfs, ZFS,
    /// tmpfs, overlay and their like), it is [`Consistency::Full`]; otherwise
    /// [`Consistency::Eventual`].
    pub fn filesystem(folder: impl Into<PathBuf>) -> Self {
        let kind = Kind::Filesystem { folder: folder.into() };
        // A disk that is busy makes each new file wait for it. As many threads of the runtime wait
        // at a time for one call.
        Self::of(kind, Duration::from_secs(2), 16)
    }

    /// A Memcached at `tcp://host:port` or `unix:///path`. One server, not a proxy that chooses
    /// among several. It is [`Consistency::PerKey`].
    ///
    /// Memcached takes values of up to 1 MiB unless it is started with `-I`; larger results are
    /// not stored, and [`Event::StoreError`](crate::Event::StoreError) tells it.
    pub fn memcached(endpoint: impl Into<String>) -> Self {
        let kind = Kind::Memcached { endpoint: endpoint.into(), user: None };
        // An answer takes a tenth of a millisecond, and most queries less than this.
        Self::of(kind, Duration::from_millis(500), 8)
    }

    /// Any other service, as the operator was built. It must send each write at most once: no
    /// `RetryLayer`, for a version that is written again after it was deleted makes what was
    /// overwritten valid again. Whatever it is, it is [`Consistency::Eventual`], since an operator
    /// does not tell what it promises.
    ///
    /// Take the type from the `opendal` that this crate uses: 0.59.
    pub fn operator(operator: Operator) -> Self {
        Self::of(Kind::Operator(operator), Duration::from_secs(2), 16)
    }

    /// Who we are, for a Memcached that asks (SASL, PLAIN). Others don't.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        if let Kind::Memcached { user, .. } = &mut self.kind {
            *user = Some((name.to_owned(), password.to_owned()));
        }
        self
    }

    /// How long a call may take before the store counts as away; one that is about many tags is
    /// given two milliseconds more for each. The default is 2 seconds, and half a second for
    /// Memcached.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many requests one call makes at a time, at least 1; of Memcached it is how many
    /// connections there are at most, for each of the few different times to live. The default is
    /// 16, and 8 for Memcached.
    pub fn connections(mut self, number: usize) -> Self {
        self.connections = number.max(1);
        self
    }

    /// The clock by which entries expire, for tests. All that share a store must agree on it; the
    /// default is the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Its service. `ending`: whose files end after so long. `through`: reached by another address.
    pub(super) fn service(
        &self,
        ending: Option<Duration>,
        through: Option<&str>,
    ) -> Result<Operator, Error> {
        let built = match &self.kind {
            Kind::Operator(operator) => return Ok(operator.clone()),
            Kind::Filesystem { folder } => {
                let root = text(folder)?;
                // A file takes its place as a whole, under its name, or not at all.
                let aside = text(&folder.join(ASIDE))?.to_owned();
                Operator::new(Fs::default().root(root).atomic_write_dir(&aside))
            }
            Kind::Memcached { endpoint, user } => {
                let mut service = Memcached::default()
                    .endpoint(through.unwrap_or(endpoint))
                    .connection_pool_max_size(self.connections);
                if let Some((name, password)) = user {
                    service = service.username(name).password(password);
                }
                if let Some(ttl) = ending {
                    service = service.default_ttl(ttl);
                }
                Operator::new(service)
            }
        };
        built.map_err(|error| Error::config(format!("{self:?}: {error}")))
    }

    /// What makes files that are not there, where that is something of its own: a file that takes
    /// another's place does not look whether there is one.
    pub(super) fn creating(&self) -> Result<Option<Operator>, Error> {
        let Kind::Filesystem { folder } = &self.kind else { return Ok(None) };
        let built = Operator::new(Fs::default().root(text(folder)?));
        built.map(Some).map_err(|error| Error::config(format!("{self:?}: {error}")))
    }

    /// The address of a server that is reached by TCP.
    pub(super) fn tcp(&self) -> Option<&str> {
        let Kind::Memcached { endpoint, .. } = &self.kind else { return None };
        match endpoint.split_once("://") {
            Some(("tcp", address)) => Some(address.trim_end_matches('/')),
            Some(_) => None,
            None => Some(endpoint),
        }
    }

    /// Do its files end by themselves?
    pub(super) fn ends_files(&self) -> bool {
        matches!(self.kind, Kind::Memcached { .. })
    }

    /// Does reading a part of a file cost less than all of it?
    pub(super) fn reads_parts(&self) -> bool {
        matches!(self.kind, Kind::Filesystem { .. })
    }

    /// Where files lie that are not whole yet.
    pub(super) fn aside(&self) -> Option<&'static str> {
        matches!(self.kind, Kind::Filesystem { .. }).then_some(ASIDE)
    }

    /// What it promises, and if it is less than it might be, why.
    pub(super) fn promises(&self) -> (Consistency, Option<String>) {
        let folder = match &self.kind {
            Kind::Memcached { .. } => return (Consistency::PerKey, None),
            Kind::Operator(_) => return (Consistency::Eventual, None),
            Kind::Filesystem { folder } => folder,
        };
        let local = match folder.canonicalize() {
            Ok(folder) => local::is_local(&folder),
            Err(error) => Err(error.to_string()),
        };
        match (local, local::boot()) {
            (Ok(()), Some(_)) => (Consistency::Full, None),
            (Err(why), _) => (Consistency::Eventual, Some(why)),
            (Ok(()), None) => {
                let why = "when this machine was started can't be told";
                (Consistency::Eventual, Some(why.to_owned()))
            }
        }
    }
}

const ASIDE: &str = "aside";

fn text(path: &Path) -> Result<&str, Error> {
    let wrong = || Error::config(format!("OpendalConfig: {path:?} is not UTF-8"));
    path.to_str().ok_or_else(wrong)
}

impl fmt::Debug for OpendalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Filesystem { folder } => {
                write!(f, "OpendalConfig(files in {})", folder.display())
            }
            Kind::Memcached { endpoint, .. } => write!(f, "OpendalConfig(Memcached at {endpoint})"),
            Kind::Operator(operator) => {
                write!(f, "OpendalConfig(an operator of {})", operator.info().scheme())
            }
        }
    }
}
