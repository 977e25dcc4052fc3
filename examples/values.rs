//! Results that are no models: partial models, tuples, JSON and raw SQL, what was a hit, and why
//! something was bypassed.
//!
//! ```sh
//! cargo run --example values
//! ```

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{
    ConnectionTrait, Database, DbBackend, FromQueryResult, QueryOrder, QuerySelect, Statement,
    raw_sql,
};
use sea_orm_cache::Event;
use sea_orm_cache::prelude::*;
use serde::{Deserialize, Serialize};

const TTL: Duration = Duration::from_secs(60);

mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub genre: String,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A part of a book: what is no entity's model is kept through serde.
#[derive(Clone, Debug, DerivePartialModel, Serialize, Deserialize)]
#[sea_orm(entity = "book::Entity")]
struct Label {
    id: i32,
    title: String,
}

/// What a statement of one's own gives.
#[derive(Clone, Debug, FromQueryResult, Serialize, Deserialize)]
struct Dearest {
    genre: String,
    price: i32,
}

#[tokio::main]
async fn main() -> Result<(), DbErr> {
    let cache = QueryCache::builder().observer(print).build().await?;
    let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    db.execute_unprepared(
        "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL, genre TEXT NOT NULL,
             price INTEGER NOT NULL);
         INSERT INTO book VALUES (1, 'Apples', 'food', 990), (2, 'Bread', 'food', 1490),
             (3, 'Cheese', 'food', 500), (4, 'Dread', 'crime', 700);",
    )
    .await?;
    let books = || book::Entity::find().order_by_asc(book::Column::Id);

    println!("\nA partial model: its columns alone are selected");
    for _ in 0..2 {
        let labels = books().cached(TTL).into_partial_model::<Label>().all(&db).await?;
        assert_eq!(labels[0].title, "Apples");
    }

    println!("\nTuples of an aggregate");
    for _ in 0..2 {
        let totals = book::Entity::find()
            .select_only()
            .column(book::Column::Genre)
            .column_as(book::Column::Id.count(), "books")
            .group_by(book::Column::Genre)
            .order_by_asc(book::Column::Genre)
            .into_tuple::<(String, i64)>();
        let totals = totals.cached(TTL).all(&db).await?;
        assert_eq!(totals, [("crime".to_owned(), 1), ("food".to_owned(), 3)]);
    }

    println!("\nJSON");
    for _ in 0..2 {
        let books = books().into_json().cached(TTL).all(&db).await?;
        assert_eq!(books[3]["title"], "Dread");
    }

    println!("\nRaw SQL is understood like any other");
    let least = 600;
    let dear = || raw_sql!(Sqlite, "SELECT * FROM book WHERE price > {least} ORDER BY price");
    for _ in 0..2 {
        let books = book::Entity::find().cached(TTL).from_raw_sql(dear()).all(&db).await?;
        assert_eq!(books.len(), 3);
    }
    let sql = "SELECT genre, max(price) AS price FROM book GROUP BY genre ORDER BY genre";
    let dearest = || Dearest::find_by_statement(Statement::from_string(DbBackend::Sqlite, sql));
    for _ in 0..2 {
        assert_eq!(dearest().cached(TTL).all(&db).await?[1].price, 1490);
    }

    println!("\nA new title ends what shows titles; no price changed");
    db.execute_unprepared("UPDATE book SET title = 'Butter' WHERE id = 2").await?;
    books().cached(TTL).into_partial_model::<Label>().all(&db).await?;
    dearest().cached(TTL).all(&db).await?;

    println!("\nWhat can't be known is not cached, and says why");
    let dice =
        Statement::from_string(DbBackend::Sqlite, "SELECT random() % 9 AS price, 'x' AS genre");
    Dearest::find_by_statement(dice).cached(TTL).one(&db).await?;
    books().cached(TTL).bypass().count(&db).await?;

    println!("\nOnly what is worth it: no empty list, nothing that is still a draft");
    let crime = || books().filter(book::Column::Genre.eq("poetry")).cached(TTL).skip_empty();
    crime().all(&db).await?;
    let cheap = |books: &[book::Model]| books.iter().all(|book| book.price < 1000);
    books().cached(TTL).cache_if(cheap).all(&db).await?;
    Ok(())
}

fn print(event: &Event<'_>) {
    match event {
        Event::Hit { key } => println!("  hit: {} of {}", key.family(), key.table()),
        Event::Miss { key } => println!("  miss: {} of {}", key.family(), key.table()),
        Event::Bypass { reason, .. } => println!("  bypassed: {reason}"),
        Event::FillRefused { reason, .. } => println!("  not stored: {reason}"),
        _ => {}
    }
}
