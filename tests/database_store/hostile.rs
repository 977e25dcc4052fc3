//! What else may stand in our tables.

use sea_orm_cache::store::{
    Bumps, Counted, DatabaseStore, DatabaseStoreConfig, Got, Store, TagId, When,
};

use crate::stage::{all, bump, fill, key, mark};
use crate::support::servers::Backend;

/// Assignments that damage an entry, as far as the column's type lets them.
fn damages(backend: Backend) -> Vec<&'static str> {
    let mut all = vec![
        "epoch = 'another'",
        "epoch = ''",
        "checksum = checksum + 1",
        "ttl_ms = ttl_ms + 1",
        "ttl_ms = -1",
        "ends_at = ends_at + 1000000",
        "ends_at = 0",
        "ends_at = 9223372036854775807",
    ];
    all.extend_from_slice(match backend {
        Backend::Sqlite => &[
            "fill = x'00'",
            "fill = 'text'",
            "fill = 7",
            "tags = '[]'",
            "tags = ''",
            "tags = 'no JSON'",
            "tags = '[\"x\", null, {\"a\": 1}]'",
            "tags = '{\"a\": \"b\"}'",
            "tags = '5'",
            "tags = x'ff00'",
            "tags = 12.5",
            "tags = json_remove(tags, '$[1]')",
            "tags = json_insert(tags, '$[#]', json_extract(tags, '$[0]'))",
            "tags = replace(tags, '0', '1')",
            "checksum = 'text'",
            "ttl_ms = 'text'",
        ],
        Backend::Postgres => &[
            "fill = '\\x00'",
            "fill = ''",
            "tags = '{}'",
            "tags = '{}', versions = '{}'",
            "tags = tags[1:1], versions = versions[1:1]",
            "tags = '{NULL,NULL}'",
            "versions = '{}'",
            "versions = versions[1:1]",
            "versions[1] = '00000000-0000-0000-0000-000000000000'",
            "versions[1] = NULL",
            "tags = '{{1,2},{3,4}}'",
            "tags[1] = tags[1] + 1",
        ],
        Backend::MySql => &[
            "fill = 'x'",
            "tags = '[]'",
            "tags = '5'",
            "tags = '\"text\"'",
            "tags = '[\"x\", null, {\"a\": 1}]'",
            "tags = '{\"a\": \"b\"}'",
            "tags = JSON_REMOVE(tags, '$[1]')",
            "tags = REPLACE(tags, '0', '1')",
        ],
    });
    all
}

#[tokio::test]
async fn damaged_entries_are_no_entries() {
    for stage in all().await {
        for damage in damages(stage.backend) {
            fill(&stage.store, &key(1), b"value").await;
            let Got::Found(found) = stage.get(&key(1)).await else { panic!("{damage}") };
            let sql = format!("UPDATE entry SET {damage}");
            assert_eq!(stage.sql(&sql).await, 1, "{damage}");
            assert_eq!(stage.get(&key(1)).await, Got::Nothing, "{:?} {damage}", stage.backend);
            // Nor is the one that the caller has confirmed by it.
            let same = stage.store.get(&key(1), Some(&found.fill)).await;
            assert_eq!(same, Ok(Got::Nothing), "{:?} {damage}", stage.backend);
        }
        // Another key's entry.
        fill(&stage.store, &key(2), b"other").await;
        let other = stage.ids().await;
        stage.store.remove(&key(2)).await.expect("removed");
        fill(&stage.store, &key(1), b"value").await;
        let own = stage.ids().await.pop().expect("an entry");
        let place = other.iter().find(|id| **id != own).expect("its place");
        let literal = match stage.backend {
            Backend::Postgres => format!("'\\x{place}'"),
            _ => format!("x'{place}'"),
        };
        stage.sql(&format!("UPDATE entry SET id = {literal}")).await;
        assert_eq!(stage.get(&key(2)).await, Got::Nothing, "{:?}", stage.backend);
    }
}

