//! Selects in the user's own SQL.

use std::fmt;
use std::marker::PhantomData;

use sea_orm::{EntityTrait, FromQueryResult, Select, SelectModel, SelectorRaw, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cacheable, Cached, CachedExt, Options, Selection, sealed};
use crate::codec::{Codec, Columns, Serde};

/// A statement whose rows become models `M`, which are kept by the codec `K`.
pub struct RawOf<M, K> {
    statement: Statement,
    kept: PhantomData<fn() -> (M, K)>,
}

impl<M, K> RawOf<M, K> {
    fn new(statement: Statement) -> Self {
        Self { statement, kept: PhantomData }
    }
}

impl<M, K> Clone for RawOf<M, K> {
    fn clone(&self) -> Self {
        Self::new(self.statement.clone())
    }
}

impl<M, K> fmt::Debug for RawOf<M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawOf").field(&self.statement).finish()
    }
}

impl<M, K> Cacheable for RawOf<M, K> {
    type Item = M;
}

impl<M, K> sealed::Sealed for RawOf<M, K> {}

impl<M, K> Selection for RawOf<M, K>
where
    M: FromQueryResult + Clone + Send + Sync + 'static,
    K: Codec<Value = M>,
{
    type Codec = K;
    type Reader = SelectorRaw<SelectModel<M>>;

    fn into_reader(self) -> Self::Reader {
        M::find_by_statement(self.statement)
    }

    fn table() -> Option<&'static str> {
        None
    }
}

impl<M: FromQueryResult> sealed::Sealed for SelectorRaw<SelectModel<M>> {}

impl<M> CachedExt for SelectorRaw<SelectModel<M>>
where
    M: FromQueryResult + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Cached = Cached<RawOf<M, Serde<M>>>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached {
        Cached::new(RawOf::new(self.into_statement()), options)
    }
}

impl<E: EntityTrait> Cached<Select<E>> {
    /// The entity's models by a statement of one's own, instead of this select.
    pub fn from_raw_sql(self, statement: Statement) -> Cached<RawOf<E::Model, Columns<E>>> {
        self.of(|_| RawOf::new(statement))
    }
}
