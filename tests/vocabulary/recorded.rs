//! What a computation reads is what its value depends on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, StreamTrait, TransactionTrait,
};
use sea_orm_cache::prelude::*;

use crate::places::{Place, places};
use crate::support::{TTL, author, book};

/// Reads in several ways: a number, a list that is cached by itself, and a value of its own.
async fn dashboard(place: &Place, runs: &AtomicUsize) -> (u64, Vec<i32>, String) {
    let cache = place.cache.clone();
    let value = place.cache.remember(&place.db, "dashboard", TTL, |db| async move {
        runs.fetch_add(1, Ordering::SeqCst);
        let dear = book::Entity::find().filter(book::Column::Price.gt(250)).count(&db).await?;
        let of_one = book::Entity::find()
            .filter(book::Column::AuthorId.eq(1))
            .order_by_asc(book::Column::Id)
            .cached(TTL)
            .all(&db)
            .await?;
        let name = cache.remember(&db, "first author", TTL, |db| async move {
            let first = author::Entity::find_by_id(1).one(&db).await?;
            Ok::<_, DbErr>(first.map_or_else(String::new, |author| author.name))
        });
        Ok::<_, DbErr>((dear, of_one.iter().map(|book| book.price).collect(), name.await?))
    });
    value.await.expect("a dashboard")
}

#[tokio::test]
async fn a_value_ends_with_each_of_its_parts_and_with_nothing_else() {
    for place in places().await {
        let runs = AtomicUsize::new(0);
        let (dear, prices, name) = dashboard(&place, &runs).await;
        assert_eq!(dashboard(&place, &runs).await, (dear, prices.clone(), name.clone()));
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{}: {:?}", place.name, place.log.take());

        // Nothing that it reads.
        place.write_here("UPDATE review SET rating = rating + 1").await;
        place.write_here("UPDATE book SET stock = stock + 1 WHERE author_id = 2").await;
        place.write_here("UPDATE author SET name = 'other' WHERE id = 2").await;
        place
            .sees((dear, prices.clone(), name.clone()), async || dashboard(&place, &runs).await)
            .await;
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{}: {:?}", place.name, place.log.take());

        // A plain query, a cached one, and what is within another value.
        place.write("INSERT INTO book VALUES (90, 'new', 3, 1, 900, 1)").await;
        place.sees((dear + 1, prices, name.clone()), async || dashboard(&place, &runs).await).await;
        place.write("UPDATE book SET price = 7 WHERE id = 1").await;
        place.sees((dear + 1, vec![7, 200], name), async || dashboard(&place, &runs).await).await;
        place.write("UPDATE author SET name = 'Ada L.' WHERE id = 1").await;
        let wanted = (dear + 1, vec![7, 200], "Ada L.".to_owned());
        place.sees(wanted, async || dashboard(&place, &runs).await).await;
        assert!(runs.load(Ordering::SeqCst) >= 4);
    }
}

#[tokio::test]
async fn entries_that_answer_within_a_computation_are_parts_of_it() {
    for place in places().await {
        let prices = async || {
            let of_two = book::Entity::find().filter(book::Column::AuthorId.eq(2));
            let books = of_two.cached(TTL).all(&place.db).await.expect("books");
            books.iter().map(|book| book.price).sum::<i32>()
        };
        let before = prices().await;
        let sum = async || {
            let value = place.cache.remember(&place.db, "sum", TTL, |db| async move {
                let of_two = book::Entity::find().filter(book::Column::AuthorId.eq(2));
                let books = of_two.cached(TTL).all(&db).await?;
                Ok::<_, DbErr>(books.iter().map(|book| book.price).sum::<i32>())
            });
            value.await.expect("a sum")
        };
        let hits = place.hits();
        assert_eq!(sum().await, before);
        assert_eq!(place.hits(), hits + 1, "{}: {:?}", place.name, place.log.take());
        assert_eq!(sum().await, before);
        assert_eq!(place.hits(), hits + 2, "{}: {:?}", place.name, place.log.take());
        place.write("UPDATE book SET price = price + 1 WHERE id = 3").await;
        place.sees(before + 1, sum).await;
    }
}

