//! Bumps beside loads: whatever runs beside what, nothing from before an acknowledged write answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm_cache::store::{Got, Store};
use tokio::task::JoinSet;

use crate::scenario::{GUARD, late_beside_a_delete, patiently};
use crate::stage::{Stage, bump, key, mark, put};
use crate::support::servers::Backend;

#[tokio::test]
async fn a_late_version_from_beside_a_delete_is_deleted_too() {
    for backend in Backend::servers() {
        assert!(!late_beside_a_delete(backend).await, "{backend:?} is stale");
    }
}

/// A value that is written and bumped, loaded and put, by many tasks through two stores.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_entry_is_older_than_the_last_acknowledged_write() {
    const WRITES: u64 = 150;
    for backend in Backend::reachable() {
        let stage = Arc::new(Stage::new(backend, patiently).await);
        let (data, acked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let hits = Arc::new(AtomicU64::new(0));
        let other = Arc::new(stage.another().await);
        let mut tasks = JoinSet::new();
        for task in 0..2 {
            let (stage, data, acked) = (stage.clone(), data.clone(), acked.clone());
            let hits = hits.clone();
            tasks.spawn(async move {
                for _ in 0..WRITES {
                    let written = data.fetch_add(1, Ordering::SeqCst) + 1;
                    bump(&stage.store, &[GUARD, 3, 50 + task]).await;
                    acked.fetch_max(written, Ordering::SeqCst);
                    if written % 20 == 0 && written < 2 * WRITES {
                        // Otherwise writes alone would fill the time.
                        let before = hits.load(Ordering::SeqCst);
                        let goes_on = || acked.load(Ordering::SeqCst) < 2 * WRITES;
                        while hits.load(Ordering::SeqCst) == before && goes_on() {
                            tokio::task::yield_now().await;
                        }
                    }
                }
            });
        }
        for task in 0..4 {
            let (stage, other) = (stage.clone(), other.clone());
            let (data, acked, hits) = (data.clone(), acked.clone(), hits.clone());
            tasks.spawn(async move {
                let store: &dyn Store = if task % 2 == 0 { &stage.store } else { &*other };
                let key = key(task / 2);
                while acked.load(Ordering::SeqCst) < 2 * WRITES {
                    let known = acked.load(Ordering::SeqCst);
                    if let Got::Found(found) = store.get(&key, None).await.expect("an answer") {
                        let bytes = found.body[..].try_into().expect("a number");
                        let old = u64::from_le_bytes(bytes);
                        assert!(old >= known, "{backend:?}: {old} after {known} was acknowledged");
                        hits.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let marked = mark(store, &[1, GUARD]).await;
                    let loaded = data.load(Ordering::SeqCst).to_le_bytes();
                    tokio::task::yield_now().await;
                    put(store, &key, &marked, &[1], &[3], &[GUARD], &loaded).await;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no stale answer");
        }
        assert!(hits.load(Ordering::Relaxed) > 0, "{backend:?}");
    }
}
