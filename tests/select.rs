//! Every method of a cached select answers as SeaORM's own, from the database and from memory,
//! and its entry ends with what changes it.

mod support;

use std::time::Duration;

use futures_util::TryStreamExt;
use sea_orm::entity::prelude::*;
use sea_orm::{PaginatorTrait, QueryOrder, QuerySelect, SelectExt, Set, TransactionTrait};
use sea_orm_cache::prelude::*;
use support::*;

fn by_author(id: i32) -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(id)).order_by_asc(book::Column::Id)
}

#[tokio::test]
async fn each_method_gives_what_the_plain_select_gives_twice() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let (db, plain) = (&shop.db, &shop.plain);
    for round in 0..2 {
        let one = book::Entity::find_by_id(3);
        assert_eq!(one.clone().cached(TTL).one(db).await?, one.one(plain).await?);
        let none = book::Entity::find_by_id(99);
        assert_eq!(none.clone().cached(TTL).one(db).await?, None);
        let missing = none.cached(TTL).require_one(db).await;
        assert!(matches!(missing, Err(DbErr::RecordNotFound(_))));
        let found = by_author(2).cached(TTL).require_one(db).await?;
        assert_eq!(found, by_author(2).require_one(plain).await?);
        assert_eq!(by_author(1).cached(TTL).all(db).await?, by_author(1).all(plain).await?);
        let shared = by_author(2).cached(TTL).all_shared(db).await?;
        assert_eq!(*shared, by_author(2).all(plain).await?);
        let count = PaginatorTrait::count(by_author(1), plain).await?;
        assert_eq!(by_author(1).cached(TTL).count(db).await?, count);
        let limited = || by_author(1).limit(1);
        assert_eq!(limited().cached(TTL).count(db).await?, limited().count(plain).await?);
        assert!(by_author(1).cached(TTL).exists(db).await?);
        assert_eq!(by_author(9).cached(TTL).exists(db).await?, by_author(9).exists(plain).await?);
        let stats = shop.cache.stats().total;
        // `require_one` of what `one` found missing is the same question.
        assert_eq!((stats.hits, stats.misses), (1 + 10 * round, 9), "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_are_those_of_the_plain_paginator() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let books = || book::Entity::find().order_by_desc(book::Column::Price);
    for _ in 0..2 {
        let plain = books().paginate(&shop.plain, 2);
        let mut pages = books().cached(TTL).paginate(&shop.db, 2);
        for page in 0..4 {
            assert_eq!(pages.fetch_page(page).await?, plain.fetch_page(page).await?);
        }
        assert_eq!(pages.num_items().await?, 5);
        assert_eq!(pages.num_pages().await?, 3);
        pages.set_page(1);
        assert_eq!(pages.fetch().await?, plain.fetch_page(1).await?);
        assert_eq!(pages.fetch_and_next().await?.map(|rows| rows.len()), Some(2));
        assert_eq!(pages.cur_page(), 2);
        let rest: Vec<_> = pages.into_stream().try_collect().await?;
        assert_eq!(rest, [plain.fetch_page(2).await?]);
    }
    let hits = shop.hits();
    shop.sql("UPDATE book SET price = 1 WHERE id = 4").await?;
    let pages = books().cached(TTL).paginate(&shop.db, 2);
    assert_eq!(pages.fetch_page(0).await?, books().paginate(&shop.plain, 2).fetch_page(0).await?);
    assert_eq!(pages.fetch_page(2).await?, books().paginate(&shop.plain, 2).fetch_page(2).await?);
    assert_eq!(shop.hits(), hits, "a price moves books between pages");
    assert_eq!(pages.num_items().await?, 5);
    assert_eq!(shop.hits(), hits + 1, "but their number stays");
    Ok(())
}

#[tokio::test]
#[should_panic(expected = "page_size should not be zero")]
async fn a_page_size_of_zero_panics_as_in_sea_orm() {
    let shop = Shop::new().await;
    let _ = book::Entity::find().cached(TTL).paginate(&shop.db, 0);
}

#[tokio::test]
async fn bypass_neither_reads_nor_writes_the_cache() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    by_author(1).cached(TTL).bypass().all(&shop.db).await?;
    assert_eq!(shop.cache.stats().entries, 0);
    by_author(1).cached(TTL).all(&shop.db).await?;
    // Behind the cache's back, to tell an entry from the database.
    shop.plain.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await?;
    assert_eq!(by_author(1).cached(TTL).bypass().all(&shop.db).await?[0].price, 1);
    assert_eq!(by_author(1).cached(TTL).all(&shop.db).await?[0].price, 100);
    Ok(())
}

