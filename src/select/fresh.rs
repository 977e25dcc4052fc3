//! Answers that may be old, and loads that nobody waits for.
//!
//! A read with such options first only looks ([`Mode::Look`]). What it finds answers as always; if
//! it finds nothing, an entry that is not valid any more may answer, while the same read is done
//! without it: by a task of its own where its caller may not wait for it to the end. So whatever is
//! stored went through the same protocol as any other result, and only the answer may be old, and
//! marked as such.
//!
//! Old answers come from this process's memory alone: a store that processes share gives back valid
//! entries only.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::DbErr;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ask::Ask;
use super::freshness::{Freshness, whole_ms};
use super::internal::{Place, Source as Reads};
use super::keep::Known;
use super::options::{Decide, Mode, Options};
use super::outcome::Source;
use super::read::{Answered, Form, Progress, ReadThrough, as_ms};
use crate::cache::Engine;
use crate::codec::{Codec, Results};
use crate::database::Underway;
use crate::event::{Because, Event, Reason};
use crate::key::Digest;
use crate::stats::count;
use crate::sync::lock;

/// A load that nobody waits for is given up after this, or twice this, so that another may begin.
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

type ItemOf<A> = <<A as Ask>::Results as Results>::Item;
type ValueOf<A> = <<A as Ask>::Results as Codec>::Value;

/// One read of a select, with whatever its options ask for.
pub(super) async fn read<D: Reads, A: Ask>(
    db: &D,
    form: Form,
    options: &Options,
    decide: Option<&Decide<ItemOf<A>>>,
    mut ask: A,
) -> Result<Known<ValueOf<A>>, DbErr>
where
    ItemOf<A>: 'static,
{
    if options.may_be_old() {
        // Apart, so that its state is not part of every read's.
        return Box::pin(freshly(db, form, options, decide, &mut ask)).await;
    }
    plain(db, form, options, decide, &mut ask).await
}

async fn freshly<D: Reads, A: Ask>(
    db: &D,
    form: Form,
    options: &Options,
    decide: Option<&Decide<ItemOf<A>>>,
    ask: &mut A,
) -> Result<Known<ValueOf<A>>, DbErr>
where
    ItemOf<A>: 'static,
{
    let (Some(mut again), Some(own), Ok(runtime)) =
        (ask.again(), db.detached(), Handle::try_current())
    else {
        return plain(db, form, options, decide, ask).await;
    };
    let looking = options.looking();
    let read = ReadThrough::new(db, form.clone(), &looking, decide);
    let answer = send(&read, ask).await;
    let fresh = Fresh { engine: db.engine().clone(), options: options.clone(), runtime };
    let decide = decide.cloned();
    let load = move |options: Options| async move {
        plain(&own, form, &options, decide.as_ref(), &mut again).await
    };
    match read.looked() {
        Some(looked) => fresh.load(looked, load).await,
        None => {
            let known = read.finish(answer).await?;
            fresh.found(&known, load);
            Ok(known)
        }
    }
}

async fn plain<D: Reads, A: Ask>(
    db: &D,
    form: Form,
    options: &Options,
    decide: Option<&Decide<ItemOf<A>>>,
    ask: &mut A,
) -> Result<Known<ValueOf<A>>, DbErr> {
    let read = ReadThrough::new(db, form, options, decide);
    let answer = send(&read, ask).await;
    read.finish(answer).await
}

async fn send<D: Reads, A: Ask>(
    read: &ReadThrough<'_, D, A::Results>,
    ask: &mut A,
) -> Result<ValueOf<A>, DbErr> {
    if let Some(statement) = ask.named_by(read.db.get_database_backend())
        && read.seek(&statement).await.is_some()
    {
        // Not looked at: an entry answers.
        return Err(DbErr::Custom(String::new()));
    }
    ask.ask(read).await
}

/// What a look found that was no valid entry.
pub(crate) struct Looked<V> {
    pub(super) digest: Digest,
    pub(super) old: Option<Answered<V>>,
    /// What is loaded now is stored, as far as is known.
    pub(super) may_store: bool,
}

