//! Entries: found, and put.

use sea_orm::{QueryResult, Value};
use sha2::{Digest, Sha256};

use super::Inner;
use super::dialect::tags_in;
use super::talk::value;
use super::versions::{ms, unhex};
use crate::key::{Key, hex};
use crate::store::{FillId, Found, Got, Kept, Put, StoreError, Unique};

/// What a row takes besides its value and tags, in bytes, more or less.
const ROW: usize = 128;

/// Where an entry lies: what tells it from those of all caches in these tables.
pub(super) fn place(key: &Key) -> [u8; 32] {
    Sha256::digest(key.to_string()).into()
}

/// Over what a row says of itself; its versions and its time show by themselves whether they hold,
/// and the value has a checksum of its own.
fn checksum(place: &[u8], fill: &[u8], epoch: &str, ttl_ms: i64, tags: &[i64]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [place, fill, epoch.as_bytes(), &ttl_ms.to_le_bytes()] {
        hasher.update(part);
    }
    tags.iter().for_each(|tag| hasher.update(&tag.to_le_bytes()));
    hasher.finalize().into()
}

impl Inner {
    /// One statement: the entry, whether its versions hold, and whether the caller has it.
    pub(super) async fn get(&self, key: &Key, known: Option<&FillId>) -> Result<Got, StoreError> {
        let place = place(key);
        let have = known.map_or(&[][..], |fill| fill);
        let values = vec![have.into(), place[..].into()];
        let rows = self.talk.query(&self.sql.get, values).await?;
        Ok(rows.first().and_then(|row| self.found(&place, row, known)).unwrap_or(Got::Nothing))
    }

    /// `None` for anything that was not put in this place.
    fn found(&self, place: &[u8], row: &QueryResult, known: Option<&FillId>) -> Option<Got> {
        let fill: FillId = value::<Vec<u8>>(row, 0)?.try_into().ok()?;
        let epoch: String = value(row, 1)?;
        let tags = tags_in(&value::<String>(row, 2)?)?;
        let (ttl_ms, left_ms): (i64, i64) = (value(row, 4)?, value(row, 5)?);
        // One that lives longer than when it was put is not as we put it, or the clock was set back.
        if tags.is_empty()
            || left_ms > ttl_ms
            || value::<i64>(row, 3)? != checksum(place, &fill, &epoch, ttl_ms, &tags)
        {
            return None;
        }
        if known == Some(&fill) {
            return Some(Got::Same);
        }
        Some(Got::Found(Found {
            fill,
            ids: tags.into_iter().map(|tag| self.id(tag)).collect(),
            age_ms: (ttl_ms - left_ms).unsigned_abs(),
            ttl_ms: ttl_ms.unsigned_abs(),
            body: value(row, 6)?,
        }))
    }

    pub(super) async fn put(&self, put: Put<'_>) -> Result<Kept, StoreError> {
        let kept = self.store(&put).await;
        if let Some(token) = &put.token {
            self.give_back(put.key, token).await?;
        }
        kept
    }

    async fn store(&self, put: &Put<'_>) -> Result<Kept, StoreError> {
        let place = place(put.key);
        let late = self.tags(put.late);
        let guards = put.guards.iter().map(|(id, version)| (self.tag(*id), *version));
        let guards: Vec<(i64, Unique)> = guards.collect();
        let all: Vec<i64> =
            late.iter().copied().chain(guards.iter().map(|(tag, _)| *tag)).collect();
        // The late versions are committed before the guards are looked at, or in the same moment.
        let (look, created) = self.versions(&place, &all, &late, put.fill, put.keep_ms).await?;
        let same = |(tag, version): &(i64, Unique)| look.version(*tag) == Some(*version);
        let history = unhex(&look.epoch) == Some(put.epoch);
        if !history || !guards.iter().all(same) || (look.there && !put.replace) {
            return Ok(Kept::Refused);
        }
        let late_versions: Option<Vec<Unique>> =
            late.iter().map(|tag| look.version_or(*tag, created)).collect();
        // Somebody blocks one of them.
        let Some(late_versions) = late_versions else { return Ok(Kept::Refused) };
        let tags: Vec<i64> = self.tags(put.ids).into_iter().chain(late).collect();
        let versions: Vec<Unique> = put.versions.iter().copied().chain(late_versions).collect();
        self.insert(put, &place, &look.epoch, &tags, &versions).await?;
        Ok(Kept::Stored)
    }

    async fn insert(
        &self,
        put: &Put<'_>,
        place: &[u8; 32],
        epoch: &str,
        tags: &[i64],
        versions: &[Unique],
    ) -> Result<(), StoreError> {
        let (ttl, age) = (ms(put.ttl_ms), ms(put.age_ms));
        let left = ttl.saturating_sub(age).max(1);
        // As for a life that was put at its end.
        let ttl = ttl.max(left);
        let size = put.body.len() + ROW + tags.len() * (8 + 16);
        let mut values: Vec<Value> = vec![place[..].into(), put.fill[..].into(), epoch.into()];
        values.extend(self.talk.dialect.dependencies(tags, versions));
        values.extend([
            checksum(place, &put.fill, epoch, ttl, tags).into(),
            ttl.into(),
            left.into(),
            (size as i64).into(),
            put.body.into(),
        ]);
        self.talk.execute(&self.sql.put, values).await?;
        self.wrote(size);
        Ok(())
    }

    pub(super) async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let place = place(key);
        self.talk.execute(&self.sql.remove, vec![place[..].into()]).await.map(drop)
    }

    /// An epoch as the database has it, for the caller.
    pub(super) fn epoch(text: &str) -> Result<crate::store::Epoch, StoreError> {
        unhex(text).ok_or_else(|| StoreError::refused("the epoch's row is damaged"))
    }
}

/// What a right to load is kept under.
pub(super) fn right(key: &Key) -> [u8; 32] {
    Sha256::digest(format!("load:{key}")).into()
}

/// What a single value or a lock is kept under.
pub(super) fn cell(key: &str) -> [u8; 32] {
    Sha256::digest(format!("cell:{key}")).into()
}

/// A token as the database has it.
pub(super) fn token(token: &Unique) -> Value {
    hex(token).into()
}
