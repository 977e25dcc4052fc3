//! Pages of a cached select.

use std::marker::PhantomData;
use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{DbErr, EntityTrait};

use super::{CacheSource, count_of, fetch, models, number, owned};
use crate::fill::Options;
use crate::key::Family;

/// The pages of a cached select; see [`CachedSelect::paginate`](crate::CachedSelect::paginate).
/// Its methods are those of SeaORM's own paginator.
///
/// Pages are separate entries, so two of them may be from different moments. Give the select an
/// ORDER BY.
#[derive(Debug)]
pub struct CachedPaginator<'db, D, E> {
    db: &'db D,
    query: SelectStatement,
    options: Options,
    page: u64,
    page_size: u64,
    entity: PhantomData<fn() -> E>,
}

/// Pages as a stream; see [`CachedPaginator::into_stream`].
pub type PageStream<'db, M> = Pin<Box<dyn Stream<Item = Result<Vec<M>, DbErr>> + Send + 'db>>;

/// How many rows and pages a select has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemsAndPages {
    /// Rows of the select, without its limit and offset.
    pub number_of_items: u64,
    /// Pages that these fill, the last one perhaps in part.
    pub number_of_pages: u64,
}

impl<'db, D, E> CachedPaginator<'db, D, E>
where
    D: CacheSource,
    E: EntityTrait,
    E::Model: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        db: &'db D,
        query: SelectStatement,
        options: Options,
        page_size: u64,
    ) -> Self {
        assert!(page_size != 0, "page_size should not be zero");
        Self { db, query, options, page: 0, page_size, entity: PhantomData }
    }

    /// The rows of one page, counted from 0; empty beyond the last one.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch_page(&self, page: u64) -> Result<Vec<E::Model>, DbErr> {
        let mut query = self.query.clone();
        query.limit(self.page_size).offset(self.page_size.saturating_mul(page));
        fetch::<E, _, _, _>(self.db, Family::Page, &query, &self.options, models::<E>)
            .await
            .map(owned)
    }

    /// The rows of the current page.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch(&self) -> Result<Vec<E::Model>, DbErr> {
        self.fetch_page(self.page).await
    }

    /// How many rows the select has, without its limit and offset.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn num_items(&self) -> Result<u64, DbErr> {
        let mut query = self.query.clone();
        let query = count_of(query.reset_limit().reset_offset().clear_order_by().to_owned());
        fetch::<E, _, _, _>(self.db, Family::Count, &query, &self.options, number)
            .await
            .map(|count| *count)
    }

    /// How many pages the select has.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn num_pages(&self) -> Result<u64, DbErr> {
        Ok(self.num_items_and_pages().await?.number_of_pages)
    }

    /// How many rows and pages the select has.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn num_items_and_pages(&self) -> Result<ItemsAndPages, DbErr> {
        let number_of_items = self.num_items().await?;
        let number_of_pages = number_of_items.div_ceil(self.page_size);
        Ok(ItemsAndPages { number_of_items, number_of_pages })
    }

    /// Turns to the next page.
    pub fn next(&mut self) {
        self.page += 1;
    }

    /// The current page's number, from 0.
    pub fn cur_page(&self) -> u64 {
        self.page
    }

    /// Turns to a page.
    pub fn set_page(&mut self, page: u64) {
        self.page = page;
    }

    /// The current page's rows, and turns to the next one; `None` once there are none.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch_and_next(&mut self) -> Result<Option<Vec<E::Model>>, DbErr> {
        let rows = self.fetch().await?;
        self.next();
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The pages from the current one on, as a stream.
    pub fn into_stream(self) -> PageStream<'db, E::Model>
    where
        E: 'db,
    {
        Box::pin(try_unfold(self, |mut pages| async move {
            Ok(pages.fetch_and_next().await?.map(|rows| (rows, pages)))
        }))
    }
}
