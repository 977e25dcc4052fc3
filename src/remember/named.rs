//! A value's name, and the steps from it to the value.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, TransactionTrait, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::Dependencies;
use crate::cache::Engine;
use crate::codec::Serde;
use crate::connection::CachedConnection;
use crate::database::Database;
use crate::depend::Plan;
use crate::event::Reason;
use crate::key::Family;
use crate::recorder::{Recorder, around_plain, around_said, current, is_within};
use crate::select::internal::Place;
use crate::select::{Form, Fresh, Known, Options, ReadThrough};

#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(super) name: Arc<str>,
    pub(super) arguments: Vec<u8>,
    /// Why it can't be cached.
    pub(super) refusal: Option<Reason>,
    pub(crate) options: Options,
}

impl Named {
    pub(super) fn new(name: &str) -> Self {
        let (arguments, options) = (Vec::new(), Options::default());
        Self { name: name.into(), arguments, refusal: None, options }
    }

    pub(super) fn with(&self, options: Options) -> Self {
        let Self { name, arguments, refusal, .. } = self.clone();
        Self { name, arguments, refusal, options }
    }

    /// `None` if there is nothing to it but to look and to compute.
    pub(super) fn fresh(&self, engine: &Arc<Engine>) -> Option<Fresh> {
        let wanted = self.options.may_be_old() && self.refusal.is_none() && !is_within();
        let runtime = Handle::try_current().ok().filter(|_| wanted)?;
        Some(Fresh { engine: engine.clone(), options: self.options.clone(), runtime })
    }

    /// Only looks.
    pub(super) async fn look<'r, D: Place, T>(
        &'r self,
        place: &'r D,
    ) -> ReadThrough<'r, D, Serde<T>>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let read = self.read(place);
        self.seek(&read, || async { Err(Reason::Requested) }).await;
        read
    }

    pub(super) async fn recall<C, T, E, F>(
        &self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<Known<T>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let read = self.read::<_, T>(db);
        let plan = || async {
            let known = db.database().fresh().await;
            Ok(Plan { schema: db.database().version_of(&known), ..Plan::default() })
        };
        Box::pin(self.seek(&read, plan)).await;
        if let Some(known) = read.told() {
            return Ok(known);
        }
        let scope = db.scope().iter().chain(&self.options.scope).cloned().collect::<Box<[_]>>();
        let recorder = read
            .part()
            .map(|fill| Arc::new(Recorder::new(db.engine(), scope, fill, read.keep_ms())));
        let answer = match &recorder {
            Some(recorder) => {
                let db = db.recording(recorder.clone());
                recorder.around(async { compute(db).await }).await
            }
            None => around_plain(db.engine(), async { compute(db.clone()).await }).await,
        };
        if let Some(recorder) = recorder {
            read.rests_on(recorder.finish());
        }
        Box::pin(read.finish(answer)).await
    }

    pub(super) async fn derive<T, E, F>(
        &self,
        engine: &Arc<Engine>,
        dependencies: &Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<Known<T>, E>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let place = NoDatabase(engine);
        let read = self.read::<_, T>(&place);
        let plan = || dependencies.plan(engine, self.options.scope.is_some());
        Box::pin(self.seek(&read, plan)).await;
        if let Some(known) = read.told() {
            return Ok(known);
        }
        if !read.is_filling() {
            // What it depends on is not looked up, so nothing is known of it to what is around it.
            read.is_part_of_nothing();
            let answer = around_plain(engine, async { compute().await }).await;
            return Box::pin(read.finish(answer)).await;
        }
        let (answer, refusal) = around_said(engine, async { compute().await }).await;
        if let Some(reason) = refusal {
            read.rests_on(Err(reason));
        }
        Box::pin(read.finish(answer)).await
    }

    fn read<'r, D: Place, T>(&'r self, place: &'r D) -> ReadThrough<'r, D, Serde<T>>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let name = Some(self.name.clone());
        let form = Form { family: Family::Value, name, ..Form::default() };
        ReadThrough::new(place, form, &self.options, None)
    }

    /// Looks whether the value is cached; otherwise does step 1 of a fill that depends on a plan.
    async fn seek<D: Place, T, F>(
        &self,
        read: &ReadThrough<'_, D, Serde<T>>,
        plan: impl FnOnce() -> F,
    ) where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<Plan, Reason>>,
    {
        if let Some(reason) = &self.refusal {
            read.bypass(&self.name, reason);
            return;
        }
        let arguments = Value::Bytes(Some(self.arguments.clone()));
        read.seek_named(&self.name, &[arguments]).await;
        if read.is_filling() {
            read.plan(plan().await).await;
        }
    }
}

/// The place of a value whose dependencies are said.
pub(super) struct NoDatabase<'e>(pub(super) &'e Arc<Engine>);

#[allow(private_interfaces)]
impl Place for NoDatabase<'_> {
    const MAY_LOAD: bool = true;

    fn in_transaction(&self) -> bool {
        false
    }

    fn engine(&self) -> &Arc<Engine> {
        self.0
    }

    fn of_database(&self) -> Option<&Arc<Database>> {
        None
    }

    fn scope_names(&self) -> &[Arc<str>] {
        &[]
    }

    fn recorder(&self) -> Option<Arc<Recorder>> {
        current(self.0)
    }
}
