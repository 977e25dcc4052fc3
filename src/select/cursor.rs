//! Cursors over a cached select.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use sea_orm::sea_query::IntoValueTuple;
use sea_orm::{
    Cursor, DbErr, EntityTrait, FromQueryResult, IdentityOf, IntoIdentity, ModelTrait,
    PartialModelTrait, Select, SelectModel, SelectThree, SelectThreeModel, SelectTwo,
    SelectTwoModel, SelectorTrait, Topology,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CacheSource, Cacheable, Cached, CachedExt, Form, Options, ReadThrough, owned, sealed};
use crate::codec::{Codec, Columns, Listed, Maybe, Serde};
use crate::key::Family;

/// A cursor whose items are kept by the codec `K`.
pub struct CursorOf<S: SelectorTrait, K> {
    cursor: Cursor<S>,
    /// What is known of a cursor that others made.
    words: String,
    /// Rows are turned around after they were read, which the SQL does not tell.
    last: bool,
    kept: PhantomData<fn() -> K>,
}

impl<S: SelectorTrait, K> CursorOf<S, K> {
    fn new(cursor: Cursor<S>) -> Self {
        Self { cursor, words: String::new(), last: false, kept: PhantomData }
    }

    fn of<T: SelectorTrait, L>(self, into: impl FnOnce(Cursor<S>) -> Cursor<T>) -> CursorOf<T, L> {
        let Self { cursor, words, last, .. } = self;
        CursorOf { cursor: into(cursor), words, last, kept: PhantomData }
    }
}

impl<S: SelectorTrait, K> fmt::Debug for CursorOf<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CursorOf").field("last", &self.last).finish_non_exhaustive()
    }
}

impl<S: SelectorTrait, K> Cacheable for CursorOf<S, K> {
    type Item = S::Item;
}

impl<S, K> Cached<CursorOf<S, K>>
where
    S: SelectorTrait + Send + Sync + 'static,
    K: Codec<Value = S::Item>,
{
    /// Only rows whose order columns are less than these values, or greater if the order is
    /// descending.
    pub fn before<V: IntoValueTuple>(&mut self, values: V) -> &mut Self {
        self.query.cursor.before(values);
        self
    }

    /// Only rows whose order columns are greater than these values, or less if the order is
    /// descending.
    pub fn after<V: IntoValueTuple>(&mut self, values: V) -> &mut Self {
        self.query.cursor.after(values);
        self
    }

    /// At most so many rows, from the start.
    pub fn first(&mut self, rows: u64) -> &mut Self {
        self.query.last = false;
        self.query.cursor.first(rows);
        self
    }

    /// At most so many rows, up to the end; in the cursor's order all the same.
    pub fn last(&mut self, rows: u64) -> &mut Self {
        self.query.last = true;
        self.query.cursor.last(rows);
        self
    }

    /// In ascending order, which is the default.
    pub fn asc(&mut self) -> &mut Self {
        self.query.cursor.asc();
        self
    }

    /// In descending order.
    pub fn desc(&mut self) -> &mut Self {
        self.query.cursor.desc();
        self
    }

    /// The rows.
    ///
    /// # Errors
    ///
    /// [`DbErr::KeyArityMismatch`] if `before` or `after` got another number of values than there
    /// are order columns, or the database's.
    pub async fn all<D: CacheSource>(&mut self, db: &D) -> Result<Vec<S::Item>, DbErr>
    where
        S::Item: Clone,
    {
        self.all_shared(db).await.map(owned)
    }

    /// The rows, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub async fn all_shared<D: CacheSource>(&mut self, db: &D) -> Result<Arc<Vec<S::Item>>, DbErr> {
        let CursorOf { cursor, words, last, .. } = &mut self.query;
        let words = format!("cursor {last} {words}");
        let form = Form { family: Family::List, table: None, words, ..Form::default() };
        let read = ReadThrough::<D, Listed<K>>::new(db, form, &self.options, Some(&self.decide));
        let answer = cursor.all(&read).await;
        read.keep(answer).await
    }
}

