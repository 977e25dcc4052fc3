//! Selects whose rows each become one item.

use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::Iden;
use sea_orm::{
    DbErr, EntityTrait, FromQueryResult, Iterable, PartialModelTrait, Select, SelectFive,
    SelectFiveModel, SelectFour, SelectFourModel, SelectGetableTuple, SelectGetableValue,
    SelectModel, SelectSix, SelectSixModel, SelectThree, SelectThreeModel, SelectTwo,
    SelectTwoModel, SelectTwoRequired, SelectTwoRequiredModel, Selector, SelectorTrait, Topology,
    TryGetableMany,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask::{Any, First, List, Number, Page, Total};
use super::fresh::read;
use super::paginate::Pages;
use super::reader::Reader;
use super::{
    CacheSource, Cacheable, Cached, CachedExt, CachedPaginator, Form, Options, Outcome, Repeatable,
    owned, sealed, table_of,
};
use crate::codec::{Codec, Columns, Maybe, Serde, StorableEntity};
use crate::key::Family;

/// A select whose rows each become one item.
pub trait Selection:
    Cacheable<Item: Clone + Send + Sync + 'static> + sealed::Sealed + Sized + Send + 'static
{
    #[doc(hidden)]
    type Codec: Codec<Value = Self::Item>;
    #[doc(hidden)]
    type Reader: Reader<Item = Self::Item>;

    #[doc(hidden)]
    fn into_reader(self) -> Self::Reader;

    #[doc(hidden)]
    fn table() -> Option<&'static str>;

    /// The same once more, if it can be copied.
    #[doc(hidden)]
    fn again(&self) -> Option<Self>;
}

/// A select that is made into something else than its models when it is read.
pub struct Shaped<Q, S: SelectorTrait> {
    query: Q,
    into: fn(Q) -> Selector<S>,
}

impl<Q: Clone, S: SelectorTrait> Clone for Shaped<Q, S> {
    fn clone(&self) -> Self {
        Self { query: self.query.clone(), into: self.into }
    }
}

impl<Q: fmt::Debug, S: SelectorTrait> fmt::Debug for Shaped<Q, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shaped").field(&self.query).finish()
    }
}

impl<Q: Selection> Cached<Q> {
    /// The first item, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn one<D: CacheSource>(self, db: &D) -> Result<Option<Q::Item>, DbErr> {
        self.one_shared(db).await.map(owned)
    }

    /// The first item, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn one_shared<D: CacheSource>(self, db: &D) -> Result<Arc<Option<Q::Item>>, DbErr> {
        let Self { query, options, decide } = self;
        let form = form::<Q>(Family::Model);
        Ok(read(db, form, &options, Some(&decide), First(Some(query))).await?.value)
    }

    /// [`one`](Self::one), with what became of it.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch_one<D: CacheSource>(
        mut self,
        db: &D,
    ) -> Result<Outcome<Option<Q::Item>>, DbErr> {
        self.options.told = true;
        let Self { query, options, decide } = self;
        let form = form::<Q>(Family::Model);
        let known = read(db, form, &options, Some(&decide), First(Some(query))).await?;
        Ok(known.outcome(db.engine(), true).owned())
    }

    /// [`all`](Self::all), with what became of it.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch<D: CacheSource>(mut self, db: &D) -> Result<Outcome<Vec<Q::Item>>, DbErr> {
        self.options.told = true;
        let Self { query, options, decide } = self;
        let form = form::<Q>(Family::List);
        let known = read(db, form, &options, Some(&decide), List(Some(query))).await?;
        Ok(known.outcome(db.engine(), true).owned())
    }

    /// [`count`](Self::count), with what became of it.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch_count<D: CacheSource>(mut self, db: &D) -> Result<Outcome<u64>, DbErr> {
        self.options.told = true;
        let form = form::<Q>(Family::Count);
        let known = read(db, form, &self.options, None, Number(Some(self.query))).await?;
        Ok(known.outcome(db.engine(), true).owned())
    }

    /// The first item.
    ///
    /// # Errors
    ///
    /// [`DbErr::RecordNotFound`] if there is none, or the database's.
    pub async fn require_one<D: CacheSource>(self, db: &D) -> Result<Q::Item, DbErr> {
        self.one(db).await?.ok_or_else(none_found)
    }

    /// All items.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all<D: CacheSource>(self, db: &D) -> Result<Vec<Q::Item>, DbErr> {
        self.all_shared(db).await.map(owned)
    }

    /// All items, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all_shared<D: CacheSource>(self, db: &D) -> Result<Arc<Vec<Q::Item>>, DbErr> {
        let Self { query, options, decide } = self;
        let form = form::<Q>(Family::List);
        Ok(read(db, form, &options, Some(&decide), List(Some(query))).await?.value)
    }

    /// How many rows the query has, its own limit and offset included.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn count<D: CacheSource>(self, db: &D) -> Result<u64, DbErr> {
        let form = form::<Q>(Family::Count);
        Ok(*read(db, form, &self.options, None, Number(Some(self.query))).await?.value)
    }

    /// Whether the query has any row, whatever its limit and offset.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn exists<D: CacheSource>(self, db: &D) -> Result<bool, DbErr> {
        let form = form::<Q>(Family::Count);
        Ok(*read(db, form, &self.options, None, Any(Some(self.query))).await?.value)
    }
}

