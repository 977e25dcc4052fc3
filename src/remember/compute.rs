//! The methods that give a value: with what its computation reads, or with what is said.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, TransactionTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::named::NoDatabase;
use super::{Dependencies, Detached, Inline, Valued};
#[allow(unused_imports, reason = "for links in the documentation")]
use crate::cache::QueryCache;
use crate::connection::CachedConnection;
use crate::select::internal::{Place, Source};
use crate::select::{Known, Outcome, owned};

macro_rules! methods {
    ($by:ty; [$($task:tt)*] [$($error:tt)*]; $($errors:literal),+) => {
        impl Valued<'_, $by> {
            /// The value, which depends on all that the computation reads through the connection
            /// that it is given; see [`QueryCache::remember`].
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn remember<C, T, E, F>(
                self,
                db: &CachedConnection<C>,
                compute: impl FnOnce(CachedConnection<C>) -> F $($task)*,
            ) -> Result<T, E>
            where
                C: ConnectionTrait + TransactionTrait + Send + 'static,
                C::Transaction: Sync + 'static,
                T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.remember_shared(db, compute).await.map(owned)
            }

            /// The same, shared with the cache: a hit copies a pointer.
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn remember_shared<C, T, E, F>(
                self,
                db: &CachedConnection<C>,
                compute: impl FnOnce(CachedConnection<C>) -> F $($task)*,
            ) -> Result<Arc<T>, E>
            where
                C: ConnectionTrait + TransactionTrait + Send + 'static,
                C::Transaction: Sync + 'static,
                T: Serialize + DeserializeOwned + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.recall(db, compute).await.map(|known| known.value)
            }

            /// [`remember`](Self::remember), with what became of it.
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn fetch<C, T, E, F>(
                mut self,
                db: &CachedConnection<C>,
                compute: impl FnOnce(CachedConnection<C>) -> F $($task)*,
            ) -> Result<Outcome<T>, E>
            where
                C: ConnectionTrait + TransactionTrait + Send + 'static,
                C::Transaction: Sync + 'static,
                T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.named.options.told = true;
                let cache = self.cache;
                Ok(self.recall(db, compute).await?.outcome(&cache.engine, true).owned())
            }

            /// The value, which depends on what is said; see [`QueryCache::cached_as`].
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn depending_on<T, E, F>(
                self,
                dependencies: Dependencies,
                compute: impl FnOnce() -> F $($task)*,
            ) -> Result<T, E>
            where
                T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.depending_on_shared(dependencies, compute).await.map(owned)
            }

            /// The same, shared with the cache: a hit copies a pointer.
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn depending_on_shared<T, E, F>(
                self,
                dependencies: Dependencies,
                compute: impl FnOnce() -> F $($task)*,
            ) -> Result<Arc<T>, E>
            where
                T: Serialize + DeserializeOwned + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.derive(dependencies, compute).await.map(|known| known.value)
            }

            /// [`depending_on`](Self::depending_on), with what became of it.
            ///
            /// # Errors
            ///
            $(#[doc = $errors])+
            pub async fn fetch_depending_on<T, E, F>(
                mut self,
                dependencies: Dependencies,
                compute: impl FnOnce() -> F $($task)*,
            ) -> Result<Outcome<T>, E>
            where
                T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
                E: Sized $($error)*,
                F: Future<Output = Result<T, E>> $($task)*,
            {
                self.named.options.told = true;
                let cache = self.cache;
                let known = self.derive(dependencies, compute).await?;
                Ok(known.outcome(&cache.engine, true).owned())
            }
        }
    };
}

methods!(Inline; [] []; "The computation's.");
methods!(
    Detached; [+ Send + 'static] [+ From<DbErr> + Send + 'static];
    "The computation's, and [`DbErr::Custom`] if it takes longer than",
    "[`load_timeout`](Self::load_timeout)."
);

impl Valued<'_, Inline> {
    async fn recall<C, T, E, F>(
        self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<Known<T>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.named.recall(db, compute).await
    }

    async fn derive<T, E, F>(
        self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<Known<T>, E>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.named.derive(&self.cache.engine, &dependencies, compute).await
    }
}

impl Valued<'_, Detached> {
    async fn recall<C, T, E, F>(
        self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F + Send + 'static,
    ) -> Result<Known<T>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let named = self.named;
        let (Some(own), Some(fresh)) = (db.detached(), named.fresh(db.engine())) else {
            return named.recall(db, compute).await;
        };
        let looking = named.with(named.options.looking());
        let load = |options| {
            let named = named.with(options);
            async move { named.recall(&own, compute).await }
        };
        fresh.answer(&looking.look(db).await, load).await
    }

    async fn derive<T, E, F>(
        self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Known<T>, E>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: From<DbErr> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (named, engine) = (self.named, self.cache.engine.clone());
        let Some(fresh) = named.fresh(&engine) else {
            return named.derive(&engine, &dependencies, compute).await;
        };
        let looking = named.with(named.options.looking());
        let place = NoDatabase(&self.cache.engine);
        let load = |options| {
            let named = named.with(options);
            async move { named.derive(&engine, &dependencies, compute).await }
        };
        fresh.answer(&looking.look(&place).await, load).await
    }
}
