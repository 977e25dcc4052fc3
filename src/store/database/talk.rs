//! One statement at a time, and what its error means.
//!
//! Each is a transaction of its own (autocommit): it sees all that was committed before it began,
//! and what it did is committed when it answers. One that the database took back as a whole, since
//! another was in its way, is sent again; one of which that is not known never is.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, ExecResult, QueryResult, Statement, TryGetable,
    Value,
};

use tokio::sync::{Mutex, MutexGuard};

use super::dialect::Dialect;
use crate::store::StoreError;

/// Between two attempts at what was taken back: long enough for a small transaction to end.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A connection to the user's database.
#[derive(Debug)]
pub(super) struct Talk {
    connection: DatabaseConnection,
    pub(super) dialect: Dialect,
    limit: Duration,
    /// SQLite has one writer at a time, and lets those who wait for it try at random: within one
    /// process they come in turn.
    writer: Mutex<()>,
}

impl Talk {
    pub(super) fn new(connection: DatabaseConnection, dialect: Dialect, limit: Duration) -> Self {
        Self { connection, dialect, limit, writer: Mutex::new(()) }
    }

    /// Bounds the statements of one call together.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late = |_| {
            let ms = self.limit.as_millis();
            StoreError::away(format!("the cache's database did not answer within {ms} ms"))
        };
        tokio::time::timeout(self.limit, work).await.map_err(late)?
    }

    /// How many rows a statement changed. Without values it is not prepared, so it may be several.
    pub(super) async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let done = self.again(|| self.execute_once(sql, &values)).await?;
        Ok(done.rows_affected())
    }

    /// What an UPDATE of one row has made of a number, see [`Dialect::set_and_tell`]; `None` if there
    /// is no such row.
    pub(super) async fn tell(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<i64>, StoreError> {
        if self.dialect != Dialect::MySql {
            let _turn = self.turn().await;
            let rows = self.query(sql, values).await?;
            return Ok(rows.first().and_then(|row| value(row, 0)));
        }
        let done = self.again(|| self.execute_once(sql, &values)).await?;
        Ok((done.rows_affected() > 0).then(|| done.last_insert_id().cast_signed()))
    }

    /// Executes once; `None`: it was taken back, and would have to be sent again.
    pub(super) async fn attempt(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<u64>, StoreError> {
        match self.execute_once(sql, &values).await {
            Ok(done) => Ok(Some(done.rows_affected())),
            Err(error) if is_taken_back(&error) => Ok(None),
            Err(error) => Err(said(&error)),
        }
    }

    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.dialect {
            Dialect::Sqlite => Some(self.writer.lock().await),
            _ => None,
        }
    }

    async fn execute_once(&self, sql: &str, values: &[Value]) -> Result<ExecResult, DbErr> {
        let _turn = self.turn().await;
        if values.is_empty() {
            return self.connection.execute_unprepared(sql).await;
        }
        self.connection.execute_raw(self.statement(sql, values)).await
    }

    /// The rows of a query.
    pub(super) async fn query(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let mut pause = PAUSE;
        loop {
            match self.connection.query_all_raw(self.statement(sql, &values)).await {
                Err(error) if is_taken_back(&error) => pause = rest(pause).await,
                done => return done.map_err(|error| said(&error)),
            }
        }
    }

    /// Whether somebody has these tables' names.
    pub(super) async fn is_there(&self, table: &str) -> Result<bool, StoreError> {
        // The catalogs would be three questions; to fail is one, and tells the rights, too.
        let sql = format!("SELECT 1 FROM {table} WHERE 1 = 0");
        match self.connection.query_all_raw(self.statement(&sql, &[])).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(said(&error)),
        }
    }

    async fn again<F>(&self, mut once: impl FnMut() -> F) -> Result<ExecResult, StoreError>
    where
        F: Future<Output = Result<ExecResult, DbErr>>,
    {
        let mut pause = PAUSE;
        loop {
            match once().await {
                Err(error) if is_taken_back(&error) => pause = rest(pause).await,
                done => return done.map_err(|error| said(&error)),
            }
        }
    }

    fn statement(&self, sql: &str, values: &[Value]) -> Statement {
        let backend = self.connection.get_database_backend();
        Statement::from_sql_and_values(backend, sql, values.iter().cloned())
    }
}

/// Waits, by chance so that two who were in each other's way are not again; how long the next time.
pub(super) async fn rest(pause: Duration) -> Duration {
    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    (pause * 2).min(LONGEST_PAUSE)
}

/// A value in a row; what is of another type is damaged.
pub(super) fn value<T: TryGetable>(row: &QueryResult, position: usize) -> Option<T> {
    row.try_get_by_index::<Option<T>>(position).ok().flatten()
}

/// What the database calls an error: a code of PostgreSQL's, or a number of MySQL's or SQLite's.
/// sqlx shows them here alone, unless one knows its types; messages may be in any language.
fn code(error: &DbErr) -> String {
    let text = format!("{error:?}");
    let after = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        Some(rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>())
    };
    if text.contains("MySqlDatabaseError") {
        after("number: ")
    } else if text.contains("PgDatabaseError") {
        after("code: \"")
    } else {
        after("code: ")
    }
    .unwrap_or_default()
}

/// It did nothing at all, because another was in its way: deadlocks, serialization, a lock that was
/// waited for too long, and SQLite's one writer.
fn is_taken_back(error: &DbErr) -> bool {
    matches!(
        &*code(error),
        "40001" | "40P01" | "1213" | "1205" | "1020" | "5" | "6" | "261" | "262" | "517"
    )
}

fn is_missing(error: &DbErr) -> bool {
    matches!(&*code(error), "42P01" | "3F000" | "1146" | "1049")
        || error.to_string().contains("no such table")
}

/// What an error means to us.
fn said(error: &DbErr) -> StoreError {
    let text = error.to_string();
    let layout = ["no such column", "has no column"].iter().any(|words| text.contains(words));
    match &*code(error) {
        // No right to it, or it is not as we make it.
        "42501" | "42703" | "42P01" | "42883" | "42601" | "3F000" => StoreError::denied(text),
        "1044" | "1045" | "1054" | "1064" | "1142" | "1143" | "1146" | "1227" | "1665" => {
            StoreError::denied(text)
        }
        _ if layout || text.contains("no such table") => StoreError::denied(text),
        // It is there, and takes no more, or not this.
        "53100" | "54000" | "54001" | "1114" | "1021" | "1153" | "1406" | "13" | "18" => {
            StoreError::refused(text)
        }
        _ => StoreError::away(text),
    }
}
