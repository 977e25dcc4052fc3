//! The wrapped transaction: what it changes is bumped after the outermost COMMIT.

use std::sync::Arc;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, SqliteTransactionMode, Statement, StatementBuilder, TransactionError,
    TransactionOptions, TransactionSession, TransactionTrait, Value,
};

use crate::cache::QueryCache;
use crate::call::{Answer, Call, OwnedCall, Want};
use crate::change::{Bump, Changes, Image};
use crate::database::{Database, Understanding};
use crate::detach::RunToEnd;
use crate::event::{Cause, Reason};
use crate::execute::{Pending, Write, is_single, may_be_ddl, may_set};
use crate::fate::{as_of_write, is_refusal, undoes_all};
use crate::fault::{Fault, broken};
use crate::invalidate::Invalidate;
use crate::log::{Log, Outermost, Savepoint, Unsettled, commit_and_bump};
use crate::recorder::refuse_current;
use crate::rules::{Writer, acknowledged};
use crate::sql::facts::{Analysis, Capture, Control, Reach};
use crate::sql::may_commit;
use crate::suspend::suspension;

/// A transaction on a [`CachedConnection`](crate::CachedConnection).
///
/// Its changes are collected, and invalidate once after the outermost COMMIT: not before, and not
/// after a rollback. Cached reads inside it go to the database.
pub struct CachedTransaction<T = DatabaseTransaction> {
    inner: T,
    database: Arc<Database>,
    log: Arc<Log>,
    /// What it is; it is the outermost otherwise.
    savepoint: Option<Savepoint>,
    outermost: Option<Outermost>,
    /// Until it is dirty its reads may be answered from the cache and fill it.
    reads: bool,
    scope: Arc<[Arc<str>]>,
}

impl<T> std::fmt::Debug for CachedTransaction<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTransaction")
            .field("savepoint", &self.savepoint.is_some())
            .finish_non_exhaustive()
    }
}

impl<T> CachedTransaction<T> {
    pub(crate) fn outermost(inner: T, database: &Arc<Database>, locked: bool) -> Self {
        let log = Arc::new(Log::default());
        log.with(|changes| changes.locked = locked);
        let database = database.clone();
        let outermost = Some(Outermost { log: log.clone(), database: database.clone() });
        let scope = Arc::new([]);
        Self { inner, database, log, savepoint: None, outermost, reads: false, scope }
    }

    /// Its reads are everybody's, as long as it does nothing of its own.
    pub(crate) fn reading(self, reads: bool, scope: Arc<[Arc<str>]>) -> Self {
        Self { reads, scope, ..self }
    }

    fn nested(&self, inner: T) -> Self {
        Self {
            inner,
            database: self.database.clone(),
            log: self.log.clone(),
            savepoint: Some(Savepoint::begin(&self.log)),
            outermost: None,
            reads: self.reads,
            scope: self.scope.clone(),
        }
    }

    /// Are its reads those of any other connection now?
    pub(crate) fn is_clean(&self) -> bool {
        self.reads && self.log.with(|changes| !changes.dirty && !changes.left)
    }

    fn has_left(&self) -> bool {
        self.log.with(|changes| changes.left)
    }

    pub(crate) fn scope(&self) -> &[Arc<str>] {
        &self.scope
    }

    /// Do these options take SQLite's write lock at once?
    pub(crate) fn locks(options: &TransactionOptions) -> bool {
        matches!(
            options.sqlite_transaction_mode,
            Some(SqliteTransactionMode::Immediate | SqliteTransactionMode::Exclusive)
        )
    }

    /// The wrapped transaction. What is written through it directly is not seen.
    ///
    /// ```
    /// # use sea_orm::DatabaseTransaction;
    /// # use sea_orm_cache::CachedTransaction;
    /// fn plain(transaction: &CachedTransaction) -> &DatabaseTransaction {
    ///     transaction.inner()
    /// }
    /// ```
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// The cache behind this transaction.
    ///
    /// ```
    /// # use sea_orm_cache::CachedTransaction;
    /// fn print(transaction: &CachedTransaction) {
    ///     println!("{:?}", transaction.cache().stats());
    /// }
    /// ```
    pub fn cache(&self) -> QueryCache {
        QueryCache { engine: self.database.engine.clone() }
    }

    /// Who must know when a stream of rows fails: PostgreSQL commits nothing then.
    #[cfg(feature = "stream")]
    pub(crate) fn aborted_by_streams(&self) -> Option<Arc<Log>> {
        (self.database.backend == DbBackend::Postgres).then(|| self.log.clone())
    }

    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.database
    }
}

