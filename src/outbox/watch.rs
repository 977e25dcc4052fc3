//! How a table's triggers are put in the place of older ones, and taken away: no write goes unnoted
//! meanwhile.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionSession, TransactionTrait};

use super::tables::{placeholder, run};
use super::triggers::{self, Watched};
use crate::execute::begin_to_write;
use crate::schema::Name;

/// New triggers in the place of the old ones, and a mark that says what they were made for.
pub(super) async fn make(
    conn: &(impl ConnectionTrait + TransactionTrait),
    state: &str,
    watched: &Watched<'_>,
) -> Result<(), DbErr> {
    at_once(conn, state, watched, true).await
}

/// No triggers any more, and no mark.
pub(super) async fn unmake(
    conn: &(impl ConnectionTrait + TransactionTrait),
    state: &str,
    watched: &Watched<'_>,
) -> Result<(), DbErr> {
    at_once(conn, state, watched, false).await
}

/// In a transaction; MySQL would end it with the first definition.
async fn at_once(
    conn: &(impl ConnectionTrait + TransactionTrait),
    state: &str,
    watched: &Watched<'_>,
    anew: bool,
) -> Result<(), DbErr> {
    if watched.backend == DbBackend::MySql {
        return replace(conn, state, watched, anew).await;
    }
    let transaction = begin_to_write(conn).await?;
    replace(&transaction, state, watched, anew).await?;
    transaction.commit().await
}

async fn replace(
    conn: &impl ConnectionTrait,
    state: &str,
    watched: &Watched<'_>,
    anew: bool,
) -> Result<(), DbErr> {
    let backend = watched.backend;
    let there = triggers::there(&conn.query_all_raw(triggers::find(backend)).await?, backend)?;
    let ending = free_ending(watched, &there);
    run(conn, watched.drop(&watched.names(ending))).await?;
    if anew {
        run(conn, watched.create(ending)).await?;
    }
    for old in watched.endings().iter().filter(|old| **old != ending) {
        run(conn, watched.drop(&watched.names(old))).await?;
    }
    let former = former(conn, state, watched, &there).await?;
    run(conn, watched.drop(&former)).await?;
    let was_watched = unmark(conn, state, watched).await?;
    if anew {
        if !was_watched {
            // Nobody heard what was written before.
            conn.execute_unprepared(&watched.unknown()).await?;
        }
        mark(conn, state, watched).await?;
    }
    Ok(())
}

/// The ending of names under which there are not all triggers: these may go first.
fn free_ending(watched: &Watched<'_>, there: &HashSet<(String, Name)>) -> &'static str {
    let [first, second] = watched.endings() else { return "" };
    let is_there = |name: String| there.contains(&(name, watched.table.name.clone()));
    if watched.names(first).into_iter().all(is_there) { second } else { first }
}

/// The triggers that the table brought along from a name that it had.
async fn former(
    conn: &impl ConnectionTrait,
    state: &str,
    watched: &Watched<'_>,
    there: &HashSet<(String, Name)>,
) -> Result<Vec<String>, DbErr> {
    let sql = Statement::from_string(watched.backend, format!("SELECT name FROM {state}"));
    let mut former = Vec::new();
    for row in conn.query_all_raw(sql).await? {
        let mark: String = row.try_get_by("name")?;
        let table = mark.strip_prefix(triggers::MARK);
        if let Some(table) = table.filter(|table| **table != *watched.table.name) {
            former.extend(watched.names_as(table));
        }
    }
    former.retain(|name| there.contains(&(name.clone(), watched.table.name.clone())));
    Ok(former)
}

async fn mark(
    conn: &impl ConnectionTrait,
    state: &str,
    watched: &Watched<'_>,
) -> Result<(), DbErr> {
    let backend = watched.backend;
    let sql = format!(
        "INSERT INTO {state} (name, owner, until_ms, done_ms, note) VALUES ({}, '', 0, 0, {})",
        placeholder(backend, 1),
        placeholder(backend, 2)
    );
    let values = [watched.mark().into(), triggers::note(watched.table).into()];
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(|_| ())
}

/// Was the table watched?
async fn unmark(
    conn: &impl ConnectionTrait,
    state: &str,
    watched: &Watched<'_>,
) -> Result<bool, DbErr> {
    let backend = watched.backend;
    let sql = format!("DELETE FROM {state} WHERE name = {}", placeholder(backend, 1));
    let statement = Statement::from_sql_and_values(backend, sql, [watched.mark().into()]);
    Ok(conn.execute_raw(statement).await?.rows_affected() > 0)
}
