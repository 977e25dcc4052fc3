//! Statements on their way to the database: what changes data is bumped once it is committed.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionSession, TransactionTrait, Value,
};

use crate::cache::Capture as Policy;
use crate::call::{Answer, OwnedCall, Want};
use crate::change::{Bump, Image};
use crate::database::{Database, Lost, Understanding};
use crate::depend::read;
use crate::effect::{Known, bump_of};
use crate::event::{Cause, Event};
use crate::fate::{may_have_happened, refused, sql_is_atomic};
use crate::fault::{Fault, broken};
use crate::schema::{KeyClass, Schema, Table};
use crate::sql::Dialect;
use crate::sql::facts::{Analysis, Capture, Control, OutputColumn, Reach, WriteAction, WriteFacts};
use crate::stats::count;
use crate::suspend::suspension;
use crate::tag::{KeyValue, Tag};
use crate::versions::EVERY_TABLE;

/// More rows than this are not told apart: their tags would cost more than they save.
const MAX_ROWS: usize = 256;

/// A write from before it is sent until its bump is done. If it is dropped in between, what
/// happened is unknown: its tables are bumped as a whole and not cached any more.
pub(crate) struct Pending<'d> {
    database: &'d Arc<Database>,
    coarse: Option<Bump>,
    lost: Lost,
}

impl<'d> Pending<'d> {
    pub(crate) fn new(database: &'d Arc<Database>, coarse: Bump) -> Self {
        Self { database, coarse: Some(coarse), lost: Lost::Statement }
    }

    /// The answer is there; it may be that the connection was lost.
    pub(crate) fn answered(self, answer: &Result<Answer, DbErr>) {
        let unknown = |error: &DbErr| may_have_happened(error, self.database.backend);
        if !answer.as_ref().is_err_and(unknown) {
            self.settled();
        }
    }

    fn settled(mut self) {
        self.coarse = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(bump) = self.coarse.take().filter(|_| !broken(Fault::CancelForgets)) {
            begin_doubt(self.database, bump, self.lost);
        }
    }
}

/// The outcome of a write is unknown: bump, store nothing of its tables, and bump again when it
/// is certain.
pub(crate) fn begin_doubt(database: &Arc<Database>, mut bump: Bump, lost: Lost) {
    if bump.tables.is_empty() {
        bump.tables.push(EVERY_TABLE.into());
    }
    database.engine.doubt(&bump.tables, true);
    database.engine.bump(&bump, || Cause::Doubt);
    database.settle(bump, lost);
}

