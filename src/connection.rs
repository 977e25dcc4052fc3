//! The wrapped connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, QueryTrait, Statement, StatementBuilder, TransactionError, TransactionOptions,
    TransactionTrait,
};

use crate::cache::QueryCache;
use crate::call::{Answer, Call, OwnedCall, Want};
use crate::change::Bump;
use crate::database::Database;
use crate::detach::RunToEnd;
use crate::error::Error;
use crate::event::Reason;
use crate::execute::{autocommit, begin_to_write};
use crate::explain::Explanation;
#[cfg(feature = "stream")]
use crate::log::Log;
use crate::recorder::{self, Recorder};
use crate::replica::Replica;
use crate::rules::{Writer, acknowledged};
use crate::sql::facts::Analysis;
use crate::transaction::CachedTransaction;

/// A connection whose reads can be cached and whose writes invalidate.
///
/// It implements SeaORM's connection traits, so every function that takes `&impl ConnectionTrait`
/// works with it unchanged. Cheap to clone. Get one from
/// [`QueryCache::connect`](crate::QueryCache::connect).
///
/// A write whose future is dropped after it was polled once is carried on in the background, so
/// that what it changed is invalidated.
pub struct CachedConnection<C = DatabaseConnection> {
    inner: Arc<C>,
    database: Arc<Database>,
    scope: Arc<[Arc<str>]>,
    /// Do its transactions use the cache while they can?
    transactions: bool,
    replica: Option<Arc<Replica<C>>>,
    recorder: Option<Arc<Recorder>>,
}

impl<C> Clone for CachedConnection<C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            database: self.database.clone(),
            scope: self.scope.clone(),
            transactions: self.transactions,
            replica: self.replica.clone(),
            recorder: self.recorder.clone(),
        }
    }
}

