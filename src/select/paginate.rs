//! Pages of a cached select.

use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use sea_orm::DbErr;

use super::CacheSource;

/// What has pages.
pub trait Pages: Send + Sync {
    #[doc(hidden)]
    type Item: Send;

    #[doc(hidden)]
    fn page<D: CacheSource>(
        &self,
        db: &D,
        page_size: u64,
        page: u64,
    ) -> impl Future<Output = Result<Vec<Self::Item>, DbErr>> + Send;

    /// Without the select's own limit and offset.
    #[doc(hidden)]
    fn total<D: CacheSource>(
        &self,
        db: &D,
        page_size: u64,
    ) -> impl Future<Output = Result<u64, DbErr>> + Send;
}

/// The pages of a cached select; see [`Cached::paginate`](crate::Cached::paginate). Its methods
/// are those of SeaORM's own paginator.
///
/// Pages are separate entries, so two of them may be from different moments. Give the select an
/// ORDER BY.
#[derive(Debug, Clone)]
pub struct CachedPaginator<'db, D, P> {
    db: &'db D,
    select: P,
    page: u64,
    page_size: u64,
}

/// Pages as a stream; see [`CachedPaginator::into_stream`].
pub type PageStream<'db, I> = Pin<Box<dyn Stream<Item = Result<Vec<I>, DbErr>> + Send + 'db>>;

/// How many rows and pages a select has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemsAndPages {
    /// Rows of the select, without its limit and offset.
    pub number_of_items: u64,
    /// Pages that these fill, the last one perhaps in part.
    pub number_of_pages: u64,
}

impl<'db, D, P> CachedPaginator<'db, D, P>
where
    D: CacheSource,
    P: Pages,
{
    pub(super) fn new(db: &'db D, select: P, page_size: u64) -> Self {
        assert!(page_size != 0, "page_size should not be zero");
        Self { db, select, page: 0, page_size }
    }

    /// The rows of one page, counted from 0; empty beyond the last one.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch_page(&self, page: u64) -> Result<Vec<P::Item>, DbErr> {
        // Beyond this, SeaORM's multiplication overflows, and no table has as many rows.
        let page = page.min(u64::MAX / self.page_size);
        self.select.page(self.db, self.page_size, page).await
    }

    /// The rows of the current page.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn fetch(&self) -> Result<Vec<P::Item>, DbErr> {
        self.fetch_page(self.page).await
    }

    /// How many rows the select has, without its limit and offset.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn num_items(&self) -> Result<u64, DbErr> {
        self.select.total(self.db, self.page_size).await
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
    pub async fn fetch_and_next(&mut self) -> Result<Option<Vec<P::Item>>, DbErr> {
        let rows = self.fetch().await?;
        self.next();
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The pages from the current one on, as a stream.
    pub fn into_stream(self) -> PageStream<'db, P::Item>
    where
        P: 'db,
    {
        Box::pin(try_unfold(self, |mut pages| async move {
            Ok(pages.fetch_and_next().await?.map(|rows| (rows, pages)))
        }))
    }
}
