//! Old answers on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Cached, Source, deps};

use crate::places::places;
use crate::support::{Shop, TTL, book};

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_millis(1);
const RISE: &str = "UPDATE book SET price = 111 WHERE id = 1";

fn first() -> Cached<sea_orm::Select<book::Entity>> {
    book::Entity::find_by_id(1).cached(TTL)
}

async fn settled(cache: &QueryCache) {
    let over = async {
        while cache.stats().background > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("the background ends");
}

/// A refresh that found that there is nothing to be kept ends what is old.
#[tokio::test]
async fn a_refresh_whose_result_is_not_kept_ends_the_old() {
    for place in places().await {
        for which in 0..3 {
            place.db.execute_unprepared("DELETE FROM review WHERE book_id = 5").await.unwrap();
            place
                .db
                .execute_unprepared("INSERT INTO book VALUES (80, 'x', 1, 1, 900, 1)")
                .await
                .unwrap();
            place.cache.invalidate_all().await;
            let read = || {
                let read =
                    book::Entity::find_by_id(80).cached(TTL).swr(HOUR).tag(&format!("{which}"));
                match which {
                    0 => read.skip_empty(),
                    1 => read.cache_if(|items: &[book::Model]| !items.is_empty()),
                    _ => read.ttl_with(
                        |items: &[book::Model]| if items.is_empty() { Duration::ZERO } else { TTL },
                    ),
                }
            };
            assert!(read().one(&place.db).await.unwrap().is_some());
            place.write_here("DELETE FROM book WHERE id = 80").await;
            let mut sources = Vec::new();
            for _ in 0..5 {
                let outcome = read().fetch_one(&place.db).await.unwrap();
                sources.push((outcome.value.is_some(), outcome.source));
                settled(&place.cache).await;
            }
            assert!(
                !sources[4].0,
                "{} {which}: five refreshes later the deleted row still answers",
                place.name
            );
        }
    }
}

/// An entry that a read without options made is there for one with.
#[tokio::test]
async fn what_a_plain_read_stored_may_answer_old() {
    for place in places().await {
        first().one(&place.db).await.unwrap();
        place.write_here(RISE).await;
        let outcome = first().swr(HOUR).fetch_one(&place.db).await.unwrap();
        assert_eq!(outcome.source, Source::Stale, "{}", place.name);
    }
}

/// Counted once.
#[tokio::test]
async fn a_look_and_a_load_count_as_one_read() {
    let shop = Shop::new().await;
    first().swr(SOON).one(&shop.db).await.unwrap();
    shop.clock.advance(Duration::from_millis(50));
    shop.sql(RISE).await.unwrap();
    first().swr(SOON).one(&shop.db).await.unwrap();
    let _total = shop.cache.stats().total;
    let shop = Shop::new().await;
    first().stale_if_error(HOUR).one(&shop.db).await.unwrap();
    shop.sql(RISE).await.unwrap();
    first().stale_if_error(HOUR).one(&shop.db).await.unwrap();
    let total = shop.cache.stats().total;
    assert_eq!(total.invalid, 1, "one entry ended once");
}

/// In a bypassed remember, and in another cache's, nothing old answers either.
#[tokio::test]
async fn swr_in_a_value_that_is_not_stored() {
    let shop = Shop::new().await;
    first().swr(HOUR).one(&shop.db).await.unwrap();
    shop.sql(RISE).await.unwrap();
    let mut got = Vec::new();
    let price = |db: CachedConnection| async move {
        first().swr(HOUR).one(&db).await.map(|b| b.unwrap().price)
    };
    got.push(shop.cache.value("a").bypass().remember(&shop.db, price).await.unwrap());
    settled(&shop.cache).await;
    shop.sql("UPDATE book SET price = 112 WHERE id = 1").await.unwrap();
    got.push(shop.cache.value("a").ttl(Duration::ZERO).remember(&shop.db, price).await.unwrap());
    settled(&shop.cache).await;
    shop.sql("UPDATE book SET price = 113 WHERE id = 1").await.unwrap();
    let other = Shop::new().await;
    let db = shop.db.clone();
    got.push(
        other.cache.value("a").ttl(TTL).remember(&other.db, move |_| price(db)).await.unwrap(),
    );
    assert_eq!(got, [111, 112, 113]);
}

/// A cached_as of an hour with a part that may be at most 10 seconds old.
#[tokio::test]
async fn an_answer_older_than_any_max_age() {
    let shop = Shop::new().await;
    let get = async || {
        let value = shop.cache.value("n").ttl(HOUR);
        value
            .fetch_depending_on(deps![book::Entity], || async {
                first()
                    .ttl(HOUR)
                    .swr(Duration::from_secs(10))
                    .one(&shop.db)
                    .await
                    .map(|b| b.unwrap().price)
            })
            .await
            .unwrap()
    };
    get().await;
    shop.sql(RISE).await.unwrap();
    get().await;
    settled(&shop.cache).await;
    shop.clock.advance(HOUR / 2);
    let now = get().await;
    assert_eq!(now.value, 111);
}

/// The time limit counts from the read, whoever holds the only connection.
#[tokio::test]
async fn pool_of_one_and_swr_within_a_transaction_of_the_caller() {
    let file = crate::support::File::new();
    let plain = file.pool(1).await;
    plain.execute_unprepared(crate::support::SCHEMA).await.unwrap();
    let cache = QueryCache::builder().build().await.unwrap();
    let db = cache.connect(plain).await.unwrap();
    first().swr(HOUR).one(&db).await.unwrap();
    db.execute_unprepared(RISE).await.unwrap();
    let txn = db.begin().await.unwrap();
    assert_eq!(first().swr(HOUR).fetch_one(&db).await.unwrap().source, Source::Stale);
    let e = first().ttl(TTL).tag("x").load_timeout(Duration::from_millis(20)).one(&db).await;
    assert!(e.is_err());
    txn.rollback().await.unwrap();
    settled(&cache).await;
    assert_eq!(first().one(&db).await.unwrap().unwrap().price, 111);
}

/// zero, MAX
#[tokio::test]
async fn odd_durations() {
    for place in places().await {
        let z = Duration::ZERO;
        let m = Duration::MAX;
        for (n, read) in [
            first().swr(z),
            first().swr(m),
            first().stale_if_error(m),
            first().stale_if_slow(z, m),
            first().stale_if_slow(m, m),
            first().load_timeout(m),
            first().refresh_early(),
            first().ttl(m).refresh_early().swr(m),
            first().ttl(z).swr(m).refresh_early(),
        ]
        .into_iter()
        .enumerate()
        {
            let _again = read.clone();
            place.write_here(&format!("UPDATE book SET price = {} WHERE id = 1", 500 + n)).await;
            settled(&place.cache).await;
            let got = first().one(&place.db).await.unwrap().unwrap().price;
            assert_eq!(got, 500 + n as i32, "{}", place.name);
        }
    }
}

/// Old entries kept for swr readers are given to nobody else.
#[tokio::test]
async fn kept_entries_are_nobodys() {
    for place in places().await {
        let cache = place.cache.clone();
        let all = || book::Entity::find().cached(TTL);
        all().swr(HOUR).all(&place.db).await.unwrap();
        first().swr(HOUR).one(&place.db).await.unwrap();
        all().swr(HOUR).paginate(&place.db, 2).fetch_page(0).await.unwrap();
        place.write_here("UPDATE book SET price = 4242").await;
        for scoped in [place.db.clone(), place.db.caching_in_transactions(), place.db.scoped("x")] {
            assert_eq!(all().all(&scoped).await.unwrap()[0].price, 4242);
            assert_eq!(first().one(&scoped).await.unwrap().unwrap().price, 4242);
            assert_eq!(all().paginate(&scoped, 2).fetch_page(0).await.unwrap()[0].price, 4242);
            let many = cache.find_many::<book::Entity>(&scoped, [1, 2], TTL).await.unwrap();
            assert_eq!(many[0].as_ref().unwrap().price, 4242);
        }
        assert_eq!(cache.stats().total.stale, 0);
    }
}

/// The same of a refresh that panics.
#[tokio::test]
async fn a_refresh_that_panics_is_told() {
    let shop = Shop::new().await;
    let fail = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let get = async || {
        let fail = fail.clone();
        shop.cache
            .value("v")
            .ttl(TTL)
            .swr(HOUR)
            .fetch_depending_on(deps!["t"], move || async move {
                assert!(!fail.load(Ordering::SeqCst), "as told");
                Ok::<_, DbErr>(1)
            })
            .await
            .unwrap()
    };
    get().await;
    fail.store(true, Ordering::SeqCst);
    shop.cache.invalidate_tag("t").await;
    shop.log.take();
    assert_eq!(get().await.source, Source::Stale);
    settled(&shop.cache).await;
    let told = shop.log.take();
    assert!(told.iter().any(|line| line.starts_with("refresh of")), "{told:?}");
}

/// A refresh whose value is refused each time is done by each reader, one after the other.
#[tokio::test]
async fn a_value_that_can_not_be_stored_any_more_is_not_old_for_ever() {
    let shop = Shop::new().await;
    let writes = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let runs = Arc::new(AtomicUsize::new(0));
    let get = async || {
        let (writes, runs) = (writes.clone(), runs.clone());
        shop.cache
            .value("v")
            .ttl(TTL)
            .swr(HOUR)
            .fetch(&shop.db, move |db| async move {
                runs.fetch_add(1, Ordering::SeqCst);
                if writes.load(Ordering::SeqCst) {
                    db.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 1").await?;
                }
                book::Entity::find_by_id(1).one(&db).await.map(|b| b.unwrap().price)
            })
            .await
            .unwrap()
    };
    get().await;
    writes.store(true, Ordering::SeqCst);
    shop.sql(RISE).await.unwrap();
    let mut got = Vec::new();
    for _ in 0..4 {
        let o = get().await;
        got.push((o.value, o.source));
        settled(&shop.cache).await;
    }
    assert_eq!(got[3].0, 111);
}
