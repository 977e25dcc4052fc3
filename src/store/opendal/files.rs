//! What a service does with single files: as little as the protocol above it needs.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::opendal::{EntryMode, ErrorKind, Operator, options};
use futures_util::TryStreamExt;

use super::config::OpendalConfig;
use super::failure;
use crate::clock::Clock;
use crate::error::Error;
use crate::store::StoreError;
use crate::sync::{Mutex, lock};

/// Files, each by itself. A call that failed, or that nobody waits for any more, may have its
/// effect later, but each has it at most once.
pub(super) trait Files: Send + Sync {
    /// What is in a file; of it at least so many bytes if that is said.
    fn read(&self, path: String, first: Option<u64>) -> impl Future<Output = Read> + Send;

    /// Replaces a file by another.
    fn write(&self, path: String, bytes: Vec<u8>, life: Life) -> impl Future<Output = Did> + Send;

    /// Writes a file where there is none, if the service can tell; `None` if it can't.
    fn create(
        &self,
        path: String,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Option<bool>, StoreError>> + Send;

    fn delete(&self, path: String) -> impl Future<Output = Did> + Send;

    /// What is in a folder, if the service can tell.
    fn list(
        &self,
        folder: String,
    ) -> impl Future<Output = Result<Option<Vec<Listed>>, StoreError>> + Send;

    /// Milliseconds since some moment.
    fn now_ms(&self) -> u64;

    /// Can a file live so long? A service that counts in seconds has nothing shorter.
    fn keeps(&self, life: Life) -> bool;

    /// How many calls at a time.
    fn width(&self) -> usize;
}

pub(super) type Read = Result<Option<Vec<u8>>, StoreError>;
pub(super) type Did = Result<(), StoreError>;

/// How long a file is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// By the service's own clock never longer, if it has one.
    AtMost(u64),
    /// If there is room for it.
    AtLeast(u64),
}

/// A file in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    /// When it was written, by the system's clock.
    pub(super) written: Option<SystemTime>,
}

/// Files of a service of OpenDAL's.
#[derive(Clone)]
pub(super) struct Service {
    config: Arc<OpendalConfig>,
    through: Option<Arc<str>>,
    operator: Operator,
    /// Makes files that were not there, if it can.
    creates: Option<Operator>,
    /// Those whose files end by themselves, by after how many seconds.
    ending: Arc<Mutex<BTreeMap<u64, Operator>>>,
}

impl Service {
    /// Connects to nothing yet.
    pub(super) fn open(
        config: &Arc<OpendalConfig>,
        through: Option<Arc<str>>,
    ) -> Result<Self, Error> {
        let operator = config.service(None, through.as_deref())?;
        let can_create = operator.info().capability().write_with_if_not_exists;
        let creates = match config.creating()? {
            Some(creating) => Some(creating),
            None => can_create.then(|| operator.clone()),
        };
        let (config, ending) = (config.clone(), Arc::default());
        Ok(Self { config, through, operator, creates, ending })
    }

    /// Who writes files that live so long.
    fn writes(&self, life: Life) -> Result<Operator, StoreError> {
        if !self.config.ends_files() {
            return Ok(self.operator.clone());
        }
        let seconds = seconds(life);
        let mut ending = lock(&self.ending);
        if let Some(operator) = ending.get(&seconds) {
            return Ok(operator.clone());
        }
        let ttl = Duration::from_secs(seconds);
        let operator = self.config.service(Some(ttl), self.through.as_deref());
        let operator = operator.map_err(|error| StoreError::refused(error.to_string()))?;
        ending.insert(seconds, operator.clone());
        Ok(operator)
    }
}

/// Memcached takes more for a date.
const LONGEST_SECONDS: u64 = 30 * 24 * 60 * 60;

/// A number of seconds of which there are not many different ones, since each takes connections of
/// its own: those with at most four bits that count. So what ends by them lives up to an eighth
/// shorter than it may, or longer than it must.
fn seconds(life: Life) -> u64 {
    let round = |seconds: u64| {
        let shift = (u64::BITS - seconds.leading_zeros()).saturating_sub(4);
        (seconds >> shift << shift, 1_u64 << shift)
    };
    match life {
        Life::AtMost(ms) => round(ms / 1000).0.min(LONGEST_SECONDS),
        // A second more: it may begin in the middle of one.
        Life::AtLeast(ms) => {
            let seconds = (ms / 1000).saturating_add(2);
            let (down, step) = round(seconds);
            (if down < seconds { down + step } else { down }).min(LONGEST_SECONDS)
        }
    }
}

