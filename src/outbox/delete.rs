//! Taking out of the outbox what was done.

use sea_orm::{DbBackend, DbErr, Statement};

use super::row::now_ms;
use crate::database::Root;
use crate::fate::mysql_number;

/// Deletes these notes if the lease still holds: whoever has it after us has forgotten what was
/// noted before, and must see what comes after. Tells how many there were.
pub(super) async fn heard(
    root: &dyn Root,
    outbox: &str,
    backend: DbBackend,
    ids: &[&str],
    me: &str,
) -> Result<u64, DbErr> {
    let now = now_ms(backend);
    let leased = format!(
        " AND EXISTS (SELECT 1 FROM {outbox}_state WHERE name = 'listener' AND owner = '{me}' \
         AND until_ms >= {now})"
    );
    delete(root, outbox, backend, ids, &leased).await
}

/// Deletes notes of our own that nobody need hear any more.
pub(super) async fn settled(
    root: &dyn Root,
    outbox: &str,
    backend: DbBackend,
    ids: &[&str],
) -> Result<u64, DbErr> {
    delete(root, outbox, backend, ids, "").await
}

async fn delete(
    root: &dyn Root,
    outbox: &str,
    backend: DbBackend,
    ids: &[&str],
    and: &str,
) -> Result<u64, DbErr> {
    let quote = |id: &&str| match backend {
        DbBackend::Postgres => format!("'{id}'"),
        _ => (*id).to_owned(),
    };
    // They are numbers, or UUIDs.
    let plain = |id: &&&str| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let list: Vec<_> = ids.iter().filter(plain).map(quote).collect();
    if list.is_empty() {
        return Ok(0);
    }
    let plain = format!("DELETE FROM {outbox} WHERE id IN ({}){and}", list.join(", "));
    let plain = Statement::from_string(backend, plain);
    if backend != DbBackend::MySql {
        return Ok(root.execute(plain).await?.rows_affected());
    }
    // One look-up for each. Of a list it may make a walk through the whole table, and then waits for
    // every transaction that has noted something and is still open.
    let each = format!(
        "DELETE o FROM (SELECT {} AS id) d STRAIGHT_JOIN {outbox} o FORCE INDEX (PRIMARY) \
         ON o.id = d.id WHERE 1 = 1{and}",
        list.join(" AS id UNION ALL SELECT ")
    );
    let done = match root.execute(Statement::from_string(backend, each)).await {
        // With `sql_safe_updates` it takes no list of ours for a key, and never walks.
        Err(error) if mysql_number(&error) == Some(1175) => root.execute(plain).await,
        done => done,
    };
    Ok(done?.rows_affected())
}
