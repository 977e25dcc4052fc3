use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sea_orm_cache::prelude::*;

use crate::entities::{book, writer};
use crate::support::{Shop, TTL};

/// How many of two look-ups by columns without an index an unrelated write leaves alone.
async fn left_alone(shop: &Shop) -> u64 {
    let ask = async || {
        let one = book::Entity::find().filter(book::Column::Title.eq("One"));
        one.cached(TTL).all(&shop.db).await.expect("books");
        let at_100 = book::Entity::find().filter(book::Column::Price.eq(100));
        at_100.cached(TTL).count(&shop.db).await.expect("a number");
    };
    ask().await;
    shop.sql("INSERT INTO book (title, genre, price) VALUES ('Six', 1, 600)").await.expect("it");
    shop.sql("UPDATE book SET price = 901, title = 'IV' WHERE id = 4").await.expect("it");
    let hits = shop.hits();
    ask().await;
    shop.hits() - hits
}

#[tokio::test]
async fn declared_keys_tell_more_writes_apart() {
    let plain = Shop::new().await;
    assert_eq!(left_alone(&plain).await, 0);
    let annotated = Shop::new().await;
    annotated.cache.register::<book::Entity>();
    assert_eq!(left_alone(&annotated).await, 2, "{:#?}", annotated.log.take());
}

#[tokio::test]
async fn declared_keys_end_what_a_write_concerns() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>();
    let ask = async || {
        let at = book::Entity::find().filter(book::Column::Price.eq(150));
        at.cached(TTL).count(&shop.db).await.expect("a number")
    };
    assert_eq!(ask().await, 0);
    for (sql, found) in [
        ("INSERT INTO book (title, genre, price) VALUES ('Six', 1, 150)", 1),
        ("UPDATE book SET price = price + 50 WHERE id = 1", 2),
        ("UPDATE book SET price = 7 WHERE title = 'Six'", 1),
        ("DELETE FROM book WHERE id = 1", 0),
    ] {
        shop.sql(sql).await.expect(sql);
        assert_eq!(ask().await, found, "{sql}");
    }
}

#[tokio::test]
async fn a_column_that_the_table_lacks_is_passed_over() {
    let shop = Shop::new().await;
    shop.cache.register::<writer::Entity>();
    shop.sql("ALTER TABLE author RENAME COLUMN name TO called").await.expect("a change");
    shop.cache.register::<book::Entity>();
    assert_eq!(left_alone(&shop).await, 2);
}
