//! When is a transaction over whose connection was lost? Asked of the database itself.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionSession, TransactionTrait,
};

/// Between two questions, at first; each one doubles it.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Ends when no transaction that had written before can still commit.
///
/// # Errors
///
/// The database's own, and if it does not let us ask.
pub(crate) async fn barrier<C>(conn: &C) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    match conn.get_database_backend() {
        DbBackend::Sqlite => sqlite(conn).await,
        DbBackend::Postgres => postgres(conn).await,
        DbBackend::MySql => mysql(conn).await,
        other => Err(DbErr::Custom(format!("{other:?} does not tell when a transaction is over"))),
    }
}

/// SQLite has one writer at a time, so whoever holds the lock is alone.
async fn sqlite<C: ConnectionTrait + TransactionTrait>(conn: &C) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    conn.begin_with_options(options).await?.rollback().await
}

/// A transaction that wrote has a number, and every snapshot tells the lowest one still open.
async fn postgres<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    let ask = |sql: &str| Statement::from_string(DbBackend::Postgres, sql);
    let number = |row: Option<QueryResult>| match row {
        Some(row) => row.try_get_by_index::<i64>(0),
        None => Err(DbErr::Custom("no snapshot".into())),
    };
    const LOWEST: &str = "SELECT txid_snapshot_xmin(txid_current_snapshot())";
    // A number of our own is above all that were given before. (A snapshot's `xmax` is not: it is
    // the first above those that are over.)
    let own = number(conn.query_one_raw(ask("SELECT txid_current()")).await?)?;
    let mut pause = PAUSE;
    while number(conn.query_one_raw(ask(LOWEST)).await?)? < own {
        pause = wait(pause).await;
    }
    Ok(())
}

/// InnoDB lists its open transactions, to those who have the PROCESS privilege.
async fn mysql<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    const OPEN: &str = "SELECT CAST(CONCAT(trx_mysql_thread_id, ' ', trx_started) AS CHAR) \
        FROM information_schema.innodb_trx";
    let open = async || -> Result<Vec<String>, DbErr> {
        let statement = Statement::from_string(DbBackend::MySql, OPEN);
        let rows = conn.query_all_raw(statement).await?;
        rows.iter().map(|row| row.try_get_by_index(0)).collect()
    };
    // The list may be a tenth of a second old.
    open().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = open().await?;
    let mut pause = Duration::from_millis(200);
    while open().await?.iter().any(|transaction| before.contains(transaction)) {
        pause = wait(pause).await;
    }
    Ok(())
}

async fn wait(pause: Duration) -> Duration {
    tokio::time::sleep(pause).await;
    (pause * 2).min(LONGEST_PAUSE)
}
