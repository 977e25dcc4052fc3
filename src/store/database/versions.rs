//! Versions: read and created. See the module's words on why this order.

use std::collections::HashMap;

use sea_orm::QueryResult;

use super::Inner;
use super::talk::{rest, value};
use crate::key::hex;
use crate::store::{StoreError, TagId, Unique, unique};

/// More tags than this stand in no statement of MySQL's: of too many it looks at every row.
pub(super) const AT_ONCE: usize = 1_000;

/// What was there in one moment.
pub(super) struct Look {
    /// 32 hexadecimal digits.
    pub(super) epoch: String,
    /// A valid entry, under the key that was given.
    pub(super) there: bool,
    versions: HashMap<i64, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    state: State,
    left_ms: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Version(Unique),
    Blocked,
    /// Somebody's block whose time is over, or a damaged row.
    Left,
}

impl Look {
    /// A tag's version; `None` if it has none, or somebody blocks it.
    pub(super) fn version(&self, tag: i64) -> Option<Unique> {
        match self.versions.get(&tag)?.state {
            State::Version(version) => Some(version),
            _ => None,
        }
    }

    /// The same after [`Inner::versions`] has created what was missing. One that is gone again by
    /// now had this one, which is used no more: as good as any that has gone since.
    pub(super) fn version_or(&self, tag: i64, created: Unique) -> Option<Unique> {
        match self.versions.get(&tag) {
            None => Some(created),
            Some(_) => self.version(tag),
        }
    }
}

/// `None` for what is none of ours.
fn seen(row: &QueryResult) -> Option<(i64, Seen)> {
    let state = match value::<i64>(row, 4)? {
        0 => value::<String>(row, 3).and_then(|text| unhex(&text)).map(State::Version),
        1 => Some(State::Blocked),
        _ => None,
    };
    let left_ms = value(row, 5).unwrap_or_default();
    Some((value(row, 2)?, Seen { state: state.unwrap_or(State::Left), left_ms }))
}

/// 32 hexadecimal digits, with or without dashes, as bytes.
pub(super) fn unhex(text: &str) -> Option<Unique> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())?.map(u128::to_be_bytes)
}

impl Inner {
    /// A tag of this cache among all that share the tables. Two that have the same number are
    /// invalidated together, and no more.
    pub(super) fn tag(&self, id: TagId) -> i64 {
        (id.0 ^ self.salt).cast_signed()
    }

    pub(super) fn id(&self, tag: i64) -> TagId {
        TagId(tag.cast_unsigned() ^ self.salt)
    }

    pub(super) fn tags(&self, ids: &[TagId]) -> Vec<i64> {
        ids.iter().map(|id| self.tag(*id)).collect()
    }

    /// The versions of tags now, and whether there is a valid entry under `key`: one statement.
    ///
    /// # Errors
    ///
    /// The database's, or that it only follows another one.
    pub(super) async fn look(&self, key: &[u8], tags: &[i64]) -> Result<Look, StoreError> {
        let values = || vec![key.into(), self.talk.dialect.list(tags)];
        let mut rows = self.talk.query(&self.sql.look, values()).await?;
        if rows.first().and_then(|row| value::<String>(row, 0)).is_none() {
            self.begin_epoch().await?;
            rows = self.talk.query(&self.sql.look, values()).await?;
        }
        let first = rows.first();
        let Some(epoch) = first.and_then(|row| value::<String>(row, 0)) else {
            return Err(StoreError::away("the cache's database only follows another one"));
        };
        let there = first.and_then(|row| value::<i64>(row, 1)).is_some_and(|count| count > 0);
        Ok(Look { epoch, there, versions: rows.iter().filter_map(seen).collect() })
    }

    /// Gives the store's history a name, unless it has one.
    pub(super) async fn begin_epoch(&self) -> Result<(), StoreError> {
        // Half of it, since SQLite adds half; the first half is the operating system's chance.
        let name = format!("{:016x}", fastrand::u64(..) ^ u64::from_be_bytes(half(&unique())));
        self.talk.execute(&self.sql.begin_epoch, vec![name.into()]).await.map(drop)
    }

    /// The versions of `tags`, those among `wanted` that are missing created, and kept for so long;
    /// and what the created ones are.
    pub(super) async fn versions(
        &self,
        key: &[u8],
        tags: &[i64],
        wanted: &[i64],
        create: Unique,
        keep_ms: u64,
    ) -> Result<(Look, Unique), StoreError> {
        let look = self.look(key, tags).await?;
        let keep = ms(keep_ms);
        let (mut missing, mut short, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for tag in wanted {
            match look.versions.get(tag) {
                None => missing.push(*tag),
                Some(Seen { state: State::Left, .. }) => left.push(*tag),
                Some(Seen { state: State::Version(_), left_ms }) if *left_ms < keep => {
                    short.push(*tag);
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() && short.is_empty() && left.is_empty() {
            return Ok((look, create));
        }
        self.clear(&left).await?;
        missing.append(&mut left);
        // Twice as long as need be, so that of many reads only some write.
        let keep = keep.saturating_mul(2);
        self.keep(&mut short, keep).await?;
        let created = self.create(&mut missing, create, keep).await?;
        // Whoever has them committed them before this sees them.
        Ok((self.look(key, tags).await?, created))
    }

    /// Creates those that nobody else has created by now.
    async fn create(
        &self,
        tags: &mut Vec<i64>,
        mut version: Unique,
        keep: i64,
    ) -> Result<Unique, StoreError> {
        // In one order everywhere, so that fewer are in each other's way.
        tags.sort_unstable();
        tags.dedup();
        if tags.is_empty() {
            return Ok(version);
        }
        let mut pause = std::time::Duration::from_millis(1);
        loop {
            let dialect = self.talk.dialect;
            // In the order of the text: the list comes first in none of them.
            let values = vec![hex(&version).into(), keep.into(), dialect.list(tags)];
            if self.talk.attempt(&self.sql.create, values).await?.is_some() {
                return Ok(version);
            }
            // A session that reads what is not committed may have seen it: it is never used again.
            version = unique();
            pause = rest(pause).await;
        }
    }

    /// Versions live for so long from now on.
    async fn keep(&self, tags: &mut Vec<i64>, keep: i64) -> Result<(), StoreError> {
        tags.sort_unstable();
        tags.dedup();
        for some in tags.chunks(AT_ONCE) {
            let (among, values) = self.talk.dialect.among(some);
            let (versions, now) = (&self.names.versions, self.talk.dialect.now());
            // Not a block that came in between.
            let sql = format!(
                "UPDATE {versions} SET ends_at = {now} + {keep} \
                 WHERE {among} AND version IS NOT NULL"
            );
            self.talk.execute(&self.talk.dialect.numbered(&sql), values).await?;
        }
        Ok(())
    }

    /// Removes blocks whose time is over.
    async fn clear(&self, tags: &[i64]) -> Result<(), StoreError> {
        for some in tags.chunks(AT_ONCE) {
            let (among, values) = self.talk.dialect.among(some);
            let (versions, now) = (&self.names.versions, self.talk.dialect.now());
            let sql = format!(
                "DELETE FROM {versions} WHERE {among} AND version IS NULL \
                 AND (COALESCE(blockers, '') = '' OR ends_at <= {now})"
            );
            self.talk.execute(&self.talk.dialect.numbered(&sql), values).await?;
        }
        Ok(())
    }
}

fn half(unique: &Unique) -> [u8; 8] {
    std::array::from_fn(|byte| unique[byte])
}

/// Milliseconds that can be added to a time without harm.
pub(super) fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).min(i64::MAX / 8)
}