/// Runs a statement that is not a plain read outside any transaction, and bumps.
pub(crate) async fn autocommit<C>(
    conn: Arc<C>,
    database: Arc<Database>,
    call: OwnedCall,
    want: Want,
) -> Result<Answer, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let understanding = database.current();
    let analysis = understanding.analyze(call.sql());
    match &*analysis {
        Analysis::Read(_) => call.send(&*conn, want).await,
        Analysis::Write(facts) => {
            let write = Write { database: &database, understanding: &understanding, facts };
            write.autocommit(&*conn, call, want).await
        }
        Analysis::Session { reach, .. } => {
            // Outside a transaction, what is for a transaction only has no effect.
            if *reach == Reach::Session {
                database.change_session(call.sql());
            }
            let pending = Pending::new(&database, Bump::all());
            let sql = Arc::<str>::from(call.sql());
            let answer = call.send(&*conn, want).await;
            if *reach == Reach::Session {
                let why = "what statements mean was changed".into();
                database.engine.bump(&Bump::all(), || Cause::Opaque { sql, why });
            }
            pending.answered(&answer);
            answer
        }
        Analysis::Opaque(why) => {
            let (sql, why) = (Arc::<str>::from(call.sql()), why.clone());
            let atomic = sql_is_atomic(&sql, database.backend);
            let pending = Pending::new(&database, Bump::all());
            let change = may_be_ddl(&sql).then(|| database.change_schema());
            database.engine.delivered().await?;
            if may_set(&sql) {
                database.change_session(&sql);
            }
            let answer = call.send(&*conn, want).await;
            if let Some(change) = change {
                change.done(&sql).await;
            }
            database.doubt_catalog();
            database.engine.bump(&Bump::all(), || Cause::Opaque { sql, why });
            if answer.is_ok() || !atomic {
                database.committed_unknown(&understanding);
            }
            pending.answered(&answer);
            answer
        }
        Analysis::Ddl { temporary } => {
            let sql = call.sql().to_owned();
            let pending = Pending::new(&database, Bump::all());
            let change = database.change_schema();
            database.engine.delivered().await?;
            database.shadow(temporary);
            let answer = call.send(&*conn, want).await;
            change.done(&sql).await;
            if !is_single(&sql) && (answer.is_ok() || !sql_is_atomic(&sql, database.backend)) {
                database.committed_unknown(&understanding);
            }
            pending.answered(&answer);
            answer
        }
        Analysis::RawTransaction { control, temporary } => {
            let sql = call.sql().to_owned();
            let opens = matches!(control, Control::Begin | Control::Savepoint);
            let change = database.change_schema();
            database.engine.delivered().await?;
            database.shadow(temporary);
            let before = database.raw_depth();
            if opens {
                database.raw_control(*control);
            }
            let pending = Pending::new(&database, Bump::all());
            let answer = call.send(&*conn, want).await;
            // What was done to the schema in between counts from now on, or was undone.
            change.done(&sql).await;
            match (&answer, control) {
                (Err(_), Control::Block) => database.raw_perhaps_open(),
                (Err(error), _) if is_single(&sql) && refused(error, database.backend) => {
                    match control {
                        _ if opens => database.raw_refused(before),
                        // SQLite keeps a transaction open whose COMMIT it refuses.
                        Control::End if database.backend != DbBackend::Sqlite => {
                            database.raw_control(Control::End);
                        }
                        _ => {}
                    }
                }
                // It may have failed before it came to that.
                (Err(_), _) => {}
                _ if !opens => database.raw_control(*control),
                _ => {}
            }
            match control {
                // Also if it failed: that may have been after its COMMIT.
                Control::Block => database.committed_unknown(&understanding),
                _ => database.tell_untold(&understanding),
            }
            pending.answered(&answer);
            answer
        }
    }
}

/// Is nothing else in the same text?
pub(crate) fn is_single(sql: &str) -> bool {
    !sql.trim_end().trim_end_matches(';').contains(';')
}

/// May a text that is not understood change the schema? It does so by one of these words, the last
/// of which run what is written elsewhere.
pub(crate) fn may_be_ddl(sql: &str) -> bool {
    const WORDS: [&str; 9] =
        ["alter", "attach", "create", "detach", "drop", "pragma", "call", "do", "execute"];
    let sql = sql.to_ascii_lowercase();
    let mut words = sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| WORDS.contains(&word))
}

/// May it change a setting of its session by which others mean something else?
pub(crate) fn may_set(sql: &str) -> bool {
    const SIGNS: [&str; 6] =
        ["authorization", "pg_settings", "search_path", "set role", "set_config", "autocommit"];
    let sql = sql.to_ascii_lowercase();
    SIGNS.iter().any(|sign| sql.contains(sign))
}

/// One statement that writes known tables.
pub(crate) struct Write<'a> {
    pub(crate) database: &'a Arc<Database>,
    pub(crate) understanding: &'a Arc<Understanding>,
    pub(crate) facts: &'a [WriteFacts],
}

