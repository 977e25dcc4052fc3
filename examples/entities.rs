//! What entities say about their own caching: TTLs, keys, tags, what is never cached. And functions
//! whose results are cached, old answers on request, and a bulk import.
//!
//! ```sh
//! cargo run --example entities
//! ```

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, Database, Set};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Family, Source, cached_as};

mod author {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    // Everything that reads authors ends with `invalidate_tag("catalog")`.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "author")]
    #[cached(ttl = "1h", tags("catalog"))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    // `author_id` has no index here, but queries filter by it: as a key, a book of one author ends
    // nothing that was read of another's.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "book")]
    #[cached(ttl = "5m", family_ttl(count = "30s"), key(author_id), related(author))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::author::Entity",
            from = "Column::AuthorId",
            to = "super::author::Column::Id"
        )]
        Author,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod session {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "session")]
    #[cached(no_cache)]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Computed once for an author, until one of the books that it read changes.
#[cached_as(ttl = "10m", key = "{author}")]
async fn titles(db: &CachedConnection, author: i32) -> Result<String, DbErr> {
    println!("  (computed)");
    let books = book::Entity::find().filter(book::Column::AuthorId.eq(author)).all(db).await?;
    Ok(books.into_iter().map(|book| book.title).collect::<Vec<_>>().join(", "))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = QueryCache::builder().build().await?;
    cache.register::<author::Entity>().register::<book::Entity>().register::<session::Entity>();
    cache.rules().on::<book::Entity>().invalidates_declared();
    let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    db.execute_unprepared(
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL, title TEXT NOT NULL);
         CREATE TABLE session (id INTEGER PRIMARY KEY);
         INSERT INTO author VALUES (1, 'Ada'), (2, 'Bob');
         INSERT INTO book VALUES (1, 1, 'One'), (2, 2, 'Two');",
    )
    .await?;

    let ttl = book::Entity::policy().ttl_of(Family::Count);
    println!("Books live as their entity says; their counts for {ttl:?}:");
    let of = |author: i32| book::Entity::find().filter(book::Column::AuthorId.eq(author));
    for _ in 0..2 {
        let (one, two) = (of(1).cached_default(), of(2).cached_default());
        println!("  {:?} {:?}", one.fetch(&db).await?.source, two.fetch(&db).await?.source);
    }

    println!("A book of author 1 ends nothing of author 2:");
    book::ActiveModel { author_id: Set(1), title: Set("Three".into()), ..Default::default() }
        .insert(&db)
        .await?;
    let (one, two) = (of(1).cached_default(), of(2).cached_default());
    println!("  {:?} {:?}", one.fetch(&db).await?.source, two.fetch(&db).await?.source);

    println!("Sessions are never cached:");
    let sessions = session::Entity::find().cached(Duration::from_secs(60)).fetch(&db).await?;
    println!("  {}", sessions.refused.map_or("?".into(), |reason| reason.to_string()));

    println!("A function:");
    for author in [1, 1, 2] {
        println!("  {}", titles(&db, author).await?);
    }

    println!("An old answer, which is asked for, while a task loads the new one:");
    let old = || of(1).cached_default().swr(Duration::from_secs(3600));
    old().all(&db).await?;
    book::ActiveModel { id: Set(1), title: Set("Uno".into()), ..Default::default() }
        .update(&db)
        .await?;
    let answer = old().fetch(&db).await?;
    println!("  {:?}: {}", answer.source, answer.value[0].title);
    while cache.stats().background > 0 {
        tokio::task::yield_now().await;
    }
    let answer = old().fetch(&db).await?;
    println!("  {:?}: {}", answer.source, answer.value[0].title);
    assert_ne!(answer.source, Source::Stale);

    println!("A bulk import:");
    let before = cache.stats().bumps;
    let import = async {
        for id in 100..1_100 {
            let book = book::ActiveModel { id: Set(id), author_id: Set(2), title: Set("x".into()) };
            book.insert(&db).await?;
        }
        Ok::<_, DbErr>(())
    };
    cache.suspend(import).await?;
    // Books before and after it, and then the authors that a rule ends with them.
    println!("  1,000 books, {} bumps", cache.stats().bumps - before);
    println!("  {} books of author 2", of(2).cached_default().count(&db).await?);
    Ok(())
}
