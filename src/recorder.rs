//! What a computation reads, for [`remember`](crate::QueryCache::remember): its value rests on all
//! that its parts rest on.
//!
//! Its connection says who records, and so does its task: what it reads by another connection of
//! the same cache is recorded, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::cache::Engine;
use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::fill::Fill;
use crate::memory::Entry;
use crate::sync::{Mutex, lock};

tokio::task_local! {
    /// The innermost computation of a value.
    static WITHIN: Arc<Within>;
}

/// A computation, and the one around it.
struct Within {
    engine: Arc<Engine>,
    kind: Kind,
    around: Option<Arc<Within>>,
}

enum Kind {
    Recorded(Arc<Recorder>),
    /// What its value depends on is said. It is why not, if it must not be stored.
    Said(OnceLock<Reason>),
    /// Its value is not stored: what it reads is part of what is around it.
    Plain,
}

impl Within {
    async fn scope<F: Future>(engine: &Arc<Engine>, kind: Kind, work: F) -> (Arc<Self>, F::Output) {
        let around = WITHIN.try_with(Clone::clone).ok();
        let within = Arc::new(Self { engine: engine.clone(), kind, around });
        let output = WITHIN.scope(within.clone(), work).await;
        (within, output)
    }

    fn chain(innermost: &Arc<Self>) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(&**innermost), |within| within.around.as_deref())
    }
}

/// Is a value being computed by this task?
pub(crate) fn is_within() -> bool {
    WITHIN.try_with(|_| ()).is_ok()
}

/// A computation whose value is not stored.
pub(crate) async fn around_plain<F: Future>(engine: &Arc<Engine>, work: F) -> F::Output {
    Within::scope(engine, Kind::Plain, work).await.1
}

/// The computation of a value whose dependencies are said, and why it must not be stored, if so:
/// what it read was nobody else's.
pub(crate) async fn around_said<F: Future>(
    engine: &Arc<Engine>,
    work: F,
) -> (F::Output, Option<Reason>) {
    let (within, output) = Within::scope(engine, Kind::Said(OnceLock::new()), work).await;
    let refusal = match &within.kind {
        Kind::Said(refusal) => refusal.get().cloned(),
        _ => None,
    };
    (output, refusal)
}

/// What was read so far, or why what it is for must not be stored.
pub(crate) struct Recorder {
    engine: Arc<Engine>,
    /// Whose value it is.
    scope: Box<[Arc<str>]>,
    /// Taken when the computation is over: what is read later is not part of it.
    read: Mutex<Option<Result<Fill, Reason>>>,
    /// How long the value may live, with its computation: so long must versions be kept.
    pub(crate) keep_ms: u64,
}

impl Recorder {
    /// `fill` began before the computation.
    pub(crate) fn new(
        engine: &Arc<Engine>,
        scope: Box<[Arc<str>]>,
        fill: Fill,
        keep_ms: u64,
    ) -> Self {
        Self { engine: engine.clone(), scope, read: Mutex::new(Some(Ok(fill))), keep_ms }
    }

    /// The computation.
    pub(crate) async fn around<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        Within::scope(&self.engine, Kind::Recorded(self.clone()), work).await.1
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

/// Who records what this task reads, beside those that its connections name.
pub(crate) fn current(engine: &Engine) -> Option<Arc<Recorder>> {
    if broken(Fault::RecordOneConnection) {
        return None;
    }
    let recorder = WITHIN.try_with(|innermost| {
        for within in Within::chain(innermost) {
            match &within.kind {
                Kind::Recorded(recorder) if std::ptr::eq(&*within.engine, engine) => {
                    return Some(recorder.clone());
                }
                Kind::Recorded(recorder) => {
                    // Nobody tells that cache when this changes.
                    recorder.refuse(Reason::OtherCache);
                    return None;
                }
                Kind::Said(_) => return None,
                Kind::Plain => {}
            }
        }
        None
    });
    recorder.ok().flatten()
}

/// This task reads what may be nobody else's: that is part of no value.
pub(crate) fn refuse_current(engine: &Engine, reason: &Reason) {
    if broken(Fault::KeepTransactionReads) {
        return;
    }
    let _ = WITHIN.try_with(|innermost| {
        let of_ours = |within: &&Within| std::ptr::eq(&*within.engine, engine);
        for within in Within::chain(innermost).filter(of_ours) {
            match &within.kind {
                Kind::Recorded(recorder) => recorder.refuse(reason.clone()),
                Kind::Said(refusal) => drop(refusal.set(reason.clone())),
                Kind::Plain => {}
            }
        }
    });
}

/// A read that is recorded, from before it begins. If it is dropped before it is over, the value
/// was made without knowing what it rests on.
pub(crate) struct Reading {
    pub(crate) recorder: Arc<Recorder>,
    open: AtomicBool,
}

impl Reading {
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        within: &[Arc<str>],
        own: Option<&Arc<str>>,
    ) -> Self {
        if !recorder.scope.iter().eq(within.iter().chain(own)) {
            // What is told apart by who asks would be told to all that the value is for.
            let hidden = |table: &crate::schema::Table| table.row_security.is_some();
            let databases = recorder.engine.connected();
            let hides = databases.iter().find_map(|database| {
                let known = database.current();
                known.schema.tables.values().find(|table| hidden(table)).map(|t| t.name.to_string())
            });
            if let Some(table) = hides {
                recorder.refuse(Reason::RowSecurity(table));
            }
        }
        Self { recorder, open: AtomicBool::new(true) }
    }

    pub(crate) fn over(&self) {
        self.open.store(false, Ordering::Relaxed);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if *self.open.get_mut() && !broken(Fault::RecordNoDrops) {
            self.recorder.refuse(Reason::Failed);
        }
    }
}
