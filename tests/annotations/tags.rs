use sea_orm::{EntityTrait, QuerySelect};
use sea_orm_cache::prelude::*;

use crate::entities::{author, book, cheap, review, writer};
use crate::support::{Shop, TTL};

async fn asked(shop: &Shop) -> u64 {
    let (db, hits) = (&shop.db, shop.hits());
    book::Entity::find_by_id(1).cached(TTL).one(db).await.expect("a book");
    book::Entity::find().cached(TTL).count(db).await.expect("a number");
    let titles = review::Entity::find().select_only().column(book::Column::Title);
    let titles = titles.inner_join(book::Entity).into_tuple::<String>();
    titles.cached(TTL).all(db).await.expect("titles");
    cheap::Entity::find().cached(TTL).all(db).await.expect("cheap books");
    review::Entity::find().cached(TTL).all(db).await.expect("reviews");
    shop.hits() - hits
}

#[tokio::test]
async fn a_tag_ends_every_entry_that_reads_the_table() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>();
    asked(&shop).await;
    assert_eq!(asked(&shop).await, 5);
    shop.cache.invalidate_tag("catalog").await;
    // Views read their tables. Reviews alone read no books.
    assert_eq!(asked(&shop).await, 1);
    assert_eq!(asked(&shop).await, 5);
    shop.cache.invalidate_tag("homepage").await;
    assert_eq!(asked(&shop).await, 5);
}

#[tokio::test]
async fn a_views_own_tag_ends_what_reads_the_view() {
    let shop = Shop::new().await;
    shop.cache.register::<cheap::Entity>();
    asked(&shop).await;
    shop.cache.invalidate_tag("bargains").await;
    assert_eq!(asked(&shop).await, 4);
}

#[tokio::test]
async fn tags_of_several_tables_and_of_the_query_add_up() {
    let shop = Shop::new().await;
    shop.cache.register::<book::Entity>().register::<writer::Entity>();
    let ask = async || {
        let hits = shop.hits();
        let both = book::Entity::find().find_also_related(author::Entity);
        both.cached(TTL).tag("homepage").all(&shop.db).await.expect("rows");
        shop.hits() > hits
    };
    for tag in ["catalog", "people", "homepage"] {
        ask().await;
        assert!(ask().await);
        shop.cache.invalidate_tag(tag).await;
        assert!(!ask().await, "{tag}");
    }
}

#[tokio::test]
async fn what_was_filled_before_the_tag_was_declared_does_not_answer_after() {
    let shop = Shop::new().await;
    asked(&shop).await;
    shop.cache.register::<book::Entity>();
    // Only on what the policy ends by itself: the catalog is read again.
    asked(&shop).await;
    shop.cache.invalidate_tag("catalog").await;
    assert_eq!(asked(&shop).await, 1);
}
