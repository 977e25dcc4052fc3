//! A cached read and the other tasks of this process that miss the same.

use std::sync::Arc;

use super::internal::Place;
use super::options::Mode;
use super::read::ReadThrough;
use crate::codec::Results;
use crate::flight::{Leader, Role, landed_in_time};
use crate::key::Digest;
use crate::memory::Entry;

/// How often a task waits for another's load before it asks the database itself.
pub(super) const JOINS: usize = 3;

impl<'r, D: Place, R: Results> ReadThrough<'r, D, R> {
    /// Waits for another task that loads the same, at most `patience` times.
    ///
    /// # Errors
    ///
    /// What that task found. Otherwise this task must ask the database, perhaps as the one for whom
    /// others wait.
    pub(super) async fn board(
        &self,
        digest: &Digest,
        patience: usize,
    ) -> Result<Option<Leader<'r>>, (Arc<Entry>, Arc<R::Value>)> {
        if self.options.mode != Mode::Cached {
            return Ok(None);
        }
        // One that holds a connection must not wait for one that may be waiting for it.
        // Nor does what was loaded for another say which versions it rests on in a store.
        let recorded = self.reading.is_some() && self.engine().shared.is_some();
        let patience = if D::MAY_LOAD && !recorded { patience } else { 0 };
        let mut joins = 0;
        loop {
            match self.engine().flights.board(digest) {
                Role::Join(flight, own) if joins < patience => {
                    joins += 1;
                    let Ok(landed) = landed_in_time(flight, own).await else { return Ok(None) };
                    let Some(landed) = landed else { continue };
                    let Some(entry) = landed else { return Ok(None) };
                    // What a refresh stored in the meantime is younger.
                    if self.engine().shared.is_none()
                        && let Some(found) = self.lookup(digest)
                    {
                        return Err(found);
                    }
                    // Its load may have begun before a write that we must see.
                    if entry.kind == self.kind()
                        && let Ok(value) = entry.value.clone().downcast()
                        && let Some(found) = self.still(entry, value).await
                    {
                        return Err(found);
                    }
                }
                Role::Join(..) => return Ok(None),
                Role::Lead(leader) => {
                    // Somebody may have landed between our lookup and now.
                    if self.engine().shared.is_none()
                        && let Some(found) = self.lookup(digest)
                    {
                        return Err(found);
                    }
                    return Ok(Some(leader));
                }
            }
        }
    }
}
