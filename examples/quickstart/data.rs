//! Fills the bookshop with invented but lifelike rows, the same ones in every run.

use fake::Fake;
use fake::faker::address::en::CountryName;
use fake::faker::internet::en::SafeEmail;
use fake::faker::lorem::en::{Sentence, Words};
use fake::faker::name::en::Name;
use fake::rand::RngExt;
use fake::rand::rngs::StdRng;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, Set,
    TransactionTrait,
};

use crate::shop::{SCHEMA, author, book, customer, purchase, purchase_line, review};

pub const AUTHORS: i32 = 400;
pub const BOOKS: i32 = 4_000;
pub const REVIEWS: i32 = 12_000;
pub const CUSTOMERS: i32 = 1_500;
pub const PURCHASES: i32 = 2_000;
const LINES: i32 = 4_000;
pub const ROWS: i32 = AUTHORS + BOOKS + REVIEWS + CUSTOMERS + PURCHASES + LINES;

pub const GENRES: [&str; 12] = [
    "biography",
    "children",
    "cooking",
    "crime",
    "fantasy",
    "history",
    "humour",
    "poetry",
    "romance",
    "science",
    "thriller",
    "travel",
];

/// Below SQLite's limit on parameters for any of the tables.
const CHUNK: usize = 1_000;

pub async fn create(db: &DatabaseConnection, rng: &mut StdRng) -> Result<(), DbErr> {
    db.execute_unprepared(SCHEMA).await?;
    let txn = db.begin().await?;
    insert::<author::Entity, _>(&txn, (1..=AUTHORS).map(|id| author(id, rng)).collect()).await?;
    insert::<book::Entity, _>(&txn, (1..=BOOKS).map(|id| book(id, rng)).collect()).await?;
    insert::<review::Entity, _>(&txn, (1..=REVIEWS).map(|_| review(rng)).collect()).await?;
    insert::<customer::Entity, _>(&txn, (1..=CUSTOMERS).map(|id| customer(id, rng)).collect())
        .await?;
    insert::<purchase::Entity, _>(&txn, (1..=PURCHASES).map(|id| purchase(id, rng)).collect())
        .await?;
    insert::<purchase_line::Entity, _>(&txn, (0..LINES).map(|n| line(n, rng)).collect()).await?;
    txn.commit().await
}

async fn insert<E, A>(db: &impl ConnectionTrait, rows: Vec<A>) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    for chunk in rows.chunks(CHUNK) {
        E::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

fn author(id: i32, rng: &mut StdRng) -> author::ActiveModel {
    author::ActiveModel {
        id: Set(id),
        name: Set(Name().fake_with_rng(rng)),
        country: Set(CountryName().fake_with_rng(rng)),
    }
}

fn book(id: i32, rng: &mut StdRng) -> book::ActiveModel {
    let words: Vec<String> = Words(2..5).fake_with_rng(rng);
    let mut title = words.join(" ");
    title[..1].make_ascii_uppercase();
    book::ActiveModel {
        id: Set(id),
        title: Set(title),
        author_id: Set(rng.random_range(1..=AUTHORS)),
        genre: Set(GENRES[rng.random_range(0..GENRES.len())].to_owned()),
        price: Set(rng.random_range(199..6_000)),
        stock: Set(rng.random_range(5..200)),
    }
}

/// A new review of any book.
pub fn review(rng: &mut StdRng) -> review::ActiveModel {
    let book_id = rng.random_range(1..=BOOKS);
    review_of(book_id, rng)
}

pub fn review_of(book_id: i32, rng: &mut StdRng) -> review::ActiveModel {
    review::ActiveModel {
        book_id: Set(book_id),
        rating: Set(rng.random_range(1..=5)),
        body: Set(Sentence(4..16).fake_with_rng(rng)),
        ..Default::default()
    }
}

fn customer(id: i32, rng: &mut StdRng) -> customer::ActiveModel {
    customer::ActiveModel {
        id: Set(id),
        name: Set(Name().fake_with_rng(rng)),
        email: Set(SafeEmail().fake_with_rng(rng)),
    }
}

fn purchase(id: i32, rng: &mut StdRng) -> purchase::ActiveModel {
    purchase::ActiveModel {
        id: Set(id),
        customer_id: Set(rng.random_range(1..=CUSTOMERS)),
        placed_on: Set(date(rng)),
    }
}

fn line(n: i32, rng: &mut StdRng) -> purchase_line::ActiveModel {
    purchase_line::ActiveModel {
        purchase_id: Set(n % PURCHASES + 1),
        book_id: Set(rng.random_range(1..=BOOKS)),
        quantity: Set(rng.random_range(1..4)),
        ..Default::default()
    }
}

pub fn date(rng: &mut StdRng) -> String {
    format!("2026-{:02}-{:02}", rng.random_range(1..=12), rng.random_range(1..=28))
}
