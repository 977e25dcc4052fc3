//! Of two only one has a lock.

use std::task::Poll;
use std::time::Duration;

use crate::places::{MINUTE, Place, all, timed};
use crate::support::redis::eventually;

async fn lock(place: &Place) -> Option<sea_orm_cache::KvLock> {
    place.kv().lock("l", MINUTE).await.expect("asked")
}

#[tokio::test]
async fn of_many_one_has_the_lock() {
    for place in all().await {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let kv = place.kv();
                tokio::spawn(async move { kv.lock("l", MINUTE).await.expect("asked") })
            })
            .collect();
        let mut held = Vec::new();
        for task in tasks {
            held.extend(task.await.expect("a task"));
        }
        assert_eq!(held.len(), 1, "{}", place.name);
        // Others are other locks.
        assert!(place.kv().lock("m", MINUTE).await.expect("asked").is_some());
        assert!(place.kv().prefixed("l").lock("l", MINUTE).await.expect("asked").is_some());
        held.pop().expect("one").release().await.expect("released");
        assert!(lock(&place).await.is_some(), "{}", place.name);
    }
}

#[tokio::test]
async fn each_holder_has_a_larger_token() {
    for place in timed().await {
        let mut last = 0;
        for round in 0..50 {
            let held = lock(&place).await.unwrap_or_else(|| panic!("{} {round}", place.name));
            assert!(held.token() > last, "{} {round}: {last}", place.name);
            last = held.token();
            match round % 2 {
                0 => held.release().await.expect("released"),
                _ => {
                    place.later(MINUTE).await;
                    std::mem::forget(held);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_lock_that_was_dropped_is_free() {
    for place in all().await {
        drop(lock(&place).await.expect("got"));
        eventually("it is free", async || lock(&place).await.is_some()).await;
    }
}

#[tokio::test]
async fn a_lock_whose_time_is_over_is_lost_and_that_is_told() {
    for place in timed().await {
        let held = lock(&place).await.expect("got");
        place.later(MINUTE - Duration::from_secs(1)).await;
        assert!(lock(&place).await.is_none(), "{}", place.name);
        place.later(Duration::from_secs(1)).await;
        let error = held.release().await.expect_err("lost");
        assert!(error.is_lock_lost(), "{error}");

        // The one who has it now keeps it.
        let late = lock(&place).await.expect("got");
        place.later(MINUTE).await;
        let held = lock(&place).await.expect("got");
        let error = late.release().await.expect_err("lost");
        assert!(error.is_lock_lost(), "{error}");
        assert!(lock(&place).await.is_none(), "{}", place.name);
        held.release().await.expect("released");
    }
}

#[tokio::test]
async fn a_clear_ends_no_lock() {
    for place in all().await {
        let held = lock(&place).await.expect("got");
        place.kv().clear().await.expect("cleared");
        assert!(lock(&place).await.is_none(), "{}", place.name);
        held.release().await.expect("released");
    }
}

#[tokio::test]
async fn a_lock_that_nobody_waits_for_any_more_is_free() {
    for place in all().await {
        let kv = place.kv();
        for polls in 1..4 {
            let mut taking = Box::pin(kv.lock("given up", MINUTE));
            for _ in 0..polls {
                let polled =
                    std::future::poll_fn(|c| Poll::Ready(taking.as_mut().poll(c).is_ready()));
                if polled.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(taking);
            eventually("it is free", async || {
                kv.lock("given up", MINUTE).await.expect("an answer").is_some()
            })
            .await;
        }
    }
}
