//! What one process fills, the others hit; what one writes, none of them answers any more.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{CacheSource, Coherence};

use crate::processes::World;
use crate::support::gate::Gate;
use crate::support::redis::{eventually, is_there};
use crate::support::{TTL, author, book};

pub async fn prices(db: &impl CacheSource, author: i32) -> Vec<i32> {
    let query = book::Entity::find().filter(book::Column::AuthorId.eq(author));
    let books = query.cached(TTL).all(db).await.expect("books");
    books.into_iter().map(|book| book.price).collect()
}

#[tokio::test]
async fn what_one_process_fills_another_hits() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    assert_eq!(prices(&one.db, 1).await, [100, 200]);
    assert_eq!(one.hits(), 0, "{:?}", one.log.take());
    assert_eq!(prices(&two.db, 1).await, [100, 200]);
    assert_eq!(two.hits(), 1, "{:?} {:?}", one.log.take(), two.log.take());
    // Now it is in memory, too.
    assert_eq!(prices(&two.db, 1).await, [100, 200]);
    assert_eq!((two.hits(), two.cache.stats().entries), (2, 1));
}

#[tokio::test]
async fn strong_never_answers_with_what_another_process_has_overwritten() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    for price in 0..50 {
        one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
        assert_eq!(prices(&two.db, 1).await, [price, 200]);
        assert_eq!(prices(&two.db, 1).await, [price, 200]);
        assert_eq!(prices(&one.db, 1).await, [price, 200]);
        two.sql(&format!("UPDATE book SET price = {price} + 1000 WHERE id = 1")).await;
        assert_eq!(prices(&one.db, 1).await, [price + 1000, 200]);
    }
    // What was not touched stays.
    prices(&one.db, 2).await;
    let hits = two.hits();
    one.sql("UPDATE book SET price = 7 WHERE id = 1").await;
    prices(&two.db, 2).await;
    assert_eq!(two.hits(), hits + 1, "{:?}", two.log.take());
}

#[tokio::test]
async fn bounded_hears_of_what_another_process_writes() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let one = world.process(Coherence::bounded()).await;
    let two = world.process(Coherence::bounded()).await;
    for price in 0..20 {
        assert_eq!(prices(&two.db, 1).await.len(), 2);
        one.sql(&format!("UPDATE book SET price = {price} WHERE id = 1")).await;
        // One's own count at once.
        assert_eq!(prices(&one.db, 1).await, [price, 200]);
        eventually("the other hears of it", async || prices(&two.db, 1).await == [price, 200])
            .await;
    }
    let hits = two.hits();
    for _ in 0..100 {
        prices(&two.db, 1).await;
    }
    assert_eq!(two.hits(), hits + 100);
    assert_eq!(two.cache.stats().store.expect("a store").behind_ms, Some(0));
}

#[tokio::test]
async fn a_transaction_of_another_process_is_seen_from_its_commit_on() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    prices(&two.db, 1).await;
    let transaction = one.db.begin().await.expect("begun");
    let write =
        book::ActiveModel { id: sea_orm::Set(1), price: sea_orm::Set(5), ..Default::default() };
    sea_orm::ActiveModelTrait::update(write, &transaction).await.expect("written");
    assert_eq!(prices(&two.db, 1).await, [100, 200]);
    transaction.commit().await.expect("committed");
    assert_eq!(prices(&two.db, 1).await, [5, 200]);
}

#[tokio::test]
async fn a_schema_that_another_process_changes_is_read_again() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    let names = async |db: &CachedConnection| {
        let authors = author::Entity::find().cached(TTL).all(db).await.expect("authors");
        authors.into_iter().map(|author| author.name).collect::<Vec<_>>()
    };
    names(&two.db).await;
    one.sql(
        "CREATE TRIGGER renames AFTER UPDATE ON review
         BEGIN UPDATE author SET name = 'Z' WHERE id = 1; END",
    )
    .await;
    assert_eq!(names(&two.db).await, ["Ada", "Bob", "Cleo"]);
    assert_eq!(names(&one.db).await, ["Ada", "Bob", "Cleo"]);
    // What this process knew of the schema does not say that it changes authors.
    two.sql("UPDATE review SET rating = 1 WHERE id = 1").await;
    assert_eq!(names(&two.db).await, ["Z", "Bob", "Cleo"]);
    assert_eq!(names(&one.db).await, ["Z", "Bob", "Cleo"]);
}

#[tokio::test]
async fn invalidate_all_and_tags_reach_every_process() {
    if !is_there() {
        return;
    }
    let world = World::new().await;
    let (one, two) =
        (world.process(Coherence::Strong).await, world.process(Coherence::Strong).await);
    let tagged = async |db: &CachedConnection| {
        book::Entity::find_by_id(1).cached(TTL).tag("homepage").one(db).await.expect("a book");
    };
    tagged(&one.db).await;
    tagged(&two.db).await;
    assert_eq!(two.hits(), 1);
    one.cache.invalidate_tag("homepage").await;
    tagged(&two.db).await;
    assert_eq!(two.hits(), 1);
    two.cache.invalidate_all().await;
    tagged(&one.db).await;
    assert_eq!(one.hits(), 0);
}

/// What it put would depend on nothing that others bump, since they know the schema.
#[tokio::test]
async fn a_process_that_cannot_read_the_catalog_caches_nothing() {
    if !is_there() {
        return;
    }
    for coherence in [Coherence::Strong, Coherence::bounded()] {
        let world = World::new().await;
        let (one, two) = (world.process(coherence).await, world.process(coherence).await);
        let gate = Gate::new(two.plain.clone());
        gate.fail_on("sqlite_master");
        let blind = two.cache.connect(gate).await.expect("a connection");
        let before = prices(&blind, 1).await;
        assert_eq!(prices(&blind, 1).await, before);
        assert_eq!(two.hits(), 0, "{:?}", two.log.take());
        one.sql("UPDATE book SET price = 7 WHERE id = 1").await;
        assert_eq!(prices(&blind, 1).await, [7, 200]);
    }
}
