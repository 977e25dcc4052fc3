//! The reads that can be done a second time, by a task of their own.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::reader::Reader;
use super::selection::Selection;
use super::{Cacheable, sealed};
use crate::codec::{Codec, Listed, Maybe, Results, Serde};

/// What is read can be read once more, without its caller: so answers may be old, or be waited for
/// only so long.
pub trait Repeatable: Cacheable + sealed::Sealed {}

/// What one of the methods that read does with a connection.
pub(super) trait Ask: Sized + Send + 'static {
    type Results: Results;

    /// The same once more, if it can be copied.
    fn again(&self) -> Option<Self>;

    /// The statement that names the result, with the form's words, where the first one that is sent
    /// does not.
    fn named_by(&mut self, _: DbBackend) -> Option<Statement> {
        None
    }

    /// Once. It is borrowed, since a query is large, and would be moved by everyone in between.
    fn ask<C: ConnectionTrait>(
        &mut self,
        db: &C,
    ) -> impl Future<Output = Result<<Self::Results as Codec>::Value, DbErr>> + Send;
}

macro_rules! asks {
    ($($(#[$doc:meta])* $name:ident($($field:ident: $type:ty),*) -> $results:ty, $method:ident;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name<Q>(pub(super) Option<Q>, $(pub(super) $type),*);

        impl<Q: Selection + 'static> Ask for $name<Q> {
            type Results = $results;

            fn again(&self) -> Option<Self> {
                let Self(query, $($field),*) = self;
                Some(Self(Some(query.as_ref()?.again()?), $(*$field),*))
            }

            async fn ask<C: ConnectionTrait>(
                &mut self,
                db: &C,
            ) -> Result<<Self::Results as Codec>::Value, DbErr> {
                let Self(query, $($field),*) = self;
                let query = query.take().ok_or_else(asked_twice)?;
                query.into_reader().$method(db, $(*$field),*).await
            }
        }
    )+};
}

asks! {
    First() -> Maybe<Q::Codec>, first;
    List() -> Listed<Q::Codec>, list;
    Number() -> Serde<u64>, number;
    Any() -> Serde<bool>, any;
    Page(page_size: u64, page: u64) -> Listed<Q::Codec>, page;
    /// Without the select's own limit and offset.
    Total(page_size: u64) -> Serde<u64>, total;
}

pub(super) fn asked_twice() -> DbErr {
    DbErr::Custom("a query was asked twice".to_owned())
}
