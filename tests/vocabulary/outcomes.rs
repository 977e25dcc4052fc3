//! What is told about a read.

use std::time::Duration;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Family, Reason, Source, deps};

use crate::places::places;
use crate::support::{TTL, book};

#[tokio::test]
async fn it_is_told_who_answered_how_old_it_is_and_what_it_depends_on() {
    for place in places().await {
        let dear = || book::Entity::find().filter(book::Column::Price.gt(250)).cached(TTL);
        let first = dear().fetch(&place.db).await.expect("books");
        assert_eq!(
            (first.source, first.age, first.refused),
            (Source::Database, Duration::ZERO, None)
        );
        let key = first.key.expect("a key");
        assert_eq!((key.family(), key.table()), (Family::List, "book"));
        let tags: Vec<_> = first.tags.iter().map(ToString::to_string).collect();
        for tag in ["*", "list:book", "book*", "book+", "book#price", "book:pk=3"] {
            assert!(tags.iter().any(|known| known == tag), "{tag}: {tags:?}");
        }
        if place.name == "memory" {
            place.clock.advance(Duration::from_secs(3));
        }
        let second = dear().fetch(&place.db).await.expect("books");
        assert_eq!((second.source, second.key.as_ref()), (Source::Memory, Some(&key)));
        assert_eq!((second.tags, second.value), (first.tags, first.value));
        if place.name == "memory" {
            assert_eq!(second.age, Duration::from_secs(3));
        } else {
            let other = dear().fetch(&place.other).await.expect("books");
            assert_eq!((other.source, other.key.as_ref()), (Source::Store, Some(&key)));
        }
        let bypassed = dear().bypass().fetch(&place.db).await.expect("books");
        assert_eq!(
            (bypassed.source, bypassed.refused),
            (Source::Database, Some(Reason::Requested))
        );
        let one = book::Entity::find_by_id(1).cached(TTL).fetch_one(&place.db).await.expect("one");
        assert_eq!(one.value.expect("a book").id, 1);
        assert_eq!(dear().fetch_count(&place.db).await.expect("a number").value, 3);
        let random = book::Entity::find().filter(sea_orm::sea_query::Expr::cust("random() > 0"));
        let random = random.cached(TTL).fetch(&place.db).await.expect("books");
        assert_eq!(random.refused, Some(Reason::UnknownFunction("random".into())));
    }
}

#[tokio::test]
async fn of_computed_values_too() {
    for place in places().await {
        for source in [Source::Database, Source::Memory] {
            let value = place.cache.value("said").ttl(TTL);
            let value = value.fetch_depending_on(deps!["tag"], || async { Ok::<_, DbErr>(1) });
            let value = value.await.expect("a number");
            assert_eq!(value.source, source);
            assert!(value.tags.iter().any(|tag| tag.to_string() == "@tag"), "{:?}", value.tags);
            let value = place.cache.value("recorded").ttl(TTL);
            let value = value.fetch(&place.db, |db| async move {
                book::Entity::find_by_id(1).one(&db).await.map(|book| book.map(|book| book.id))
            });
            let value = value.await.expect("a book");
            assert_eq!((value.source, value.value), (source, Some(1)));
            assert!(
                value.tags.iter().any(|tag| tag.to_string() == "book:pk=1"),
                "{:?}",
                value.tags
            );
        }
    }
}

#[tokio::test]
async fn what_is_told_as_stored_is_there_however_large_it_is() {
    let max_bytes = 1 << 20;
    let cache = QueryCache::builder().max_bytes(max_bytes).build().await.expect("a cache");
    for bytes in (max_bytes - (max_bytes >> 4)..=max_bytes).step_by(max_bytes >> 8) {
        let fetch = async || {
            let value = cache.value("text").argument(&bytes).ttl(TTL);
            let text = value
                .fetch_depending_on(deps!["tag"], || async { Ok::<_, DbErr>("x".repeat(bytes)) });
            text.await.expect("a text")
        };
        match fetch().await.refused {
            None => assert_eq!(fetch().await.source, Source::Memory, "{bytes}"),
            Some(reason) => assert!(matches!(reason, Reason::TooLarge { .. }), "{bytes}: {reason}"),
        }
    }
}
