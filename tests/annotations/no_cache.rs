use sea_orm::{DbBackend, EntityTrait, QuerySelect, Statement};
use sea_orm_cache::CacheSource;
use sea_orm_cache::prelude::*;

use crate::entities::{author, book, review};
use crate::support::{Shop, TTL};

const IN_SQL: [&str; 5] = [
    "SELECT id FROM review",
    "SELECT id FROM book WHERE id IN (SELECT book_id FROM review)",
    "SELECT b.id FROM book b LEFT JOIN review r ON r.book_id = b.id",
    "WITH best AS (SELECT book_id AS id FROM review WHERE rating = 5) SELECT id FROM best",
    "SELECT id FROM rated",
];

async fn by_sql(db: &impl CacheSource, sql: &str) {
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let ids = book::Entity::find().cached(TTL).from_raw_sql(statement).all(db).await;
    // The rows are no whole books: what counts is whether they were kept.
    drop(ids);
}

async fn asked(shop: &Shop) {
    let db = &shop.db;
    review::Entity::find().cached(TTL).all(db).await.expect("reviews");
    review::Entity::find().cached_default().count(db).await.expect("a number");
    let both = || book::Entity::find().find_with_related(review::Entity);
    both().cached(TTL).all(db).await.expect("books and reviews");
    let ratings = book::Entity::find().select_only().column(review::Column::Rating);
    let ratings = ratings.inner_join(review::Entity).into_tuple::<i32>();
    ratings.cached(TTL).all(db).await.expect("ratings");
    let books = book::Entity::find().all(&shop.plain).await.expect("books");
    books.cached(TTL).load_many(review::Entity, db).await.expect("reviews");
    let loaded = book::Entity::load().with(review::Entity);
    loaded.cached(TTL).all(db).await.expect("books and reviews");
    for sql in IN_SQL {
        by_sql(db, sql).await;
    }
}

#[tokio::test]
async fn no_query_that_reads_the_table_is_cached() {
    let shop = Shop::new().await;
    shop.sql("CREATE VIEW rated AS SELECT book_id AS id FROM review").await.expect("a view");
    shop.cache.register::<review::Entity>();
    for _ in 0..2 {
        asked(&shop).await;
    }
    assert_eq!((shop.hits(), shop.cache.stats().entries), (0, 0), "{:#?}", shop.log.take());
    // What does not read it is.
    for _ in 0..2 {
        author::Entity::find().cached(TTL).all(&shop.db).await.expect("authors");
    }
    assert_eq!(shop.hits(), 1);
}

#[tokio::test]
async fn what_was_cached_before_answers_no_more() {
    let shop = Shop::new().await;
    shop.sql("CREATE VIEW rated AS SELECT book_id AS id FROM review").await.expect("a view");
    asked(&shop).await;
    asked(&shop).await;
    let hits = shop.hits();
    assert!(hits > 0);
    shop.cache.register::<review::Entity>();
    asked(&shop).await;
    assert_eq!(shop.hits(), hits);
}

#[tokio::test]
async fn events_and_explain_say_why() {
    let shop = Shop::new().await;
    shop.cache.register::<review::Entity>();
    review::Entity::find().cached(TTL).all(&shop.db).await.expect("reviews");
    let said = "review is never cached, as its entity says";
    assert!(shop.log.take().iter().any(|line| line.contains(said)));
    assert!(shop.db.explain(&review::Entity::find()).to_string().contains(said));
}
