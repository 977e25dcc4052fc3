//! Two processes on one Redis, of which only one knows of the annotations.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{CacheSource, Coherence};

use crate::entities::{author, book, review, writer};
use crate::shared::{Process, World};
use crate::support::TTL;
use crate::support::redis::is_there;

/// The first process registers everything.
async fn two(world: &World, coherence: Coherence) -> (Process, Process) {
    let (one, two) = (world.process(coherence).await, world.process(coherence).await);
    register(&one).await;
    (one, two)
}

async fn register(one: &Process) {
    one.cache.register::<book::Entity>().register::<review::Entity>().register::<writer::Entity>();
    // The catalog is read again, which ends every entry.
    titles(&one.db, 0).await;
}

async fn titles(db: &impl CacheSource, price: i32) -> Vec<String> {
    let books = book::Entity::find().filter(book::Column::Price.eq(price));
    let books = books.cached(TTL).all(db).await.expect("books");
    books.into_iter().map(|book| book.title).collect()
}

#[tokio::test]
async fn what_the_other_writes_is_never_stale() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) = two(&world, Coherence::Strong).await;
    // By the price, which only one declares to be a key.
    let told = "price of book is no key, although its entity says so: another process";
    assert!(one.log.take().iter().any(|line| line.starts_with(told)));
    for price in 2..30 {
        assert!(titles(&one.db, price).await.is_empty());
        assert!(titles(&two.db, price).await.is_empty());
        two.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
        assert_eq!(titles(&one.db, price).await, ["One"]);
        assert_eq!(titles(&two.db, price).await, ["One"]);
        one.sql("UPDATE book SET price = 1 WHERE id = 1").await;
        assert!(titles(&one.db, price).await.is_empty());
        assert!(titles(&two.db, price).await.is_empty());
    }
}

#[tokio::test]
async fn a_tag_ends_what_its_process_fills_and_no_entry_without_it_answers_there() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) = two(&world, Coherence::Strong).await;
    titles(&two.db, 100).await;
    titles(&one.db, 100).await;
    assert_eq!(one.hits(), 0, "it was filled without the tag");
    titles(&one.db, 100).await;
    assert_eq!(one.hits(), 1);
    // Whoever ends it.
    two.cache.invalidate_tag("catalog").await;
    titles(&one.db, 100).await;
    assert_eq!(one.hits(), 1);
    titles(&two.db, 100).await;
    assert_eq!(two.hits(), 1, "its own has no tag");
}

#[tokio::test]
async fn processes_that_register_the_same_share_entries() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) = two(&world, Coherence::Strong).await;
    register(&two).await;
    titles(&one.db, 100).await;
    titles(&two.db, 100).await;
    assert_eq!(two.hits(), 1);
    one.cache.invalidate_tag("catalog").await;
    titles(&two.db, 100).await;
    assert_eq!(two.hits(), 1);
}

#[tokio::test]
async fn what_is_never_cached_does_not_come_from_the_store_either() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) = two(&world, Coherence::Strong).await;
    for process in [&two, &one] {
        review::Entity::find().cached(TTL).all(&process.db).await.expect("reviews");
        let loaded = book::Entity::find().all(&process.plain).await.expect("books");
        loaded.cached(TTL).load_many(review::Entity, &process.db).await.expect("reviews");
        let both = author::Entity::find().find_also_related(book::Entity);
        both.cached(TTL).all(&process.db).await.expect("authors and books");
    }
    // Of what may be cached it makes its own; the other one is what it asked when it registered.
    assert_eq!((one.hits(), one.cache.stats().entries), (0, 2));
}

#[tokio::test]
async fn bounded_hears_of_tags_too() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, _) = two(&world, Coherence::bounded()).await;
    titles(&one.db, 100).await;
    titles(&one.db, 100).await;
    assert_eq!(one.hits(), 1);
    one.cache.invalidate_tag("catalog").await;
    titles(&one.db, 100).await;
    assert_eq!(one.hits(), 1);
}
