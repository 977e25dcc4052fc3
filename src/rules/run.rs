//! Doing what rules say, one after the other, before a write is acknowledged.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use sea_orm::DbErr;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{Commit, Effect, Rule};
use crate::cache::Engine;
use crate::change::Bump;
use crate::event::{Cause, Event};
use crate::shared::Under;

/// Callbacks that write fire rules in their turn, so deep at most.
const MAX_DEPTH: usize = 8;

tokio::task_local! {
    /// What the write under way has to do before it is acknowledged.
    static DUE: Due;
    /// How many callbacks are around this one.
    static DEPTH: Cell<usize>;
}

/// Who writes.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    /// The scopes of the connection.
    pub(crate) scope: Arc<[Arc<str>]>,
    pub(crate) in_transaction: bool,
}

#[derive(Default)]
struct Due {
    by: Writer,
    fired: RefCell<Vec<Fired>>,
}

/// A rule, and what it does now.
pub(super) struct Fired {
    pub(super) rule: Arc<Rule>,
    pub(super) work: Work,
}

pub(super) enum Work {
    Bump(Bump, Under),
    Call(Commit),
}

/// A write, and then what its rules do.
pub(crate) async fn acknowledged<T>(
    engine: Arc<Engine>,
    by: Writer,
    write: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    if !engine.rules.are_there() {
        return write.await;
    }
    // Now: a write that is carried on without its caller is not polled within the callback that
    // made it any more.
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    let work = async {
        let answer = write.await;
        (answer, DUE.with(|due| due.fired.take()))
    };
    let (answer, due) = DUE.scope(Due { by, ..Due::default() }, work).await;
    if due.is_empty() {
        return answer;
    }
    run(&engine, due, depth).await;
    let told = engine.delivered().await;
    answer.and_then(|answer| told.map(|()| answer))
}

/// To be done before the write under way is acknowledged; in the background if there is none.
pub(super) fn later(engine: &Arc<Engine>, mut fired: Vec<Fired>) {
    let _ = DUE.try_with(|due| {
        for one in &mut fired {
            if let Work::Call(commit) = &mut one.work {
                commit.scope = due.by.scope.to_vec();
                commit.in_transaction = due.by.in_transaction;
            }
        }
        due.fired.borrow_mut().append(&mut fired);
    });
    if !fired.is_empty()
        && let Ok(runtime) = Handle::try_current()
    {
        let engine = engine.clone();
        runtime.spawn(async move { run(&engine, fired, 0).await });
    }
}

async fn run(engine: &Engine, fired: Vec<Fired>, depth: usize) {
    for Fired { rule, work } in fired {
        match work {
            Work::Bump(bump, under) => engine.bump_by(&rule, &bump, under),
            Work::Call(commit) => call(engine, &rule, commit, depth).await,
        }
    }
}

impl Engine {
    pub(super) fn bump_by(&self, rule: &Rule, bump: &Bump, under: Under) {
        self.bump_under(bump, under, || Cause::Rule { name: rule.name.clone() });
    }
}

async fn call(engine: &Engine, rule: &Rule, commit: Commit, depth: usize) {
    let Effect::Call(callback) = &rule.effect else { return };
    let tell = |error: &str| engine.tell(|| Event::RuleFailed { rule: &rule.name, error });
    if depth >= MAX_DEPTH {
        return tell("rules that write fire each other in a circle");
    }
    // The call that makes the future may panic, and so may its end where it takes too long.
    let work = async {
        let called = DEPTH.scope(Cell::new(depth + 1), async { callback(commit).await });
        timeout(rule.timeout, called).await
    };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tell(&error.to_string()),
        Ok(Err(_)) => tell(&format!("it took longer than {} ms", rule.timeout.as_millis())),
        Err(_) => tell("it panicked"),
    }
}
