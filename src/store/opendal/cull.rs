//! Removes files that are of no use any more, some at a time, where files do not end by themselves.
//!
//! Whatever it removes may be gone at any moment, so nothing has to be right but the hope that
//! nobody needs it: between looking and removing another file may have taken the place.

use std::time::{Duration, SystemTime};

use super::files::{Files, Listed};
use super::format;
use super::protocol::Core;
use crate::store::StoreError;

/// A file that says nothing of itself was left behind if it is older than this: whoever writes one
/// gives up after seconds.
const LEFT_BEHIND: Duration = Duration::from_secs(300);

/// How much of a file says until when it is of use.
const HEAD_BYTES: u64 = 25;

/// Folders that are looked into at a time, at most; most caches have few files in many.
const FOLDERS: usize = 64;

/// Where a round through all folders has come to.
#[derive(Debug, Default)]
pub(super) struct Round {
    next: usize,
    /// Of the folder before that.
    left: Vec<(String, Listed)>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) looked_at: usize,
    pub(super) removed: usize,
    /// It came to the end of the last folder.
    pub(super) round_over: bool,
}

impl<F: Files> Core<F> {
    /// Entries, versions, and four folders of other things.
    fn folder_of(&self, position: usize, aside: Option<&str>) -> Option<String> {
        let own = |name: String| Some(format!("{}/{name}/", self.folder));
        match position {
            0..256 => own(format!("e/{position:02x}")),
            256..512 => own(format!("t/{:02x}", position - 256)),
            512 => own("l".into()),
            513 => own("b".into()),
            514 => own("p".into()),
            515 => aside.map(|aside| format!("{aside}/")),
            _ => None,
        }
    }

    /// Looks at so many files at most.
    pub(super) async fn cull(
        &self,
        round: &mut Round,
        files: usize,
        aside: Option<&str>,
    ) -> Result<Step, StoreError> {
        let mut step = Step::default();
        for _ in 0..FOLDERS {
            while step.looked_at < files
                && let Some((path, file)) = round.left.pop()
            {
                step.looked_at += 1;
                let only_by_age = aside.is_some_and(|aside| path.starts_with(aside));
                if self.is_of_no_use(&path, &file, only_by_age).await? {
                    self.files.delete(path).await?;
                    step.removed += 1;
                }
            }
            if !round.left.is_empty() {
                break;
            }
            let Some(folder) = self.folder_of(round.next, aside) else {
                *round = Round::default();
                step.round_over = true;
                break;
            };
            round.next += 1;
            let listed = self.files.list(folder.clone()).await?.unwrap_or_default();
            let path = |file: Listed| (format!("{folder}{}", file.name), file);
            round.left = listed.into_iter().map(path).collect();
        }
        Ok(step)
    }

    async fn is_of_no_use(
        &self,
        path: &str,
        file: &Listed,
        only_by_age: bool,
    ) -> Result<bool, StoreError> {
        if !only_by_age {
            let Some(bytes) = self.files.read(path.to_owned(), Some(HEAD_BYTES)).await? else {
                return Ok(false);
            };
            if let Some(ends_ms) = format::ends_ms(&bytes) {
                return Ok(ends_ms <= self.files.now_ms());
            }
        }
        let age = file.written.and_then(|at| SystemTime::now().duration_since(at).ok());
        Ok(age.is_some_and(|age| age > LEFT_BEHIND))
    }
}
