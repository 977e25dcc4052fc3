//! What visitors look at. Each question is put to the cache and to the database itself.

use std::time::{Duration, Instant};

use fake::rand::RngExt;
use fake::rand::rngs::StdRng;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use sea_orm_cache::prelude::*;

use crate::popular::Popular;
use crate::shop::{author, book, purchase, purchase_line, review};

/// Longer than this example runs: whatever is not up to date any more must be noticed by itself.
const TTL: Duration = Duration::from_secs(600);

const PAGE_SIZE: u64 = 24;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    Book,
    Author,
    BooksOfAuthor,
    TopOfGenre,
    Bargains,
    LatestReviews,
    NumberOfReviews,
    CataloguePage,
    PurchasesOfCustomer,
    BooksOfPurchase,
}

/// What is asked for, how it is called, and its share of all reads in percent.
pub const READS: [(Read, &str, u32); 10] = [
    (Read::Book, "a book", 28),
    (Read::Author, "an author", 8),
    (Read::BooksOfAuthor, "the books of an author", 12),
    (Read::TopOfGenre, "the dearest 20 of a genre", 10),
    (Read::Bargains, "the cheapest 20 books", 4),
    (Read::LatestReviews, "the latest 10 reviews of a book", 14),
    (Read::NumberOfReviews, "how many reviews a book has", 10),
    (Read::CataloguePage, "a page of the catalogue", 4),
    (Read::PurchasesOfCustomer, "the orders of a customer", 6),
    (Read::BooksOfPurchase, "the books of an order (a join)", 4),
];

/// One question, asked twice.
pub struct Asked {
    pub uncached: Duration,
    pub cached: Duration,
    /// The cache knew the answer.
    pub hit: bool,
    /// Both answers were the same.
    pub same: bool,
}

/// Asks the cache, then the database, and compares.
async fn ask<T: PartialEq>(
    db: &CachedConnection,
    cached: impl Future<Output = Result<T, DbErr>>,
    uncached: impl Future<Output = Result<T, DbErr>>,
) -> Result<Asked, DbErr> {
    let hits = db.cache().stats().total.hits;
    let start = Instant::now();
    let from_cache = cached.await?;
    let cached = start.elapsed();
    let hit = db.cache().stats().total.hits > hits;
    let start = Instant::now();
    let from_database = uncached.await?;
    let uncached = start.elapsed();
    Ok(Asked { uncached, cached, hit, same: from_cache == from_database })
}

pub async fn read(
    kind: Read,
    db: &CachedConnection,
    popular: &Popular,
    rng: &mut StdRng,
) -> Result<Asked, DbErr> {
    let plain = db.inner();
    match kind {
        Read::Book => {
            let query = book::Entity::find_by_id(popular.book.pick(rng));
            ask(db, query.clone().cached(TTL).one(db), query.one(plain)).await
        }
        Read::Author => {
            let query = author::Entity::find_by_id(popular.author.pick(rng));
            ask(db, query.clone().cached(TTL).one(db), query.one(plain)).await
        }
        Read::BooksOfAuthor => {
            let query = book::Entity::find()
                .filter(book::Column::AuthorId.eq(popular.author.pick(rng)))
                .order_by_asc(book::Column::Title)
                .order_by_asc(book::Column::Id);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
        Read::TopOfGenre => {
            let query = book::Entity::find()
                .filter(book::Column::Genre.eq(popular.genre_name(rng)))
                .order_by_desc(book::Column::Price)
                .order_by_asc(book::Column::Id)
                .limit(20);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
        Read::Bargains => {
            let query = book::Entity::find()
                .order_by_asc(book::Column::Price)
                .order_by_asc(book::Column::Id)
                .limit(20);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
        Read::LatestReviews => {
            let query = review::Entity::find()
                .filter(review::Column::BookId.eq(popular.book.pick(rng)))
                .order_by_desc(review::Column::Id)
                .limit(10);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
        Read::NumberOfReviews => {
            let query =
                review::Entity::find().filter(review::Column::BookId.eq(popular.book.pick(rng)));
            ask(db, query.clone().cached(TTL).count(db), query.count(plain)).await
        }
        Read::CataloguePage => {
            // Most people only look at the first pages.
            let page = rng.random_range(0..6u64) * rng.random_range(0..2);
            let query = book::Entity::find()
                .order_by_asc(book::Column::Title)
                .order_by_asc(book::Column::Id);
            let cached = query.clone().cached(TTL).paginate(db, PAGE_SIZE);
            let uncached = query.paginate(plain, PAGE_SIZE);
            ask(db, cached.fetch_page(page), uncached.fetch_page(page)).await
        }
        Read::PurchasesOfCustomer => {
            let query = purchase::Entity::find()
                .filter(purchase::Column::CustomerId.eq(popular.customer.pick(rng)))
                .order_by_desc(purchase::Column::PlacedOn)
                .order_by_desc(purchase::Column::Id);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
        Read::BooksOfPurchase => {
            let query = book::Entity::find()
                .inner_join(purchase_line::Entity)
                .filter(purchase_line::Column::PurchaseId.eq(popular.purchase.pick(rng)))
                .order_by_asc(purchase_line::Column::Id);
            ask(db, query.clone().cached(TTL).all(db), query.all(plain)).await
        }
    }
}