impl Write<'_> {
    /// What it bumps if nothing is known but its text and values.
    pub(crate) fn coarse(&self, values: &[Value]) -> Bump {
        self.bump(values, Known::default())
    }

    fn bump(&self, values: &[Value], known: Known<'_>) -> Bump {
        let schema = &self.understanding.schema;
        let told = self.database.engine.rules.are_there();
        if let [facts] = self.facts {
            return bump_of(facts, values, known, schema, told);
        }
        let mut bump = Bump::of_writes(told);
        for facts in self.facts {
            // Images would belong to the only statement of a text.
            bump.merge(bump_of(facts, values, Known::default(), schema, told));
        }
        bump
    }

    async fn autocommit<C>(&self, conn: &C, call: OwnedCall, want: Want) -> Result<Answer, DbErr>
    where
        C: ConnectionTrait + TransactionTrait,
    {
        let values = call.values().to_vec();
        let coarse = self.coarse(&values);
        let sql: Option<Arc<str>> =
            self.database.engine.observer.is_some().then(|| call.sql().into());
        let cause = || Cause::Write { sql: sql.clone().unwrap_or_default() };
        if broken(Fault::BumpBeforeCommit) {
            self.finish(&coarse, cause);
            return call.send(conn, want).await;
        }
        if let Some(suspension) = suspension(&self.database.engine)
            && suspension.hold(self.database, self.understanding, &coarse).await?
        {
            let pending = Pending::new(self.database, coarse);
            let answer = call.send(conn, want).await;
            pending.answered(&answer);
            let told = suspension.wrote(self.database, self.understanding).await;
            return answer.and_then(|answer| told.map(|()| answer));
        }
        let Some(capture) = self.capture_plan(&values, &coarse, want) else {
            return self.uncaptured(conn, call, want, coarse, cause).await;
        };
        match self.captured(conn, capture, call, want, coarse, cause).await {
            Ok(answer) => answer,
            Err((call, coarse)) => self.uncaptured(conn, call, want, coarse, cause).await,
        }
    }

    async fn uncaptured<C: ConnectionTrait>(
        &self,
        conn: &C,
        call: OwnedCall,
        want: Want,
        coarse: Bump,
        cause: impl FnOnce() -> Cause,
    ) -> Result<Answer, DbErr> {
        let values = call.values().to_vec();
        let (pending, fate) = (Pending::new(self.database, coarse), self.fate(call.sql()));
        let answer = call.send(conn, want).await;
        let precise = answer.as_ref().ok().and_then(|answer| self.precise(answer, &values, None));
        // An error may come after something was changed.
        if let Some(bump) = precise.as_ref().or(pending.coarse.as_ref()) {
            self.finish(bump, cause);
            self.tell(&answer, bump, fate);
        }
        pending.answered(&answer);
        answer
    }

    /// Reads the rows, writes them, commits, bumps. The call comes back if nothing was sent.
    async fn captured<C: ConnectionTrait + TransactionTrait>(
        &self,
        conn: &C,
        capture: &Capture,
        call: OwnedCall,
        want: Want,
        coarse: Bump,
        cause: impl FnOnce() -> Cause,
    ) -> Result<Result<Answer, DbErr>, (OwnedCall, Bump)> {
        let (values, fate) = (call.values().to_vec(), self.fate(call.sql()));
        let Ok(transaction) = begin_for_capture(conn, &self.understanding.schema).await else {
            return Err((call, coarse));
        };
        let Ok(images) = self.capture(&transaction, capture, &values).await else {
            // A failure may have ended the transaction.
            let _ = transaction.rollback().await;
            return Err((call, coarse));
        };
        let answer = match call.send(&transaction, want).await {
            Ok(answer) => answer,
            Err(error) => {
                // Nothing was changed; if even the rollback fails, the driver closes it.
                let _ = transaction.rollback().await;
                self.finish(&coarse, cause);
                return Ok(Err(error));
            }
        };
        let precise = self.precise(&answer, &values, images.as_deref());
        let precise = precise.unwrap_or_else(|| self.coarse(&values));
        let mut pending = Pending::new(self.database, coarse);
        pending.lost = Lost::Commit;
        match transaction.commit().await {
            Ok(()) => {
                self.finish(&precise, cause);
                let answer = Ok(answer);
                if !self.did_nothing(&answer, fate) {
                    self.database.committed(self.understanding, precise.changes.as_ref());
                }
                pending.settled();
                Ok(answer)
            }
            // Dropping `pending` begins the doubt.
            Err(error) => Ok(Err(error)),
        }
    }

    fn finish(&self, bump: &Bump, cause: impl FnOnce() -> Cause) {
        self.database.bump(self.understanding, bump, cause);
    }

    /// What the statement bumps, with everything that is known after it; `None` if that is nothing
    /// more than before.
    pub(crate) fn precise(
        &self,
        answer: &Answer,
        values: &[Value],
        captured: Option<&[Image]>,
    ) -> Option<Bump> {
        let returned = self.returned(answer);
        // Rows that came or went between the capture and the write are not among the captured.
        // Rows tell how many were written only if they come from RETURNING.
        let counted = match answer {
            Answer::Done(_) => true,
            Answer::Rows(_) => self.facts.iter().all(|facts| !facts.returning.is_empty()),
        };
        let exact = |images: &&[Image]| counted && images.len() as u64 == answer.count();
        let known = Known {
            captured: captured.filter(exact),
            returned: returned.as_deref(),
            numbered: self.numbered(answer),
        };
        (!known.is_nothing()).then(|| self.bump(values, known))
    }

    /// The number that MySQL gave the row of an INSERT of one row.
    fn numbered(&self, answer: &Answer) -> Option<i64> {
        let Answer::Done(result) = answer else { return None };
        let one = self.database.backend == DbBackend::MySql && result.rows_affected() == 1;
        let number = i64::try_from(one.then(|| result.last_insert_id())?).ok()?;
        (number > 0).then_some(number)
    }

    /// The key columns that RETURNING brought back.
    fn returned(&self, answer: &Answer) -> Option<Vec<Image>> {
        let ([facts], Answer::Rows(rows)) = (self.facts, answer) else {
            return None;
        };
        let table = self.understanding.schema.table(&facts.table)?;
        if facts.returning.is_empty() || rows.len() > MAX_ROWS {
            return None;
        }
        if let Some(first) = rows.first() {
            let names = first.column_names();
            let as_expected = |column: &OutputColumn| {
                names.get(column.index).is_some_and(|n| n.eq_ignore_ascii_case(&column.label))
            };
            if !facts.returning.iter().all(as_expected) {
                return None;
            }
        }
        let keys: Vec<_> = facts.returning.iter().filter_map(|c| key_of(c, table)).collect();
        Some(rows.iter().map(|row| image(row, &keys)).collect())
    }

    /// How to capture the rows, if it is worth it.
    pub(crate) fn capture_plan(
        &self,
        values: &[Value],
        coarse: &Bump,
        want: Want,
    ) -> Option<&Capture> {
        let [facts] = self.facts else { return None };
        let (WriteAction::Update { capture, .. } | WriteAction::Delete { capture, .. }) =
            &facts.action
        else {
            return None;
        };
        let capture = capture.as_ref()?;
        let engine = &self.database.engine;
        let broad = |bump: &Bump| {
            let mut tags = bump.tags.iter().zip(&bump.ids);
            tags.any(|(tag, id)| tag.is_broad() && engine.versions.is_read(*id))
        };
        let worth = match engine.capture {
            Policy::Never => false,
            Policy::Always => coarse.tags.iter().any(Tag::is_broad),
            Policy::Auto => broad(coarse),
        };
        // RETURNING may tell enough.
        (worth && !(want == Want::Rows && self.returning_suffices(facts, values)))
            .then_some(capture)
    }

    /// Will the rows that come back leave nothing unknown?
    fn returning_suffices(&self, facts: &WriteFacts, values: &[Value]) -> bool {
        let Some(table) = self.understanding.schema.table(&facts.table) else {
            return false;
        };
        let mut example = Image::default();
        for column in facts.returning.iter().filter_map(|column| key_of(column, table)) {
            example.set(&column.0.column, Some(KeyValue::Null));
        }
        let returned = Some(std::slice::from_ref(&example));
        let known = Known { returned, ..Known::default() };
        !self.bump(values, known).tags.iter().any(Tag::is_broad)
    }

    /// The key columns of the rows that the statement is about to touch; `None` if they are too
    /// many.
    ///
    /// # Errors
    ///
    /// The database's own. PostgreSQL goes on with the transaction only after a rollback.
    pub(crate) async fn capture(
        &self,
        conn: &impl ConnectionTrait,
        capture: &Capture,
        values: &[Value],
    ) -> Result<Option<Vec<Image>>, DbErr> {
        let [facts] = self.facts else { return Ok(None) };
        let Some(table) = self.understanding.schema.table(&facts.table) else {
            return Ok(None);
        };
        count(&self.database.engine.stats.captures);
        let images = self.read_rows(conn, capture, values, table).await;
        let rows = images.as_ref().ok().and_then(|images| images.as_ref().map(Vec::len));
        self.database.engine.tell(|| Event::Capture { table: &table.name, rows });
        images
    }

    async fn read_rows(
        &self,
        conn: &impl ConnectionTrait,
        capture: &Capture,
        values: &[Value],
        table: &Table,
    ) -> Result<Option<Vec<Image>>, DbErr> {
        let keys: Vec<(OutputColumn, KeyClass)> = table
            .key_columns()
            .enumerate()
            .map(|(index, column)| {
                let label = column.name.to_string();
                (OutputColumn { column: column.name.clone(), index, label }, column.class)
            })
            .collect();
        let dialect = Dialect::from(self.database.backend);
        let columns: Vec<_> = keys.iter().map(|(key, _)| dialect.quote(&key.label)).collect();
        let (columns, limit) = (columns.join(", "), MAX_ROWS + 1);
        let Capture { tail, lock, .. } = capture;
        let sql = format!("SELECT {columns} {tail} LIMIT {limit} {lock}");
        let values = capture.params.iter().map(|index| values.get(*index).cloned());
        let Some(values) = values.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let backend = self.database.backend;
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = conn.query_all_raw(statement).await?;
        let fits = rows.len() <= MAX_ROWS && !keys.is_empty();
        Ok(fits.then(|| rows.iter().map(|row| image(row, &keys)).collect()))
    }
}

