//! The tables of the trace and their rows at its start.

use fake::rand::RngExt;
use fake::rand::rngs::StdRng;
use sea_orm::{
    ActiveModelTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr,
    EntityTrait, Set, TransactionTrait,
};

pub const BOOKS: i32 = 5_000;
pub const AUTHORS: i32 = 500;
pub const REVIEWS: i32 = 20_000;
pub const GENRES: i32 = 20;

/// No table has a foreign key, as in the model of the trace; the indexes make the key columns.
const SCHEMA: &str = "
    CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE book (
        id INTEGER PRIMARY KEY,
        title TEXT NOT NULL,
        author_id INTEGER NOT NULL,
        genre INTEGER NOT NULL,
        price INTEGER NOT NULL,
        stock INTEGER NOT NULL
    );
    CREATE TABLE review (
        id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL,
        rating INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX book_author ON book (author_id);
    CREATE INDEX book_genre ON book (genre, price);
    CREATE INDEX review_book ON review (book_id);
";

/// An in-memory database with the rows that every run of the trace starts from.
pub async fn create(rng: &mut StdRng) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    // Each connection would have a database of its own.
    options.sqlx_logging(false).min_connections(1).max_connections(1);
    let db = Database::connect(options).await?;
    db.execute_unprepared(SCHEMA).await?;
    let txn = db.begin().await?;
    insert::<author::Entity, _>(&txn, (1..=AUTHORS).map(author).collect()).await?;
    insert::<book::Entity, _>(&txn, (1..=BOOKS).map(|id| book(id, rng)).collect()).await?;
    insert::<review::Entity, _>(&txn, (1..=REVIEWS).map(|id| review(id, rng)).collect()).await?;
    txn.commit().await?;
    Ok(db)
}

async fn insert<E, A>(db: &impl ConnectionTrait, rows: Vec<A>) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    for chunk in rows.chunks(1_000) {
        E::insert_many(chunk.to_vec()).exec_without_returning(db).await?;
    }
    Ok(())
}

fn author(id: i32) -> author::ActiveModel {
    author::ActiveModel { id: Set(id), name: Set(format!("a{id}")) }
}

fn book(id: i32, rng: &mut StdRng) -> book::ActiveModel {
    book::ActiveModel {
        id: Set(id),
        title: Set(format!("b{id}")),
        author_id: Set(id % AUTHORS + 1),
        genre: Set(id % GENRES),
        price: Set(rng.random_range(100..=9_999)),
        stock: Set(50),
    }
}

fn review(id: i32, rng: &mut StdRng) -> review::ActiveModel {
    review::ActiveModel {
        id: Set(id),
        book_id: Set(rng.random_range(1..=BOOKS)),
        rating: Set(rng.random_range(1..=5)),
        body: Set("x".to_owned()),
    }
}

pub mod author {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
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
        pub genre: i32,
        pub price: i32,
        pub stock: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod review {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "review")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub book_id: i32,
        pub rating: i32,
        pub body: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