impl<S, K> Cached<CursorOf<S, K>>
where
    S: SelectorTrait,
{
    /// Rows as another type, which is kept through serde.
    pub fn into_model<M>(self) -> Cached<CursorOf<SelectModel<M>, Serde<M>>>
    where
        M: FromQueryResult + Serialize + DeserializeOwned,
    {
        self.of(|cursor| cursor.of(Cursor::into_model))
    }

    /// Rows as a type that takes a part of the columns, which is kept through serde.
    pub fn into_partial_model<M>(self) -> Cached<CursorOf<SelectModel<M>, Serde<M>>>
    where
        M: PartialModelTrait + Serialize + DeserializeOwned,
    {
        self.of(|cursor| cursor.of(Cursor::into_partial_model))
    }

    /// Rows as JSON objects.
    #[cfg(feature = "with-json")]
    pub fn into_json(
        self,
    ) -> Cached<CursorOf<SelectModel<sea_orm::JsonValue>, Serde<sea_orm::JsonValue>>> {
        self.of(|cursor| cursor.of(Cursor::into_json))
    }
}

type OneOf<E> = CursorOf<SelectModel<<E as EntityTrait>::Model>, Columns<E>>;
type TwoOf<E, F> = CursorOf<
    SelectTwoModel<<E as EntityTrait>::Model, <F as EntityTrait>::Model>,
    (Columns<E>, Maybe<Columns<F>>),
>;
type ThreeOf<E, F, G> = CursorOf<
    SelectThreeModel<
        <E as EntityTrait>::Model,
        <F as EntityTrait>::Model,
        <G as EntityTrait>::Model,
    >,
    (Columns<E>, Maybe<Columns<F>>, Maybe<Columns<G>>),
>;

impl<E> Cached<Select<E>>
where
    E: EntityTrait,
    E::Model: Send + Sync,
{
    /// A cursor over this select, in the order of these columns.
    pub fn cursor_by<C: IntoIdentity>(self, order_columns: C) -> Cached<OneOf<E>> {
        self.of(|select| CursorOf::new(select.cursor_by(order_columns)))
    }
}

impl<E, F> Cached<SelectTwo<E, F>>
where
    E: EntityTrait,
    F: EntityTrait,
    E::Model: Send + Sync,
    F::Model: Send + Sync,
{
    /// A cursor over this select, in the order of these columns of the first entity.
    pub fn cursor_by<C: IdentityOf<E>>(self, order_columns: C) -> Cached<TwoOf<E, F>> {
        self.of(|select| CursorOf::new(select.cursor_by(order_columns)))
    }

    /// A cursor over this select, in the order of these columns of the second entity.
    pub fn cursor_by_other<C: IdentityOf<F>>(self, order_columns: C) -> Cached<TwoOf<E, F>> {
        self.of(|select| CursorOf::new(select.cursor_by_other(order_columns)))
    }
}

impl<E, F, G, T> Cached<SelectThree<E, F, G, T>>
where
    E: EntityTrait,
    F: EntityTrait,
    G: EntityTrait,
    T: Topology,
    E::Model: Send + Sync,
    F::Model: Send + Sync,
    G::Model: Send + Sync,
{
    /// A cursor over this select, in the order of these columns of the first entity.
    pub fn cursor_by<C: IdentityOf<E>>(self, order_columns: C) -> Cached<ThreeOf<E, F, G>> {
        self.of(|select| CursorOf::new(select.cursor_by(order_columns)))
    }
}

impl<S: SelectorTrait> sealed::Sealed for Cursor<S> {}

/// A cursor that was made before: what it holds is only told by its debug form.
macro_rules! made_before {
    ($of:ident, $selector:ident<$($model:ident $entity:ident),+>) => {
        impl<$($model),+> CachedExt for Cursor<$selector<$($model),+>>
        where
            $($model: ModelTrait<Entity: EntityTrait<Model = $model>> + FromQueryResult,)+
        {
            type Cached = Cached<$of<$($model::Entity),+>>;

            #[allow(private_interfaces)]
            fn with_options(self, options: Options) -> Self::Cached {
                let words = format!("{self:?}");
                Cached::new(CursorOf { words, ..CursorOf::new(self) }, options.of::<M::Entity>())
            }
        }
    };
}

made_before!(OneOf, SelectModel<M E>);
made_before!(TwoOf, SelectTwoModel<M E, N F>);
made_before!(ThreeOf, SelectThreeModel<M E, N F, O G>);
