//! What a value is made of, by whatever way it came into it, and what it is for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, TransactionTrait,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Reason, deps};
use serde::Serialize;

use crate::places::places;
use crate::support::gate::Gate;
use crate::support::{File, SCHEMA, Shop, TTL, book};

const MORE: &str = "INSERT INTO book VALUES (71, 'a', 1, 1, 1, 1)";

#[derive(Clone, Serialize)]
struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genre: Option<i32>,
}

#[tokio::test]
async fn different_arguments_are_different_values() {
    for place in places().await {
        let ids = async |filter: Filter| {
            let asked = filter.clone();
            let value = place.cache.value("books").argument(&filter).ttl(TTL);
            let ids = value.remember(&place.db, |db| async move {
                let mut find = book::Entity::find();
                if let Some(author) = asked.author {
                    find = find.filter(book::Column::AuthorId.eq(author));
                }
                if let Some(genre) = asked.genre {
                    find = find.filter(book::Column::Genre.eq(genre));
                }
                let books = find.all(&db).await?;
                Ok::<_, DbErr>(books.into_iter().map(|book| book.id).collect::<Vec<_>>())
            });
            ids.await.expect("books")
        };
        assert_eq!(ids(Filter { author: Some(1), genre: None }).await, [1, 2]);
        assert_eq!(ids(Filter { author: None, genre: Some(1) }).await, [1, 3], "{}", place.name);
    }
}

#[tokio::test]
async fn none_and_some_none_are_never_the_same() {
    for place in places().await {
        let value = || place.cache.value("nested").ttl(TTL).argument(&Some(None::<i32>));
        let refused = value().fetch_depending_on(deps!["tag"], || async { Ok::<_, DbErr>(1) });
        let refused = refused.await.expect("a number").refused;
        assert!(matches!(refused, Some(Reason::Unencodable(_))), "{refused:?}");
        for db in [&place.db, &place.other] {
            let cache = db.cache();
            let value = cache.value("nested").ttl(TTL).remember(db, |_| async {
                // No book, or a book without an author.
                Ok::<_, DbErr>(Some(None::<i32>))
            });
            assert_eq!(value.await.expect("it"), Some(None), "{}", place.name);
        }
    }
}

#[tokio::test]
async fn a_value_that_was_said_is_a_part_as_any_other() {
    for place in places().await {
        let inner = async |db: &CachedConnection| {
            let count = || book::Entity::find().count(db);
            place.cache.cached_as("inner", TTL, deps![book::Entity], count).await
        };
        let outer = async || {
            let outer = place.cache.remember(&place.db, "outer", TTL, |db| {
                let inner = &inner;
                async move { inner(&db).await }
            });
            outer.await.expect("a number")
        };
        inner(&place.db).await.expect("a number");
        assert_eq!(outer().await, 5);
        place.write_here(MORE).await;
        assert_eq!(outer().await, 6, "{}", place.name);
    }
}

#[tokio::test]
async fn what_is_read_by_another_connection_of_the_cache_is_a_part_too() {
    for place in places().await {
        let outer = async || {
            let outer = place.cache.remember(&place.db, "outer", TTL, |_| async {
                let cached = book::Entity::find().cached(TTL).all(&place.db).await?.len();
                Ok::<_, DbErr>((cached, book::Entity::find().count(&place.db).await?))
            });
            outer.await.expect("numbers")
        };
        assert_eq!(outer().await, (5, 5));
        let hits = place.hits();
        outer().await;
        assert_eq!(place.hits(), hits + 1, "it is stored");
        place.write_here(MORE).await;
        assert_eq!(outer().await, (6, 6), "{}", place.name);
    }
}

#[tokio::test]
async fn what_is_read_through_another_cache_is_refused() {
    let (shop, other) = (Shop::new().await, Shop::new().await);
    let value = shop.cache.value("both").ttl(TTL);
    let value = value.fetch(&shop.db, |_| async { book::Entity::find().count(&other.db).await });
    assert_eq!(value.await.expect("a number").refused, Some(Reason::OtherCache));
}

#[tokio::test]
async fn a_read_that_was_given_up_is_not_forgotten() {
    for place in places().await {
        let gate = Gate::new(place.db.inner().clone());
        let db = place.cache.connect(gate.clone()).await.expect("a connection");
        for cached in [false, true] {
            // It never comes to an answer.
            gate.before("COUNT", std::future::pending());
            let value = place.cache.value("slow").argument(&cached).ttl(TTL);
            let value = value.fetch(&db, |db| async move {
                // As `timeout` does, when the database is slow.
                let mut read = Box::pin(async {
                    match cached {
                        true => book::Entity::find().cached(TTL).count(&db).await,
                        false => book::Entity::find().count(&db).await,
                    }
                });
                let polled = std::future::poll_fn(|c| Poll::Ready(read.as_mut().poll(c))).await;
                Ok::<_, DbErr>(match polled {
                    Poll::Ready(count) => i64::try_from(count?).expect("a number"),
                    Poll::Pending => -1,
                })
            });
            let value = value.await.expect("a number");
            assert_eq!((value.value, value.refused), (-1, Some(Reason::Failed)), "{}", place.name);
        }
    }
}

