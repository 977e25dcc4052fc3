//! Single values in memory, where there is no store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::memory::{bounded, heaviest};
use crate::store::{Cells, Counted, StoreError, Unique, When};
use crate::sync::{Mutex, lock};

pub(super) struct MemoryCells {
    cells: Cache<String, Arc<Cell>, Bytes>,
    /// Held by whoever changes a cell; readers need not wait.
    writes: Mutex<()>,
    /// Not among the cells: a lock is not to be evicted while somebody has it.
    locks: Mutex<Locks>,
    clock: Arc<dyn Clock>,
}

struct Cell {
    bytes: Vec<u8>,
    until_ms: u64,
}

#[derive(Default)]
struct Locks {
    /// The token of who has it, and until when.
    held: HashMap<String, (u64, u64)>,
    last: u64,
}

#[derive(Clone)]
struct Bytes;

/// Each part of a key is escaped and no longer than 1,536 bytes; there are few.
const LONGEST_CELL_KEY: usize = 8 << 10;

/// The cell, its reference counts, the key's own place, and `quick_cache`'s.
const OVERHEAD: usize = size_of::<Cell>() + 16 + size_of::<String>() + 48;

impl Weighter<String, Arc<Cell>> for Bytes {
    fn weight(&self, key: &String, cell: &Arc<Cell>) -> u64 {
        (OVERHEAD + key.len() + cell.bytes.len()) as u64
    }
}

/// Where the right to fill a key lies.
fn beside(key: &str) -> String {
    format!("{key}+")
}

impl MemoryCells {
    pub(super) fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let cells = bounded(max_bytes, Bytes);
        Self { cells, writes: Mutex::default(), locks: Mutex::default(), clock }
    }

    /// The largest value that is kept, whatever its key, in bytes.
    pub(super) fn max_bytes(&self) -> usize {
        heaviest(&self.cells).saturating_sub(OVERHEAD + LONGEST_CELL_KEY)
    }

    fn find(&self, key: &str) -> Option<Arc<Cell>> {
        self.cells.get(key).filter(|cell| self.clock.now_ms() < cell.until_ms)
    }

    fn put(&self, key: String, bytes: Vec<u8>, ttl_ms: u64) {
        let until_ms = self.clock.now_ms().saturating_add(ttl_ms);
        self.cells.insert(key, Arc::new(Cell { bytes, until_ms }));
    }

    fn remove(&self, key: &str) -> bool {
        let found = self.find(key).is_some();
        self.cells.remove(key);
        found
    }
}

#[async_trait]
impl Cells for MemoryCells {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.find(key).map(|cell| cell.bytes.clone()))
    }

    async fn set(
        &self,
        key: &str,
        bytes: &[u8],
        ttl_ms: u64,
        when: When,
    ) -> Result<bool, StoreError> {
        let _alone = lock(&self.writes);
        let lease = beside(key);
        let may = match when {
            When::Always => true,
            When::Absent => self.find(key).is_none(),
            When::Leased(token) => self.find(&lease).is_some_and(|held| held.bytes == token),
        };
        if may {
            self.cells.remove(&lease);
            self.put(key.to_owned(), bytes.to_vec(), ttl_ms);
        }
        Ok(may)
    }

    async fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let _alone = lock(&self.writes);
        self.cells.remove(&beside(key));
        Ok(self.remove(key))
    }

    async fn touch(&self, key: &str, ttl_ms: u64) -> Result<bool, StoreError> {
        let _alone = lock(&self.writes);
        if ttl_ms == 0 {
            return Ok(self.remove(key));
        }
        let found = self.find(key);
        if let Some(cell) = &found {
            self.put(key.to_owned(), cell.bytes.clone(), ttl_ms);
        }
        Ok(found.is_some())
    }

    async fn ttl_ms(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.find(key).map(|cell| cell.until_ms.saturating_sub(self.clock.now_ms())))
    }

    async fn incr(&self, key: &str, by: i64, ttl_ms: u64) -> Result<Counted, StoreError> {
        let _alone = lock(&self.writes);
        let (now, left_ms) = match self.find(key) {
            None => (Some(0), ttl_ms),
            Some(cell) => (
                std::str::from_utf8(&cell.bytes).ok().and_then(|text| text.parse::<i64>().ok()),
                cell.until_ms.saturating_sub(self.clock.now_ms()),
            ),
        };
        let Some(now) = now else { return Ok(Counted::NoCounter) };
        let Some(sum) = now.checked_add(by) else { return Ok(Counted::Overflow) };
        self.cells.remove(&beside(key));
        self.put(key.to_owned(), sum.to_string().into_bytes(), left_ms);
        Ok(Counted::Now(sum))
    }

    async fn lease(
        &self,
        key: &str,
        token: &Unique,
        ttl_ms: u64,
    ) -> Result<(Unique, Option<Vec<u8>>), StoreError> {
        let _alone = lock(&self.writes);
        let out = self.find(&beside(key)).and_then(|lease| lease.bytes[..].try_into().ok());
        let who = out.unwrap_or(*token);
        self.put(beside(key), who.to_vec(), ttl_ms);
        Ok((who, self.find(key).map(|cell| cell.bytes.clone())))
    }

    async fn lock(&self, key: &str, ttl_ms: u64) -> Result<Option<u64>, StoreError> {
        let now_ms = self.clock.now_ms();
        let mut locks = lock(&self.locks);
        if locks.held.get(key).is_some_and(|(_, until_ms)| now_ms < *until_ms) {
            return Ok(None);
        }
        if locks.held.len() == locks.held.capacity() {
            // Instead of growing: those whose time is over.
            locks.held.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        // Tokens grow from one process's life to the next, as what they fence off lives on.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        locks.last = (time.as_micros() as u64).max(locks.last + 1);
        let token = locks.last;
        locks.held.insert(key.to_owned(), (token, now_ms.saturating_add(ttl_ms)));
        Ok(Some(token))
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, StoreError> {
        let mut locks = lock(&self.locks);
        match locks.held.get(key) {
            Some((held, until_ms)) if *held == token => {
                let in_time = self.clock.now_ms() < *until_ms;
                locks.held.remove(key);
                Ok(in_time)
            }
            _ => Ok(false),
        }
    }
}
