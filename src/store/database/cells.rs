//! Single values, counters and locks: one row each.
//!
//! What a row says is changed by one statement that also says what it must have been; where the row
//! may not be there yet, by one for each case, tried in turn. So each call is atomic.

use async_trait::async_trait;
use sea_orm::Value;

use super::entries::{cell, token};
use super::talk::value;
use super::versions::{ms, unhex};
use super::{DatabaseStore, Inner};
use crate::store::{Cells, Counted, StoreError, Unique, When};

/// How long a lock's last token outlives it, in milliseconds: a day, in which the server's clock
/// may be set back by as much and tokens grow all the same.
const TOKEN_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// What a row takes besides its value, in bytes, more or less.
const ROW: usize = 100;

/// What is in a row.
#[derive(Default)]
pub(super) struct Cell {
    value: Option<Vec<u8>>,
    left_ms: i64,
    pub(super) holder: Option<Unique>,
    token: i64,
    pub(super) held: bool,
    now_ms: i64,
    number: Option<i64>,
}

/// A row that is new.
#[derive(Default)]
pub(super) struct New<'v> {
    pub(super) value: Option<&'v [u8]>,
    pub(super) ttl: i64,
    pub(super) holder: Option<Value>,
    pub(super) held: i64,
    pub(super) token: i64,
    pub(super) kept: i64,
}

impl Inner {
    pub(super) async fn find(&self, place: &[u8]) -> Result<Option<Cell>, StoreError> {
        let rows = self.talk.query(&self.sql.cells.find, vec![place.into()]).await?;
        Ok(rows.first().map(|row| Cell {
            value: stored(value(row, 0), value(row, 6)),
            left_ms: value(row, 1).unwrap_or_default(),
            holder: value::<String>(row, 2).and_then(|text| unhex(&text)),
            token: value(row, 3).unwrap_or_default(),
            held: value::<i64>(row, 4) == Some(1),
            now_ms: value(row, 5).unwrap_or_default(),
            number: value(row, 6),
        }))
    }

    /// `false` if there is a row already.
    pub(super) async fn insert_cell(&self, place: &[u8], new: New<'_>) -> Result<bool, StoreError> {
        let size = new.value.map_or(0, |value| value.len() + ROW);
        let values = vec![
            place.into(),
            new.value.map(bytes_beside).into(),
            new.value.and_then(counter).into(),
            new.ttl.into(),
            new.holder.unwrap_or(Value::String(None)),
            new.held.into(),
            new.token.into(),
            new.kept.into(),
            (size as i64).into(),
        ];
        self.wrote(size);
        self.changed(&self.sql.cells.insert, values).await
    }

    pub(super) async fn changed(&self, sql: &str, values: Vec<Value>) -> Result<bool, StoreError> {
        Ok(self.talk.execute(sql, values).await? > 0)
    }

    /// What the statements that write a value have in common.
    fn written(&self, place: &[u8], bytes: &[u8], ttl: i64) -> Vec<Value> {
        let size = bytes.len() + ROW;
        self.wrote(size);
        vec![
            bytes_beside(bytes).into(),
            counter(bytes).into(),
            ttl.into(),
            ttl.into(),
            (size as i64).into(),
            place.into(),
        ]
    }

    /// Puts a value where nothing is, or whatever is there; `false` if something is in the way.
    async fn write(
        &self,
        place: &[u8],
        bytes: &[u8],
        ttl: i64,
        always: bool,
    ) -> Result<bool, StoreError> {
        let cells = &self.sql.cells;
        let update = if always { &cells.set } else { &cells.set_absent };
        loop {
            if self.changed(update, self.written(place, bytes, ttl)).await? {
                return Ok(true);
            }
            let new = New { value: Some(bytes), ttl, kept: ttl, ..New::default() };
            if self.insert_cell(place, new).await? {
                return Ok(true);
            }
            // A row came in between: with a value that is in the way, or it is tried again.
            if !always && self.find(place).await?.is_some_and(|cell| cell.value.is_some()) {
                return Ok(false);
            }
        }
    }

    async fn delete_cell(&self, place: &[u8]) -> Result<bool, StoreError> {
        let cells = &self.sql.cells;
        if self.changed(&cells.delete_value, vec![place.into()]).await? {
            return Ok(true);
        }
        // The right to fill it ends, too; a value that came in between has ended it itself.
        self.changed(&cells.delete_rest, vec![place.into()]).await?;
        Ok(false)
    }

    async fn count(&self, place: &[u8], by: i64, ttl: i64) -> Result<Counted, StoreError> {
        let cells = &self.sql.cells;
        // What it may be added to without leaving an i64.
        let (least, most) =
            (i64::MIN.saturating_sub(by.min(0)), i64::MAX.saturating_sub(by.max(0)));
        loop {
            let values = vec![by.into(), place.into(), least.into(), most.into()];
            if let Some(sum) = self.talk.tell(&cells.add, values).await? {
                return Ok(Counted::Now(sum));
            }
            let cell = self.find(place).await?.unwrap_or_default();
            match (cell.value, cell.number) {
                (Some(_), None) => return Ok(Counted::NoCounter),
                (Some(_), Some(number)) if number.checked_add(by).is_none() => {
                    return Ok(Counted::Overflow);
                }
                // It came in between.
                (Some(_), Some(_)) => continue,
                (None, _) if ttl == 0 => {
                    self.changed(&cells.delete_rest, vec![place.into()]).await?;
                    return Ok(Counted::Now(by));
                }
                (None, _) => {
                    if self.write(place, by.to_string().as_bytes(), ttl, false).await? {
                        return Ok(Counted::Now(by));
                    }
                }
            }
        }
    }