#[tokio::test]
async fn a_find_many_that_failed_is_not_forgotten() {
    for place in places().await {
        let plain = place.db.inner().clone();
        plain.execute_unprepared("ALTER TABLE book RENAME TO hidden").await.expect("a change");
        let cache = place.cache.clone();
        let value = place.cache.value("many").ttl(TTL).fetch(&place.db, |db| async move {
            let found = cache.find_many::<book::Entity>(&db, [1], TTL).await;
            Ok::<_, DbErr>(found.is_err())
        });
        let value = value.await.expect("an answer");
        assert_eq!((value.value, value.refused), (true, Some(Reason::Failed)), "{}", place.name);
        plain.execute_unprepared("ALTER TABLE hidden RENAME TO book").await.expect("a change");
        let cache = place.cache.clone();
        let value = place.cache.value("many").ttl(TTL).fetch(&place.db, |db| async move {
            let found = cache.find_many::<book::Entity>(&db, [1, 99], TTL).await?;
            Ok::<_, DbErr>(found.iter().flatten().count())
        });
        let value = value.await.expect("an answer");
        assert_eq!((value.value, value.refused), (1, None), "{}", place.name);
    }
}

#[tokio::test]
async fn what_a_transaction_reads_is_part_of_no_value() {
    for place in places().await {
        let transaction = place.db.begin().await.expect("a transaction");
        transaction.execute_unprepared(MORE).await.expect("a book");
        let said =
            place.cache.value("said").ttl(TTL).fetch_depending_on(deps![book::Entity], || async {
                book::Entity::find().cached(TTL).count(&transaction).await
            });
        let said = said.await.expect("a number");
        assert_eq!((said.value, said.refused), (6, Some(Reason::InTransaction)));
        let value = place.cache.value("recorded").ttl(TTL);
        let value =
            value.fetch(&place.db, |_| async { book::Entity::find().count(&transaction).await });
        let value = value.await.expect("a number");
        assert_eq!((value.value, value.refused), (6, Some(Reason::InTransaction)));
        transaction.rollback().await.expect("undone");
    }
}

#[tokio::test]
async fn a_database_that_is_connected_later_may_have_other_slices() {
    let (one, two) = (File::new(), File::new());
    let (first, second) = (one.pool(2).await, two.pool(2).await);
    first.execute_unprepared(SCHEMA).await.expect("the schema");
    let without_index = "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL,
        author_id INTEGER, genre INTEGER NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL)";
    second.execute_unprepared(without_index).await.expect("the schema");
    let cache = QueryCache::builder().build().await.expect("a cache");
    let _first = cache.connect(first).await.expect("a connection");
    let of_7 = || book::Entity::find().filter(book::Column::AuthorId.eq(7));
    let reading = second.clone();
    let get = async || {
        cache.cached_as("n", TTL, deps![of_7()], || of_7().count(&reading)).await.expect("a number")
    };
    assert_eq!(get().await, 0);
    let second = cache.connect(second).await.expect("a connection");
    second.execute_unprepared("INSERT INTO book VALUES (1, 'a', 7, 1, 1, 1)").await.expect("one");
    assert_eq!(get().await, 1);
}

#[tokio::test]
async fn patterns_end_values_by_the_starts_of_their_names() {
    for place in places().await {
        let runs = AtomicUsize::new(0);
        let get = async |name: &str| {
            let value = place.cache.remember(&place.db, name, TTL, |_| async {
                runs.fetch_add(1, Ordering::SeqCst);
                Ok::<_, DbErr>(1)
            });
            value.await.expect("a number");
        };
        const NAMES: [&str; 4] = ["dashboard:42", "dashboard:43:x", "dashboards", "top"];
        for (pattern, ended) in [
            ("value:dashboard:*", 2),
            ("value:dashboard%3a42:*", 1),
            ("value:dashboard:4?", 2),
            ("value:dashboard:42", 1),
            ("value:top", 1),
            ("value:dash*", 4),
            ("value:*", 4),
            ("list:*", 0),
        ] {
            for name in NAMES {
                get(name).await;
            }
            let before = runs.load(Ordering::SeqCst);
            place.cache.invalidate_pattern(pattern).await.expect("a pattern");
            for name in NAMES {
                get(name).await;
            }
            let ran = runs.load(Ordering::SeqCst) - before;
            assert_eq!(ran, ended, "{}: {pattern}", place.name);
        }
    }
}
