//! What the cost benchmarks share: a table of books in memory, and robust arithmetic.
#![allow(dead_code)]

use std::time::{Duration, Instant};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait, Set,
};

pub const TTL: Duration = Duration::from_secs(86_400);

/// Books of each author: with them a list by author depends on about 25 tags.
pub const BOOKS_PER_AUTHOR: i32 = 18;

/// An in-memory database with this many books.
pub async fn create(books: i32) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    // Each connection would have a database of its own.
    options.sqlx_logging(false).min_connections(1).max_connections(1);
    let db = Database::connect(options).await?;
    fill(&db, books).await?;
    Ok(db)
}

/// Makes the table of books.
pub async fn fill(db: &DatabaseConnection, books: i32) -> Result<(), DbErr> {
    let schema = "
        CREATE TABLE book (
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL,
            author_id INTEGER NOT NULL,
            price INTEGER NOT NULL,
            stock INTEGER NOT NULL
        );
        CREATE INDEX book_author ON book (author_id);";
    db.execute_unprepared(schema).await?;
    let ids: Vec<i32> = (1..=books).collect();
    for ids in ids.chunks(1_000) {
        let rows = ids.iter().map(|id| book::ActiveModel {
            id: Set(*id),
            title: Set(format!("The book with the number {id}")),
            author_id: Set(id / BOOKS_PER_AUTHOR),
            price: Set(id * 7_919 % 10_000),
            stock: Set(50),
        });
        book::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn nanos(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// One line of the verdict.
pub fn verdict(what: &str, value: f64, unit: &str, target: f64, at_least: bool) {
    let met = if at_least { value >= target } else { value <= target };
    let (relation, verdict) =
        (if at_least { ">=" } else { "<=" }, if met { "met" } else { "MISSED" });
    println!("{what}: {value:.2}{unit} (target {relation} {target}{unit}: {verdict})");
}

pub mod book {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub author_id: i32,
        pub price: i32,
        pub stock: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