impl<C> std::fmt::Debug for CachedConnection<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedConnection")
            .field("backend", &self.database.backend)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl<C> CachedConnection<C> {
    pub(crate) fn new(inner: Arc<C>, database: Arc<Database>) -> Self {
        let scope = Arc::new([]);
        Self { inner, database, scope, transactions: false, replica: None, recorder: None }
    }

    /// The same connection, whose reads are recorded.
    pub(crate) fn recording(&self, recorder: Arc<Recorder>) -> Self {
        Self { recorder: Some(recorder), ..self.clone() }
    }

    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        // The task's first: it is the innermost.
        recorder::current(&self.database.engine).or_else(|| self.recorder.clone())
    }

    /// What goes on here can't be recorded.
    pub(crate) fn not_recorded(&self, reason: Reason) {
        if let Some(recorder) = self.recorder() {
            recorder.refuse(reason);
        }
    }

    pub(crate) fn primary(&self) -> &Arc<C> {
        &self.inner
    }

    pub(crate) fn replica(&self) -> Option<&Arc<Replica<C>>> {
        self.replica.as_ref()
    }

    /// It is in no transaction.
    #[cfg(feature = "stream")]
    pub(crate) fn aborted_by_streams(&self) -> Option<Arc<Log>> {
        None
    }

    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// The names that were given, the outermost first.
    pub(crate) fn scope(&self) -> &[Arc<str>] {
        &self.scope
    }

    /// Waits until everything is known that other programs committed before the call: what is read
    /// after it is no older. Without an [`OutboxConfig`](crate::OutboxConfig) it does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::is_database`] if the database does not answer, [`Error::is_unheard`] if nobody listens
    /// for some seconds.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::{ConnectionTrait, Database};
    /// use sea_orm_cache::prelude::*;
    /// use sea_orm_cache::{Outbox, OutboxConfig};
    ///
    /// let plain = Database::connect("sqlite::memory:").await?;
    /// Outbox::default().create(&plain).await?;
    /// let cache = QueryCache::builder().outbox(OutboxConfig::new()).build().await?;
    /// let db = cache.connect(plain).await?;
    /// db.catch_up().await?;
    /// # Ok(()) }
    /// ```
    pub async fn catch_up(&self) -> Result<(), Error> {
        match &self.database.follower {
            Some(follower) => follower.catch_up(&self.database).await,
            None => Ok(()),
        }
    }

    /// Has the listener look at the outbox now, instead of in a moment: for who is told of a note,
    /// as by PostgreSQL's NOTIFY ([`Outbox::notifying`](crate::Outbox::notifying)). Without an
    /// [`OutboxConfig`](crate::OutboxConfig) it does nothing.
    ///
    /// ```no_run
    /// # mod shop {
    /// use sea_orm::sqlx::postgres::PgListener;
    /// use sea_orm_cache::CachedConnection;
    ///
    /// async fn wake(db: CachedConnection, url: &str) -> Result<(), sea_orm::sqlx::Error> {
    ///     let mut listener = PgListener::connect(url).await?;
    ///     listener.listen("sea_orm_cache_outbox").await?;
    ///     loop {
    ///         listener.recv().await?;
    ///         db.wake_listener();
    ///     }
    /// }
    /// # }
    /// ```
    pub fn wake_listener(&self) {
        if let Some(follower) = &self.database.follower {
            follower.wake();
        }
    }

    /// The wrapped connection. What is written through it directly is not seen: entries that
    /// depend on it stay until their TTL is over.
    ///
    /// ```
    /// # use sea_orm::DatabaseConnection;
    /// # use sea_orm_cache::CachedConnection;
    /// fn plain(db: &CachedConnection) -> &DatabaseConnection {
    ///     db.inner()
    /// }
    /// ```
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// The cache behind this connection.
    ///
    /// ```
    /// # use sea_orm_cache::CachedConnection;
    /// fn print(db: &CachedConnection) {
    ///     println!("{:?}", db.cache().stats());
    /// }
    /// ```
    pub fn cache(&self) -> QueryCache {
        QueryCache { engine: self.database.engine.clone() }
    }

    /// The same connection with entries of its own: what is filled in one scope is never read in
    /// another. For queries whose result depends on who asks. Writes invalidate in all scopes. A
    /// scope of a connection that has one lies within that.
    ///
    /// ```
    /// # use sea_orm_cache::CachedConnection;
    /// fn of_tenant(db: &CachedConnection, tenant: u32) -> CachedConnection {
    ///     db.scoped(&format!("tenant:{tenant}"))
    /// }
    /// ```
    #[must_use]
    pub fn scoped(&self, name: &str) -> Self {
        let scope = self.scope.iter().cloned().chain([name.into()]).collect();
        Self { scope, ..self.clone() }
    }

    /// The same connection, whose transactions use the cache for their cached reads until they
    /// first do something else than read: for code that runs in a transaction whether it writes
    /// or not.
    ///
    /// Only under READ COMMITTED, where each statement sees what is committed when it starts: the
    /// default of PostgreSQL, but not of MySQL, whose transactions go on seeing their first moment
    /// and so neither hit nor fill. Nor do SQLite's.
    ///
    /// ```
    /// # use sea_orm_cache::CachedConnection;
    /// fn for_handlers(db: &CachedConnection) -> CachedConnection {
    ///     db.caching_in_transactions()
    /// }
    /// ```
    #[must_use]
    pub fn caching_in_transactions(&self) -> Self {
        Self { transactions: true, ..self.clone() }
    }

    /// What a query would depend on, or why it would not be cached; for a write, what it would
    /// bump. See [`QueryCache::explain`](crate::QueryCache::explain).
    ///
    /// ```
    /// # use sea_orm::{EntityTrait, QueryTrait};
    /// # use sea_orm_cache::CachedConnection;
    /// fn print<Q: QueryTrait>(db: &CachedConnection, query: &Q) {
    ///     println!("{}", db.explain(query));
    /// }
    /// ```
    pub fn explain<Q: QueryTrait>(&self, query: &Q) -> Explanation {
        let statement = query.build(self.database.backend);
        Explanation::new(&statement, Some(self.database.current()))
    }
}

