//! What a transaction changes, from its first statement to the bump after its COMMIT.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{DbErr, TransactionSession};

use crate::change::Bump;
use crate::database::{Database, Lost, Understanding};
use crate::event::Cause;
use crate::execute::{Write, begin_doubt};
use crate::fault::{Fault, broken};

/// What a transaction and its savepoints changed. A savepoint that is rolled back leaves its
/// changes in: too much is bumped, never too little.
#[derive(Default)]
pub(crate) struct Log {
    changes: Mutex<Changes>,
}

#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) bump: Bump,
    /// The schema that the first change was understood under.
    pub(crate) understanding: Option<Arc<Understanding>>,
    /// A DDL statement, if there was one.
    pub(crate) ddl: Option<String>,
    /// It holds the database's write lock (SQLite), so that a read before a write is safe.
    pub(crate) locked: bool,
    /// Statements may be outside the transaction by now, and committed one by one.
    pub(crate) left: bool,
    /// It did something that others can't see, so that its reads are no longer theirs.
    pub(crate) dirty: bool,
}

impl Log {
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Changes) -> R) -> R {
        work(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Changes {
    pub(crate) fn add(&mut self, bump: Bump, understanding: &Arc<Understanding>) {
        let same = |first: &Arc<Understanding>| Arc::ptr_eq(first, understanding);
        match &self.understanding {
            Some(first) if !same(first) => self.bump.merge(Bump::all()),
            Some(_) => {}
            None => self.understanding = Some(understanding.clone()),
        }
        self.bump.merge(bump);
    }
}

/// Notes a statement's changes when it ends, however it ends.
pub(crate) struct Unsettled<'a> {
    pub(crate) log: &'a Log,
    pub(crate) write: &'a Write<'a>,
    pub(crate) coarse: Option<Bump>,
    pub(crate) answered: bool,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(bump) = self.coarse.take() {
            if !self.answered && self.log.with(|changes| changes.left) {
                // It may be committed by itself, and not yet be over.
                begin_doubt(self.write.database, Bump::all(), Lost::Statement);
            }
            self.log.with(|changes| changes.add(bump, self.write.understanding));
        }
    }
}

pub(crate) async fn commit_and_bump<T: TransactionSession>(
    inner: T,
    database: Arc<Database>,
    changes: Changes,
) -> Result<(), DbErr> {
    let mut unknown = Unknown { database: &database, bump: Some(changes.bump) };
    let change = changes.ddl.map(|sql| (database.change_schema(), sql));
    if change.is_some() {
        database.engine.delivered().await?;
    }
    inner.commit().await?;
    if let Some((change, sql)) = change {
        change.done(&sql).await;
    }
    let Some(bump) = unknown.bump.take().filter(|_| !broken(Fault::CommitForgets)) else {
        return Ok(());
    };
    let cause = || Cause::Write { sql: "COMMIT".into() };
    match &changes.understanding {
        // Entries may have been made since under a schema that this transaction did not know.
        Some(known) => {
            database.bump(known, &bump, cause);
            database.committed(known, &bump);
        }
        None => database.engine.bump(&bump, cause),
    }
    Ok(())
}

/// A COMMIT that was sent; if no answer comes, its outcome is unknown.
struct Unknown<'d> {
    database: &'d Arc<Database>,
    bump: Option<Bump>,
}

impl Drop for Unknown<'_> {
    fn drop(&mut self) {
        if let Some(bump) = self.bump.take() {
            begin_doubt(self.database, bump, Lost::Commit);
        }
    }
}
