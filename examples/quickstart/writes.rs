//! What changes meanwhile: plain SeaORM code that knows nothing of the cache.

use fake::Fake;
use fake::faker::name::en::Name;
use fake::rand::RngExt;
use fake::rand::rngs::StdRng;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter,
    Set, TransactionTrait,
};
use sea_orm_cache::prelude::*;

use crate::data;
use crate::popular::Popular;
use crate::shop::{author, book, purchase, purchase_line, review};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    Price,
    Stock,
    NewReview,
    DeleteReview,
    NewPurchase,
    Rename,
    GenrePrices,
    Restock,
}

/// What is written, how it is called, and its share of all writes in percent.
pub const WRITES: [(Write, &str, u32); 8] = [
    (Write::Price, "a book gets a new price", 12),
    (Write::Stock, "a copy of a book is sold (update_many)", 31),
    (Write::NewReview, "a new review", 25),
    (Write::DeleteReview, "a review is deleted", 8),
    (Write::NewPurchase, "a new order (a transaction)", 14),
    (Write::Rename, "an author takes another name", 6),
    (Write::GenrePrices, "all prices of a genre rise", 1),
    (Write::Restock, "books that run out are restocked (raw SQL)", 3),
];

pub async fn write(
    kind: Write,
    db: &CachedConnection,
    popular: &Popular,
    rng: &mut StdRng,
) -> Result<(), DbErr> {
    match kind {
        Write::Price => {
            let id = popular.book.pick(rng);
            let price = rng.random_range(199..6_000);
            book::ActiveModel { id: Set(id), price: Set(price), ..Default::default() }
                .update(db)
                .await?;
        }
        Write::Stock => sell(db, popular.book.pick(rng), 1).await?,
        Write::NewReview => {
            data::review_of(popular.book.pick(rng), rng).insert(db).await?;
        }
        Write::DeleteReview => {
            review::Entity::delete_by_id(rng.random_range(1..=data::REVIEWS)).exec(db).await?;
        }
        Write::NewPurchase => new_purchase(db, popular, rng).await?,
        Write::Rename => {
            let (id, name) = (popular.author.pick(rng), Name().fake_with_rng(rng));
            author::ActiveModel { id: Set(id), name: Set(name), ..Default::default() }
                .update(db)
                .await?;
        }
        Write::GenrePrices => {
            book::Entity::update_many()
                .col_expr(book::Column::Price, Expr::col(book::Column::Price).add(10))
                .filter(book::Column::Genre.eq(popular.genre_name(rng)))
                .exec(db)
                .await?;
        }
        Write::Restock => {
            db.execute_unprepared("UPDATE book SET stock = stock + 50 WHERE stock < 5").await?;
        }
    }
    Ok(())
}

async fn sell(db: &impl ConnectionTrait, book_id: i32, copies: i32) -> Result<(), DbErr> {
    book::Entity::update_many()
        .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).sub(copies))
        .filter(book::Column::Id.eq(book_id))
        .exec(db)
        .await?;
    Ok(())
}

async fn new_purchase(
    db: &CachedConnection,
    popular: &Popular,
    rng: &mut StdRng,
) -> Result<(), DbErr> {
    let txn = db.begin().await?;
    let purchase = purchase::ActiveModel {
        customer_id: Set(popular.customer.pick(rng)),
        placed_on: Set(data::date(rng)),
        ..Default::default()
    };
    let purchase = purchase.insert(&txn).await?;
    for _ in 0..rng.random_range(1..4) {
        let (book_id, quantity) = (popular.book.pick(rng), rng.random_range(1..3));
        let line = purchase_line::ActiveModel {
            purchase_id: Set(purchase.id),
            book_id: Set(book_id),
            quantity: Set(quantity),
            ..Default::default()
        };
        line.insert(&txn).await?;
        sell(&txn, book_id, quantity).await?;
    }
    // Only now do others see the order, and only now is anything invalidated.
    txn.commit().await
}
