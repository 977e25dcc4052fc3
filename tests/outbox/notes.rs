//! What lies in the outbox may be anything.

use sea_orm_cache::OutboxConfig;

use crate::support::servers::Backend;
use crate::world::{World, hits, price};

#[tokio::test]
async fn a_note_that_can_not_be_read_says_that_the_whole_table_changed() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new()).await;
        let values = [
            "('book', 'U', NULL, NULL, NULL, 0)",
            "('book', 'U', '{', '{', '{', 0)",
            "('book', 'U', '[]', '{\"id\": []}', '{\"price\": 1}', 0)",
            "('book', 'I', '', 'null', '', 0)",
            "('book', 'D', '7', NULL, NULL, 0)",
            "('book', '?', NULL, NULL, NULL, 0)",
            "('nobody', 'B', 'x', 'y', NULL, 0)",
        ];
        for value in values {
            price(&db, 2).await;
            assert!(hits(&cache, &db, 2).await, "{backend:?}");
            world
                .write(&format!(
                    "INSERT INTO sea_orm_cache_outbox \
                     (table_name, operation, row_before, row_after, changed, created_ms) VALUES {value}"
                ))
                .await;
            db.catch_up().await.expect("heard");
            assert!(!hits(&cache, &db, 2).await, "{backend:?}: {value}");
            assert_eq!(world.notes().await, 0, "{backend:?}: {value}");
        }
        let unknown = "('not_there', 'I', NULL, '{}', NULL, 0)";
        world.write(&format!("INSERT INTO sea_orm_cache_outbox (table_name, operation, row_before, row_after, changed, created_ms) VALUES {unknown}")).await;
        db.catch_up().await.expect("heard");
        assert!(hits(&cache, &db, 2).await, "{backend:?}: another table's");
    }
}

#[tokio::test]
async fn more_notes_than_are_read_at_once_are_all_heard() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new()).await;
        price(&db, 1).await;
        price(&db, 5).await;
        let many = "INSERT INTO sea_orm_cache_outbox \
            (table_name, operation, row_before, row_after, changed, created_ms) \
            SELECT 'review', 'I', NULL, '{\"id\": 9}', NULL, a.id FROM book a, book b, book c, book d, book e";
        world.write(many).await;
        world.write("UPDATE book SET price = 3 WHERE id = 5").await;
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 5).await, 3, "{backend:?}");
        assert_eq!(world.notes().await, 0, "{backend:?}");
        assert_eq!(cache.stats().outbox.expect("an outbox").notes, 3126, "{backend:?}");
    }
}

/// As a user's own listener may.
#[tokio::test]
async fn a_panic_while_something_is_told_leaves_nothing_in_the_outbox() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let world = World::new(Backend::Sqlite).await;
    let told = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let observer = move |event: &sea_orm_cache::Event<'_>| {
        if let sea_orm_cache::Event::OutboxHeard { .. } = event {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("an observer");
        }
    };
    let cache = sea_orm_cache::QueryCache::builder().outbox(OutboxConfig::new()).observer(observer);
    let cache = cache.build().await.expect("a cache");
    let db = cache.connect(world.file.pool(2).await).await.expect("a connection");
    price(&db, 1).await;
    world.write("UPDATE book SET price = 70 WHERE id = 1").await;
    db.catch_up().await.expect("heard");
    assert_eq!(price(&db, 1).await, 70);
    assert_eq!(world.notes().await, 0);
    assert_eq!(told.load(Ordering::SeqCst), 1);
    drop(cache);
}
