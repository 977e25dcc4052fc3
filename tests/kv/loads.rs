//! What is missing is loaded once, and nothing old is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm_cache::{Kv, KvLock};
use tokio::sync::oneshot;

use crate::places::{MINUTE, all};

#[tokio::test]
async fn of_many_tasks_that_miss_one_loads() {
    for place in all().await {
        let (kv, loads) = (place.kv(), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (kv, loads) = (kv.clone(), loads.clone());
                tokio::spawn(async move {
                    kv.get_or_set("k", MINUTE, || async {
                        loads.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok::<_, ()>("loaded".to_owned())
                    })
                    .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("a task").as_deref(), Ok("loaded"));
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "{}", place.name);
        assert_eq!(kv.get::<String>("k").await.as_deref(), Some("loaded"));
    }
}

#[tokio::test]
async fn a_load_that_fails_is_told_and_not_stored() {
    for place in all().await {
        let kv = place.kv();
        let failed = kv.get_or_set::<i32, _, _>("k", MINUTE, async || Err("failed")).await;
        assert_eq!(failed, Err("failed"), "{}", place.name);
        assert_eq!(kv.get::<i32>("k").await, None);
        assert_eq!(kv.get_or_set("k", MINUTE, async || Ok::<_, ()>(1)).await, Ok(1));
        assert_eq!(kv.get_or_set("k", MINUTE, async || Err(())).await, Ok(1), "{}", place.name);
    }
}

#[tokio::test]
async fn what_is_of_another_type_is_replaced() {
    for place in all().await {
        let kv = place.kv();
        kv.set("k", "text", MINUTE).await.expect("set");
        assert_eq!(kv.get_or_set("k", MINUTE, async || Ok::<_, ()>(1)).await, Ok(1));
        assert_eq!(kv.get::<i32>("k").await, Some(1), "{}", place.name);
    }
}

/// Something happens while a value is loaded, which must not be stored then.
async fn while_loading(kv: &Kv, what: impl AsyncFnOnce(&Kv)) -> Option<String> {
    kv.delete("k").await.expect("deleted");
    let (began, begins) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let loading = {
        let kv = kv.clone();
        tokio::spawn(async move {
            kv.get_or_set("k", MINUTE, || async {
                began.send(()).expect("somebody waits");
                ends.await.map(|()| "old".to_owned())
            })
            .await
        })
    };
    begins.await.expect("it begins");
    what(kv).await;
    end.send(()).expect("it goes on");
    // The one who loaded it began before.
    assert_eq!(loading.await.expect("a task").as_deref(), Ok("old"));
    kv.get::<String>("k").await
}

#[tokio::test]
async fn what_was_loaded_before_a_write_is_not_stored_after_it() {
    for place in all().await {
        let kv = place.kv();
        assert_eq!(while_loading(&kv, async |_| ()).await.as_deref(), Some("old"));
        let after = while_loading(&kv, async |kv| assert!(!kv.delete("k").await.expect("deleted")));
        assert_eq!(after.await, None, "{}: delete", place.name);
        let after = while_loading(&kv, async |kv| kv.clear().await.expect("cleared"));
        assert_eq!(after.await, None, "{}: clear", place.name);
        let set = async |kv: &Kv| kv.set("k", "new", MINUTE).await.expect("set");
        let after = while_loading(&kv, set).await;
        assert_eq!(after.as_deref(), Some("new"), "{}: set", place.name);
        let add = async |kv: &Kv| assert!(kv.add("k", "new", MINUTE).await.expect("added"));
        let after = while_loading(&kv, add).await;
        assert_eq!(after.as_deref(), Some("new"), "{}: add", place.name);
        let count = async |kv: &Kv| assert_eq!(kv.incr("k", 1, MINUTE).await.ok(), Some(1));
        assert_eq!(while_loading(&kv, count).await, None, "{}: incr", place.name);
        assert_eq!(kv.get::<i64>("k").await, Some(1));
    }
}

#[tokio::test]
async fn who_comes_after_a_delete_does_not_get_what_was_loaded_before() {
    for place in all().await {
        let kv = place.kv();
        let mut joiner = None;
        while_loading(&kv, async |kv| {
            kv.delete("k").await.expect("deleted");
            let late = kv.clone();
            joiner = Some(tokio::spawn(async move {
                late.get_or_set("k", MINUTE, async || Ok::<_, ()>("new".to_owned())).await
            }));
            // By then it waits for the load that is under way.
            for _ in 0..20 {
                tokio::task::yield_now().await;
                kv.get::<i32>("another").await;
            }
        })
        .await;
        let new = joiner.expect("begun").await.expect("a task");
        assert_eq!(new.as_deref(), Ok("new"), "{}", place.name);
        assert_eq!(kv.get::<String>("k").await.as_deref(), Some("new"), "{}", place.name);
    }
}

#[tokio::test]
async fn a_load_that_is_given_up_makes_nobody_wait() {
    for place in all().await {
        let kv = place.kv();
        let (began, begins) = oneshot::channel();
        let given_up = {
            let kv = kv.clone();
            tokio::spawn(async move {
                let load = || async {
                    began.send(()).expect("somebody waits");
                    std::future::pending::<Result<i32, ()>>().await
                };
                kv.get_or_set("k", MINUTE, load).await
            })
        };
        begins.await.expect("it begins");
        given_up.abort();
        assert!(given_up.await.is_err());
        assert_eq!(kv.get_or_set("k", MINUTE, async || Ok::<_, ()>(1)).await, Ok(1));
        assert_eq!(kv.get::<i32>("k").await, Some(1), "{}", place.name);
    }
}

#[tokio::test]
async fn a_load_may_load_the_same_again() {
    for place in all().await {
        let kv = place.kv();
        let again = || async {
            let inner = kv.get_or_set("k", MINUTE, async || Ok::<_, ()>(1)).await?;
            Ok::<_, ()>(inner + 1)
        };
        assert_eq!(kv.get_or_set("k", MINUTE, again).await, Ok(2), "{}", place.name);
    }
}

/// Every operation can be awaited in a task of its own.
#[tokio::test]
async fn every_operation_is_a_future_that_may_move() {
    fn moves<F: Future + Send>(future: F) -> F {
        future
    }
    for place in all().await {
        let kv = place.kv();
        moves(kv.set("k", "v", MINUTE)).await.expect("set");
        moves(kv.set_many([("k", "v")], MINUTE)).await.expect("set");
        moves(kv.add("k", "v", MINUTE)).await.expect("added");
        moves(kv.get::<String>("k")).await.expect("there");
        moves(kv.get_many::<String>(["k"])).await;
        moves(kv.ttl("k")).await.expect("there");
        moves(kv.touch("k", MINUTE)).await.expect("touched");
        moves(kv.get_or_set("k", MINUTE, || async { Ok::<_, ()>("v".to_owned()) }))
            .await
            .expect("v");
        moves(kv.delete("k")).await.expect("deleted");
        moves(kv.delete_many(["k"])).await.expect("deleted");
        moves(kv.incr("n", 1, MINUTE)).await.expect("counted");
        moves(kv.decr("n", 1, MINUTE)).await.expect("counted");
        moves(kv.clear()).await.expect("cleared");
        let lock: KvLock = moves(kv.lock("l", MINUTE)).await.expect("asked").expect("got");
        moves(lock.release()).await.expect("released");
    }
}
