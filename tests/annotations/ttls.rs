use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use sea_orm_cache::prelude::*;

use crate::entities::{author, book, writer};
use crate::support::Shop;

/// Asks the same twice, with so much time in between: does the second hit?
async fn lives<T>(shop: &Shop, for_seconds: u64, ask: impl AsyncFn() -> T) -> bool {
    ask().await;
    shop.clock.advance(Duration::from_secs(for_seconds));
    let hits = shop.hits();
    ask().await;
    let hit = shop.hits() > hits;
    shop.cache.invalidate_all().await;
    hit
}

/// It lives for less than so many seconds, but not for much less.
macro_rules! lives_for {
    ($seconds:expr, $shop:ident, $ask:expr) => {
        assert!(lives(&$shop, $seconds - 1, async || $ask.await.expect("rows")).await);
        assert!(!lives(&$shop, $seconds, async || $ask.await.expect("rows")).await);
    };
}

#[tokio::test]
async fn each_kind_of_result_has_the_ttl_of_its_family() {
    let shop = Shop::new().await;
    shop.cache.register::<writer::Entity>().register::<book::Entity>();
    let db = &shop.db;
    let books = || book::Entity::find().cached_default();
    lives_for!(240, shop, book::Entity::find_by_id(1).cached_default().one(db));
    lives_for!(300, shop, books().all(db));
    lives_for!(30, shop, books().count(db));
    lives_for!(30, shop, books().exists(db));
    lives_for!(120, shop, books().paginate(db, 2).fetch_page(0));
    lives_for!(30, shop, books().paginate(db, 2).num_items());
    let authors = author::Entity::find().all(&shop.plain).await.expect("authors");
    // What is loaded are books.
    lives_for!(90, shop, authors.cached_default().load_many(book::Entity::find(), db));
    lives_for!(3600, shop, author::Entity::find().cached_default().all(db));
}

#[tokio::test]
async fn a_select_that_becomes_another_keeps_its_entitys_ttl() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>();
    let db = &shop.db;
    let books = || book::Entity::find().cached_default();
    let prices = || book::Entity::find().select_only().column(book::Column::Price);
    lives_for!(300, shop, prices().cached_default().into_tuple::<i32>().all(db));
    lives_for!(300, shop, books().cursor_by(book::Column::Id).first(2).all(db));
    let cursor = || book::Entity::find().cursor_by(book::Column::Id);
    lives_for!(300, shop, cursor().cached_default().first(2).all(db));
    let sql = || sea_orm::Statement::from_string(db_backend(), "SELECT * FROM book");
    lives_for!(300, shop, books().from_raw_sql(sql()).all(db));
    let with_author = || book::Entity::find().find_also_related(author::Entity);
    lives_for!(300, shop, with_author().cached_default().all(db));
    lives_for!(300, shop, book::Entity::load().with(author::Entity).cached_default().all(db));
}

fn db_backend() -> sea_orm::DbBackend {
    sea_orm::DbBackend::Sqlite
}

#[tokio::test]
async fn an_explicit_ttl_goes_before_the_entitys() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>();
    let (db, ttl) = (&shop.db, Duration::from_secs(10));
    lives_for!(10, shop, book::Entity::find().cached(ttl).count(db));
    lives_for!(10, shop, book::Entity::find().cached_default().ttl(ttl).all(db));
}

#[tokio::test]
async fn without_a_policy_the_caches_default_counts() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>();
    let db = &shop.db;
    lives_for!(300, shop, author::Entity::find().cached_default().count(db));
}

#[tokio::test]
async fn a_shorter_ttl_counts_for_entries_that_are_there() {
    let shop = Shop::new().await;
    let ask = async || {
        let books = book::Entity::find().filter(book::Column::Genre.eq(1));
        books.cached_default().count(&shop.db).await.expect("a number")
    };
    shop.cache.register::<writer::Entity>();
    ask().await;
    shop.clock.advance(Duration::from_secs(60));
    assert_eq!(book::Entity::find().count(&shop.plain).await.expect("a number"), 5);
    ask().await;
    assert_eq!(shop.hits(), 1);
    shop.cache.register::<book::Entity>();
    ask().await;
    assert_eq!(shop.hits(), 1);
}
