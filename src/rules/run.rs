//! Calling what rules call, before a write is acknowledged.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{Commit, Effect, Rule};
use crate::cache::Engine;
use crate::event::Event;

/// Callbacks that write fire rules in their turn, so deep at most.
const MAX_DEPTH: usize = 8;

tokio::task_local! {
    /// What the write under way has to call before it is acknowledged.
    static DUE: RefCell<Vec<Fired>>;
    /// How many callbacks are around this one.
    static DEPTH: Cell<usize>;
}

/// A rule, and what it is called with.
pub(super) struct Fired {
    pub(super) rule: Arc<Rule>,
    pub(super) commit: Commit,
}

/// A write, and then what its rules call.
pub(crate) async fn acknowledged<T>(engine: Arc<Engine>, write: impl Future<Output = T>) -> T {
    if !engine.rules.are_there() {
        return write.await;
    }
    let work = async {
        let answer = write.await;
        (answer, DUE.with(RefCell::take))
    };
    let (answer, due) = DUE.scope(RefCell::default(), work).await;
    for fired in due {
        call(&engine, fired).await;
    }
    answer
}

/// To be called before the write under way is acknowledged; in the background if there is none.
pub(super) fn later(engine: &Arc<Engine>, fired: Fired) {
    let mut fired = Some(fired);
    let _ = DUE.try_with(|due| due.borrow_mut().extend(fired.take()));
    if let (Some(fired), Ok(runtime)) = (fired, Handle::try_current()) {
        let engine = engine.clone();
        runtime.spawn(async move { call(&engine, fired).await });
    }
}

async fn call(engine: &Engine, Fired { rule, commit }: Fired) {
    let Effect::Call(callback) = &rule.effect else { return };
    let tell = |error: &str| engine.tell(|| Event::RuleFailed { rule: &rule.name, error });
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth >= MAX_DEPTH {
        return tell("rules that write fire each other in a circle");
    }
    // Also the call that makes the future may panic.
    let work = AssertUnwindSafe(async { callback(commit).await }).catch_unwind();
    let work = DEPTH.scope(Cell::new(depth + 1), work);
    match timeout(rule.timeout, work).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tell(&error.to_string()),
        Ok(Err(_)) => tell("it panicked"),
        Err(_) => tell(&format!("it took longer than {} ms", rule.timeout.as_millis())),
    }
}
