//! Who listens: one process at a time, by a row that it keeps renewing. All times are the
//! database's own.

use sea_orm::{DbBackend, DbErr, Statement};

use super::row::now_ms;
use crate::database::Root;

/// How long a listener that is gone keeps others waiting, in milliseconds. One that lives renews
/// it several times in that time, however busy its machine is.
pub(super) const LEASE_MS: i64 = 3_000;

/// The row's state at some moment.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// That moment, by the database's clock.
    pub(super) now_ms: i64,
    pub(super) owner: String,
    pub(super) until_ms: i64,
    /// What was committed in this millisecond, or before, was heard, and the store knows of it.
    pub(super) done_ms: i64,
}

impl Lease {
    /// The last millisecond that was over at that moment: more may be committed in the current one.
    pub(super) fn before_ms(&self) -> i64 {
        self.now_ms - 1
    }

    /// Nobody has it. A lease that ends later than any can is of a clock that was set back since.
    pub(super) fn is_free(&self) -> bool {
        !(self.now_ms..=self.now_ms + LEASE_MS).contains(&self.until_ms)
    }

    /// How long ago the moment is up to which everything was heard; `None` if it is yet to come.
    pub(super) fn since_ms(&self) -> Option<u64> {
        u64::try_from(self.now_ms - self.done_ms).ok()
    }
}

pub(super) async fn ask(root: &dyn Root, state: &str, backend: DbBackend) -> Result<Lease, DbErr> {
    let now = now_ms(backend);
    let sql = format!(
        "SELECT {now} AS now_ms, owner, until_ms, done_ms FROM {state} WHERE name = 'listener'"
    );
    let rows = root.query(Statement::from_string(backend, sql)).await?;
    let missing = || DbErr::Custom(format!("{state} has no row 'listener': create the outbox"));
    let row = rows.first().ok_or_else(missing)?;
    Ok(Lease {
        now_ms: row.try_get_by("now_ms")?,
        owner: row.try_get_by("owner")?,
        until_ms: row.try_get_by("until_ms")?,
        done_ms: row.try_get_by("done_ms")?,
    })
}

/// Takes the lease if nobody has it; `false` if somebody does.
pub(super) async fn take(
    root: &dyn Root,
    state: &str,
    backend: DbBackend,
    me: &str,
) -> Result<bool, DbErr> {
    let now = now_ms(backend);
    let sql = format!(
        "UPDATE {state} SET owner = '{me}', until_ms = {now} + {LEASE_MS} \
         WHERE name = 'listener' AND (owner = '{me}' OR until_ms < {now} \
         OR until_ms > {now} + {LEASE_MS})"
    );
    is_done(root, backend, sql).await
}

/// Says up to when everything was heard, and keeps the lease; `false` if it was lost.
pub(super) async fn publish(
    root: &dyn Root,
    state: &str,
    backend: DbBackend,
    me: &str,
    done_ms: i64,
) -> Result<bool, DbErr> {
    let now = now_ms(backend);
    let sql = format!(
        "UPDATE {state} SET until_ms = {now} + {LEASE_MS}, done_ms = {done_ms} \
         WHERE name = 'listener' AND owner = '{me}' AND until_ms >= {now}"
    );
    is_done(root, backend, sql).await
}

async fn is_done(root: &dyn Root, backend: DbBackend, sql: String) -> Result<bool, DbErr> {
    let done = root.execute(Statement::from_string(backend, sql)).await?;
    Ok(done.rows_affected() == 1)
}

/// Lets others take it at once.
pub(super) async fn give_back(
    root: &dyn Root,
    state: &str,
    backend: DbBackend,
    me: &str,
) -> Result<(), DbErr> {
    let sql = format!("UPDATE {state} SET until_ms = 0 WHERE name = 'listener' AND owner = '{me}'");
    root.execute(Statement::from_string(backend, sql)).await.map(drop)
}

/// Is the lease to be renewed, or is a new proof due for those who do not listen, if there are any?
pub(super) fn is_due(lease: &Lease, done_ms: i64, proof_ms: Option<i64>) -> bool {
    let proof = proof_ms.is_some_and(|pause_ms| done_ms - lease.done_ms >= pause_ms);
    proof || lease.until_ms - lease.now_ms < LEASE_MS / 2
}