impl<Q: Selection + Clone + Sync> Cached<Q> {
    /// Pages of `page_size` rows, each cached by itself.
    ///
    /// # Panics
    ///
    /// If `page_size` is 0, as SeaORM's own.
    pub fn paginate<D: CacheSource>(self, db: &D, page_size: u64) -> CachedPaginator<'_, D, Self> {
        CachedPaginator::new(db, self, page_size)
    }
}

impl<Q: Selection + Clone + Sync> Pages for Cached<Q> {
    type Item = Q::Item;

    async fn page<D: CacheSource>(
        &self,
        db: &D,
        page_size: u64,
        page: u64,
    ) -> Result<Vec<Q::Item>, DbErr> {
        let Self { query, options, decide } = self;
        let form = form::<Q>(Family::Page);
        let page = Page(Some(query.clone()), page_size, page);
        read(db, form, options, Some(decide), page).await.map(|known| owned(known.value))
    }

    async fn total<D: CacheSource>(&self, db: &D, page_size: u64) -> Result<u64, DbErr> {
        let form = form::<Q>(Family::Count);
        let total = Total(Some(self.query.clone()), page_size);
        Ok(*read(db, form, &self.options, None, total).await?.value)
    }
}

/// As SeaORM says it.
pub(super) fn none_found() -> DbErr {
    DbErr::RecordNotFound("None of the models match the query".to_owned())
}

pub(super) fn form<Q: Selection>(family: Family) -> Form {
    Form { family, table: Q::table(), ..Form::default() }
}

impl<E> Cached<Select<E>>
where
    E: EntityTrait,
    Select<E>: Selection,
{
    /// Rows as another type, which is kept through serde.
    pub fn into_model<M>(self) -> Cached<Shaped<Select<E>, SelectModel<M>>>
    where
        M: FromQueryResult,
        Shaped<Select<E>, SelectModel<M>>: Selection,
    {
        self.of(|query| Shaped { query, into: Select::into_model })
    }

    /// Rows as a type that takes a part of the columns, which is kept through serde.
    pub fn into_partial_model<M>(self) -> Cached<Shaped<Select<E>, SelectModel<M>>>
    where
        M: PartialModelTrait,
        Shaped<Select<E>, SelectModel<M>>: Selection,
    {
        self.of(|query| Shaped { query, into: Select::into_partial_model })
    }

    /// Rows as tuples, by position, which are kept through serde.
    pub fn into_tuple<T>(self) -> Cached<Shaped<Select<E>, SelectGetableTuple<T>>>
    where
        T: TryGetableMany,
        Shaped<Select<E>, SelectGetableTuple<T>>: Selection,
    {
        self.of(|query| Shaped { query, into: Select::into_tuple })
    }

    /// Rows as tuples, by the columns' names, which are kept through serde.
    pub fn into_values<T, C>(self) -> Cached<Shaped<Select<E>, SelectGetableValue<T, C>>>
    where
        T: TryGetableMany,
        C: Iterable + Iden,
        Shaped<Select<E>, SelectGetableValue<T, C>>: Selection,
    {
        self.of(|query| Shaped { query, into: Select::into_values })
    }

    /// Rows as JSON objects.
    #[cfg(feature = "with-json")]
    pub fn into_json(self) -> Cached<Shaped<Select<E>, SelectModel<sea_orm::JsonValue>>> {
        self.of(|query| Shaped { query, into: Select::into_json })
    }
}

impl<E: EntityTrait, S: SelectorTrait> Cacheable for Shaped<Select<E>, S> {
    type Item = S::Item;
}

impl<E: EntityTrait, S: SelectorTrait> sealed::Sealed for Shaped<Select<E>, S> {}

impl<E: EntityTrait, S: SelectorTrait> Repeatable for Shaped<Select<E>, S> {}

