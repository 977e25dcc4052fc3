//! The loader of `#[sea_orm::model]` entities: `Entity::load().with(..)`.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::compound::EntityLoaderTrait;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement};

use super::ask::Ask;
use super::fresh::read;
use super::paginate::Pages;
use super::{
    CacheSource, Cacheable, Cached, CachedPaginator, Form, Options, Repeatable, owned, sealed,
    table_of,
};
use crate::codec::{InMemory, Listed, Maybe, Serde};
use crate::key::Family;

/// An entity loader; see [`CachedLoaderExt`].
pub struct LoaderOf<L, E> {
    loader: L,
    entity: PhantomData<fn() -> E>,
}

impl<L: Clone, E> Clone for LoaderOf<L, E> {
    fn clone(&self) -> Self {
        Self { loader: self.loader.clone(), entity: PhantomData }
    }
}

impl<L: fmt::Debug, E> fmt::Debug for LoaderOf<L, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoaderOf").field(&self.loader).finish()
    }
}

impl<L: EntityLoaderTrait<E>, E: EntityTrait> Cacheable for LoaderOf<L, E> {
    type Item = L::ModelEx;
}

/// Adds [`cached`](Self::cached) to the loaders of `#[sea_orm::model]` entities, behind their last
/// `with`.
///
/// The models and all that was loaded with them are one entry, which depends on every statement
/// that it took. It is kept in memory only, whatever other store there is: a relation that was
/// loaded and is empty has no bytes that tell it from one that was not loaded.
pub trait CachedLoaderExt<E: EntityTrait>: EntityLoaderTrait<E> + Sized {
    /// Answers from the cache what was answered less than `ttl` ago and has not changed since.
    fn cached(self, ttl: Duration) -> Cached<LoaderOf<Self, E>>;

    /// The same with the entity's TTL, or else the cache's default.
    fn cached_default(self) -> Cached<LoaderOf<Self, E>>;
}

impl<L: EntityLoaderTrait<E>, E: EntityTrait> CachedLoaderExt<E> for L {
    fn cached(self, ttl: Duration) -> Cached<LoaderOf<Self, E>> {
        CachedLoaderExt::cached_default(self).ttl(ttl)
    }

    fn cached_default(self) -> Cached<LoaderOf<Self, E>> {
        let options = Options::default().of::<E>();
        Cached::new(LoaderOf { loader: self, entity: PhantomData }, options)
    }
}

impl<L: EntityLoaderTrait<E>, E: EntityTrait> sealed::Sealed for LoaderOf<L, E> {}

impl<L: EntityLoaderTrait<E>, E: EntityTrait> Repeatable for LoaderOf<L, E> {}

/// One page of what a loader gives; all of it, if the page size is 0.
struct Loading<L, E> {
    loader: L,
    page_size: u64,
    page: u64,
    entity: PhantomData<fn() -> E>,
}

impl<L: Clone, E> Clone for Loading<L, E> {
    fn clone(&self) -> Self {
        let Self { loader, page_size, page, entity } = self;
        Self { loader: loader.clone(), page_size: *page_size, page: *page, entity: *entity }
    }
}

/// Its first model.
struct One<L, E>(Loading<L, E>);

/// How many there are on all pages.
struct Items<L, E>(Loading<L, E>);

impl<L, E> Loading<L, E>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
{
    /// Several statements follow from it, so it names them all.
    fn statement(&mut self, backend: DbBackend) -> Statement {
        backend.build(QueryFilter::query(&mut self.loader))
    }
}

impl<L, E> Ask for Loading<L, E>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
    L: fmt::Debug + Send + Sync + 'static,
    L::ModelEx: Sync + 'static,
{
    type Results = Listed<InMemory<L::ModelEx>>;

    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn named_by(&mut self, backend: DbBackend) -> Option<Statement> {
        Some(self.statement(backend))
    }

    async fn ask<C: ConnectionTrait>(&mut self, db: &C) -> Result<Vec<L::ModelEx>, DbErr> {
        self.loader.clone().fetch(db, self.page, self.page_size).await
    }
}

