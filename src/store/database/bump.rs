//! Versions deleted, and tags blocked. See the module's words on why twice.

use sea_orm::Value;

use super::Inner;
use super::dialect::Dialect;
use super::versions::AT_ONCE;
use crate::fault::{Fault, broken};
use crate::key::hex;
use crate::store::{Bumped, Bumps, StoreError, Unique};

/// How long a tag stays blocked if nobody unblocks it, in milliseconds.
const BLOCKED_MS: i64 = 300_000;

impl Inner {
    pub(super) async fn bump(&self, bump: Bumps<'_>) -> Result<Bumped, StoreError> {
        let mut tags = self.tags(bump.ids);
        tags.sort_unstable();
        tags.dedup();
        self.delete(&tags).await?;
        for (id, who) in bump.block {
            let values = vec![
                self.tag(*id).into(),
                Value::from(format!(",{}", hex(who))),
                BLOCKED_MS.into(),
            ];
            self.talk.execute(&self.sql.block, values).await?;
        }
        for (id, who) in bump.unblock {
            self.unblock(self.tag(*id), who).await?;
        }
        // Also where nothing is watched: a server that only follows would have told nobody.
        let watch = self.tags(bump.watch);
        let look = self.look(&[], &watch).await?;
        Ok(Bumped { watched: watch.iter().map(|tag| look.version(*tag)).collect() })
    }

    /// Deletes versions, on servers twice.
    async fn delete(&self, tags: &[i64]) -> Result<(), StoreError> {
        let (dialect, versions) = (self.talk.dialect, &self.names.versions);
        // One that locks no gaps, in which others would wait to create versions.
        let level = match dialect {
            Dialect::MySql => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ",
            _ => "",
        };
        let chunk = |some| {
            let (among, values) = dialect.among(some);
            let sql = format!("{level}DELETE FROM {versions} WHERE {among} AND blockers IS NULL");
            (dialect.numbered(&sql), values)
        };
        let chunks: Vec<_> = tags.chunks(AT_ONCE).map(chunk).collect();
        let once = dialect == Dialect::Sqlite || broken(Fault::DeleteOnce);
        match &chunks[..] {
            // One round trip for both; each is a transaction of its own all the same.
            [(sql, _)] if dialect == Dialect::MySql && !once => {
                self.talk.execute(&format!("{sql}; {sql}"), Vec::new()).await?;
            }
            chunks => {
                for (sql, values) in (0..if once { 1 } else { 2 }).flat_map(|_| chunks) {
                    self.talk.execute(sql, values.clone()).await?;
                }
            }
        }
        Ok(())
    }

    async fn unblock(&self, tag: i64, who: &Unique) -> Result<(), StoreError> {
        let versions = &self.names.versions;
        let numbered = |sql: String| self.talk.dialect.numbered(&sql);
        let take = format!(
            "UPDATE {versions} SET blockers = REPLACE(blockers, ?, '') \
             WHERE tag = ? AND blockers IS NOT NULL"
        );
        let who = format!(",{}", hex(who));
        self.talk.execute(&numbered(take), vec![who.into(), tag.into()]).await?;
        let last = format!("DELETE FROM {versions} WHERE tag = ? AND blockers = ''");
        self.talk.execute(&numbered(last), vec![tag.into()]).await.map(drop)
    }
}