impl<T> CachedTransaction<T>
where
    T: ConnectionTrait + TransactionSession + Send + Sync + 'static,
{
    /// Sends any statement and notes what it changes. The change is noted before it is sent, so
    /// that it counts even if the caller stops waiting.
    pub(crate) async fn run<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        refuse_current(&self.database.engine, &Reason::InTransaction);
        let understanding = self.database.current();
        let analysis = understanding.analyze(call.sql());
        if !matches!(&*analysis, Analysis::Read(_)) {
            self.database.engine.may_write()?;
            self.log.with(|changes| changes.dirty = true);
        }
        let ends = match &*analysis {
            Analysis::RawTransaction { control: Control::End | Control::Block, .. } => true,
            _ => may_commit(call.sql(), self.database.backend.into()),
        };
        if ends || self.has_left() {
            return self.run_outside(call, want, &understanding, &analysis, ends).await;
        }
        let answer = self.run_analyzed(call, want, &understanding, &analysis).await;
        if self.has_left() {
            self.database.engine.delivered().await?;
        }
        answer
    }

    /// A statement that is, or may be, committed by itself, perhaps with all that was before it.
    async fn run_outside<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
        understanding: &Arc<Understanding>,
        analysis: &Analysis,
        ends: bool,
    ) -> Result<Answer, DbErr> {
        // What is committed here may be a change of the schema, and others write on.
        let change = (ends && !matches!(analysis, Analysis::Write(_)))
            .then(|| (self.database.change_schema(), call.sql().to_owned()));
        if change.is_some() {
            self.database.engine.delivered().await?;
        }
        // If nobody waits for the answer, it may have been committed all the same.
        let pending = ends.then(|| Pending::new(&self.database, Bump::all()));
        let undoes = is_rollback(call.sql());
        let answer = self.run_analyzed(call, want, understanding, analysis).await;
        if ends {
            let told = self.log.with(|changes| {
                (changes.left, changes.out) = (true, true);
                self.database.engine.bump(&changes.bump, || Cause::Write { sql: "COMMIT".into() });
                changes.told().filter(|_| !undoes)
            });
            // In the background: this transaction still has its connection.
            self.database.committed(understanding, told.as_ref());
        }
        if let Some(pending) = pending {
            pending.answered(&answer);
        }
        if let Some((change, sql)) = change {
            change.forgotten(&sql);
        }
        self.database.engine.delivered().await?;
        answer
    }

    async fn run_analyzed<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
        understanding: &Arc<Understanding>,
        analysis: &Analysis,
    ) -> Result<Answer, DbErr> {
        let answer = self.send_analyzed(call, want, understanding, analysis).await;
        if self.database.backend == DbBackend::Postgres {
            self.log.with(|changes| changes.failed(answer.is_err()));
        }
        answer
    }

    async fn send_analyzed<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
        understanding: &Arc<Understanding>,
        analysis: &Analysis,
    ) -> Result<Answer, DbErr> {
        match analysis {
            Analysis::Read(_) => call.send(&self.inner, want).await,
            // A variable that only this transaction's later reads depend on.
            Analysis::Session { reach: Reach::Reads, .. } => call.send(&self.inner, want).await,
            // A savepoint commits nothing; what is undone may be bumped for nothing.
            Analysis::RawTransaction { control, .. }
                if matches!(control, Control::Savepoint | Control::Release)
                    && is_single(call.sql())
                    && !self.has_left() =>
            {
                call.send(&self.inner, want).await
            }
            Analysis::Write(facts) => {
                let write = Write { database: &self.database, understanding, facts };
                self.write(write, call, want).await
            }
            other => {
                let sql = call.sql().to_owned();
                match other {
                    Analysis::Session { reach: Reach::Session, .. } => {
                        self.database.change_session(&sql);
                    }
                    Analysis::Ddl { temporary } | Analysis::RawTransaction { temporary, .. } => {
                        self.database.shadow(temporary);
                        self.log.with(|changes| changes.ddl = Some(sql.clone()));
                    }
                    _ if may_set(&sql) => self.database.change_session(&sql),
                    _ if may_be_ddl(&sql) => {
                        self.log.with(|changes| changes.ddl = Some(sql.clone()));
                    }
                    _ => {}
                }
                self.log.with(|changes| changes.add(Bump::all(), understanding));
                let answer = call.send(&self.inner, want).await;
                self.after(&answer, &Bump::all(), understanding);
                if let Analysis::RawTransaction { .. } = other {
                    // It may just have been committed. The catalog is read by who needs it next:
                    // here the pool may have no other connection.
                    self.log.with(|changes| changes.left = true);
                    self.database.change_schema().forgotten(&sql);
                }
                answer
            }
        }
    }

    /// After an error SQLite may have rolled the transaction back by itself (`OR ROLLBACK`,
    /// `RAISE(ROLLBACK)`, a full disk): what is written from then on is committed at once.
    fn after(
        &self,
        answer: &Result<Answer, DbErr>,
        bump: &Bump,
        understanding: &Arc<Understanding>,
    ) {
        let (was_out, left) = self.log.with(|changes| {
            let was_out = changes.out;
            match answer {
                Ok(_) if self.database.backend == DbBackend::Sqlite => {
                    changes.unsure |= changes.left && !was_out;
                }
                Ok(_) => {}
                Err(error) => {
                    changes.left = true;
                    if self.database.backend == DbBackend::MySql && undoes_all(error) {
                        // All of it was undone, and what comes now is outside.
                        changes.out = true;
                        changes.forget();
                    }
                }
            }
            (was_out, changes.left)
        });
        if left {
            self.database.engine.bump(bump, || Cause::Doubt);
            if was_out && answer.is_ok() {
                self.database.committed(understanding, bump.changes.as_ref());
            }
        }
    }

    async fn write<S: StatementBuilder>(
        &self,
        write: Write<'_>,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        let values = call.values().to_vec();
        let want = want.to_the_end();
        let coarse = write.coarse(&values);
        let locked = self.log.with(|changes| changes.locked && !changes.left);
        // A read that comes first in SQLite's deferred transaction can make the write after it
        // fail; what holds the lock already is safe.
        let may_read = self.database.backend != DbBackend::Sqlite || locked;
        let capture = write
            .capture_plan(&values, &coarse, want)
            .filter(|_| may_read && suspension(&self.database.engine).is_none());
        let mut unsettled = Unsettled::new(&self.log, &write, coarse);
        let captured = match capture {
            Some(capture) => {
                let captured = self.capture(&write, capture, &values).await;
                captured.map_err(|error| as_of_write(error, want))?
            }
            None => None,
        };
        let fate = write.fate(call.sql());
        let answer = call.send(&self.inner, want).await;
        unsettled.answered = true;
        if let Some(coarse) = &unsettled.coarse {
            self.after(&answer, coarse, write.understanding);
        }
        unsettled.undone = write.did_nothing(&answer, fate);
        if let Ok(answer) = &answer {
            let precise = write.precise(answer, &values, captured.as_deref());
            unsettled.coarse = precise.or(unsettled.coarse.take());
            self.log.with(|changes| changes.locked = true);
        }
        answer
    }

    /// Reads the rows that a write is about to touch. PostgreSQL ends a transaction in which
    /// anything fails, so there it is done behind a savepoint.
    async fn capture(
        &self,
        write: &Write<'_>,
        capture: &Capture,
        values: &[Value],
    ) -> Result<Option<Vec<Image>>, DbErr> {
        if self.database.backend != DbBackend::Postgres {
            return match write.capture(&self.inner, capture, values).await {
                // The caller must know before the write would be committed by itself.
                Err(error) if self.database.backend == DbBackend::MySql && !is_refusal(&error) => {
                    Err(error)
                }
                captured => Ok(captured.unwrap_or_default()),
            };
        }
        self.inner.execute_unprepared("SAVEPOINT sea_orm_cache").await?;
        let captured = write.capture(&self.inner, capture, values).await;
        let end = match captured {
            Ok(_) => "RELEASE SAVEPOINT sea_orm_cache",
            Err(_) => "ROLLBACK TO SAVEPOINT sea_orm_cache; RELEASE SAVEPOINT sea_orm_cache",
        };
        self.inner.execute_unprepared(end).await?;
        Ok(captured.unwrap_or_default())
    }

    /// Invalidates this when the outermost transaction was committed, together with what the
    /// transaction changed; if it is rolled back, nothing.
    ///
    /// ```
    /// # use sea_orm::{DbErr, TransactionTrait};
    /// # use sea_orm_cache::{CachedConnection, Invalidate};
    /// # async fn example(db: &CachedConnection) -> Result<(), DbErr> {
    /// let transaction = db.begin().await?;
    /// transaction.invalidate(Invalidate::tag("homepage"));
    /// transaction.commit().await
    /// # }
    /// ```
    pub fn invalidate(&self, what: Invalidate) {
        let understanding = self.database().current();
        let (mut bump, _) = what.bump(&self.database().engine);
        // No row changed.
        bump.changes = Some(Changes::default());
        self.log.with(|changes| changes.add(bump, &understanding));
    }

    /// Commits; the outermost transaction then bumps.
    ///
    /// # Errors
    ///
    /// As SeaORM's own.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, database, log, savepoint, outermost, scope, .. } = self;
        if let Some(mut savepoint) = savepoint {
            if broken(Fault::SavepointForgets) {
                log.with(|changes| changes.bump = Bump::default());
            }
            savepoint.releasing();
            let released = inner.commit().await;
            savepoint.released(released.is_ok());
            return released;
        }
        let changes = log.with(std::mem::take);
        // What SQLite committed by itself, if it did: then it refuses the COMMIT.
        log.with(|left| left.unsure = changes.unsure);
        if changes.bump.is_empty() && changes.ddl.is_none() {
            return inner.commit().await;
        }
        if let Err(refused) = database.engine.may_write() {
            inner.rollback().await?;
            return Err(refused);
        }
        let (engine, whose) = (database.engine.clone(), database.clone());
        let commit = async move {
            let engine = database.engine.clone();
            let owed = commit_and_bump(inner, database.clone(), changes).await?;
            if let Some(outermost) = outermost {
                outermost.over();
            }
            let delivered = engine.delivered().await;
            database.settle_owed(owed).await;
            delivered
        };
        let by = Writer { scope, in_transaction: true };
        RunToEnd::new(&whose, acknowledged(engine, by, commit)).await
    }

    /// Rolls back; nothing is bumped.
    ///
    /// # Errors
    ///
    /// As SeaORM's own.
    pub async fn rollback(self) -> Result<(), DbErr> {
        let Self { inner, database, outermost, savepoint, scope, .. } = self;
        let rollback = async move {
            let undone = inner.rollback().await;
            if undone.is_ok()
                && let Some(outermost) = &outermost
            {
                outermost.over();
            }
            drop((savepoint, outermost));
            undone
        };
        let by = Writer { scope, in_transaction: true };
        acknowledged(database.engine.clone(), by, rollback).await
    }

    pub(crate) async fn around<F, R, E>(self, callback: F) -> Result<R, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<R, E>> + Send + 'c>>
            + Send,
        R: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        match callback(&self).await {
            Ok(value) => {
                self.commit().await.map_err(TransactionError::Connection)?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await.map_err(TransactionError::Connection)?;
                Err(TransactionError::Transaction(error))
            }
        }
    }
}