impl<L, E> Ask for One<L, E>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
    L: fmt::Debug + Send + Sync + 'static,
    L::ModelEx: Sync + 'static,
{
    type Results = Maybe<InMemory<L::ModelEx>>;

    fn again(&self) -> Option<Self> {
        Some(Self(self.0.clone()))
    }

    fn named_by(&mut self, backend: DbBackend) -> Option<Statement> {
        Some(self.0.statement(backend))
    }

    async fn ask<C: ConnectionTrait>(&mut self, db: &C) -> Result<Option<L::ModelEx>, DbErr> {
        let models = self.0.loader.clone().fetch(db, 0, 0).await?;
        Ok(models.into_iter().next())
    }
}

impl<L, E> Ask for Items<L, E>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
    L: fmt::Debug + Send + Sync + 'static,
    L::ModelEx: Sync + 'static,
{
    type Results = Serde<u64>;

    fn again(&self) -> Option<Self> {
        Some(Self(self.0.clone()))
    }

    async fn ask<C: ConnectionTrait>(&mut self, db: &C) -> Result<u64, DbErr> {
        self.0.loader.clone().num_items(db, self.0.page_size).await
    }
}

impl<L, E> Cached<LoaderOf<L, E>>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
    L: fmt::Debug + Send + Sync + 'static,
    L::ModelEx: Sync + 'static,
{
    /// The first model, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn one<D: CacheSource>(self, db: &D) -> Result<Option<L::ModelEx>, DbErr> {
        self.one_shared(db).await.map(owned)
    }

    /// The first model, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn one_shared<D: CacheSource>(
        self,
        db: &D,
    ) -> Result<Arc<Option<L::ModelEx>>, DbErr> {
        let Self { query: LoaderOf { mut loader, .. }, options, decide } = self;
        QueryFilter::query(&mut loader).limit(1);
        let form = form::<E>(Family::Model, &loader, "");
        let one = One(Loading { loader, page_size: 0, page: 0, entity: PhantomData });
        Ok(read(db, form, &options, Some(&decide), one).await?.value)
    }

    /// All models.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all<D: CacheSource>(self, db: &D) -> Result<Vec<L::ModelEx>, DbErr> {
        self.all_shared(db).await.map(owned)
    }

    /// All models, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all_shared<D: CacheSource>(self, db: &D) -> Result<Arc<Vec<L::ModelEx>>, DbErr> {
        // SeaORM's loader takes a page size of 0 for "no pages".
        self.fetch(db, Family::List, 0, 0).await
    }

    /// Pages of `page_size` models, each cached by itself.
    ///
    /// # Panics
    ///
    /// If `page_size` is 0.
    pub fn paginate<D: CacheSource>(self, db: &D, page_size: u64) -> CachedPaginator<'_, D, Self> {
        CachedPaginator::new(db, self, page_size)
    }

    async fn fetch<D: CacheSource>(
        &self,
        db: &D,
        family: Family,
        page_size: u64,
        page: u64,
    ) -> Result<Arc<Vec<L::ModelEx>>, DbErr> {
        let loader = self.query.loader.clone();
        let form = form::<E>(family, &loader, &format!("{page} of {page_size}"));
        let loading = Loading { loader, page_size, page, entity: PhantomData::<fn() -> E> };
        Ok(read(db, form, &self.options, Some(&self.decide), loading).await?.value)
    }
}

impl<L, E> Pages for Cached<LoaderOf<L, E>>
where
    E: EntityTrait,
    L: EntityLoaderTrait<E> + QueryFilter<QueryStatement = SelectStatement>,
    L: fmt::Debug + Send + Sync + 'static,
    L::ModelEx: Sync + 'static,
{
    type Item = L::ModelEx;

    async fn page<D: CacheSource>(
        &self,
        db: &D,
        page_size: u64,
        page: u64,
    ) -> Result<Vec<L::ModelEx>, DbErr> {
        self.fetch(db, Family::Page, page_size, page).await.map(owned)
    }

    async fn total<D: CacheSource>(&self, db: &D, page_size: u64) -> Result<u64, DbErr> {
        let form = Form { family: Family::Count, table: Some(table_of::<E>()), ..Form::default() };
        let loader = self.query.loader.clone();
        let items = Items(Loading { loader, page_size, page: 0, entity: PhantomData::<fn() -> E> });
        Ok(*read(db, form, &self.options, None, items).await?.value)
    }
}

/// A loader's debug form says what is loaded with the models; what they are is in its select.
fn form<E: EntityTrait>(family: Family, loader: &impl fmt::Debug, words: &str) -> Form {
    Form {
        family,
        table: Some(table_of::<E>()),
        words: format!("{loader:?} {words}"),
        ..Form::default()
    }
}
