//! What became of a statement, by its text, its answer and its error.

use sea_orm::{DbBackend, DbErr};

use crate::call::{Answer, Want};
use crate::change::Bump;
use crate::execute::{Write, is_single};
use crate::schema::{Name, Unfit};

/// May a statement have taken effect although this error came back for it? SQLite and a server
/// that answers know that it has not; a connection that was lost does not.
pub(crate) fn may_have_happened(error: &DbErr, backend: DbBackend) -> bool {
    let text = match error {
        DbErr::ConnectionAcquire(_) => return false,
        DbErr::Exec(error) | DbErr::Query(error) => error.to_string(),
        other => other.to_string(),
    };
    // sqlx's words for what the server said. It says this, too, when it ends a session.
    let answered = text.starts_with("error returned from database") && !text.contains("terminat");
    backend != DbBackend::Sqlite && !answered
}

/// The database answered that it did not do it.
pub(crate) fn refused(error: &DbErr, backend: DbBackend) -> bool {
    !may_have_happened(error, backend)
}

/// If it fails, is nothing of it done? PostgreSQL does a text as one; a procedure may commit.
pub(crate) fn sql_is_atomic(sql: &str, backend: DbBackend) -> bool {
    let calls = sql.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("call"));
    !calls && (is_single(sql) || backend == DbBackend::Postgres)
}

/// Is it nothing but an INSERT, UPDATE or DELETE, which touches the rows that it counts?
fn is_plain(sql: &str) -> bool {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    ["insert", "update", "delete"].iter().any(|plain| word.eq_ignore_ascii_case(plain))
}

/// The number of what MySQL or MariaDB answered.
pub(crate) fn mysql_number(error: &DbErr) -> Option<u32> {
    let text = error.to_string();
    let (_, answer) = text.split_once("error returned from database: ")?;
    answer.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Does MySQL undo a whole transaction with this error? Others undo the statement alone. A deadlock,
/// a full table of locks, and what was changed since the snapshot (`innodb_snapshot_isolation`).
pub(crate) fn undoes_all(error: &DbErr) -> bool {
    matches!(mysql_number(error), Some(1020 | 1206 | 1213))
}

/// May the read before a write have failed for a reason that is none of the transaction's?
pub(crate) fn is_refusal(error: &DbErr) -> bool {
    // No such privilege, no such table or column for this user, not understood.
    matches!(mysql_number(error), Some(1044 | 1045 | 1054 | 1064 | 1142 | 1143 | 1146 | 1227))
}

/// Does this error of a note say that its transaction has written nothing before it? It may not, or
/// it would have SQLite's lock.
pub(crate) fn has_not_written(error: &DbErr, backend: DbBackend) -> bool {
    match backend {
        DbBackend::MySql => matches!(mysql_number(error), Some(1290 | 1792 | 1836)),
        // SQLITE_BUSY, SQLITE_READONLY, and what goes into detail.
        DbBackend::Sqlite => sqlite_number(error).is_some_and(|code| matches!(code & 0xff, 5 | 8)),
        _ => false,
    }
}

/// The number of what SQLite answered.
fn sqlite_number(error: &DbErr) -> Option<u32> {
    let text = error.to_string();
    let (_, code) = text.split_once("(code: ")?;
    code.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The error of a statement that goes before a write, as the write's own would be.
pub(crate) fn as_of_write(error: DbErr, want: Want) -> DbErr {
    match (error, want) {
        (DbErr::Query(error), Want::Done) => DbErr::Exec(error),
        (error, _) => error,
    }
}

/// What becomes of a statement.
#[derive(Clone, Copy)]
pub(crate) struct Fate {
    /// It touches the rows that it counts, and no others but by cascades.
    counts: bool,
    /// If it fails, something of it may be done all the same.
    keeps: bool,
}

impl Write<'_> {
    /// Tells the rules, if it did anything.
    pub(crate) fn tell(&self, answer: &Result<Answer, DbErr>, bump: &Bump, fate: Fate) {
        if !self.did_nothing(answer, fate) {
            self.database.written(self.understanding, bump.changes.as_ref());
        }
    }

    /// What can be said of the statement by its text.
    pub(crate) fn fate(&self, sql: &str) -> Fate {
        let schema = &self.understanding.schema;
        let written = || self.facts.iter().map(|facts| &facts.table);
        // A trigger that puts something else in the place of a write counts no row.
        let triggers =
            written().any(|table| schema.triggers.iter().any(|trigger| trigger.table == *table));
        let keeps = match self.database.backend {
            DbBackend::Postgres => false,
            // `OR FAIL`, `RAISE(FAIL)`: what came before stays.
            DbBackend::Sqlite => {
                self.facts.len() > 1 || triggers || sql.to_ascii_lowercase().contains("fail")
            }
            _ => {
                let unfit = |table: &Name| {
                    let table = schema.table(table);
                    table.is_none_or(|table| table.unfit == Some(Unfit::NotTransactional))
                };
                self.facts.len() > 1 || written().any(unfit)
            }
        };
        Fate { counts: self.facts.len() == 1 && !triggers && is_plain(sql), keeps }
    }

    /// No row was touched, so nothing followed from it either; or it was undone.
    pub(crate) fn did_nothing(&self, answer: &Result<Answer, DbErr>, fate: Fate) -> bool {
        match answer {
            // What is not known is told when it is.
            Err(error) => !fate.keeps || !refused(error, self.database.backend),
            Ok(Answer::Rows(_)) if self.facts.iter().any(|facts| facts.returning.is_empty()) => {
                false
            }
            Ok(answer) => fate.counts && answer.count() == 0,
        }
    }
}
