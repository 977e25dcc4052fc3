//! Values that code of the user's computes, with what they depend on: either it is said, or every
//! read that the computation makes is recorded.

mod compute;
mod dependencies;
mod named;

use std::marker::PhantomData;
use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use dependencies::{Dependencies, Dependency};
use named::Named;

use crate::cache::QueryCache;
use crate::connection::CachedConnection;
use crate::event::Reason;
use crate::select::Mode;

/// A value that is computed unless it is cached; from [`QueryCache::value`].
///
/// [`remember`](Self::remember) finds out by itself what it depends on, where all of it is read
/// through connections of the cache; [`depending_on`](Self::depending_on) is told.
#[derive(Debug, Clone)]
#[must_use]
pub struct Valued<'c, W = Inline> {
    cache: &'c QueryCache,
    pub(crate) named: Named,
    by: PhantomData<W>,
}

/// A value that its caller computes.
#[derive(Debug, Clone, Copy)]
pub struct Inline;

/// A value that a task of its own may compute, so that its computation must own what it uses; see
/// [`Valued::swr`].
#[derive(Debug, Clone, Copy)]
pub struct Detached;

impl QueryCache {
    /// A value of this name, to be computed unless it is cached. The name is all that tells it from
    /// other values of the same type, together with [`arguments`](Valued::argument).
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub price: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sea_orm::{ColumnTrait, ConnectionTrait, Database, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY, price INTEGER)").await?;
    ///
    /// let limit = 500;
    /// let cheap = cache
    ///     .value("cheap cakes")
    ///     .argument(&limit)
    ///     .ttl(Duration::from_secs(60))
    ///     .remember(&db, |db| async move {
    ///         cake::Entity::find().filter(cake::Column::Price.lt(limit)).count(&db).await
    ///     })
    ///     .await?;
    /// assert_eq!(cheap, 0);
    /// # Ok(()) }
    /// ```
    pub fn value(&self, name: &str) -> Valued<'_> {
        Valued { cache: self, named: Named::new(name), by: PhantomData }
    }

    /// The value of this name, which was computed less than `ttl` ago and of which nothing that it
    /// read has changed since; otherwise it is computed. Every read that the computation makes
    /// through the connection that it is given is recorded, cached reads and other `remember`s
    /// included: what they depend on, the value depends on.
    ///
    /// What it reads in its own task through other connections of this cache is recorded, too; what
    /// tasks that it spawns read is where they use the connection that it is given. If it writes,
    /// reads in a transaction of this cache or through another cache, streams rows, gives up a read
    /// or makes a query that can't be cached, its value is not stored, and the event
    /// [`FillRefused`](crate::Event::FillRefused) says why.
    ///
    /// The name must say everything else that makes the value: who asks, for instance. What the
    /// computation reads by other ways, from a plain connection or a file, is not seen.
    ///
    /// # Errors
    ///
    /// The computation's.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sea_orm::{ConnectionTrait, Database, DbErr, EntityTrait, PaginatorTrait};
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY)").await?;
    ///
    /// let ttl = Duration::from_secs(60);
    /// for _ in 0..2 {
    ///     let dashboard = cache.remember(&db, "dashboard:42", ttl, |db| async move {
    ///         let cakes = cake::Entity::find().count(&db).await?;
    ///         let newest = cake::Entity::find().cached(ttl).one(&db).await?;
    ///         Ok::<_, DbErr>((cakes, newest.map(|cake| cake.id)))
    ///     });
    ///     assert_eq!(dashboard.await?, (0, None));
    /// }
    /// assert_eq!(cache.stats().total.hits, 1);
    /// # Ok(()) }
    /// ```
    pub async fn remember<C, T, E, F>(
        &self,
        db: &CachedConnection<C>,
        name: &str,
        ttl: Duration,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<T, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.value(name).ttl(ttl).remember(db, compute).await
    }

    /// The value of this name, which was computed less than `ttl` ago and of whose
    /// [`Dependencies`](crate::deps) none has changed since; otherwise it is computed. If the
    /// computation uses a transaction of this cache, even only to write, its value is not stored:
    /// what a transaction sees may be nobody else's.
    ///
    /// # Errors
    ///
    /// The computation's.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sea_orm::{ConnectionTrait, Database, DbErr, EntityTrait, PaginatorTrait};
    /// use sea_orm_cache::{deps, prelude::*};
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY)").await?;
    ///
    /// let ttl = Duration::from_secs(60);
    /// let cakes = cache
    ///     .cached_as("cakes", ttl, deps![cake::Entity], || cake::Entity::find().count(&db))
    ///     .await?;
    /// assert_eq!(cakes, 0);
    /// # Ok(()) }
    /// ```
    pub async fn cached_as<T, E, F>(
        &self,
        name: &str,
        ttl: Duration,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.value(name).ttl(ttl).depending_on(dependencies, compute).await
    }
}

impl<'c, W> Valued<'c, W> {
    /// The same, to be computed by a task of its own where that is needed.
    pub(crate) fn detached(self) -> Valued<'c, Detached> {
        let Self { cache, named, .. } = self;
        Valued { cache, named, by: PhantomData }
    }

    /// Also what the value is of: the same name with other arguments is another value. It is taken
    /// through serde; one that serde refuses is not cached at all, and an event says why.
    pub fn argument(mut self, argument: &(impl Serialize + ?Sized)) -> Self {
        match crate::codec::write(argument, Vec::new()) {
            Ok(bytes) => {
                self.named.arguments.extend((bytes.len() as u64).to_le_bytes());
                self.named.arguments.extend(bytes);
            }
            Err(error) => self.named.refusal = Some(Reason::Unencodable(error.0)),
        }
        self
    }

    /// How long the value may be used at most; the default is the cache's. It counts from the
    /// oldest part that the value is made of.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.named.options.ttl = Some(ttl);
        self
    }

    /// Also depends on this name: [`invalidate_tag`](QueryCache::invalidate_tag) ends it.
    pub fn tag(mut self, name: &str) -> Self {
        self.named.options.tags.push(name.into());
        self
    }

    /// Keeps it apart from other scopes'.
    pub fn scope(mut self, name: &str) -> Self {
        self.named.options.scope = Some(name.into());
        self
    }

    /// Computes it, and stores it, whether or not it is cached.
    pub fn refresh(mut self) -> Self {
        self.named.options.mode = Mode::Refresh;
        self
    }

    /// Computes it, and stores nothing.
    pub fn bypass(mut self) -> Self {
        self.named.options.mode = Mode::Bypass;
        self
    }
}
