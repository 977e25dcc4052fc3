//! Reads through a connection that records what is read.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, StatementBuilder, TransactionTrait};

use super::internal::{Place, Source};
use super::options::{Mode, Options};
use super::read::{Filling, Progress, ReadThrough};
use super::through::Fetched;
use crate::call::{Answer, Call, Want};
use crate::codec::{Results, Serde};
use crate::connection::CachedConnection;
use crate::depend::Plan;
use crate::event::Reason;
use crate::fill::Fill;
use crate::key::Key;
use crate::memory::Entry;
use crate::recorder::Recorder;
use crate::select::read::Form;
use crate::shared::Shared;
use crate::store::Got;
use crate::sync::lock;
use crate::tag::TagId;
use crate::versions::Mark;

impl<D: Place, R: Results> ReadThrough<'_, D, R> {
    pub(super) fn record_hit(&self, entry: &Entry) {
        if let Some(reading) = &self.reading {
            reading.recorder.hit(entry);
        }
    }

    /// It came to its end, and is recorded.
    pub(super) fn is_over(&self) {
        if let Some(reading) = &self.reading {
            reading.over();
        }
    }

    pub(super) fn record_fill(&self, filling: &Filling<'_>, failed: bool) {
        if let Some(reading) = &self.reading {
            filling.record(&reading.recorder, failed);
        }
    }

    /// The store's entry answers: records it with versions that it holds under. `false`: it does not
    /// any more.
    pub(super) async fn record_found(
        &self,
        shared: &Shared,
        key: &Key,
        fetched: &Fetched<R::Value>,
        mark: Option<Mark>,
        ids: Option<Vec<TagId>>,
    ) -> bool {
        let (Some(reading), Some(ids)) = (&self.reading, ids) else { return true };
        let entry = &fetched.entry;
        let Some(fill) = entry.fill else { return false };
        let mut remote = self.remote(false);
        // The versions first: if the entry is valid after that, they are the ones it has.
        if let Err(failure) = remote.mark_all(shared, ids.clone()).await {
            // Notes that the store is away, if it is.
            failure.reason(shared, self.engine());
            return false;
        }
        match shared.store.get(key, Some(&fill)).await {
            Ok(Got::Same) => {}
            Ok(_) => return false,
            Err(error) => {
                shared.failed(self.engine(), &error);
                return false;
            }
        }
        reading.recorder.filled(Fill::of_entry(entry, mark, ids, remote));
        true
    }
}

impl Filling<'_> {
    /// What it rests on so far; `failed`: there was no answer.
    fn record(&self, recorder: &Recorder, failed: bool) {
        match &self.refusal {
            Some(reason) => recorder.refuse(reason.clone()),
            None if failed => recorder.refuse(Reason::Failed),
            None => recorder.filled(self.fill.clone()),
        }
    }
}

impl<C> CachedConnection<C>
where
    C: ConnectionTrait + TransactionTrait + Send + 'static,
    C::Transaction: Sync + 'static,
{
    /// Sends a query, and records what its result rests on.
    pub(crate) async fn recorded<S: StatementBuilder>(
        &self,
        recorder: &Arc<Recorder>,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        if want == Want::Done {
            // Its rows are not shown, so neither are the keys that it depends on.
            recorder.refuse(Reason::NotARead);
        }
        let options = Options { mode: Mode::Refresh, ..Options::default() };
        let read = ReadThrough::<Self, Serde<()>>::new(self, Form::default(), &options, None);
        read.begin_recording();
        let plan = read.before(call.sql(), call.values()).await;
        if let (Some(plan), Some(shared)) = (&plan, &self.database().engine.shared) {
            read.mark(shared, plan, false).await;
        }
        let conn = plan.as_ref().map_or(self.inner(), |plan| self.nearest(&plan.tables));
        let answer = call.send_read(conn, want, self.database().typed_only).await;
        if let (Some(plan), Ok(Answer::Rows(rows))) = (&plan, &answer) {
            read.saw(plan, rows);
        }
        if let Progress::Filling(filling) = &*lock(&read.progress) {
            filling.record(recorder, answer.is_err());
        }
        read.is_over();
        answer
    }
}

impl<D: Place, R: Results> ReadThrough<'_, D, R> {
    /// Why the value is not looked for.
    pub(crate) fn bypass(&self, name: &str, reason: &Reason) {
        self.tell_bypass(name, reason);
        *lock(&self.progress) = Progress::Bypassing(Some(reason.clone()));
    }

    /// It is not stored, and what it depends on is not known.
    pub(crate) fn is_part_of_nothing(&self) {
        let progress = lock(&self.progress);
        if let (Progress::Bypassing(Some(reason)), Some(reading)) = (&*progress, &self.reading) {
            reading.recorder.refuse(reason.clone());
        }
    }

    /// Will it be stored, as far as is known?
    pub(crate) fn is_filling(&self) -> bool {
        matches!(*lock(&self.progress), Progress::Filling(_))
    }

    /// For what a part of the value rests on; `None` if it will not be stored.
    pub(crate) fn part(&self) -> Option<Fill> {
        let progress = lock(&self.progress);
        let Progress::Filling(filling) = &*progress else { return None };
        let mut part = Fill::begin(self.engine(), self.options.told);
        part.remote = filling.fill.remote.as_ref().map(|_| self.remote(false));
        Some(part)
    }

    /// How long what it rests on must be known, in milliseconds.
    pub(crate) fn keep_ms(&self) -> u64 {
        self.engine().keep_ms(self.ttl)
    }

    /// Step 1 for a computation that depends on this, unless the store has its value.
    pub(crate) async fn plan(&self, plan: Result<Plan, Reason>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(reason) => return self.rests_on(Err(reason)),
        };
        if let Progress::Filling(filling) = &mut *lock(&self.progress) {
            filling.fill.plan(self.engine(), &plan);
        }
        if let Some(shared) = &self.engine().shared {
            self.mark(shared, &plan, true).await;
        }
    }

    /// The value also rests on this; or must not be stored.
    pub(crate) fn rests_on(&self, part: Result<Fill, Reason>) {
        if let Progress::Filling(filling) = &mut *lock(&self.progress)
            && let Err(reason) = part.and_then(|part| filling.fill.merge(part))
        {
            filling.refuse(reason);
        }
    }

    /// As if it were to be stored, but nobody looks for it, and it is not.
    fn begin_recording(&self) {
        let engine = self.engine();
        let mut fill = Fill::begin(engine, false);
        fill.remote = engine.shared.as_ref().map(|_| self.remote(true));
        *lock(&self.progress) = Progress::Filling(Filling::unnamed(engine, fill).into());
    }
}
