//! Reads a database's own catalog through the wrapped connection, so that nothing needs annotating
//! to be correct. One file per database.

mod mysql;
mod postgres;
mod sqlite;

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, TransactionTrait};

use crate::error::Error;
use crate::schema::Schema;
use crate::store::process;

/// The facts about a database's schema.
pub(crate) async fn load<C>(conn: &C) -> Result<Schema, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    match conn.get_database_backend() {
        DbBackend::Sqlite => sqlite::load(conn).await,
        DbBackend::Postgres => postgres::load(conn).await,
        DbBackend::MySql => mysql::load(conn).await,
        other => Err(DbErr::Custom(format!("the catalog of {other:?} is not read yet"))),
    }
}

/// The same on a connection that may have a transaction open: what is read may be of more than one
/// moment.
pub(crate) async fn load_within(conn: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    match conn.get_database_backend() {
        DbBackend::Sqlite => sqlite::load(conn).await,
        DbBackend::Postgres => postgres::read(conn).await,
        DbBackend::MySql => mysql::load(conn).await,
        other => Err(DbErr::Custom(format!("the catalog of {other:?} is not read yet"))),
    }
}

/// Which database this is, in words that no other one shares; and whether the connection refuses
/// SQL text (as SeaORM's `RestrictedConnection` does).
pub(crate) async fn identity(conn: &impl ConnectionTrait) -> Result<(String, bool), Error> {
    static UNIQUE: AtomicU64 = AtomicU64::new(0);
    // What can't be told apart for certain is never shared.
    let number = || UNIQUE.fetch_add(1, Ordering::Relaxed);
    let unique = || format!("connection {} of process {:x}", number(), process());
    let named = match conn.get_database_backend() {
        DbBackend::Sqlite => sqlite::identity(conn).await,
        // Without the permission to ask, it is only a question whether the database answers.
        DbBackend::Postgres => match postgres::identity(conn).await {
            Err(_) => conn.execute_unprepared("SELECT 1").await.map(|_| None),
            found => found,
        },
        DbBackend::MySql => match mysql::identity(conn).await {
            Err(_) => conn.execute_unprepared("SELECT 1").await.map(|_| None),
            found => found,
        },
        _ => conn.execute_unprepared("SELECT 1").await.map(|_| None),
    };
    match named {
        Ok(name) => Ok((name.unwrap_or_else(unique), false)),
        Err(refused) => {
            let probe = SelectStatement::new().expr(Expr::val(1)).to_owned();
            match conn.query_one(&probe).await {
                // It may authorise each user differently, so it shares no entries either.
                Ok(_) => Ok((unique(), true)),
                Err(_) => Err(Error::database(refused)),
            }
        }
    }
}
