//! What a transaction changes, from its first statement to the bump after its COMMIT.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectionTrait, DbErr, TransactionSession};

use crate::change::{Bump, Changes as Told};
use crate::database::{Database, Lost, Understanding};
use crate::event::Cause;
use crate::execute::{Write, begin_doubt};
use crate::fate::may_have_happened;
use crate::fault::{Fault, broken};
use crate::outbox::Owed;
use crate::suspend::suspension;

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
    /// They certainly are.
    pub(crate) out: bool,
    /// Something was written while they may have been.
    pub(crate) unsure: bool,
    /// It did something that others can't see, so that its reads are no longer theirs.
    pub(crate) dirty: bool,
    /// What rules will be told: of the transaction itself, then of each savepoint in it.
    levels: Vec<Level>,
}

#[derive(Default)]
struct Level {
    told: Told,
    /// Its last statement failed. PostgreSQL commits nothing then, and says it did.
    failed: bool,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Changes) -> R) -> R {
        work(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Changes {
    pub(crate) fn add(&mut self, mut bump: Bump, understanding: &Arc<Understanding>) {
        // What left the transaction was told by itself.
        let told = bump.changes.take().filter(|_| !self.out);
        let not_collected = Told { more: !self.out, ..Told::default() };
        self.innermost().told.add(told.unwrap_or(not_collected));
        let same = |first: &Arc<Understanding>| Arc::ptr_eq(first, understanding);
        match &self.understanding {
            Some(first) if !same(first) => {
                self.bump.merge(Bump::all());
                self.innermost().told.more = true;
            }
            Some(_) => {}
            None => self.understanding = Some(understanding.clone()),
        }
        self.bump.merge(bump);
    }

    /// Whoever writes on the connection writes within the savepoint that was begun last.
    fn innermost(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn begin_savepoint(&mut self) {
        self.innermost();
        self.levels.push(Level::default());
    }

    /// The innermost savepoint is over. Its changes are now those of what is around it, if they
    /// were not undone.
    fn end_savepoint(&mut self, end: SavepointEnd) {
        if self.levels.len() < 2 {
            return;
        }
        let inner = self.levels.pop().unwrap_or_default();
        match end {
            SavepointEnd::Undone => {}
            SavepointEnd::Released => self.innermost().told.add(inner.told),
            SavepointEnd::Unknown => self.innermost().told.more = true,
        }
    }

    pub(crate) fn failed(&mut self, failed: bool) {
        self.innermost().failed = failed;
    }

    /// Nothing of it was committed.
    pub(crate) fn forget(&mut self) {
        self.levels.clear();
    }

    /// What rules are told of what is committed now, all savepoints included.
    pub(crate) fn told(&mut self) -> Option<Told> {
        let mut told = None::<Told>;
        for level in std::mem::take(&mut self.levels).into_iter().filter(|level| !level.failed) {
            told.get_or_insert_default().add(level.told);
        }
        told
    }
}

/// A savepoint, from its beginning to its end; one that is dropped is rolled back.
pub(crate) struct Savepoint {
    log: Arc<Log>,
    end: SavepointEnd,
}

#[derive(Clone, Copy)]
enum SavepointEnd {
    Undone,
    Released,
    Unknown,
}

impl Savepoint {
    pub(crate) fn begin(log: &Arc<Log>) -> Self {
        log.with(Changes::begin_savepoint);
        Self { log: log.clone(), end: SavepointEnd::Undone }
    }

    /// It is being released; if nobody waits for that, nobody knows whether it was.
    pub(crate) fn releasing(&mut self) {
        self.end = SavepointEnd::Unknown;
    }

    pub(crate) fn released(mut self, released: bool) {
        self.end = if released { SavepointEnd::Released } else { SavepointEnd::Undone };
    }
}

impl Drop for Savepoint {
    fn drop(&mut self) {
        self.log.with(|changes| changes.end_savepoint(self.end));
    }
}

/// What SQLite may have committed by itself is told at the latest when the transaction is dropped.
pub(crate) struct Outermost {
    pub(crate) log: Arc<Log>,
    pub(crate) database: Arc<Database>,
}

impl Outermost {
    /// It was in order, whatever its end.
    pub(crate) fn over(&self) {
        self.log.with(|changes| changes.unsure = false);
    }
}

impl Drop for Outermost {
    fn drop(&mut self) {
        if self.log.with(|changes| std::mem::take(&mut changes.unsure)) {
            self.database.committed_unknown(&self.database.current());
        }
    }
}

/// Notes a statement's changes when it ends, however it ends.
pub(crate) struct Unsettled<'a> {
    pub(crate) log: &'a Log,
    pub(crate) write: &'a Write<'a>,
    pub(crate) coarse: Option<Bump>,
    pub(crate) answered: bool,
    /// It did nothing, or what it did was undone.
    pub(crate) undone: bool,
}

impl<'a> Unsettled<'a> {
    pub(crate) fn new(log: &'a Log, write: &'a Write<'a>, coarse: Bump) -> Self {
        Self { log, write, coarse: Some(coarse), answered: false, undone: false }
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(mut bump) = self.coarse.take() {
            if self.undone {
                bump.changes = Some(Told::default());
            }
            if !self.answered && self.log.with(|changes| changes.left) {
                // It may be committed by itself, and not yet be over.
                begin_doubt(self.write.database, Bump::all(), Lost::Statement);
            }
            self.log.with(|changes| changes.add(bump, self.write.understanding));
        }
    }
}

/// Commits, and bumps. Gives what the outbox says is owed, which is to be settled once it is
/// delivered.
pub(crate) async fn commit_and_bump<T: ConnectionTrait + TransactionSession>(
    inner: T,
    database: Arc<Database>,
    mut changes: Changes,
) -> Result<Option<Owed>, DbErr> {
    if let (Some(suspension), Some(known)) =
        (suspension(&database.engine), changes.understanding.clone())
        && !changes.left
        && changes.ddl.is_none()
        && suspension.hold(&database, &known, &changes.bump).await?
    {
        changes.bump.changes = None;
        let mut unknown = Unknown { database: &database, bump: Some(changes.bump) };
        inner.commit().await?;
        unknown.bump = None;
        return suspension.wrote(&database, &known).await.map(|()| None);
    }
    let owed = match &changes.understanding {
        Some(known) if !changes.out => database.owe(&inner, known, &changes.bump).await?,
        _ => None,
    };
    changes.bump.changes = changes.told();
    let mut unknown = Unknown { database: &database, bump: Some(changes.bump) };
    let change = changes.ddl.map(|sql| (database.change_schema(), sql));
    if change.is_some() {
        database.engine.delivered().await?;
    }
    if let Err(error) = inner.commit().await {
        if let Some(bump) =
            unknown.bump.as_mut().filter(|_| !may_have_happened(&error, database.backend))
        {
            bump.changes = None;
        }
        return Err(error);
    }
    if let Some((change, sql)) = change {
        change.done(&sql).await;
    }
    let Some(bump) = unknown.bump.take().filter(|_| !broken(Fault::CommitForgets)) else {
        return Ok(owed);
    };
    let cause = || Cause::Write { sql: "COMMIT".into() };
    match &changes.understanding {
        // Entries may have been made since under a schema that this transaction did not know.
        Some(known) => {
            database.bump(known, &bump, cause);
            database.committed(known, bump.changes.as_ref());
        }
        None => database.engine.bump(&bump, cause),
    }
    Ok(owed)
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
