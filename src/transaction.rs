//! The wrapped transaction: what it changes is bumped after the outermost COMMIT.

use std::sync::Arc;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, SqliteTransactionMode, Statement, StatementBuilder, TransactionError,
    TransactionOptions, TransactionSession, TransactionTrait, Value,
};

use crate::barrier::may_have_happened;
use crate::cache::QueryCache;
use crate::call::{Answer, Call, OwnedCall, Want};
use crate::change::{Bump, Changes, Image};
use crate::database::{Database, Understanding};
use crate::detach::RunToEnd;
use crate::event::{Cause, Reason};
use crate::execute::{Write, is_single, may_be_ddl, may_set};
use crate::fault::{Fault, broken};
use crate::invalidate::Invalidate;
use crate::log::{Log, Unsettled, commit_and_bump};
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
    /// Of how many savepoints it is inside: 0 for the outermost.
    level: usize,
    /// Until it is dirty its reads may be answered from the cache and fill it.
    reads: bool,
    scope: Arc<[Arc<str>]>,
}

impl<T> std::fmt::Debug for CachedTransaction<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedTransaction").field("level", &self.level).finish_non_exhaustive()
    }
}

impl<T> CachedTransaction<T> {
    pub(crate) fn outermost(inner: T, database: &Arc<Database>, locked: bool) -> Self {
        let log = Arc::new(Log::default());
        log.with(|changes| changes.locked = locked);
        let database = database.clone();
        Self { inner, database, log, level: 0, reads: false, scope: Arc::new([]) }
    }

    /// Its reads are everybody's, as long as it does nothing of its own.
    pub(crate) fn reading(self, reads: bool, scope: Arc<[Arc<str>]>) -> Self {
        Self { reads, scope, ..self }
    }

    fn nested(&self, inner: T) -> Self {
        let level = self.level + 1;
        // One that was dropped is rolled back.
        self.log.with(|changes| changes.forget(level));
        Self {
            inner,
            database: self.database.clone(),
            log: self.log.clone(),
            level,
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
        let commits = may_commit(call.sql(), self.database.backend.into());
        if commits || self.has_left() {
            let work = self.run_outside(call, want, &understanding, &analysis, commits);
            let by = Writer { scope: self.scope.clone(), in_transaction: true };
            return acknowledged(self.database.engine.clone(), by, work).await;
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
        commits: bool,
    ) -> Result<Answer, DbErr> {
        // What is committed here may be a change of the schema, and others write on.
        let change = (commits && !matches!(analysis, Analysis::Write(_)))
            .then(|| (self.database.change_schema(), call.sql().to_owned()));
        if change.is_some() {
            self.database.engine.delivered().await?;
        }
        let answer = self.run_analyzed(call, want, understanding, analysis).await;
        if commits {
            let told = self.log.with(|changes| {
                (changes.left, changes.out) = (true, true);
                self.database.engine.bump(&changes.bump, || Cause::Write { sql: "COMMIT".into() });
                changes.keep(1);
                changes.told()
            });
            self.database.committed(understanding, told.as_ref());
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
            self.log.with(|changes| changes.failed(self.level, answer.is_err()));
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
                self.log.with(|changes| changes.add(Bump::all(), understanding, self.level));
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
                Ok(_) => changes.unsure |= changes.left && !was_out,
                Err(error) => {
                    changes.left = true;
                    if self.database.backend == DbBackend::MySql && is_deadlock(error) {
                        // All of it was undone, and what comes now is outside.
                        changes.out = true;
                        changes.forget(0);
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
        let mut unsettled = Unsettled::new(&self.log, &write, coarse, self.level);
        let captured = match capture {
            Some(capture) => {
                let captured = self.capture(&write, capture, &values).await;
                captured.map_err(|error| as_of_write(error, want))?
            }
            None => None,
        };
        // SQLite's `OR FAIL` keeps what it did so far.
        let whole = write.facts.len() == 1 && !call.sql().to_ascii_lowercase().contains("fail");
        let answer = call.send(&self.inner, want).await;
        unsettled.answered = true;
        if let Some(coarse) = &unsettled.coarse {
            self.after(&answer, coarse, write.understanding);
        }
        let refused = |error: &DbErr| !may_have_happened(error, self.database.backend);
        unsettled.undone = whole && answer.as_ref().is_err_and(refused);
        if let Ok(answer) = &answer {
            let precise = write.precise(answer, &values, captured.as_deref());
            unsettled.coarse = precise.or(unsettled.coarse.take());
            unsettled.undone = write.did_nothing(answer);
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
                Err(error) if self.database.backend == DbBackend::MySql && undoes(&error) => {
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
        self.log.with(|changes| changes.add(bump, &understanding, self.level));
    }

    /// Commits; the outermost transaction then bumps.
    ///
    /// # Errors
    ///
    /// As SeaORM's own.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, database, log, level, scope, .. } = self;
        if level > 0 {
            if broken(Fault::SavepointForgets) {
                log.with(|changes| changes.bump = Bump::default());
            }
            inner.commit().await?;
            log.with(|changes| changes.keep(level));
            return Ok(());
        }
        let changes = log.with(std::mem::take);
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
            commit_and_bump(inner, database, changes).await?;
            engine.delivered().await
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
        let Self { inner, database, log, level, .. } = self;
        let unsure = log.with(|changes| {
            changes.forget(level);
            changes.unsure && level == 0
        });
        inner.rollback().await?;
        if unsure {
            // SQLite had ended it already, perhaps, and committed what came after that.
            database.committed_unknown(&database.current());
        }
        Ok(())
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

fn is_deadlock(error: &DbErr) -> bool {
    let text = error.to_string();
    ["1213", "Deadlock"].iter().any(|sign| text.contains(sign))
}

/// Does MySQL undo a whole transaction with this error? Others undo the statement alone.
fn undoes(error: &DbErr) -> bool {
    let text = error.to_string();
    is_deadlock(error)
        || ["1205", "timeout"].iter().any(|sign| text.contains(sign))
        || may_have_happened(error, DbBackend::MySql)
}

/// The error of a statement that goes before a write, as the write's own would be.
fn as_of_write(error: DbErr, want: Want) -> DbErr {
    match (error, want) {
        (DbErr::Query(error), Want::Done) => DbErr::Exec(error),
        (error, _) => error,
    }
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
