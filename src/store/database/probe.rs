//! Connecting: is everything there, and may we do what we shall have to?

use super::Inner;
use super::dialect::Dialect;
use super::schema::create_statements;
use super::talk::value;
use crate::key::{Family, Key};
use crate::store::{Bumps, Lease, Mark, Put, StoreError, TagId, unique};

/// How long what is written by a try stays at most, in milliseconds.
const PROBE_MS: u64 = 1_000;

/// How often tables are created anew after somebody else was in the way: more than there are.
const ATTEMPTS: u32 = 10;

impl Inner {
    pub(super) async fn connect(&self) -> Result<(), StoreError> {
        self.talk.within(self.is_primary()).await?;
        if self.create {
            self.create_tables().await?;
        }
        self.talk.within(self.are_there()).await?;
        self.talk.within(self.try_all()).await
    }

    /// One that follows another would show what was, and writes would be lost.
    async fn is_primary(&self) -> Result<(), StoreError> {
        let Some(sql) = self.talk.dialect.is_replica() else { return Ok(()) };
        let rows = self.talk.query(sql, Vec::new()).await?;
        match rows.first().and_then(|row| value::<i64>(row, 0)) {
            Some(0) => {}
            _ => {
                return Err(StoreError::away(
                    "the cache's database only follows another one: a replica, or read-only",
                ));
            }
        }
        if self.talk.dialect == Dialect::MySql {
            let sql = "SELECT CAST(@@autocommit AS SIGNED)";
            let rows = self.talk.query(sql, Vec::new()).await?;
            if rows.first().and_then(|row| value::<i64>(row, 0)) != Some(1) {
                return Err(StoreError::denied(
                    "database store: its connection has autocommit off, so nothing would be done",
                ));
            }
        }
        Ok(())
    }

    async fn create_tables(&self) -> Result<(), StoreError> {
        let backend = match self.talk.dialect {
            Dialect::Sqlite => sea_orm::DbBackend::Sqlite,
            Dialect::Postgres => sea_orm::DbBackend::Postgres,
            Dialect::MySql => sea_orm::DbBackend::MySql,
        };
        if self.talk.within(self.are_there()).await.is_ok() {
            return Ok(());
        }
        let all = create_statements(backend, &self.names.plain, self.unlogged);
        let all = all.map_err(|error| StoreError::denied(error.to_string()))?;
        // Of two processes that create the same at once PostgreSQL refuses one, which finds it then.
        let mut attempts = 0;
        loop {
            match self.create_all(&all).await {
                Err(error) if attempts < ATTEMPTS && !error.is_denied() => attempts += 1,
                done => return done,
            }
        }
    }

    async fn create_all(&self, all: &[String]) -> Result<(), StoreError> {
        for sql in all {
            self.talk.within(self.talk.execute(sql, Vec::new())).await?;
        }
        Ok(())
    }

    async fn are_there(&self) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for (name, quoted) in self.names.all() {
            if !self.talk.is_there(quoted).await? {
                missing.push(name);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::denied(format!(
            "database store: {} missing: {}. Run `store::database::create_statements` in a migration, \
             or set `DatabaseStoreConfig::create_tables`",
            if missing.len() == 1 { "a table is" } else { "tables are" },
            missing.join(", ")
        )))
    }

    /// An entry of our own is put, found, bumped and removed.
    async fn try_all(&self) -> Result<(), StoreError> {
        let fill = unique();
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&fill);
        let key = Key::new("", 0, Family::Model, "probe", digest);
        // A tag that nobody has, since it is as new as this.
        let id = TagId(u64::from_le_bytes(std::array::from_fn(|byte| fill[byte] ^ fill[byte + 8])));
        let ids = [id];
        let lease = Some(Lease { key: &key, token: fill, ms: PROBE_MS });
        let mark = Mark { entry: Some(&key), ids: &ids, create: fill, keep_ms: PROBE_MS, lease };
        let marked = self.mark(mark).await?;
        let put = Put {
            key: &key,
            fill,
            epoch: marked.epoch,
            guards: &[],
            ids: &ids,
            versions: &[fill],
            late: &[],
            body: &[],
            age_ms: 0,
            ttl_ms: PROBE_MS,
            keep_ms: PROBE_MS,
            replace: false,
            token: Some(fill),
        };
        self.put(put).await?;
        self.get(&key, None).await?;
        self.bump(Bumps { ids: &ids, ..Bumps::default() }).await?;
        self.remove(&key).await
    }
}
