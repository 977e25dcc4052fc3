//! A load beside a bump, in the one order that counts.

use std::time::Duration;

use sea_orm::{ConnectionTrait, IsolationLevel, TransactionTrait};
use sea_orm_cache::store::{Bumps, DatabaseStoreConfig, Got, Kept, Store, TagId};

use crate::stage::{Stage, key, mark, put};
use crate::support::redis::eventually;
use crate::support::servers::Backend;

/// Late tags: by their order some come before the guard and some after it.
fn late_tags() -> impl Iterator<Item = u64> {
    (1..=30_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub const GUARD: u64 = 9;

/// What a test holds up on purpose is not away.
pub fn patiently(config: DatabaseStoreConfig) -> DatabaseStoreConfig {
    config.timeout(Duration::from_secs(20))
}

/// The DELETE of a bump has begun, and waits for the guard's row. Loads from before the write get
/// versions of late tags that it will not see, and find the guard still there. Is any of them found afterwards?
pub async fn late_beside_a_delete(backend: Backend) -> bool {
    let stage = Stage::new(backend, patiently).await;
    let marked = mark(&stage.store, &[1, GUARD]).await;
    // Without the gaps between rows: others may create versions meanwhile.
    let level = Some(IsolationLevel::ReadCommitted);
    let blocker = stage.pool.begin_with_config(level, None).await.expect("begun");
    // The guard's row, and tag 1's, which nobody bumps.
    let lock = "SELECT tag FROM entry_version FOR UPDATE";
    blocker.execute_unprepared(lock).await.expect("locked");
    let mut ids: Vec<_> = late_tags().map(TagId).collect();
    ids.push(TagId(GUARD));
    let bumps = Bumps { ids: &ids, ..Bumps::default() };
    let bumping = async {
        stage.store.bump(bumps).await.expect("bumped");
    };
    let loading = async {
        let waits = match backend {
                Backend::Postgres => {
                    "SELECT COUNT(*) FROM pg_stat_activity
                     WHERE wait_event_type = 'Lock' AND datname = current_database()"
                }
                _ => {
                    "SELECT COUNT(*) FROM information_schema.innodb_trx
                     WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE 'DELETE FROM `entry_version`%'"
                }
            };
        let is_waiting = async || {
            // InnoDB shows the same list until nobody has asked for it for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
            stage.number(waits).await > 0
        };
        eventually("the delete waits", is_waiting).await;
        let mut stored = 0;
        for late in late_tags() {
            let kept = put(
                &stage.store,
                &key(late),
                &marked,
                &[1],
                &[late],
                &[GUARD],
                b"from before the write",
            )
            .await;
            stored += u64::from(kept == Kept::Stored);
        }
        blocker.rollback().await.expect("rolled back");
        stored
    };
    let ((), stored) = tokio::join!(bumping, loading);
    // Otherwise this would show nothing.
    assert_eq!(stored, late_tags().count() as u64, "{backend:?}");
    let mut found = false;
    for late in late_tags() {
        found |= stage.get(&key(late)).await != Got::Nothing;
    }
    found
}