#[tokio::test]
async fn damaged_versions_are_none_and_are_replaced() {
    for stage in all().await {
        let set: &[&str] = match stage.backend {
            Backend::Postgres => &["version = NULL", "version = NULL, blockers = ',x'"],
            _ => &[
                "version = NULL",
                "version = NULL, blockers = ',x'",
                "version = 'short'",
                "version = ''",
            ],
        };
        for damage in set {
            fill(&stage.store, &key(1), b"value").await;
            assert!(stage.sql(&format!("UPDATE entry_version SET {damage}")).await >= 2);
            assert_eq!(stage.get(&key(1)).await, Got::Nothing, "{:?} {damage}", stage.backend);
            // A block ends by itself; whatever else is there is no harm for longer than a bump.
            let unmarked = mark(&stage.store, &[1, 2]).await.versions;
            stage.sql("UPDATE entry_version SET ends_at = 1 WHERE version IS NULL").await;
            bump(&stage.store, &[1, 2]).await;
            let marked = mark(&stage.store, &[1, 2]).await.versions;
            assert!(marked.iter().all(Option::is_some), "{:?} {damage}", stage.backend);
            assert!(unmarked != marked);
            fill(&stage.store, &key(1), b"value").await;
            assert!(matches!(stage.get(&key(1)).await, Got::Found(_)), "{damage}");
        }
    }
}

#[tokio::test]
async fn a_block_outlives_a_bump_and_ends_by_itself() {
    for stage in all().await {
        let who = crate::stage::fresh();
        let block = Bumps { block: &[(TagId(1), who)], ..Bumps::default() };
        stage.store.bump(block).await.expect("blocked");
        bump(&stage.store, &[1]).await;
        assert_eq!(mark(&stage.store, &[1]).await.versions, [None], "{:?}", stage.backend);
        stage.sql("UPDATE entry_version SET ends_at = ends_at - 300000").await;
        let marked = mark(&stage.store, &[1]).await.versions;
        assert!(marked[0].is_some(), "{:?}", stage.backend);
        // Who had gone does not come back with the next one.
        let next = crate::stage::fresh();
        for (block, unblock) in [(Some(next), None), (None, Some(next))] {
            let tag = |who| vec![(TagId(1), who)];
            let (block, unblock) = (block.map(tag), unblock.map(tag));
            let bumps = Bumps {
                block: block.as_deref().unwrap_or_default(),
                unblock: unblock.as_deref().unwrap_or_default(),
                ..Bumps::default()
            };
            stage.store.bump(bumps).await.expect("bumped");
        }
        assert!(mark(&stage.store, &[1]).await.versions[0].is_some(), "{:?}", stage.backend);
    }
}

#[tokio::test]
async fn what_is_no_number_is_no_counter() {
    for stage in all().await {
        let cells = stage.store.cells().expect("a place for values");
        for bytes in ["", "\0", "+1", "01", " 1", "1.0", "99999999999999999999", "ü"] {
            cells.set("n", bytes.as_bytes(), 60_000, When::Always).await.expect("set");
            assert_eq!(cells.incr("n", 1, 60_000).await, Ok(Counted::NoCounter), "{bytes:?}");
        }
    }
}

#[tokio::test]
async fn caches_of_other_prefixes_and_versions_are_others() {
    for stage in all().await {
        fill(&stage.store, &key(1), b"value").await;
        let config = || DatabaseStoreConfig::new(stage.pool.clone()).table("entry");
        for (prefix, version) in [("shop2", 1), ("shop", 2)] {
            let other = DatabaseStore::new(config(), prefix, version);
            let other = other.expect("a store");
            other.connect().await.expect("connected");
            // Its tags of the same numbers are others.
            bump(&other, &[1, 2]).await;
            assert!(matches!(stage.get(&key(1)).await, Got::Found(_)), "{:?}", stage.backend);
        }
    }
}
