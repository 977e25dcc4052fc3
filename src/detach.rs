//! Work that must come to its end even if nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::database::Database;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs in its caller's task. If the caller goes away after it started, it goes on in a task of
/// its own: so a write and its bump are never torn apart, and nothing is spawned in the usual case.
pub(crate) struct RunToEnd<T: Send + 'static> {
    future: Option<Boxed<T>>,
    started: bool,
    database: Arc<Database>,
}

impl<T: Send + 'static> RunToEnd<T> {
    pub(crate) fn new(
        database: &Arc<Database>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self { future: Some(Box::pin(future)), started: false, database: database.clone() }
    }
}

impl<T: Send + 'static> Future for RunToEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.started = true;
        // Taken out while it runs: after a panic it must not be polled, so not be spawned.
        let Some(mut future) = self.future.take() else {
            return Poll::Pending;
        };
        let poll = future.as_mut().poll(context);
        if poll.is_pending() {
            self.future = Some(future);
        }
        poll
    }
}

impl<T: Send + 'static> Drop for RunToEnd<T> {
    fn drop(&mut self) {
        let forget = crate::fault::broken(crate::fault::Fault::CancelForgets);
        if let Some(future) = self.future.take().filter(|_| self.started && !forget) {
            self.database.spawn(async move { drop(future.await) });
        }
    }
}