#[tokio::test]
async fn refresh_reads_the_database_and_stores() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    by_author(1).cached(TTL).all(&shop.db).await?;
    shop.plain.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await?;
    assert_eq!(by_author(1).cached(TTL).refresh().all(&shop.db).await?[0].price, 1);
    let hits = shop.hits();
    assert_eq!(by_author(1).cached(TTL).all(&shop.db).await?[0].price, 1);
    assert_eq!(shop.hits(), hits + 1);
    Ok(())
}

#[tokio::test]
async fn an_entry_ends_with_its_ttl() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    by_author(1).cached(TTL).ttl(Duration::from_secs(10)).all(&shop.db).await?;
    shop.clock.advance(Duration::from_millis(9_999));
    by_author(1).cached(TTL).all(&shop.db).await?;
    assert_eq!(shop.hits(), 1);
    shop.clock.advance(Duration::from_millis(1));
    by_author(1).cached(TTL).all(&shop.db).await?;
    assert_eq!(shop.hits(), 1);
    assert_eq!(shop.cache.stats().total.expired, 1);
    Ok(())
}

#[tokio::test]
async fn a_tag_ends_what_was_marked_with_it() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    by_author(1).cached(TTL).tag("homepage").all(&shop.db).await?;
    by_author(2).cached(TTL).all(&shop.db).await?;
    shop.cache.invalidate_tag("elsewhere").await;
    assert_eq!(shop.cache.count_valid(), 2);
    shop.cache.invalidate_tag("homepage").await;
    assert_eq!(shop.cache.count_valid(), 1);
    shop.cache.invalidate_all().await;
    assert_eq!(shop.cache.count_valid(), 0);
    Ok(())
}

#[tokio::test]
async fn scopes_keep_their_entries_apart_and_share_invalidation() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let tenant = shop.db.scoped("tenant:1");
    by_author(1).cached(TTL).all(&shop.db).await?;
    by_author(1).cached(TTL).all(&tenant).await?;
    by_author(1).cached(TTL).scope("other").all(&tenant).await?;
    assert_eq!(shop.hits(), 0);
    by_author(1).cached(TTL).scope("tenant:1").all(&shop.db).await?;
    assert_eq!(shop.hits(), 1, "the same scope, given for a query");
    shop.sql("UPDATE book SET price = 1 WHERE id = 1").await?;
    assert_eq!(shop.cache.count_valid(), 0, "a write ends it in every scope");
    Ok(())
}

#[tokio::test]
async fn a_caller_that_changes_a_model_does_not_change_the_entry() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    for _ in 0..2 {
        let mut books = by_author(1).cached(TTL).all(&shop.db).await?;
        assert_eq!(books[0].title, "One");
        books[0].title = "mine".into();
        let mut book = book::Entity::find_by_id(1).cached(TTL).require_one(&shop.db).await?;
        assert_eq!(book.title, "One");
        book.title.clear();
    }
    Ok(())
}

#[tokio::test]
async fn a_model_saved_in_a_transaction_is_seen_after_its_commit() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    by_author(1).cached(TTL).all(&shop.db).await?;
    shop.db
        .transaction::<_, (), DbErr>(|transaction| {
            Box::pin(async move {
                let mut book: book::ActiveModel =
                    book::Entity::find_by_id(1).require_one(transaction).await?.into();
                book.price = Set(77);
                book.save(transaction).await?;
                book::Entity::insert_many([book::ActiveModel {
                    title: Set("New".into()),
                    author_id: Set(Some(1)),
                    genre: Set(1),
                    price: Set(5),
                    stock: Set(1),
                    ..Default::default()
                }])
                .exec(transaction)
                .await?;
                Ok(())
            })
        })
        .await
        .map_err(|error| DbErr::Custom(error.to_string()))?;
    let books = by_author(1).cached(TTL).all(&shop.db).await?;
    assert_eq!((books.len(), books[0].price), (3, 77));
    Ok(())
}

#[cfg(feature = "stream")]
#[tokio::test]
async fn streams_work_and_their_writes_invalidate() -> Result<(), DbErr> {
    use sea_orm::{DbBackend, Statement, StreamTrait};
    let shop = Shop::new().await;
    let plain: Vec<_> = by_author(1).stream(&shop.db).await?.try_collect().await?;
    assert_eq!(plain, by_author(1).cached(TTL).all(&shop.db).await?);
    let update = "UPDATE book SET price = 8 WHERE author_id = 1 RETURNING id";
    let mut rows = shop.db.stream_raw(Statement::from_string(DbBackend::Sqlite, update)).await?;
    assert!(rows.try_next().await?.is_some());
    drop(rows);
    assert_eq!(by_author(1).cached(TTL).all(&shop.db).await?[0].price, 8);
    let transaction = shop.db.begin().await?;
    let inside: Vec<_> = by_author(1).stream(&transaction).await?.try_collect().await?;
    assert_eq!(inside.len(), 2);
    transaction.commit().await
}
