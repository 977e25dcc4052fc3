//! Values that code of the user's computes, with what they depend on: either it is said, or every
//! read that the computation makes is recorded.

mod dependencies;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use dependencies::{Dependencies, Dependency};

use crate::cache::{Engine, QueryCache};
use crate::codec::Serde;
use crate::connection::CachedConnection;
use crate::database::Database;
use crate::depend::Plan;
use crate::event::Reason;
use crate::key::{Family, segment};
use crate::recorder::Recorder;
use crate::select::internal::Place;
use crate::select::{Form, Mode, Options, Outcome, ReadThrough, owned};

/// A value that is computed unless it is cached; from [`QueryCache::value`].
///
/// [`remember`](Self::remember) finds out by itself what it depends on, where all of it is read
/// through one connection; [`depending_on`](Self::depending_on) is told.
#[derive(Debug, Clone)]
#[must_use]
pub struct Valued<'c> {
    cache: &'c QueryCache,
    name: Arc<str>,
    arguments: Vec<u8>,
    /// Why it can't be cached.
    refusal: Option<Reason>,
    options: Options,
}

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
        Valued {
            cache: self,
            name: name.into(),
            arguments: Vec::new(),
            refusal: None,
            options: Options::default(),
        }
    }

    /// The value of this name, which was computed less than `ttl` ago and of which nothing that it
    /// read has changed since; otherwise it is computed. Every read that the computation makes
    /// through the connection that it is given is recorded, cached reads and other `remember`s
    /// included: what they depend on, the value depends on.
    ///
    /// The name must say everything else that makes the value: who asks, for instance. What the
    /// computation reads by other ways is not seen. If it writes, opens a transaction, streams rows
    /// or makes a query that can't be cached, its value is not stored, and the event
    /// [`FillRefused`](crate::Event::FillRefused) says why.
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
    /// [`Dependencies`](crate::deps) none has changed since; otherwise it is computed.
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

impl Valued<'_> {
    /// Also what the value is of: the same name with other arguments is another value. It is taken
    /// through serde; one that serde refuses is not cached at all, and an event says why.
    pub fn argument(mut self, argument: &(impl Serialize + ?Sized)) -> Self {
        match rmp_serde::to_vec(argument) {
            Ok(bytes) => {
                self.arguments.extend((bytes.len() as u64).to_le_bytes());
                self.arguments.extend(bytes);
            }
            Err(error) => self.refusal = Some(Reason::Unencodable(error.to_string())),
        }
        self
    }

    /// How long the value may be used at most; the default is the cache's. It counts from the
    /// oldest part that the value is made of.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// Also depends on this name: [`invalidate_tag`](QueryCache::invalidate_tag) ends it.
    pub fn tag(mut self, name: &str) -> Self {
        self.options.tags.push(name.into());
        self
    }

    /// Keeps it apart from other scopes'.
    pub fn scope(mut self, name: &str) -> Self {
        self.options.scope = Some(name.into());
        self
    }

    /// Computes it, and stores it, whether or not it is cached.
    pub fn refresh(mut self) -> Self {
        self.options.mode = Mode::Refresh;
        self
    }

    /// Computes it, and stores nothing.
    pub fn bypass(mut self) -> Self {
        self.options.mode = Mode::Bypass;
        self
    }

    /// The value, which depends on all that the computation reads through the connection that it is
    /// given; see [`QueryCache::remember`].
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn remember<C, T, E, F>(
        self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<T, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.remember_shared(db, compute).await.map(owned)
    }

    /// The same, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn remember_shared<C, T, E, F>(
        self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<Arc<T>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.recall(db, compute).await.map(|outcome| outcome.value)
    }

    /// [`remember`](Self::remember), with what became of it.
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn fetch<C, T, E, F>(
        mut self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<Outcome<T>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.options.told = true;
        self.recall(db, compute).await.map(Outcome::owned)
    }

    async fn recall<C, T, E, F>(
        self,
        db: &CachedConnection<C>,
        compute: impl FnOnce(CachedConnection<C>) -> F,
    ) -> Result<Outcome<Arc<T>>, E>
    where
        C: ConnectionTrait + TransactionTrait + Send + 'static,
        C::Transaction: Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let read = self.read::<_, T>(db);
        let plan = || async {
            let known = db.database().fresh().await;
            Ok(Plan { schema: db.database().version_of(&known), ..Plan::default() })
        };
        Box::pin(self.seek(&read, plan)).await;
        if let Some(outcome) = read.told() {
            return Ok(outcome);
        }
        let recorder = read.part().map(|fill| Arc::new(Recorder::new(fill, read.keep_ms())));
        let answer = match &recorder {
            Some(recorder) => compute(db.recording(recorder.clone())).await,
            None => compute(db.clone()).await,
        };
        if let Some(recorder) = recorder {
            read.rests_on(recorder.finish());
        }
        Box::pin(read.tell(answer)).await
    }

    /// The value, which depends on what is said; see [`QueryCache::cached_as`].
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn depending_on<T, E, F>(
        self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.depending_on_shared(dependencies, compute).await.map(owned)
    }

    /// The same, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn depending_on_shared<T, E, F>(
        self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<Arc<T>, E>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.derive(dependencies, compute).await.map(|outcome| outcome.value)
    }

    /// [`depending_on`](Self::depending_on), with what became of it.
    ///
    /// # Errors
    ///
    /// The computation's.
    pub async fn fetch_depending_on<T, E, F>(
        mut self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<Outcome<T>, E>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.options.told = true;
        self.derive(dependencies, compute).await.map(Outcome::owned)
    }

    async fn derive<T, E, F>(
        self,
        dependencies: Dependencies,
        compute: impl FnOnce() -> F,
    ) -> Result<Outcome<Arc<T>>, E>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let place = NoDatabase(&self.cache.engine);
        let read = self.read::<_, T>(&place);
        let plan = || dependencies.plan(&self.cache.engine, self.options.scope.is_some());
        Box::pin(self.seek(&read, plan)).await;
        if let Some(outcome) = read.told() {
            return Ok(outcome);
        }
        Box::pin(read.tell(compute().await)).await
    }

    fn read<'r, D: Place, T>(&'r self, place: &'r D) -> ReadThrough<'r, D, Serde<T>>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let name = Some(segment(&self.name).into());
        let form = Form { family: Family::Value, name, ..Form::default() };
        ReadThrough::new(place, form, &self.options, None)
    }

    /// Looks whether the value is cached; otherwise does step 1 of a fill that depends on a plan.
    async fn seek<D: Place, T, F>(
        &self,
        read: &ReadThrough<'_, D, Serde<T>>,
        plan: impl FnOnce() -> F,
    ) where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = Result<Plan, Reason>>,
    {
        if let Some(reason) = &self.refusal {
            read.bypass(&self.name, reason);
            return;
        }
        let arguments = Value::Bytes(Some(self.arguments.clone()));
        read.seek_named(&self.name, &[arguments]).await;
        if read.is_filling() {
            read.plan(plan().await).await;
        }
    }
}

/// The place of a value whose dependencies are said.
struct NoDatabase<'e>(&'e Arc<Engine>);

#[allow(private_interfaces)]
impl Place for NoDatabase<'_> {
    const MAY_LOAD: bool = true;

    fn in_transaction(&self) -> bool {
        false
    }

    fn engine(&self) -> &Arc<Engine> {
        self.0
    }

    fn of_database(&self) -> Option<&Arc<Database>> {
        None
    }

    fn scope_names(&self) -> &[Arc<str>] {
        &[]
    }

    fn recorder(&self) -> Option<&Arc<Recorder>> {
        None
    }
}
