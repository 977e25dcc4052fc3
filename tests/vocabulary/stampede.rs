//! Many who want the same value that nobody has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{DbErr, EntityTrait, PaginatorTrait};
use tokio::task::JoinSet;

use crate::places::places;
use crate::support::{TTL, book};

#[tokio::test]
async fn of_a_thousand_tasks_one_computes() {
    for place in places().await {
        let runs = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let (cache, db, runs) = (place.cache.clone(), place.db.clone(), runs.clone());
            tasks.spawn(async move {
                let value = cache.remember(&db, "count", TTL, |db| async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    book::Entity::find().count(&db).await
                });
                value.await.expect("a number")
            });
        }
        assert!(tasks.join_all().await.iter().all(|count| *count == 5));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{}", place.name);
    }
}

#[tokio::test]
async fn who_starts_after_a_write_does_not_join_a_computation_from_before_it() {
    for place in places().await {
        let (reached, go) =
            (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (cache, db) = (place.cache.clone(), place.db.clone());
        let early = tokio::spawn({
            let (reached, go) = (reached.clone(), go.clone());
            async move {
                let value = cache.remember(&db, "count", TTL, |db| async move {
                    let count = book::Entity::find().count(&db).await?;
                    reached.notify_one();
                    go.notified().await;
                    Ok::<_, DbErr>(count)
                });
                value.await.expect("a number")
            }
        });
        reached.notified().await;
        place.write("DELETE FROM book WHERE id = 5").await;
        let (cache, db) = (place.cache.clone(), place.db.clone());
        let late = tokio::spawn(async move {
            let value = cache.remember(&db, "count", TTL, |db| async move {
                book::Entity::find().count(&db).await
            });
            value.await.expect("a number")
        });
        tokio::task::yield_now().await;
        go.notify_one();
        assert_eq!(early.await.expect("it ends"), 5);
        assert_eq!(late.await.expect("it ends"), 4, "{}", place.name);
    }
}
