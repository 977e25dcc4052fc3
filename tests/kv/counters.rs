//! Counters lose nothing.

use crate::places::{MINUTE, all, timed};

#[tokio::test]
async fn of_many_tasks_that_count_every_one_counts() {
    for place in all().await {
        let kv = place.kv();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let kv = kv.clone();
                tokio::spawn(async move {
                    let mut seen = Vec::new();
                    for _ in 0..5 {
                        seen.push(kv.incr("n", 2, MINUTE).await.expect("counted"));
                        kv.decr("n", 1, MINUTE).await.expect("counted");
                    }
                    seen.is_sorted_by(|one, next| one < next)
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
        assert_eq!(kv.get::<i64>("n").await, Some(500), "{}", place.name);
    }
}

#[tokio::test]
async fn a_counter_is_an_integer_and_an_integer_is_a_counter() {
    for place in all().await {
        let kv = place.kv();
        assert_eq!(kv.incr("n", 5, None).await.expect("counted"), 5);
        assert_eq!(kv.get::<u8>("n").await, Some(5), "{}", place.name);
        kv.set("n", &-10_i16, None).await.expect("set");
        assert_eq!(kv.decr("n", 1, None).await.expect("counted"), -11);
        assert!(!kv.add("n", "text", None).await.expect("not added"));
    }
}

#[tokio::test]
async fn a_sum_that_does_not_fit_changes_nothing_and_says_so() {
    for place in all().await {
        let kv = place.kv();
        for (start, by) in [(i64::MAX, 1), (i64::MIN, -1), (i64::MAX - 1, i64::MAX)] {
            kv.set("n", &start, MINUTE).await.expect("set");
            let error = kv.incr("n", by, MINUTE).await.expect_err("too large");
            assert!(error.is_counter() && error.to_string().contains("i64"), "{error}");
            assert_eq!(kv.get("n").await, Some(start), "{}", place.name);
        }
        assert!(kv.decr("n", i64::MIN, MINUTE).await.expect_err("too large").is_counter());
        kv.set("n", &(1_i64 << 53), MINUTE).await.expect("set");
        // Where a number with a fraction would stop to count.
        assert_eq!(kv.incr("n", 1, MINUTE).await.expect("counted"), (1 << 53) + 1);
    }
}

#[tokio::test]
async fn what_is_no_counter_is_not_counted() {
    for place in all().await {
        let kv = place.kv();
        kv.set("k", "12", MINUTE).await.expect("set");
        let error = kv.incr("k", 1, MINUTE).await.expect_err("text");
        assert!(error.is_counter() && error.to_string().contains("no counter"), "{error}");
        assert_eq!(kv.get::<String>("k").await.as_deref(), Some("12"), "{}", place.name);
        kv.set("k", &u64::MAX, MINUTE).await.expect("set");
        assert!(kv.incr("k", 1, MINUTE).await.expect_err("too large").is_counter());
        kv.set("k", &0.5, MINUTE).await.expect("set");
        assert!(kv.decr("k", 1, MINUTE).await.expect_err("a fraction").is_counter());
    }
}

#[tokio::test]
async fn counting_goes_on_within_the_time_of_the_first() {
    for place in timed().await {
        let kv = place.kv();
        kv.incr("n", 1, MINUTE).await.expect("counted");
        place.later(MINUTE / 2).await;
        assert_eq!(kv.incr("n", 1, 10 * MINUTE).await.expect("counted"), 2);
        assert!(kv.ttl("n").await.expect("there") <= MINUTE / 2, "{}", place.name);
        place.later(MINUTE / 2).await;
        assert_eq!(kv.incr("n", 1, MINUTE).await.expect("counted"), 1, "{}", place.name);
    }
}
