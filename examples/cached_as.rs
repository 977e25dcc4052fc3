//! Values that are computed from many queries: a dashboard with statistics, for each user another,
//! which is computed anew when something that it shows has changed, and only then.
//!
//! ```sh
//! cargo run --example cached_as
//! ```

use std::time::{Duration, Instant};

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, Database, QueryOrder, QuerySelect};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Outcome, deps};
use serde::{Deserialize, Serialize};

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

mod sale {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sale")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub user_id: i32,
        pub book_id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What one user sees. Any type of one's own, as long as serde can write and read it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Dashboard {
    bought: u64,
    spent: i64,
    dearest: Vec<String>,
    shop: Shop,
}

/// The same for all users.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shop {
    books: u64,
    sales: u64,
}

/// Every read that is made through the connection that the closure is given is recorded, so nothing
/// has to be said about what the dashboard depends on.
async fn dashboard(
    cache: &QueryCache,
    db: &CachedConnection,
    user: i32,
) -> Result<Outcome<Dashboard>, DbErr> {
    let shared = cache.clone();
    let value = cache.value("dashboard").argument(&user).ttl(TTL);
    value
        .fetch(db, |db| async move {
            let own = || sale::Entity::find().filter(sale::Column::UserId.eq(user));
            let spent = own().select_only().column_as(sale::Column::Price.sum(), "spent");
            let spent: Option<Option<i64>> = spent.into_tuple().one(&db).await?;
            let dearest = book::Entity::find().order_by_desc(book::Column::Price).limit(2);
            let dearest = dearest.cached(TTL).all(&db).await?;
            Ok(Dashboard {
                bought: own().count(&db).await?,
                spent: spent.flatten().unwrap_or_default(),
                dearest: dearest.into_iter().map(|book| book.title).collect(),
                shop: statistics(&shared, &db).await?,
            })
        })
        .await
}

/// A value within the other: it ends with each sale, and with it every dashboard.
async fn statistics(cache: &QueryCache, db: &CachedConnection) -> Result<Shop, DbErr> {
    let value = cache.remember(db, "statistics", TTL, |db| async move {
        let books = book::Entity::find().count(&db).await?;
        Ok(Shop { books, sales: sale::Entity::find().count(&db).await? })
    });
    value.await
}

async fn show(cache: &QueryCache, db: &CachedConnection, user: i32) -> Result<(), DbErr> {
    let start = Instant::now();
    let Outcome { value, source, .. } = dashboard(cache, db, user).await?;
    println!("  user {user}, by {source:?} in {:?}: {value:?}", start.elapsed());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display());
    let cache = QueryCache::builder().build().await?;
    let plain = Database::connect(url).await?;
    plain
        .execute_unprepared(
            "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price INTEGER NOT NULL);
             CREATE TABLE sale (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL,
                                book_id INTEGER NOT NULL, price INTEGER NOT NULL);
             CREATE INDEX sale_user ON sale (user_id);
             INSERT INTO book VALUES (1, 'Tides', 900), (2, 'Winds', 1200), (3, 'Clouds', 500);
             INSERT INTO sale VALUES (1, 1, 1, 900), (2, 1, 3, 500), (3, 2, 2, 1200)",
        )
        .await?;
    let db = cache.connect(plain).await?;

    println!("Computed once for each user:");
    for user in [1, 2, 1, 2] {
        show(&cache, &db, user).await?;
    }

    println!("A new title for a book that is not among the dearest changes no dashboard:");
    db.execute_unprepared("UPDATE book SET title = 'More clouds' WHERE id = 3").await?;
    show(&cache, &db, 1).await?;

    println!("Another one does:");
    db.execute_unprepared("UPDATE book SET title = 'High winds' WHERE id = 2").await?;
    show(&cache, &db, 1).await?;

    println!("And so does a sale, for all users, since all see how many there were:");
    db.execute_unprepared("INSERT INTO sale VALUES (4, 2, 3, 500)").await?;
    for user in [1, 2, 1, 2] {
        show(&cache, &db, user).await?;
    }

    println!(
        "Where what is computed does not come through the connection, say what it depends on:"
    );
    for step in ["computed", "cached", "a book has changed"] {
        if step == "a book has changed" {
            db.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await?;
        }
        let feed = cache.value("feed").ttl(TTL);
        let feed = feed.fetch_depending_on(deps![book::Entity, "feeds"], || async {
            Ok::<_, DbErr>("<feed/>".to_owned())
        });
        println!("  {step}: by {:?}", feed.await?.source);
    }
    Ok(())
}
