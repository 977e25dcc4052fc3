//! Rules: what else is to be invalidated, or done, when something was written.
//!
//! Queries need no rules to be fresh. These are for what the cache can't know: a page that was
//! rendered from a book's row, a search index, work that follows from a change.
//!
//! ```sh
//! cargo run --example rules
//! ```

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, Database, Set, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Event, Invalidate, deps};

const TTL: Duration = Duration::from_secs(600);

mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod review {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "review")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub book_id: i32,
        pub rating: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::book::Entity",
            from = "Column::BookId",
            to = "super::book::Column::Id"
        )]
        Book,
    }

    impl Related<super::book::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Book.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A book's page: it is known to depend on the book's row, but it shows reviews as well.
async fn page(cache: &QueryCache, book: i32) -> Result<String, DbErr> {
    let page = cache.value("page").argument(&book).tag("pages").ttl(TTL);
    let page = page.fetch_depending_on(deps![book::Entity => book], || async move {
        Ok::<_, DbErr>(format!("<h1>book {book}</h1>"))
    });
    let page = page.await?;
    Ok(format!("page {book} by {:?}", page.source))
}

async fn pages(cache: &QueryCache) -> Result<String, DbErr> {
    Ok(format!("{}, {}", page(cache, 1).await?, page(cache, 2).await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display());
    let cache = QueryCache::builder()
        .observer(|event: &Event<'_>| {
            if let Event::RuleFailed { .. } = event {
                println!("  event: {event}");
            }
        })
        .build()
        .await?;
    let plain = Database::connect(url).await?;
    plain
        .execute_unprepared(
            "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price INTEGER NOT NULL);
             CREATE TABLE review (id INTEGER PRIMARY KEY, rating INTEGER NOT NULL,
                                  book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE);
             INSERT INTO book VALUES (1, 'Tides', 900), (2, 'Winds', 1200);
             INSERT INTO review (id, book_id, rating) VALUES (1, 1, 5), (2, 2, 3)",
        )
        .await?;
    let db = cache.connect(plain).await?;

    // A review's book counts as changed, and so its page does.
    cache.rules().on::<review::Entity>().invalidates_related::<book::Entity>();
    // With a new price all pages are rendered again.
    let prices = cache.rules().on::<book::Entity>().updates_of([book::Column::Price]);
    prices.invalidates(Invalidate::tag("pages"));
    // After the commit, once, before the write returns.
    cache.rules().on::<book::Entity>().named("search index").calls(|commit| async move {
        println!("  search index: {commit}");
        if commit.unknown { Err("which books?".into()) } else { Ok(()) }
    });

    pages(&cache).await?;
    println!("Cached: {}", pages(&cache).await?);

    println!("A review of book 1:");
    review::ActiveModel { book_id: Set(1), rating: Set(2), ..Default::default() }
        .insert(&db)
        .await?;
    println!("  {}", pages(&cache).await?);

    println!("A price:");
    book::ActiveModel { id: Set(2), price: Set(990), ..Default::default() }.update(&db).await?;
    println!("  {}", pages(&cache).await?);

    println!("Both books in a transaction; the index is told once, at the commit:");
    let transaction = db.begin().await?;
    for id in [1, 2] {
        let title = Set(format!("Book {id}"));
        book::ActiveModel { id: Set(id), title, ..Default::default() }.update(&transaction).await?;
    }
    transaction.commit().await?;

    println!("One that is rolled back; the index is not told:");
    let transaction = db.begin().await?;
    book::Entity::delete_many().exec(&transaction).await?;
    transaction.rollback().await?;

    println!("A statement that nobody understands; a rule that fails stops neither it nor others:");
    db.execute_unprepared("VACUUM").await?;
    println!("  {}", pages(&cache).await?);
    Ok(())
}
