//! What has expired and what is over the limit is removed in the background, some rows at a time, so
//! that no statement holds locks for long, and by one process at a time.

use std::sync::Weak;
use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::Inner;
use super::dialect::Dialect;
use super::entries::cell;
use super::talk::value;
use crate::store::StoreError;

/// How many rows go with one statement.
const BATCH: usize = 500;

/// How many statements one turn takes at most for one table; what is left waits for the next.
const BATCHES: usize = 200;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Culled {
    /// Rows whose time was over: entries, versions, values and locks.
    pub expired: u64,
    /// Entries and values whose time was not over, but that had no room.
    pub evicted: u64,
}

/// A table whose rows end: which of them may be evicted.
struct Rows<'n> {
    table: &'n str,
    key: &'static str,
    evictable: &'static str,
}

impl Inner {
    /// Bytes were written: if it may be much by now, the background looks at once.
    pub(super) fn wrote(&self, bytes: usize) {
        let written = self.written.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if written > self.max_bytes / 16 {
            self.written.store(0, Ordering::Relaxed);
            self.wake.notify_one();
        }
    }

    /// Milliseconds by the database's clock.
    pub(super) async fn now(&self) -> Result<i64, StoreError> {
        let rows = self.talk.query(&self.sql.now, Vec::new()).await?;
        let now = rows.first().and_then(|row| value(row, 0));
        now.ok_or_else(|| StoreError::away("the cache's database does not tell the time"))
    }

    pub(super) async fn cull(&self) -> Result<Culled, StoreError> {
        let now = self.now().await?;
        let entries = Rows { table: &self.names.entries, key: "id", evictable: "1 = 1" };
        // A lock or a right to load is small, and somebody counts on it.
        let cells = Rows { table: &self.names.cells, key: "id", evictable: "size > 0" };
        let versions = Rows { table: &self.names.versions, key: "tag", evictable: "1 = 0" };
        let mut culled = Culled::default();
        for rows in [&entries, &cells, &versions] {
            for _ in 0..BATCHES {
                let gone = self.remove_until(rows, now, "1 = 1").await?;
                culled.expired += gone;
                if gone < BATCH as u64 {
                    break;
                }
            }
        }
        // Values only when no entry is left: those can be had again.
        for rows in [&entries, &cells] {
            culled.evicted += self.evict(rows).await?;
        }
        Ok(culled)
    }

    /// Removes those that would end first until the rest is a tenth below the limit, so that the
    /// next ones have room for a while.
    async fn evict(&self, rows: &Rows<'_>) -> Result<u64, StoreError> {
        let size = self.size().await?;
        if size <= self.max_bytes {
            return Ok(0);
        }
        let mut over = size - self.max_bytes / 10 * 9;
        let mut evicted = 0;
        let Rows { table, evictable, .. } = rows;
        let first = format!(
            "SELECT ends_at, size FROM {table} WHERE {evictable} ORDER BY ends_at LIMIT {BATCH}"
        );
        for _ in 0..BATCHES {
            let mut until = None;
            for row in self.talk.query(&first, Vec::new()).await? {
                until = value::<i64>(&row, 0);
                over = over.saturating_sub(value::<i64>(&row, 1).unwrap_or(0).unsigned_abs());
                if over == 0 {
                    break;
                }
            }
            let Some(until) = until else { break };
            evicted += self.remove_until(rows, until, evictable).await?;
            if over == 0 {
                break;
            }
        }
        Ok(evicted)
    }

    /// Bytes of entries and values. The index has them.
    async fn size(&self) -> Result<u64, StoreError> {
        let number = if self.talk.dialect == Dialect::MySql { "SIGNED" } else { "bigint" };
        let mut sum = 0;
        for table in [&self.names.entries, &self.names.cells] {
            let sql = format!("SELECT CAST(COALESCE(SUM(size), 0) AS {number}) FROM {table}");
            let rows = self.talk.query(&sql, Vec::new()).await?;
            sum += rows.first().and_then(|row| value::<i64>(row, 0)).unwrap_or(0).unsigned_abs();
        }
        Ok(sum)
    }

    /// A batch of rows that end at this time or before.
    async fn remove_until(
        &self,
        rows: &Rows<'_>,
        until: i64,
        which: &str,
    ) -> Result<u64, StoreError> {
        let Rows { table, key, .. } = rows;
        let ended = format!("ends_at <= {until} AND {which}");
        let sql = match self.talk.dialect {
            Dialect::MySql => {
                let delete =
                    format!("DELETE FROM {table} WHERE {ended} ORDER BY ends_at LIMIT {BATCH}");
                format!("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {delete}")
            }
            // The condition twice: a row may have been written anew since it was found.
            _ => format!(
                "DELETE FROM {table} WHERE {key} IN \
                 (SELECT {key} FROM {table} WHERE {ended} ORDER BY ends_at LIMIT {BATCH}) AND {ended}"
            ),
        };
        self.talk.execute(&sql, Vec::new()).await
    }

    /// One turn, if it is this process's.
    async fn turn(&self) -> Result<(), StoreError> {
        let pause = self.cull_every.as_millis() as u64;
        // It is not given back: so there is one turn in this time, whoever takes it.
        let place = cell("turn to cull");
        let ours = self.talk.within(self.lock_for(&place, pause / 2)).await?;
        if ours {
            self.cull().await?;
        }
        Ok(())
    }
}

/// Goes on until nobody has the store any more.
pub(super) async fn run(store: Weak<Inner>) {
    loop {
        let Some(living) = store.upgrade() else { return };
        let (wake, pause) = (living.wake.clone(), living.cull_every);
        // What can't be done now is done the next time.
        let _: Result<(), StoreError> = living.turn().await;
        drop(living);
        let _ = timeout(pause.mul_f64(0.75 + fastrand::f64() / 2.0), wake.notified()).await;
    }
}