#[tokio::test]
async fn what_can_not_be_recorded_is_not_stored_and_an_event_says_why() {
    for place in places().await {
        let (cache, db) = (&place.cache, &place.db);
        place.log.take();
        for (name, reason) in [
            ("random", "random()"),
            ("write", "not a plain query"),
            ("transaction", "inside a transaction"),
            ("stream", "a stream"),
            ("failed", "failed"),
            ("execute", "not a plain query"),
        ] {
            for run in 1..=2 {
                let value = cache.remember(db, name, TTL, |db| async move {
                    match name {
                        "random" => {
                            let sql = "SELECT random()";
                            db.query_one_raw(sea_orm::Statement::from_string(
                                DbBackend::Sqlite,
                                sql,
                            ))
                            .await?;
                        }
                        "write" => {
                            db.execute_unprepared("UPDATE book SET stock = 1 WHERE id = 1").await?;
                        }
                        "transaction" => {
                            let transaction = db.begin().await?;
                            book::Entity::find().all(&transaction).await?;
                            transaction.commit().await?;
                        }
                        "stream" => {
                            drop(
                                db.stream(&sea_orm::QueryTrait::into_query(book::Entity::find()))
                                    .await?,
                            );
                        }
                        "execute" => {
                            db.execute_unprepared("SELECT id FROM book WHERE id = 1").await?;
                        }
                        _ => {
                            assert!(db.execute_unprepared("SELECT frob FROM book").await.is_err());
                        }
                    }
                    Ok::<_, DbErr>(run)
                });
                assert_eq!(value.await.expect("a number"), run, "{}: {name}", place.name);
            }
            let told = place.log.take().join("\n");
            let refused = told.lines().find(|line| line.contains("not stored")).unwrap_or_default();
            assert!(refused.contains(reason), "{}: {name}: {told}", place.name);
        }
    }
}

#[tokio::test]
async fn an_error_is_not_stored() {
    for place in places().await {
        let value = place.cache.remember(&place.db, "error", TTL, |_| async { Err::<u8, _>("no") });
        assert_eq!(value.await, Err("no"));
        let value = place.cache.remember(&place.db, "error", TTL, |_| async { Ok::<u8, &str>(1) });
        assert_eq!(value.await, Ok(1));
    }
}

#[tokio::test]
async fn a_write_during_the_computation_ends_what_was_read_before_it() {
    for place in places().await {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = async || {
            let (runs, place) = (runs.clone(), &place);
            let value = place.cache.remember(&place.db, "count", TTL, |db| async move {
                let count = book::Entity::find().count(&db).await?;
                if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                    place.write("DELETE FROM book WHERE id = 5").await;
                }
                Ok::<_, DbErr>(count)
            });
            value.await.expect("a number")
        };
        let before = counted().await;
        place.sees(before - 1, counted).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2, "{}: {:?}", place.name, place.log.take());
    }
}

#[tokio::test]
async fn a_value_is_as_old_as_its_oldest_part() {
    for place in places().await {
        let ttl = Duration::from_secs(60);
        book::Entity::find().cached(ttl).all(&place.db).await.expect("books");
        place.clock.advance(Duration::from_secs(50));
        let runs = AtomicUsize::new(0);
        let count = async || {
            let runs = &runs;
            let value = place.cache.remember(&place.db, "old", ttl, |db| async move {
                runs.fetch_add(1, Ordering::SeqCst);
                book::Entity::find().cached(ttl).all(&db).await.map(|books| books.len())
            });
            value.await.expect("a number")
        };
        count().await;
        count().await;
        assert_eq!(runs.load(Ordering::SeqCst), 1, "{}: {:?}", place.name, place.log.take());
        if place.name == "memory" {
            place.clock.advance(Duration::from_secs(11));
            count().await;
            assert_eq!(runs.load(Ordering::SeqCst), 2, "{:?}", place.log.take());
        }
    }
}

#[tokio::test]
async fn names_arguments_scopes_and_types_tell_values_apart() {
    for place in places().await {
        let cache = &place.cache;
        let value = async |name: &str, arguments: &[&str], value: u32| {
            let named = arguments.iter().fold(cache.value(name), |value, one| value.argument(one));
            named.remember(&place.db, |_| async move { Ok::<_, DbErr>(value) }).await.expect("it")
        };
        assert_eq!(value("a", &[], 1).await, 1);
        assert_eq!(value("a", &["b"], 2).await, 2);
        assert_eq!(value("a", &["b", ""], 3).await, 3);
        assert_eq!(value("a", &["", "b"], 4).await, 4);
        assert_eq!(value("a:b", &[], 5).await, 5);
        assert_eq!(value("a*\n\u{1f980}", &[], 6).await, 6);
        assert_eq!(value("a", &["b"], 7).await, 2);
        let of_scope = cache.value("a").scope("x");
        assert_eq!(of_scope.remember(&place.db, |_| async { Ok::<u32, DbErr>(8) }).await, Ok(8));
        let text =
            cache.value("a").remember(&place.db, |_| async { Ok::<_, DbErr>("9".to_owned()) });
        assert_eq!(text.await.as_deref(), Ok("9"));
        // A long name is another than one that begins like it.
        let (long, longer) = ("n".repeat(1_000), "n".repeat(1_001));
        assert_eq!(value(&long, &[], 10).await, 10);
        assert_eq!(value(&longer, &[], 11).await, 11);
    }
}
