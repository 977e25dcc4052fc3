//! Many tasks and threads: a read that starts after a write was acknowledged sees it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, Set, TransactionTrait};
use sea_orm_cache::prelude::*;
use support::*;

const WRITES: i32 = 150;

/// What every reader may rely on: the last price of each book that was acknowledged.
struct Acknowledged([AtomicI32; 2]);

async fn write(shop: &Shop, seen: &Acknowledged, book: usize) {
    let id = book as i32 + 1;
    for price in 1..=WRITES {
        let model = book::ActiveModel { id: Set(id), price: Set(price), ..Default::default() };
        let text = format!("UPDATE book SET price = {price} WHERE id = {id}");
        match price % 4 {
            0 => drop(model.update(&shop.db).await.expect("a write")),
            1 => drop(shop.sql(&text).await.expect("a write")),
            2 => {
                let transaction = shop.db.begin().await.expect("a transaction");
                model.update(&transaction).await.expect("a write");
                transaction.commit().await.expect("a commit");
            }
            _ => {
                let all = book::Entity::update_many().col_expr(book::Column::Price, price.into());
                let filter = book::Column::Title.eq(["One", "Two"][book]);
                all.filter(filter).exec(&shop.db).await.expect("a write");
            }
        }
        seen.0[book].store(price, Ordering::SeqCst);
    }
}

async fn read(shop: &Shop, seen: &Acknowledged, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let must: Vec<i32> = seen.0.iter().map(|price| price.load(Ordering::SeqCst)).collect();
        let list = book::Entity::find()
            .filter(book::Column::AuthorId.eq(1))
            .order_by_asc(book::Column::Id)
            .cached(TTL)
            .all(&shop.db)
            .await
            .expect("books");
        for (book, must) in list.iter().zip(&must) {
            assert!(book.price >= *must, "stale list: {book:?} after {must}");
        }
        for (index, must) in must.iter().enumerate() {
            let by_id = book::Entity::find_by_id(index as i32 + 1);
            let book = by_id.cached(TTL).require_one(&shop.db).await.expect("a book");
            assert!(book.price >= *must, "stale book: {book:?} after {must}");
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_starts_after_an_acknowledged_write_sees_it() {
    let shop = Arc::new(Shop::new().await);
    shop.sql("UPDATE book SET price = 0 WHERE id < 3").await.expect("a write");
    let seen = Arc::new(Acknowledged([AtomicI32::new(0), AtomicI32::new(0)]));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..6)
        .map(|_| {
            let (shop, seen, over) = (shop.clone(), seen.clone(), over.clone());
            tokio::spawn(async move { read(&shop, &seen, &over).await })
        })
        .collect();
    let writers: Vec<_> = (0..2)
        .map(|book| {
            let (shop, seen) = (shop.clone(), seen.clone());
            tokio::spawn(async move { write(&shop, &seen, book).await })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("a reader");
    }
    let stats = shop.cache.stats().total;
    assert!(stats.hits > 100, "too few hits to mean anything: {stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_that_miss_the_same_key_ask_the_database_once() {
    let shop = Arc::new(Shop::new().await);
    let start = Arc::new(tokio::sync::Barrier::new(200));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (shop, start) = (shop.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                book::Entity::find().cached(TTL).all(&shop.db).await.expect("books").len()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("a task"), 5);
    }
    assert_eq!(shop.cache.stats().total.fills, 1);
}
