//! Invalidating by hand: what dies and what stays.

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Invalidate, deps};

use crate::places::{Place, places};
use crate::support::{TTL, author, book, review};

/// One entry of each kind, by name; which of them answer now?
async fn alive(place: &Place) -> Vec<&'static str> {
    let db = &place.db;
    let mut alive = Vec::new();
    let books = book::Entity::find;
    macro_rules! look {
        ($name:literal, $read:expr) => {{
            let hits = place.hits();
            let _ = $read.await.expect($name);
            if place.hits() > hits {
                alive.push($name);
            }
        }};
    }
    look!("model", book::Entity::find_by_id(1).cached(TTL).one(db));
    look!("other model", book::Entity::find_by_id(2).cached(TTL).one(db));
    look!("list", books().filter(book::Column::AuthorId.eq(2)).cached(TTL).all(db));
    look!("page", books().cached(TTL).paginate(db, 2).fetch_page(0));
    look!("count", books().cached(TTL).count(db));
    let authors: Vec<author::Model> = vec![author::Model { id: 1, name: String::new() }];
    look!("loaded", authors.cached(TTL).load_many(book::Entity::find(), db));
    look!("tagged", review::Entity::find().cached(TTL).tag("homepage").all(db));
    look!("author", author::Entity::find_by_id(1).cached(TTL).one(db));
    look!(
        "value",
        place
            .cache
            .cached_as("top:books", TTL, deps![book::Entity => 1], || async { Ok::<_, DbErr>(1) })
    );
    alive
}

const ALL: [&str; 9] =
    ["model", "other model", "list", "page", "count", "loaded", "tagged", "author", "value"];

fn cases() -> Vec<(Invalidate, Vec<&'static str>)> {
    vec![
        (Invalidate::models::<book::Entity>(), vec!["model", "other model"]),
        (Invalidate::lists::<book::Entity>(), vec!["list", "page"]),
        (Invalidate::counts::<book::Entity>(), vec!["count"]),
        (Invalidate::loads::<book::Entity>(), vec!["loaded"]),
        (
            Invalidate::entity::<book::Entity>(),
            vec!["model", "other model", "list", "page", "count", "loaded", "value"],
        ),
        (Invalidate::entity::<author::Entity>(), vec!["author"]),
        (Invalidate::tag("homepage"), vec!["tagged"]),
        (Invalidate::value("top:books"), vec!["value"]),
        (Invalidate::value("top:*"), vec![]),
        (Invalidate::all(), ALL.to_vec()),
        (pattern("list:book:*"), vec!["list"]),
        (pattern("*:book"), vec!["model", "other model", "list", "page", "count", "loaded"]),
        (pattern("mod?l:*"), vec!["model", "other model", "author"]),
        (pattern("count:b*k:*"), vec!["count"]),
        (pattern("count:a*:*"), vec![]),
        (pattern("value:top%"), vec![]),
        (pattern("value:top*"), vec!["value"]),
        (pattern("*"), ALL.to_vec()),
        (
            Invalidate::tag("homepage").and(Invalidate::counts::<book::Entity>()),
            vec!["count", "tagged"],
        ),
    ]
}

fn pattern(pattern: &str) -> Invalidate {
    Invalidate::pattern(pattern).expect(pattern)
}

#[test]
fn a_pattern_that_names_nothing_is_an_error_that_says_what_there_is() {
    for (pattern, words) in [
        ("", "list, count"),
        ("books", "model, list"),
        ("list:book:0a*", "end it with *"),
        ("list:book:*:*", "end it with *"),
    ] {
        let error = Invalidate::pattern(pattern).expect_err(pattern);
        assert!(error.is_config() && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn each_family_ends_alone() {
    for place in places().await {
        for (what, dead) in cases() {
            alive(&place).await;
            assert_eq!(alive(&place).await, ALL, "{}: {:?}", place.name, place.log.take());
            place.cache.invalidate(what.clone()).await;
            let stays: Vec<_> = ALL.into_iter().filter(|name| !dead.contains(name)).collect();
            assert_eq!(
                alive(&place).await,
                stays,
                "{}: {what:?} {:?}",
                place.name,
                place.log.take()
            );
        }
    }
}

#[tokio::test]
async fn a_row_ends_all_that_a_change_of_it_could_change() {
    for place in places().await {
        alive(&place).await;
        // The cache does not see this.
        let sql = "UPDATE book SET price = 4711, author_id = 2 WHERE id = 1";
        sea_orm::ConnectionTrait::execute_unprepared(place.db.inner(), sql).await.expect("a write");
        place.cache.invalidate_row::<book::Entity>(1).await;
        let stays = alive(&place).await;
        assert_eq!(stays, ["other model", "tagged", "author"], "{}", place.name);
        let of_two = book::Entity::find().filter(book::Column::AuthorId.eq(2));
        let books = of_two.cached(TTL).all(&place.db).await.expect("books");
        assert!(books.iter().any(|book| book.price == 4711), "{}", place.name);
    }
}

#[tokio::test]
async fn in_a_transaction_it_waits_for_the_commit_and_is_forgotten_by_a_rollback() {
    for place in places().await {
        alive(&place).await;
        for commits in [false, true] {
            let transaction = place.db.begin().await.expect("begun");
            transaction.invalidate(Invalidate::counts::<book::Entity>());
            assert_eq!(alive(&place).await, ALL, "{}", place.name);
            if commits {
                transaction.commit().await.expect("committed");
            } else {
                transaction.rollback().await.expect("rolled back");
            }
            let count = alive(&place).await.contains(&"count");
            assert_eq!(count, !commits, "{}: {:?}", place.name, place.log.take());
        }
    }
}
