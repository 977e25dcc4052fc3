//! SeaORM's two selectors under one name.

use sea_orm::{
    ConnectionTrait, DbErr, PaginatorTrait, SelectExt, Selector, SelectorRaw, SelectorTrait,
};

/// What reads rows through a connection and makes items of them.
pub trait Reader: Sized + Send {
    #[doc(hidden)]
    type Item;

    #[doc(hidden)]
    fn first<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Future<Output = Result<Option<Self::Item>, DbErr>> + Send;

    #[doc(hidden)]
    fn list<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Future<Output = Result<Vec<Self::Item>, DbErr>> + Send;

    #[doc(hidden)]
    fn number<C: ConnectionTrait>(self, db: &C) -> impl Future<Output = Result<u64, DbErr>> + Send;

    #[doc(hidden)]
    fn any<C: ConnectionTrait>(self, db: &C) -> impl Future<Output = Result<bool, DbErr>> + Send;

    #[doc(hidden)]
    fn page<C: ConnectionTrait>(
        self,
        db: &C,
        page_size: u64,
        page: u64,
    ) -> impl Future<Output = Result<Vec<Self::Item>, DbErr>> + Send;

    /// Without the select's own limit and offset.
    #[doc(hidden)]
    fn total<C: ConnectionTrait>(
        self,
        db: &C,
        page_size: u64,
    ) -> impl Future<Output = Result<u64, DbErr>> + Send;
}

macro_rules! reader {
    ($selector:ident) => {
        impl<S: SelectorTrait + Send + Sync> Reader for $selector<S> {
            type Item = S::Item;

            async fn first<C: ConnectionTrait>(self, db: &C) -> Result<Option<S::Item>, DbErr> {
                self.one(db).await
            }

            async fn list<C: ConnectionTrait>(self, db: &C) -> Result<Vec<S::Item>, DbErr> {
                self.all(db).await
            }

            async fn number<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr> {
                PaginatorTrait::count(self, db).await
            }

            async fn any<C: ConnectionTrait>(self, db: &C) -> Result<bool, DbErr> {
                self.exists(db).await
            }

            async fn page<C: ConnectionTrait>(
                self,
                db: &C,
                page_size: u64,
                page: u64,
            ) -> Result<Vec<S::Item>, DbErr> {
                self.paginate(db, page_size).fetch_page(page).await
            }

            async fn total<C: ConnectionTrait>(self, db: &C, page_size: u64) -> Result<u64, DbErr> {
                self.paginate(db, page_size).num_items().await
            }
        }
    };
}

reader!(Selector);
reader!(SelectorRaw);