impl<E, S> Selection for Shaped<Select<E>, S>
where
    E: EntityTrait,
    S: SelectorTrait + Send + Sync + 'static,
    S::Item: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Codec = Serde<S::Item, S>;
    type Reader = Selector<S>;

    fn into_reader(self) -> Selector<S> {
        (self.into)(self.query)
    }

    fn table() -> Option<&'static str> {
        Some(table_of::<E>())
    }

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<S: SelectorTrait> Cacheable for Selector<S> {
    type Item = S::Item;
}

impl<S: SelectorTrait> sealed::Sealed for Selector<S> {}

impl<S> Selection for Selector<S>
where
    S: SelectorTrait + Send + Sync + 'static,
    S::Item: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Codec = Serde<S::Item, S>;
    type Reader = Selector<S>;

    fn into_reader(self) -> Selector<S> {
        self
    }

    fn table() -> Option<&'static str> {
        None
    }

    fn again(&self) -> Option<Self> {
        None
    }
}

impl<S> CachedExt for Selector<S>
where
    S: SelectorTrait,
    Selector<S>: Selection,
{
    type Cached = Cached<Self>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Cached<Self> {
        Cached::new(self, options)
    }
}

/// Selects of entities: their models are kept through their columns.
macro_rules! entities {
    ($select:ident<$($entity:ident),+ $(; $topology:ident)?>,
     $model:ident<$($of:ident),+>, $codec:ty, $item:ty) => {
        impl<$($entity: EntityTrait,)+ $($topology: Topology)?> Cacheable
            for $select<$($entity,)+ $($topology)?>
        {
            type Item = $item;
        }

        impl<$($entity: EntityTrait,)+ $($topology: Topology)?> sealed::Sealed
            for $select<$($entity,)+ $($topology)?>
        {
        }

        impl<$($entity: EntityTrait,)+ $($topology: Topology)?> Repeatable
            for $select<$($entity,)+ $($topology)?>
        {
        }

        impl<$($entity: EntityTrait,)+ $($topology: Topology)?> CachedExt
            for $select<$($entity,)+ $($topology)?>
        {
            type Cached = Cached<Self>;

            #[allow(private_interfaces)]
            fn with_options(self, options: Options) -> Cached<Self> {
                Cached::new(self, options.of::<E>())
            }
        }

        impl<$($entity: EntityTrait,)+ $($topology: Topology + Clone + 'static)?> Selection
            for $select<$($entity,)+ $($topology)?>
        where
            Self: Send,
            $($entity: StorableEntity,)+
        {
            type Codec = $codec;
            type Reader = Selector<$model<$($of::Model),+>>;

            fn into_reader(self) -> Self::Reader {
                self.into_model()
            }

            fn table() -> Option<&'static str> {
                Some(table_of::<E>())
            }

            fn again(&self) -> Option<Self> {
                Some(self.clone())
            }
        }
    };
}

entities!(Select<E>, SelectModel<E>, Columns<E>, E::Model);
entities!(
    SelectTwo<E, F>, SelectTwoModel<E, F>,
    (Columns<E>, Maybe<Columns<F>>),
    (E::Model, Option<F::Model>)
);
entities!(
    SelectTwoRequired<E, F>, SelectTwoRequiredModel<E, F>,
    (Columns<E>, Columns<F>),
    (E::Model, F::Model)
);
entities!(
    SelectThree<E, F, G; T>, SelectThreeModel<E, F, G>,
    (Columns<E>, Maybe<Columns<F>>, Maybe<Columns<G>>),
    (E::Model, Option<F::Model>, Option<G::Model>)
);
entities!(
    SelectFour<E, F, G, H; T>, SelectFourModel<E, F, G, H>,
    (Columns<E>, Maybe<Columns<F>>, Maybe<Columns<G>>, Maybe<Columns<H>>),
    (E::Model, Option<F::Model>, Option<G::Model>, Option<H::Model>)
);
entities!(
    SelectFive<E, F, G, H, I; T>, SelectFiveModel<E, F, G, H, I>,
    (Columns<E>, Maybe<Columns<F>>, Maybe<Columns<G>>, Maybe<Columns<H>>, Maybe<Columns<I>>),
    (E::Model, Option<F::Model>, Option<G::Model>, Option<H::Model>, Option<I::Model>)
);
entities!(
    SelectSix<E, F, G, H, I, J; T>, SelectSixModel<E, F, G, H, I, J>,
    (
        Columns<E>,
        Maybe<Columns<F>>,
        Maybe<Columns<G>>,
        Maybe<Columns<H>>,
        Maybe<Columns<I>>,
        Maybe<Columns<J>>
    ),
    (
        E::Model,
        Option<F::Model>,
        Option<G::Model>,
        Option<H::Model>,
        Option<I::Model>,
        Option<J::Model>
    )
);