impl<C> CachedConnection<C>
where
    C: ConnectionTrait + TransactionTrait + Send + 'static,
    C::Transaction: Sync + 'static,
{
    /// The same connection, whose misses are answered by a replica of its database where that is
    /// known to have replayed every write of the tables that the query reads (by PostgreSQL's WAL
    /// position, MySQL's and MariaDB's GTIDs). Until then, and for everything else than a cached
    /// read, the primary is asked: a lagging replica never puts what is old into the cache.
    ///
    /// The replica must be one server, and its sessions set up as the primary's are (time zone,
    /// `search_path`, role). Writes that another program makes are seen as late as the replica
    /// sees them.
    ///
    /// # Errors
    ///
    /// [`Error::is_config`](crate::Error::is_config) if it is another kind of database.
    ///
    /// ```
    /// # use sea_orm::DatabaseConnection;
    /// # use sea_orm_cache::{CachedConnection, Error};
    /// fn both(db: CachedConnection, replica: DatabaseConnection) -> Result<CachedConnection, Error> {
    ///     CachedConnection::with_replica(db, replica)
    /// }
    /// ```
    pub fn with_replica(primary: Self, replica: C) -> Result<Self, Error> {
        primary.following(replica, None)
    }

    /// The same for a replica that can't be asked how far it is, or need not be: it has seen any
    /// write after this time. That is a promise of yours: if it lags longer, what is old is cached.
    ///
    /// # Errors
    ///
    /// As [`with_replica`](Self::with_replica).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sea_orm::DatabaseConnection;
    /// # use sea_orm_cache::{CachedConnection, Error};
    /// fn both(db: CachedConnection, replica: DatabaseConnection) -> Result<CachedConnection, Error> {
    ///     CachedConnection::with_replica_lag(db, replica, Duration::from_secs(10))
    /// }
    /// ```
    pub fn with_replica_lag(primary: Self, replica: C, lag: Duration) -> Result<Self, Error> {
        primary.following(replica, Some(lag))
    }

    fn following(self, replica: C, lag: Option<Duration>) -> Result<Self, Error> {
        let (own, other) = (self.database.backend, replica.get_database_backend());
        if own != other {
            return Err(Error::config(format!(
                "a replica of {own:?} can't be a {other:?} database"
            )));
        }
        let engine = &self.database.engine;
        engine.last_bumps.wanted.store(true, Ordering::SeqCst);
        // It may be behind what was written before anybody counted.
        engine.last_bumps.note(&Bump::all(), engine.clock.now_ms());
        let replica = Arc::new(Replica::new(replica, lag));
        replica.follow(&self.inner, &self.database);
        Ok(Self { replica: Some(replica), ..self })
    }

    /// Sends any statement; what is not a plain read runs to its end even if the caller goes away.
    pub(crate) async fn run<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        let analysis = self.database.current().analyze(call.sql());
        if let Analysis::Read(_) = &*analysis {
            if let Some(recorder) = self.recorder() {
                return Box::pin(self.recorded(&recorder, call, want)).await;
            }
            return call.send_read(&*self.inner, want, self.database.typed_only).await;
        }
        self.not_recorded(Reason::NotARead);
        let want = want.to_the_end();
        let owned: OwnedCall = match call {
            Call::Typed(..) if self.database.typed_only => {
                return self.in_transaction(call, want).await;
            }
            Call::Typed(_, statement) | Call::Bound(statement) => Call::Bound(statement),
            Call::Text(sql) => Call::Text(sql),
        };
        if matches!(&*analysis, Analysis::Write(_)) && self.database.owes() {
            let this = self.clone();
            let write = async move { this.in_transaction(owned, want).await };
            return RunToEnd::new(&self.database, write).await;
        }
        let (inner, database) = (self.inner.clone(), self.database.clone());
        let engine = database.engine.clone();
        let by = Writer { scope: self.scope.clone(), in_transaction: false };
        let write = async move {
            let engine = database.engine.clone();
            engine.may_write()?;
            let answer = autocommit(inner, database, owned, want).await;
            let told = engine.delivered().await;
            answer.and_then(|answer| told.map(|()| answer))
        };
        RunToEnd::new(&self.database, acknowledged(engine, by, write)).await
    }

    /// A typed statement can't outlive its caller. In a transaction of its own it need not: if the
    /// caller goes away it is rolled back, and COMMIT can be carried on.
    async fn in_transaction<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        let transaction = begin_to_write(self).await?;
        match transaction.run(call, want).await {
            Ok(answer) => transaction.commit().await.map(|()| answer),
            Err(error) => {
                // It may be over by itself; what failed first is what the caller is to know.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    fn opened(
        &self,
        inner: C::Transaction,
        isolation: Option<IsolationLevel>,
        locked: bool,
    ) -> CachedTransaction<C::Transaction> {
        self.not_recorded(Reason::InTransaction);
        let committed = match isolation {
            Some(level) => matches!(level, IsolationLevel::ReadCommitted),
            None => self.database.current().schema.read_committed,
        };
        let reads = self.transactions && committed && self.database.backend != DbBackend::Sqlite;
        let transaction = CachedTransaction::outermost(inner, &self.database, locked);
        transaction.reading(reads, self.scope.clone())
    }

    pub(crate) fn render<'s, S: StatementBuilder>(&self, statement: &'s S) -> Call<'s, S> {
        Call::Typed(statement, self.database.backend.build(statement))
    }
}