/// Runs a call to its end also if nobody waits for it: a connection whose answer was not read must
/// not go back to where the next one takes it from.
async fn run<T: Send + 'static>(
    call: impl Future<Output = ::opendal::Result<T>> + Send + 'static,
) -> Result<::opendal::Result<T>, StoreError> {
    let lost = |_| StoreError::away("the call was lost: the runtime ends");
    tokio::spawn(call).await.map_err(lost)
}

impl Files for Service {
    async fn read(&self, path: String, first: Option<u64>) -> Read {
        let operator = self.operator.clone();
        // Only of a file a part can be read for less.
        let part = first.filter(|_| self.config.reads_parts());
        let read = async move {
            if let Some(bytes) = part {
                match operator.read_with(&path).range(0..bytes).await {
                    // It is shorter.
                    Err(error) if error.kind() == ErrorKind::RangeNotSatisfied => {}
                    read => return read,
                }
            }
            operator.read(&path).await
        };
        match run(read).await? {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if failure::is_nothing(&error) => Ok(None),
            Err(error) => Err(failure::of(&error)),
        }
    }

    async fn write(&self, path: String, bytes: Vec<u8>, life: Life) -> Did {
        let operator = self.writes(life)?;
        let written = run(async move { operator.write(&path, bytes).await }).await?;
        written.map(drop).map_err(|error| failure::of(&error))
    }

    async fn create(&self, path: String, bytes: Vec<u8>) -> Result<Option<bool>, StoreError> {
        let Some(operator) = self.creates.clone() else { return Ok(None) };
        let absent = options::WriteOptions { if_not_exists: true, ..Default::default() };
        let written = run(async move { operator.write_options(&path, bytes, absent).await });
        match written.await? {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.kind() == ErrorKind::ConditionNotMatch => Ok(Some(false)),
            Err(error) => Err(failure::of(&error)),
        }
    }

    async fn delete(&self, path: String) -> Did {
        let operator = self.operator.clone();
        match run(async move { operator.delete(&path).await }).await? {
            Ok(()) => Ok(()),
            // Another removed it first.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failure::of(&error)),
        }
    }

    async fn list(&self, folder: String) -> Result<Option<Vec<Listed>>, StoreError> {
        if !self.operator.info().capability().list {
            return Ok(None);
        }
        let operator = self.operator.clone();
        let listed = async move {
            let mut lister = operator.lister(&folder).await?;
            let mut all = Vec::new();
            while let Some(entry) = lister.try_next().await? {
                let metadata = entry.metadata();
                if metadata.mode() == EntryMode::FILE {
                    let written = metadata.last_modified().map(SystemTime::from);
                    all.push(Listed { name: entry.name().to_owned(), written });
                }
            }
            Ok(all)
        };
        match run(listed).await? {
            Ok(all) => Ok(Some(all)),
            Err(error) if failure::is_nothing(&error) => Ok(Some(Vec::new())),
            Err(error) => Err(failure::of(&error)),
        }
    }

    fn now_ms(&self) -> u64 {
        self.config.clock.now_ms()
    }

    fn keeps(&self, life: Life) -> bool {
        !self.config.ends_files() || seconds(life) > 0
    }

    fn width(&self) -> usize {
        self.config.connections
    }
}

/// The system's clock, by which all processes of a machine agree.
#[derive(Debug)]
pub(super) struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Before 1970 nothing is older than anything.
        since.unwrap_or(Duration::ZERO).as_millis() as u64
    }
}

#[cfg(all(test, not(feature = "__shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn what_ends_by_itself_never_lives_longer_and_versions_never_shorter() {
        let mut different = std::collections::HashSet::new();
        for s in (1..5_000).chain((5_000..LONGEST_SECONDS).step_by(9_973)) {
            let (most, least) =
                (seconds(Life::AtMost(s * 1000 + 999)), seconds(Life::AtLeast(s * 1000)));
            assert!(most <= s && most > s - s.div_ceil(8), "{s}: {most}");
            assert!(least > s || least == LONGEST_SECONDS, "{s}: {least}");
            different.insert(most);
        }
        assert!(different.len() < 180, "{}", different.len());
        assert_eq!(seconds(Life::AtMost(999)), 0);
    }
}
