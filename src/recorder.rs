//! What a computation reads, for [`remember`](crate::QueryCache::remember): its value rests on all
//! that its parts rest on.

use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::fill::Fill;
use crate::memory::Entry;
use crate::sync::{Mutex, lock};

/// What was read so far, or why what it is for must not be stored.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Taken when the computation is over: what is read later is not part of it.
    read: Mutex<Option<Result<Fill, Reason>>>,
    /// How long the value may live, with its computation: so long must versions be kept.
    pub(crate) keep_ms: u64,
}

impl Recorder {
    /// `fill` began before the computation.
    pub(crate) fn new(fill: Fill, keep_ms: u64) -> Self {
        Self { read: Mutex::new(Some(Ok(fill))), keep_ms }
    }

    /// A part could not be recorded; the first reason is the one that is told.
    pub(crate) fn refuse(&self, reason: Reason) {
        if !broken(Fault::RecordDespiteRefusal) {
            self.change(|_| Err(reason));
        }
    }

    /// The database answered.
    pub(crate) fn filled(&self, part: Fill) {
        if !broken(Fault::RecordNoFills) {
            self.change(|fill| fill.merge(part));
        }
    }

    /// An entry in memory answered.
    pub(crate) fn hit(&self, entry: &Entry) {
        self.change(|fill| {
            if !broken(Fault::RecordNoHits) {
                fill.join(entry);
            }
            Ok(())
        });
    }

    fn change(&self, change: impl FnOnce(&mut Fill) -> Result<(), Reason>) {
        if let Some(read) = &mut *lock(&self.read)
            && let Ok(fill) = read
            && let Err(reason) = change(fill)
        {
            *read = Err(reason);
        }
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// Why it must not be stored.
    pub(crate) fn finish(&self) -> Result<Fill, Reason> {
        let mut fill = lock(&self.read).take().unwrap_or(Err(Reason::NotARead))?;
        fill.dedup();
        Ok(fill)
    }
}
