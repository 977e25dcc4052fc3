//! What has expired goes, and what has no room.

use sea_orm_cache::store::{Got, Lease, Mark, Store, TagId, When};

use crate::stage::{Stage, all, bump, fill, fresh, key, mark};
use crate::support::servers::Backend;

/// Some time passes, for every row.
async fn later(stage: &Stage, ms: u64) {
    for table in ["entry", "entry_version"] {
        stage.sql(&format!("UPDATE {table} SET ends_at = ends_at - {ms}")).await;
    }
    stage
        .sql(&format!(
            "UPDATE entry_cell SET value_until = value_until - {ms},
                held_until = held_until - {ms}, ends_at = ends_at - {ms}"
        ))
        .await;
}

async fn rows(stage: &Stage) -> i64 {
    let mut sum = 0;
    for table in ["entry", "entry_version", "entry_cell"] {
        sum += stage.number(&format!("SELECT COUNT(*) FROM {table}")).await;
    }
    sum
}

#[tokio::test]
async fn what_has_expired_answers_nothing_and_is_removed() {
    for stage in all().await {
        fill(&stage.store, &key(1), b"value").await;
        let cells = stage.store.cells().expect("a place for values");
        cells.set("k", b"value", 60_000, When::Always).await.expect("set");
        cells.lock("l", 60_000).await.expect("asked").expect("got");
        let lease = Some(Lease { key: &key(2), token: fresh(), ms: 2_000 });
        let mark = Mark { entry: None, ids: &[TagId(3)], create: fresh(), keep_ms: 60_000, lease };
        stage.store.mark(mark).await.expect("marked");
        later(&stage, 60_000).await;
        assert_eq!(stage.get(&key(1)).await, Got::Nothing, "{:?}", stage.backend);
        assert_eq!(cells.get("k").await, Ok(None));
        let culled = stage.store.cull().await.expect("culled");
        // The entry, the value and the right to load; versions and a lock's token are kept longer.
        assert!(culled.expired >= 3, "{:?}: {culled:?}", stage.backend);
        assert_eq!(stage.number("SELECT COUNT(*) FROM entry").await, 0, "{:?}", stage.backend);
        later(&stage, 2 * 24 * 60 * 60 * 1_000).await;
        stage.store.cull().await.expect("culled");
        assert_eq!(rows(&stage).await, 0, "{:?}", stage.backend);
    }
}

#[tokio::test]
async fn versions_outlive_the_entries_that_use_them() {
    for stage in all().await {
        let before = mark(&stage.store, &[1]).await;
        later(&stage, 59_000).await;
        // Asked for again, it is kept for as long as was asked for then.
        assert_eq!(mark(&stage.store, &[1]).await.versions, before.versions);
        later(&stage, 59_000).await;
        stage.store.cull().await.expect("culled");
        assert_eq!(mark(&stage.store, &[1]).await.versions, before.versions, "{:?}", stage.backend);
    }
}

#[tokio::test]
async fn writes_to_what_nobody_cached_leave_nothing_behind() {
    for stage in all().await {
        fill(&stage.store, &key(1), b"value").await;
        let before = rows(&stage).await;
        for write in 0..20 {
            let tags: Vec<u64> = (0..1_500).map(|row| 1_000 + write * 1_500 + row).collect();
            bump(&stage.store, &tags).await;
        }
        assert_eq!(rows(&stage).await, before, "{:?}", stage.backend);
        assert!(matches!(stage.get(&key(1)).await, Got::Found(_)));
    }
}

#[tokio::test]
async fn past_the_limit_those_go_that_would_end_first() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, |config| config.max_bytes(100_000)).await;
        for number in 0..150 {
            fill(&stage.store, &key(number), &[0; 1_000]).await;
            // Each ends a little later than the one before.
            stage.sql("UPDATE entry SET ends_at = ends_at - 10").await;
        }
        stage.store.cull().await.expect("culled");
        let count = stage.number("SELECT COUNT(*) FROM entry").await;
        assert!((60..90).contains(&count), "{backend:?}: {count}");
        assert_eq!(stage.get(&key(0)).await, Got::Nothing, "{backend:?}");
        assert!(matches!(stage.get(&key(149)).await, Got::Found(_)), "{backend:?}");
        // Once more, and there is nothing to do.
        assert_eq!(stage.store.cull().await.expect("culled").evicted, 0);
    }
}

#[tokio::test]
async fn no_lock_is_evicted() {
    for backend in Backend::reachable() {
        let stage = Stage::new(backend, |config| config.max_bytes(1_000)).await;
        let cells = stage.store.cells().expect("a place for values");
        let token = cells.lock("l", 1_000).await.expect("asked").expect("got");
        for number in 0..20 {
            let key = format!("k{number}");
            cells.set(&key, &[0; 1_000], 60_000, When::Always).await.expect("set");
        }
        // By now the background may have done it.
        stage.store.cull().await.expect("culled");
        let kept = stage.number("SELECT COUNT(*) FROM entry_cell WHERE size > 0").await;
        assert!(kept <= 1, "{backend:?}: {kept}");
        assert!(stage.number("SELECT COUNT(*) FROM entry_cell").await >= 1);
        let last = stage.number("SELECT MAX(token) FROM entry_cell").await;
        assert!(last.unsigned_abs() >= token, "{backend:?}");
    }
}

#[tokio::test]
async fn a_value_with_bytes_of_any_kind_comes_back() {
    for stage in all().await {
        let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 256) as u8).collect();
        fill(&stage.store, &key(1), &body).await;
        let Got::Found(found) = stage.get(&key(1)).await else { panic!("{:?}", stage.backend) };
        assert!(found.body == body, "{:?}", stage.backend);
        fill(&stage.store, &key(2), b"").await;
        let Got::Found(found) = stage.get(&key(2)).await else { panic!("{:?}", stage.backend) };
        assert!(found.body.is_empty());
    }
}