/// How a read with such options goes on.
pub(crate) struct Fresh {
    pub(crate) engine: Arc<Engine>,
    pub(crate) options: Options,
    pub(crate) runtime: Handle,
}

impl Fresh {
    /// Goes on where a look ended.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub(crate) async fn answer<D: Place, R: Results, E, F>(
        &self,
        read: &ReadThrough<'_, D, R>,
        load: impl FnOnce(Options) -> F,
    ) -> Result<Known<R::Value>, E>
    where
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<Known<R::Value>, E>> + Send + 'static,
    {
        if let Some(known) = read.told() {
            self.found(&known, load);
            return Ok(known);
        }
        match read.looked() {
            Some(looked) => Box::pin(self.load(looked, load)).await,
            // It is not looked for.
            None => load(self.options.clone()).await,
        }
    }

    /// Keeps what answered for later, and begins a load if chance says that it is time for one
    /// although this entry is valid. Chance grows towards its end, and with the time that a load
    /// takes: XFetch with β = 1, from Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache
    /// Stampede Prevention (VLDB 2015).
    pub(crate) fn found<V, E, F>(&self, known: &Known<V>, load: impl FnOnce(Options) -> F)
    where
        V: Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<Known<V>, E>> + Send + 'static,
    {
        let Some(entry) = known.entry() else { return };
        entry.keep_ms.fetch_max(self.options.freshness.keep_ms(), Ordering::Relaxed);
        if !self.options.freshness.early {
            return;
        }
        let ttl_ms = self.options.ttl.map_or(entry.ttl_ms, |ttl| entry.ttl_ms.min(as_ms(ttl)));
        // In (0, 1]: the logarithm of zero has no end.
        let chance = 1.0 - fastrand::f64();
        let ahead_ms = -(entry.load_ms as f64) * chance.ln();
        if self.engine.age_ms(entry) as f64 + ahead_ms >= ttl_ms as f64 {
            self.refresh(entry.key.digest, || load(self.options.with(Mode::Refresh)));
        }
    }

    /// An old answer, or what is loaded now.
    ///
    /// # Errors
    ///
    /// The load's, and [`DbErr::Custom`] if it takes too long.
    pub(crate) async fn load<V, E, F>(
        &self,
        looked: Looked<V>,
        load: impl FnOnce(Options) -> F,
    ) -> Result<Known<V>, E>
    where
        V: Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<Known<V>, E>> + Send + 'static,
    {
        let Looked { digest, old, may_store } = looked;
        let Freshness { while_refreshing, if_error, if_slow, timeout: limit, .. } =
            self.options.freshness;
        let old = |max_age: Option<Duration>, because| {
            let (old, max_age) = (old.as_ref()?, max_age?);
            let young = self.engine.age_ms(&old.entry) <= whole_ms(max_age);
            young.then(|| self.old(old, because))
        };
        if may_store && let Some(known) = old(while_refreshing, Because::Refreshing) {
            self.refresh(digest, || load(self.options.with(Mode::Cached)));
            return Ok(known);
        }
        let load = load(self.options.with(Mode::Cached));
        let limits = [if_slow.map(|(after, _)| after), limit];
        let answer = match limits.iter().flatten().min() {
            None => load.await,
            Some(first) => {
                let mut waited = self.outliving(&digest, load);
                let (first, last) = (*first, limit);
                let mut answer = within(first, &mut waited).await;
                if answer.is_none() && limit != Some(first) {
                    if let Some((_, max_age)) = if_slow
                        && let Some(known) = old(Some(max_age), Because::Slow)
                    {
                        return Ok(known);
                    }
                    answer = match last {
                        Some(last) => within(last.saturating_sub(first), &mut waited).await,
                        None => Some(waited.await),
                    };
                }
                answer.unwrap_or_else(|| Err(too_slow(limit)))
            }
        };
        answer.or_else(|error| old(if_error, Because::Failed).ok_or(error))
    }

    /// A load that goes on if nobody waits for it any more. There is one at a time for a key: who
    /// comes while it is under way waits for it with a load of his own, which he may give up.
    fn outliving<V, E, F>(
        &self,
        digest: &Digest,
        load: F,
    ) -> BoxFuture<'static, Result<Known<V>, E>>
    where
        V: Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<Known<V>, E>> + Send + 'static,
    {
        let Some(turn) = self.engine.refreshes.begin(&self.engine, *digest) else {
            return Box::pin(load);
        };
        let (sender, receiver) = oneshot::channel();
        let underway = Underway::new(&self.engine);
        self.runtime.spawn(async move {
            let mut load = pin!(AssertUnwindSafe(load).catch_unwind());
            let ended = loop {
                match timeout(LONGEST_REFRESH, &mut load).await {
                    Ok(ended) => break Some(ended),
                    Err(_) if sender.is_closed() => break None,
                    // Somebody waits for it.
                    Err(_) => {}
                }
            };
            let failed = !matches!(ended, Some(Ok(Ok(_))));
            let heard = ended.is_some_and(|ended| sender.send(ended).is_ok());
            if failed && !heard {
                turn.engine.tell(|| Event::RefreshFailed { digest: &turn.digest });
            }
            drop((turn, underway));
        });
        Box::pin(async {
            match receiver.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(DbErr::Custom("the runtime of a load ended".into()).into()),
            }
        })
    }

    fn old<V>(&self, old: &Answered<V>, because: Because) -> Known<V> {
        let (key, age) = (&old.entry.key, Duration::from_millis(self.engine.age_ms(&old.entry)));
        count(&old.entry.counters.stale);
        self.engine.tell(|| Event::Stale { key, age, because });
        Known::found(Answered {
            value: old.value.clone(),
            entry: old.entry.clone(),
            source: Source::Stale,
        })
    }

    /// Loads what is to replace the entry under this key, if nobody does so already.
    fn refresh<V, E, F>(&self, digest: Digest, load: impl FnOnce() -> F)
    where
        V: Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<Known<V>, E>> + Send + 'static,
    {
        drop(self.outliving(&digest, load()));
    }
}