/// Does a text undo the transaction that it ends?
fn is_rollback(sql: &str) -> bool {
    let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next();
    first.is_some_and(|first| {
        ["rollback", "abort"].iter().any(|word| first.eq_ignore_ascii_case(word))
    })
}

#[async_trait::async_trait]
impl<T> ConnectionTrait for CachedTransaction<T>
where
    T: ConnectionTrait + TransactionSession + Send + Sync + 'static,
{
    fn get_database_backend(&self) -> DbBackend {
        self.database.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(OwnedCall::Bound(statement), Want::Done).await?.done()
    }

    async fn execute<S: StatementBuilder>(&self, statement: &S) -> Result<ExecResult, DbErr> {
        let call = Call::Typed(statement, self.database.backend.build(statement));
        self.run(call, Want::Done).await?.done()
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
        let call = Call::Typed(statement, self.database.backend.build(statement));
        self.run(call, Want::First).await?.first()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(OwnedCall::Bound(statement), Want::Rows).await?.rows()
    }

    async fn query_all<S: StatementBuilder>(
        &self,
        statement: &S,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let call = Call::Typed(statement, self.database.backend.build(statement));
        self.run(call, Want::Rows).await?.rows()
    }

    fn support_returning(&self) -> bool {
        self.inner.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.inner.is_mock_connection()
    }
}