fn key_of(column: &OutputColumn, table: &Table) -> Option<(OutputColumn, KeyClass)> {
    let found = table.column(&column.column).filter(|found| found.is_key)?;
    Some((column.clone(), found.class))
}

/// The key columns of one row, those that have a canonical form.
fn image(row: &QueryResult, keys: &[(OutputColumn, KeyClass)]) -> Image {
    let mut image = Image::default();
    for (column, class) in keys {
        image.set(&column.column, read(row, column.index, *class));
    }
    image
}

/// A transaction in which a read and a write see the same rows.
async fn begin_for_capture<C: ConnectionTrait + TransactionTrait>(
    conn: &C,
    schema: &Schema,
) -> Result<C::Transaction, DbErr> {
    let backend = conn.get_database_backend();
    // A stricter level would refuse writes that the statement alone could do, and a weaker one is
    // not what was asked for. MySQL's locking reads see what is committed under each.
    if backend == DbBackend::Postgres && !schema.read_committed {
        return Err(DbErr::Custom("no capture under this isolation level".into()));
    }
    begin_to_write(conn).await
}

/// SQLite's lock is taken at once: it would refuse a write if another one came between the begin, or
/// a read, and it.
pub(crate) async fn begin_to_write<C: ConnectionTrait + TransactionTrait>(
    conn: &C,
) -> Result<C::Transaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: (conn.get_database_backend() == DbBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    conn.begin_with_options(options).await
}
