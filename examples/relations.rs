//! Joins, loaders and the entity loader, each read twice: what was a hit, and what ends it.
//!
//! ```sh
//! cargo run --example relations
//! ```

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, Database, QueryOrder};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Event, Family};

const TTL: Duration = Duration::from_secs(60);

mod author {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod book {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: BelongsTo<super::author::Entity>,
        #[sea_orm(has_many)]
        pub reviews: HasMany<super::review::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod review {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "review")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub book_id: i32,
        pub stars: i32,
        #[sea_orm(belongs_to, from = "book_id", to = "id")]
        pub book: BelongsTo<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::main]
async fn main() -> Result<(), DbErr> {
    let cache = QueryCache::builder().observer(print).build().await?;
    let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    db.execute_unprepared(
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL,
             author_id INTEGER NOT NULL REFERENCES author (id));
         CREATE TABLE review (id INTEGER PRIMARY KEY, stars INTEGER NOT NULL,
             book_id INTEGER NOT NULL REFERENCES book (id));
         INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob');
         INSERT INTO book VALUES (1, 'Apples', 1), (2, 'Bread', 1), (3, 'Cheese', 2);
         INSERT INTO review VALUES (1, 5, 1), (2, 3, 1), (3, 4, 3);",
    )
    .await?;

    println!("\nA join: books with their authors");
    for _ in 0..2 {
        let pairs = books().find_also_related(author::Entity).cached(TTL).all(&db).await?;
        assert_eq!(pairs.len(), 3);
    }

    println!("\nGathered: authors with all their books");
    for _ in 0..2 {
        let authors = author::Entity::find().find_with_related(book::Entity);
        assert_eq!(authors.cached(TTL).all(&db).await?[0].1.len(), 2);
    }

    println!("\nA loader: the reviews of books that are there already, in one query");
    let all = books().all(&db).await?;
    for _ in 0..2 {
        let reviews = all.cached(TTL).load_many(review::Entity, &db).await?;
        assert_eq!(reviews[0].len(), 2);
    }

    println!("\nThe entity loader: an author with books and their reviews, three statements");
    let ann = || {
        let ann = author::Entity::load().filter(author::Column::Id.eq(1));
        ann.with((book::Entity, review::Entity)).cached(TTL)
    };
    for _ in 0..2 {
        let ann = ann().one(&db).await?.ok_or(DbErr::RecordNotFound("Ann".into()))?;
        assert_eq!(ann.books[0].reviews.len(), 2);
    }

    println!("\nA new review of Ann's book ends what shows reviews, and no more");
    db.execute_unprepared("INSERT INTO review VALUES (4, 1, 2)").await?;
    let ann = ann().one(&db).await?.ok_or(DbErr::RecordNotFound("Ann".into()))?;
    assert_eq!(ann.books[1].reviews.len(), 1);
    books().find_also_related(author::Entity).cached(TTL).all(&db).await?;

    println!("\nMany by their keys: only what is missing is read");
    cache.find_many::<book::Entity>(&db, [1, 2], TTL).await?;
    let some = cache.find_many::<book::Entity>(&db, [3, 1, 99], TTL).await?;
    assert!(some[0].is_some() && some[2].is_none());
    Ok(())
}

fn books() -> Select<book::Entity> {
    book::Entity::find().order_by_asc(book::Column::Id)
}

fn print(event: &Event<'_>) {
    let what = |family: Family, table: &str| format!("{family} of {table}");
    match event {
        Event::Hit { key } => println!("  hit: {}", what(key.family(), key.table())),
        Event::Miss { key } => println!("  miss: {}", what(key.family(), key.table())),
        Event::Bypass { reason, .. } => println!("  bypassed: {reason}"),
        _ => {}
    }
}