#[async_trait::async_trait]
impl<C> ConnectionTrait for CachedConnection<C>
where
    C: ConnectionTrait + TransactionTrait + Send + 'static,
    C::Transaction: Sync + 'static,
{
    fn get_database_backend(&self) -> DbBackend {
        self.database.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(OwnedCall::Bound(statement), Want::Done).await?.done()
    }

    async fn execute<S: StatementBuilder>(&self, statement: &S) -> Result<ExecResult, DbErr> {
        self.run(self.render(statement), Want::Done).await?.done()
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(OwnedCall::Text(sql.to_owned()), Want::Done).await?.done()
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(OwnedCall::Bound(statement), Want::First).await?.first()
    }

    async fn query_one<S: StatementBuilder>(
        &self,
        statement: &S,
    ) -> Result<Option<QueryResult>, DbErr> {
        self.run(self.render(statement), Want::First).await?.first()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(OwnedCall::Bound(statement), Want::Rows).await?.rows()
    }

    async fn query_all<S: StatementBuilder>(
        &self,
        statement: &S,
    ) -> Result<Vec<QueryResult>, DbErr> {
        self.run(self.render(statement), Want::Rows).await?.rows()
    }

    fn support_returning(&self) -> bool {
        self.inner.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.inner.is_mock_connection()
    }
}

#[async_trait::async_trait]
impl<C> TransactionTrait for CachedConnection<C>
where
    C: ConnectionTrait + TransactionTrait + Send + 'static,
    C::Transaction: Sync + 'static,
{
    type Transaction = CachedTransaction<C::Transaction>;

    async fn begin(&self) -> Result<Self::Transaction, DbErr> {
        Ok(self.opened(self.inner.begin().await?, None, false))
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<Self::Transaction, DbErr> {
        let inner = self.inner.begin_with_config(isolation_level, access_mode).await?;
        Ok(self.opened(inner, isolation_level, false))
    }

    async fn begin_with_options(
        &self,
        options: TransactionOptions,
    ) -> Result<Self::Transaction, DbErr> {
        let locked = CachedTransaction::<C::Transaction>::locks(&options);
        let isolation = options.isolation_level;
        let inner = self.inner.begin_with_options(options).await?;
        Ok(self.opened(inner, isolation, locked))
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self::Transaction,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.begin().await?.around(callback).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self::Transaction,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.begin_with_config(isolation_level, access_mode).await?.around(callback).await
    }
}
