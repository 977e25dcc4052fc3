use std::time::Duration;

use sea_orm_cache::prelude::*;
use sea_orm_cache::{EntityPolicy, Family};

use crate::entities::{author, book, review, writer};
use crate::support::{Shop, TTL};

#[test]
fn both_formats_derive_what_was_said() {
    let (seconds, minutes) = (Duration::from_secs, |n: u64| Duration::from_secs(n * 60));
    assert_eq!(
        writer::Entity::policy(),
        EntityPolicy::new()
            .ttl(minutes(60))
            .tag("people")
            .tag("catalog")
            .key(writer::Column::Name)
            .relation(writer::Relation::Book)
    );
    assert_eq!(
        book::Entity::policy(),
        EntityPolicy::new()
            .ttl(minutes(5))
            .family_ttl(Family::Model, minutes(4))
            .family_ttl(Family::Count, seconds(30))
            .family_ttl(Family::Page, minutes(2))
            .family_ttl(Family::Related, seconds(90))
            .tag("catalog")
            .key(book::Column::Price)
            .key(book::Column::Title)
            .related::<author::Entity>()
            .related::<review::Entity>()
    );
    assert_eq!(review::Entity::policy(), EntityPolicy::new().no_cache());
}

#[test]
fn related_tables_come_from_relations_and_from_fields() {
    assert_eq!(writer::Entity::policy().related_tables().collect::<Vec<_>>(), ["book"]);
    let of_book = book::Entity::policy();
    assert_eq!(of_book.related_tables().collect::<Vec<_>>(), ["author", "review"]);
}

#[tokio::test]
async fn all_entities_of_a_module_register_at_once() {
    let Shop { cache, .. } = Shop::new().await;
    assert_eq!(cache.register_all("annotations::entities::*"), 3);
    assert_eq!(cache.register_all("annotations::entities::writer"), 1);
    assert_eq!(cache.register_all("annotations::entities::writ"), 0);
    assert!(cache.register_all("annotations") > 3);
}

#[tokio::test]
async fn registering_the_same_again_ends_nothing() {
    use sea_orm::EntityTrait;
    let shop = Shop::new().await;
    shop.cache.register::<writer::Entity>().register::<book::Entity>();
    book::Entity::find().cached(TTL).all(&shop.db).await.expect("books");
    shop.cache.register::<writer::Entity>().register::<book::Entity>();
    book::Entity::find().cached(TTL).all(&shop.db).await.expect("books");
    assert_eq!(shop.hits(), 1);
}