#[async_trait::async_trait]
impl<T> TransactionTrait for CachedTransaction<T>
where
    T: ConnectionTrait
        + TransactionTrait<Transaction = T>
        + TransactionSession
        + Send
        + Sync
        + 'static,
{
    type Transaction = Self;

    async fn begin(&self) -> Result<Self, DbErr> {
        Ok(self.nested(self.inner.begin().await?))
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<Self, DbErr> {
        Ok(self.nested(self.inner.begin_with_config(isolation_level, access_mode).await?))
    }

    async fn begin_with_options(&self, options: TransactionOptions) -> Result<Self, DbErr> {
        Ok(self.nested(self.inner.begin_with_options(options).await?))
    }

    async fn transaction<F, R, E>(&self, callback: F) -> Result<R, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<R, E>> + Send + 'c>>
            + Send,
        R: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.begin().await?.around(callback).await
    }

    async fn transaction_with_config<F, R, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<R, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<R, E>> + Send + 'c>>
            + Send,
        R: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.begin_with_config(isolation_level, access_mode).await?.around(callback).await
    }
}

#[async_trait::async_trait]
impl<T> TransactionSession for CachedTransaction<T>
where
    T: ConnectionTrait + TransactionSession + Send + Sync + 'static,
{
    async fn commit(self) -> Result<(), DbErr> {
        Self::commit(self).await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        Self::rollback(self).await
    }
}