/// What it gives, if it does so in time.
async fn within<T>(time: Duration, load: &mut BoxFuture<'static, T>) -> Option<T> {
    timeout(time, load).await.ok()
}

fn too_slow<E: From<DbErr>>(timeout: Option<Duration>) -> E {
    let ms = timeout.unwrap_or_default().as_millis();
    DbErr::Custom(format!(
        "the load took longer than {ms} ms, the load_timeout of the cached read; it goes on in the \
         background"
    ))
    .into()
}

impl Options {
    /// Is there more to it than to look and to load?
    pub(crate) fn may_be_old(&self) -> bool {
        self.freshness.is_asked_for() && self.mode == Mode::Cached
    }

    pub(crate) fn looking(&self) -> Self {
        self.with(Mode::Look)
    }

    fn with(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }
}

impl<D: Place, R: Results> ReadThrough<'_, D, R> {
    /// Nothing valid was found, of the reads that only look.
    pub(super) fn old(&self, digest: Digest, reason: Option<&Reason>) -> Looked<R::Value> {
        let entry = self.engine().memory.get(&digest).filter(|entry| entry.kind == self.kind());
        let old = entry.and_then(|entry| {
            let value = entry.value.clone().downcast().ok()?;
            Some(Answered { value, entry, source: Source::Stale })
        });
        Looked { digest, old, may_store: reason.is_none() }
    }

    /// What a look found that was no valid entry; `None` if the read is answered, or was not looked
    /// for.
    pub(crate) fn looked(&self) -> Option<Looked<R::Value>> {
        let mut progress = lock(&self.progress);
        match std::mem::replace(&mut *progress, Progress::Waiting) {
            Progress::Looked(looked) => Some(looked),
            other => {
                *progress = other;
                None
            }
        }
    }
}