    async fn share(
        &self,
        place: &[u8],
        own: &Unique,
        ttl: i64,
    ) -> Result<(Unique, Option<Vec<u8>>), StoreError> {
        loop {
            let values = vec![token(own), ttl.into(), ttl.into(), place.into()];
            let new = New { holder: Some(token(own)), held: ttl, kept: ttl, ..New::default() };
            if self.changed(&self.sql.cells.share, values).await?
                || self.insert_cell(place, new).await?
            {
                // Whoever wrote since then has ended the right; then ours is one that is over.
                let cell = self.find(place).await?.unwrap_or_default();
                let holder = cell.holder.filter(|_| cell.held);
                return Ok((holder.unwrap_or(*own), cell.value));
            }
        }
    }

    async fn lock(&self, place: &[u8], ttl: i64) -> Result<Option<u64>, StoreError> {
        let kept = ttl.saturating_add(TOKEN_KEPT_MS);
        loop {
            let cell = self.find(place).await?;
            let now = match &cell {
                Some(cell) => cell.now_ms,
                None => self.now().await?,
            };
            let last = cell.as_ref().map_or(0, |cell| cell.token);
            // The time in microseconds grows by itself, also where the last token was lost.
            let token = now.saturating_mul(1_000).max(last.saturating_add(1));
            let got = match cell {
                Some(cell) if cell.held => return Ok(None),
                Some(_) => {
                    let values =
                        vec![token.into(), ttl.into(), kept.into(), place.into(), last.into()];
                    self.changed(&self.sql.cells.lock, values).await?
                }
                None => {
                    self.insert_cell(place, New { held: ttl, token, kept, ..New::default() })
                        .await?
                }
            };
            if got {
                return Ok(Some(token.unsigned_abs()));
            }
        }
    }

    /// A lock that is not given back, for so many milliseconds; `false` if somebody has it.
    pub(super) async fn lock_for(&self, place: &[u8], ttl_ms: u64) -> Result<bool, StoreError> {
        Ok(self.lock(place, ms(ttl_ms)).await?.is_some())
    }
}

/// The bytes that stand in a row: none beside a number, which the database adds to.
fn bytes_beside(bytes: &[u8]) -> Vec<u8> {
    if counter(bytes).is_some() { Vec::new() } else { bytes.to_vec() }
}

/// The bytes that were put.
fn stored(bytes: Option<Vec<u8>>, number: Option<i64>) -> Option<Vec<u8>> {
    bytes.map(|bytes| number.map_or(bytes, |number| number.to_string().into_bytes()))
}

/// A counter's number: in no other spelling than ours.
fn counter(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

#[async_trait]
impl Cells for DatabaseStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let cell = self.inner.talk.within(self.inner.find(&cell(key))).await?;
        Ok(cell.and_then(|cell| cell.value))
    }

    async fn set(
        &self,
        key: &str,
        bytes: &[u8],
        ttl_ms: u64,
        when: When,
    ) -> Result<bool, StoreError> {
        let (inner, place, ttl) = (&self.inner, cell(key), ms(ttl_ms));
        let work = async {
            match when {
                When::Leased(own) => {
                    let mut values = inner.written(&place, bytes, ttl);
                    values.push(token(&own));
                    inner.changed(&inner.sql.cells.set_leased, values).await
                }
                When::Always if ttl == 0 => inner.delete_cell(&place).await,
                when => inner.write(&place, bytes, ttl, when == When::Always).await,
            }
        };
        inner.talk.within(work).await
    }

    async fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.inner.talk.within(self.inner.delete_cell(&cell(key))).await
    }

    async fn touch(&self, key: &str, ttl_ms: u64) -> Result<bool, StoreError> {
        let (inner, place, ttl) = (&self.inner, cell(key), ms(ttl_ms));
        if ttl == 0 {
            return self.delete(key).await;
        }
        let values = vec![ttl.into(), ttl.into(), place[..].into()];
        inner.talk.within(inner.changed(&inner.sql.cells.touch, values)).await
    }

    async fn ttl_ms(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let cell = self.inner.talk.within(self.inner.find(&cell(key))).await?;
        let there = cell.filter(|cell| cell.value.is_some());
        Ok(there.and_then(|cell| u64::try_from(cell.left_ms).ok()))
    }

    async fn incr(&self, key: &str, by: i64, ttl_ms: u64) -> Result<Counted, StoreError> {
        self.inner.talk.within(self.inner.count(&cell(key), by, ms(ttl_ms))).await
    }

    async fn lease(
        &self,
        key: &str,
        token: &Unique,
        ttl_ms: u64,
    ) -> Result<(Unique, Option<Vec<u8>>), StoreError> {
        self.inner.talk.within(self.inner.share(&cell(key), token, ms(ttl_ms))).await
    }

    async fn lock(&self, key: &str, ttl_ms: u64) -> Result<Option<u64>, StoreError> {
        self.inner.talk.within(self.inner.lock(&cell(key), ms(ttl_ms))).await
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, StoreError> {
        let (inner, place) = (&self.inner, cell(key));
        let Ok(token) = i64::try_from(token) else { return Ok(false) };
        let values = vec![place[..].into(), token.into()];
        inner.talk.within(inner.changed(&inner.sql.cells.unlock, values)).await
    }
}
