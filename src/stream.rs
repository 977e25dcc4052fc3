//! Streams of rows.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, StreamTrait, TransactionSession,
    TransactionTrait,
};

use crate::call::{OwnedCall, Want};
use crate::connection::CachedConnection;
use crate::event::Reason;
use crate::log::Log;
use crate::select::internal::Place;
use crate::transaction::CachedTransaction;

type StreamFuture<'a, S> =
    Pin<Box<dyn Future<Output = Result<CachedStream<S>, DbErr>> + Send + 'a>>;

/// A stream of rows from a cached connection or transaction. Streams are never cached.
///
/// The rows of a write (`… RETURNING`) are all read before the first one is handed out, so that
/// the write is committed and has invalidated by then.
#[derive(Debug)]
pub struct CachedStream<S>(Source<S>);

#[derive(Debug)]
enum Source<S> {
    Database(S, Option<Arc<Log>>),
    Read(std::vec::IntoIter<QueryResult>),
}

impl<S: Stream<Item = Result<QueryResult, DbErr>> + Unpin> Stream for CachedStream<S> {
    type Item = Result<QueryResult, DbErr>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Source::Database(stream, log) => {
                let polled = Pin::new(stream).poll_next(context);
                if let (Poll::Ready(Some(Err(_))), Some(log)) = (&polled, log) {
                    log.with(|changes| changes.failed(true));
                }
                polled
            }
            Source::Read(rows) => Poll::Ready(rows.next().map(Ok)),
        }
    }
}

macro_rules! stream_trait {
    ($wrapper:ident<$inner:ident> where $($bounds:tt)+) => {
        impl<$inner> StreamTrait for $wrapper<$inner>
        where
            $($bounds)+
            for<'a> $inner::Stream<'a>: Unpin,
        {
            type Stream<'a> = CachedStream<$inner::Stream<'a>>;

            fn get_database_backend(&self) -> DbBackend {
                self.database().backend
            }

            fn stream_raw<'a>(
                &'a self,
                statement: Statement,
            ) -> StreamFuture<'a, $inner::Stream<'a>> {
                Box::pin(async move {
                    if self.database().is_read(&statement.sql) {
                        if let Some(recorder) = self.recorder() {
                            recorder.refuse(Reason::Streamed);
                        }
                        let log = self.aborted_by_streams();
                        let stream = self.inner().stream_raw(statement).await;
                        if let (Err(_), Some(log)) = (&stream, &log) {
                            log.with(|changes| changes.failed(true));
                        }
                        return Ok(CachedStream(Source::Database(stream?, log)));
                    }
                    let rows = self.run(OwnedCall::Bound(statement), Want::Rows).await?.rows()?;
                    Ok(CachedStream(Source::Read(rows.into_iter())))
                })
            }
        }
    };
}

stream_trait!(CachedTransaction<T> where
    T: ConnectionTrait + TransactionSession + StreamTrait + Send + Sync + 'static,
);

stream_trait!(CachedConnection<C> where
    C: ConnectionTrait + TransactionTrait + StreamTrait + Send + 'static,
    C::Transaction: Sync + 'static,
);
