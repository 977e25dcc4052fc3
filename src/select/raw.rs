//! Selects in the user's own SQL.

use std::fmt;
use std::marker::PhantomData;

use sea_orm::sea_query::Iden;
use sea_orm::{
    EntityTrait, FromQueryResult, Iterable, Select, SelectGetableValue, SelectModel, SelectorRaw,
    SelectorTrait, Statement, TryGetableMany,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cacheable, Cached, CachedExt, Options, Repeatable, Selection, sealed};
use crate::codec::{Codec, Columns, Serde};

/// A statement whose rows become the items of `S`, which are kept by the codec `K`.
pub struct RawOf<S: SelectorTrait, K> {
    statement: Statement,
    into: fn(Statement) -> SelectorRaw<S>,
    kept: PhantomData<fn() -> K>,
}

impl<S: SelectorTrait, K> RawOf<S, K> {
    fn new(statement: Statement, into: fn(Statement) -> SelectorRaw<S>) -> Self {
        Self { statement, into, kept: PhantomData }
    }
}

impl<S: SelectorTrait, K> Clone for RawOf<S, K> {
    fn clone(&self) -> Self {
        Self::new(self.statement.clone(), self.into)
    }
}

impl<S: SelectorTrait, K> fmt::Debug for RawOf<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawOf").field(&self.statement).finish()
    }
}

impl<S: SelectorTrait, K> Cacheable for RawOf<S, K> {
    type Item = S::Item;
}

impl<S: SelectorTrait, K> sealed::Sealed for RawOf<S, K> {}

impl<S: SelectorTrait, K> Repeatable for RawOf<S, K> {}

impl<S, K> Selection for RawOf<S, K>
where
    S: SelectorTrait<Item: Clone + Send + Sync + 'static> + Send + Sync + 'static,
    K: Codec<Value = S::Item>,
{
    type Codec = K;
    type Reader = SelectorRaw<S>;

    fn into_reader(self) -> Self::Reader {
        (self.into)(self.statement)
    }

    fn table() -> Option<&'static str> {
        None
    }

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<S: SelectorTrait> sealed::Sealed for SelectorRaw<S> {}

impl<M> CachedExt for SelectorRaw<SelectModel<M>>
where
    M: FromQueryResult + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Cached = Cached<RawOf<SelectModel<M>, Serde<M, SelectModel<M>>>>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached {
        Cached::new(RawOf::new(self.into_statement(), M::find_by_statement), options)
    }
}

impl<T, C> CachedExt for SelectorRaw<SelectGetableValue<T, C>>
where
    T: TryGetableMany + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    C: Iterable + Iden + Send + Sync + 'static,
{
    type Cached = Cached<RawOf<SelectGetableValue<T, C>, Serde<T, SelectGetableValue<T, C>>>>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached {
        Cached::new(RawOf::new(self.into_statement(), T::find_by_statement), options)
    }
}

impl<E: EntityTrait> Cached<Select<E>> {
    /// The entity's models by a statement of one's own, instead of this select.
    pub fn from_raw_sql(
        self,
        statement: Statement,
    ) -> Cached<RawOf<SelectModel<E::Model>, Columns<E>>> {
        self.of(|_| RawOf::new(statement, E::Model::find_by_statement))
    }
}
