//! Reading from a replica, where it is known to have seen every write that counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::change::Bump;
use crate::database::Database;
use crate::schema::Name;
use crate::tag::Tag;

/// Between two questions whether the replica has caught up; each one doubles it.
const PAUSE: Duration = Duration::from_millis(5);

/// How often it is asked before the next miss asks anew.
const QUESTIONS: u32 = 10;

/// A second connection, to a database that follows the first.
pub(crate) struct Replica<C> {
    pub(crate) conn: C,
    /// After so long it has seen any write, says the user.
    lag: Option<Duration>,
    /// It has seen every write that was bumped under this number or a lower one.
    seen: AtomicU64,
    asking: AtomicBool,
}

/// The number of the last bump of each table: only what a query reads must have arrived.
#[derive(Debug, Default)]
pub(crate) struct LastBumps {
    /// Nobody asks as long as there is no replica.
    pub(crate) wanted: AtomicBool,
    next: AtomicU64,
    everything: RwLock<Numbered>,
    tables: RwLock<HashMap<Name, Numbered>>,
}

/// A bump's number, and when it was, in milliseconds of the cache's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbered {
    number: u64,
    at_ms: u64,
}

impl LastBumps {
    /// Must come before the bump itself: who sees its versions must find its number, too.
    pub(crate) fn note(&self, bump: &Bump, now_ms: u64) {
        if !self.wanted.load(Ordering::SeqCst) {
            return;
        }
        let number = self.next.fetch_add(1, Ordering::SeqCst) + 1;
        let last = Numbered { number, at_ms: now_ms };
        if bump.tags.contains(&Tag::All) {
            *self.everything.write().unwrap_or_else(PoisonError::into_inner) = last;
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for table in &bump.tables {
            tables.insert(table.clone(), last);
        }
    }

    /// The last bump of any of these tables.
    pub(crate) fn of(&self, wanted: &[Name]) -> Numbered {
        let everything = *self.everything.read().unwrap_or_else(PoisonError::into_inner);
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let last = wanted.iter().filter_map(|table| tables.get(table)).chain([&everything]);
        last.copied().max_by_key(|last| last.number).unwrap_or_default()
    }
}

impl<C: ConnectionTrait + Send + Sync + 'static> Replica<C> {
    /// A new one has seen nothing for certain until it was asked once.
    pub(crate) fn new(conn: C, lag: Option<Duration>) -> Self {
        Self { conn, lag, seen: AtomicU64::new(0), asking: AtomicBool::new(true) }
    }

    /// Has it seen everything up to this bump? If not, finds out when in the background.
    pub(crate) fn has_seen(
        self: &Arc<Self>,
        last: Numbered,
        primary: &Arc<C>,
        database: &Arc<Database>,
    ) -> bool {
        let age_ms = database.engine.clock.now_ms().saturating_sub(last.at_ms);
        if self.lag.is_some_and(|lag| u128::from(age_ms) >= lag.as_millis()) {
            return true;
        }
        let seen = self.seen.load(Ordering::SeqCst) >= last.number;
        if !seen && !self.asking.swap(true, Ordering::SeqCst) {
            self.follow(primary, database);
        }
        seen
    }

    /// Asks in the background until the replica has arrived where the primary is now.
    pub(crate) fn follow(self: &Arc<Self>, primary: &Arc<C>, database: &Arc<Database>) {
        let (replica, primary, engine) = (self.clone(), primary.clone(), database.engine.clone());
        database.spawn(async move {
            // Read before the position, which then covers every bump up to it.
            let number = engine.last_bumps.next.load(Ordering::SeqCst);
            if arrives(&*primary, &replica.conn).await.unwrap_or(false) {
                replica.seen.fetch_max(number, Ordering::SeqCst);
            }
            replica.asking.store(false, Ordering::SeqCst);
        });
    }
}

/// Waits until the replica shows what the primary shows now; `false` if that takes too long.
async fn arrives<C: ConnectionTrait>(primary: &C, replica: &C) -> Result<bool, DbErr> {
    let backend = primary.get_database_backend();
    let position = match backend {
        DbBackend::Postgres => text(primary, "SELECT pg_current_wal_insert_lsn()::text").await?,
        DbBackend::MySql => {
            let version = text(primary, "SELECT CAST(VERSION() AS CHAR)").await?;
            let variable = match version.contains("MariaDB") {
                true => "@@gtid_binlog_pos",
                false => "@@global.gtid_executed",
            };
            let position = text(primary, &format!("SELECT CAST({variable} AS CHAR)")).await?;
            if position.is_empty() {
                return Err(DbErr::Custom("the primary numbers no transactions".into()));
            }
            let wait = match version.contains("MariaDB") {
                true => "MASTER_GTID_WAIT",
                false => "WAIT_FOR_EXECUTED_GTID_SET",
            };
            format!("CAST({wait}('{position}', 0) AS CHAR)")
        }
        other => return Err(DbErr::Custom(format!("{other:?} has no replicas"))),
    };
    let question = match backend {
        DbBackend::Postgres => {
            format!("SELECT (pg_last_wal_replay_lsn() < '{position}'::pg_lsn)::int::text")
        }
        _ => format!("SELECT {position}"),
    };
    let mut pause = PAUSE;
    for _ in 0..QUESTIONS {
        if text(replica, &question).await? == "0" {
            return Ok(true);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(false)
}

async fn text(conn: &impl ConnectionTrait, sql: &str) -> Result<String, DbErr> {
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    match conn.query_one_raw(statement).await? {
        Some(row) => Ok(row.try_get_by_index::<Option<String>>(0)?.unwrap_or_default()),
        None => Err(DbErr::Custom("no answer".into())),
    }
}
