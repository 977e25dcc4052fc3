//! What a cached read must not mix up, wait for, or miss.

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, FromQueryResult, QuerySelect, Statement, TransactionTrait};
use sea_orm_cache::prelude::*;
use support::servers::{Backend, TestDb};
use support::*;

#[derive(EnumIter, DeriveIden, Clone, Copy)]
enum PriceStock {
    Price,
    Stock,
}
#[derive(EnumIter, DeriveIden, Clone, Copy)]
enum StockPrice {
    Stock,
    Price,
}

fn two() -> Select<book::Entity> {
    book::Entity::find()
        .select_only()
        .column(book::Column::Price)
        .column(book::Column::Stock)
        .filter(book::Column::Id.eq(1))
}

#[tokio::test]
async fn values_by_two_lists_of_columns_are_two_entries() {
    let shop = Shop::new().await;
    let _ = two().cached(TTL).into_values::<(i32, i32), PriceStock>().all(&shop.db).await.unwrap();
    let b = two().cached(TTL).into_values::<(i32, i32), StockPrice>().all(&shop.db).await.unwrap();
    let plain = two().into_values::<(i32, i32), StockPrice>().all(&shop.plain).await.unwrap();
    assert_eq!(b, plain);
}

#[tokio::test]
async fn values_by_position_and_by_name_are_two_entries() {
    let shop = Shop::new().await;
    let _ = two().cached(TTL).into_tuple::<(i32, i32)>().one(&shop.db).await.unwrap();
    let b = two().cached(TTL).into_values::<(i32, i32), StockPrice>().one(&shop.db).await.unwrap();
    let plain = two().into_values::<(i32, i32), StockPrice>().one(&shop.plain).await.unwrap();
    assert_eq!(b, plain);
}

#[tokio::test]
async fn selectors_that_read_rows_in_two_ways_are_two_entries() {
    let shop = Shop::new().await;
    let _ = two().into_tuple::<(i32, i32)>().cached(TTL).all(&shop.db).await.unwrap();
    let b = two().into_values::<(i32, i32), StockPrice>().cached(TTL).all(&shop.db).await.unwrap();
    let plain = two().into_values::<(i32, i32), StockPrice>().all(&shop.plain).await.unwrap();
    assert_eq!(b, plain);
}

/// A stream of cached reads whose consumer reads one of the same keys, with connections to spare.
#[tokio::test]
async fn a_read_between_those_of_a_buffered_stream_does_not_wait_for_itself() {
    let shop = Shop::new().await;
    let db = &shop.db;
    let mut books = futures_util::stream::iter(1..=20)
        .map(|id| book::Entity::find_by_id(id).cached(TTL).one(db))
        .buffered(2);
    let mut id = 1;
    let work = async {
        while let Some(book) = books.next().await {
            book.unwrap();
            // the next one
            id += 1;
            book::Entity::find_by_id(id).cached(TTL).one(db).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("hangs");
}

/// select! with a pinned read.
#[tokio::test]
async fn a_read_beside_one_that_is_not_polled_does_not_wait_for_it() {
    let shop = Shop::new().await;
    let db = &shop.db;
    let read = || book::Entity::find().cached(TTL).all(db);
    let slow = read();
    tokio::pin!(slow);
    tokio::select! { biased;
        _ = &mut slow => {}
        () = std::future::ready(()) => {
            tokio::time::timeout(Duration::from_secs(60), read()).await.expect("hangs").unwrap();
        }
    }
}

/// A read in a transaction joins a load that waits for the transaction's connection.
#[tokio::test]
async fn a_read_in_a_transaction_does_not_wait_for_one_that_waits_for_its_connection() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let test = TestDb::new(Backend::Postgres).await;
    let pool = test.pool(1).await;
    pool.execute_unprepared(&schema(Backend::Postgres)).await.unwrap();
    let cache = checked().build().await.unwrap();
    let db = cache.connect(pool.clone()).await.unwrap().caching_in_transactions();
    let transaction = db.begin().await.unwrap();
    let other = db.clone();
    let handler = tokio::spawn(async move { book::Entity::find().cached(TTL).all(&other).await });
    // The handler gets as far as the pool.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let inside = tokio::time::timeout(
        Duration::from_secs(20),
        book::Entity::find().cached(TTL).all(&transaction),
    )
    .await;
    transaction.commit().await.unwrap();
    let _ = handler.await.unwrap();
    inside.expect("hangs until the pool's acquire timeout").unwrap();
}

#[tokio::test]
async fn a_refresh_whose_result_is_not_stored_ends_the_entry() {
    let shop = Shop::new().await;
    let read = || book::Entity::find_by_id(5).cached(TTL).skip_empty();
    assert!(read().one(&shop.db).await.unwrap().is_some());
    // another program
    shop.plain.execute_unprepared("DELETE FROM book WHERE id = 5").await.unwrap();
    assert!(read().refresh().one(&shop.db).await.unwrap().is_none());
    assert!(read().one(&shop.db).await.unwrap().is_none(), "what refresh saw is forgotten");
}

#[tokio::test]
async fn a_scope_of_a_query_lies_within_its_connections() {
    let shop = Shop::new().await;
    let (one, two) = (shop.db.scoped("tenant:1"), shop.db.scoped("tenant:2"));
    book::Entity::find().cached(TTL).scope("report").all(&one).await.unwrap();
    book::Entity::find().cached(TTL).scope("report").all(&two).await.unwrap();
    book::Entity::find().cached(TTL).all(&one.scoped("report")).await.unwrap();
    book::Entity::find().cached(TTL).all(&two.scoped("tenant:1")).await.unwrap();
    assert_eq!(shop.hits(), 1, "only the third is what the first was");
}

#[tokio::test]
async fn a_ttl_by_result_counts_instead_of_the_given_one() {
    let shop = Shop::new().await;
    for _ in 0..2 {
        book::Entity::find().cached(Duration::ZERO).ttl_with(|_| TTL).all(&shop.db).await.unwrap();
    }
    assert_eq!(shop.hits(), 1, "{:?}", shop.log.take());
}

#[tokio::test]
async fn a_ttl_by_result_of_zero_takes_no_entry() {
    let shop = Shop::new().await;
    book::Entity::find().cached(TTL).all(&shop.db).await.unwrap();
    book::Entity::find().cached(TTL).ttl_with(|_| Duration::ZERO).all(&shop.db).await.unwrap();
    assert_eq!(shop.hits(), 0);
}

#[derive(Debug, Clone, PartialEq, FromQueryResult, serde::Serialize, serde::Deserialize)]
struct Id {
    id: i32,
}

async fn raw_writes(backend: Backend, sqls: &[&str]) {
    if !backend.is_reachable() {
        return;
    }
    let kind = match backend {
        Backend::Sqlite => DbBackend::Sqlite,
        Backend::Postgres => DbBackend::Postgres,
        Backend::MySql => DbBackend::MySql,
    };
    for sql in sqls {
        for how in 0..7 {
            let test = TestDb::new(backend).await;
            let pool = test.pool(3).await;
            pool.execute_unprepared(&schema(backend)).await.unwrap();
            let log = Log::default();
            let cache = checked().observer(log.observer()).build().await.unwrap();
            let db = cache.connect(pool.clone()).await.unwrap();
            book::Entity::find().cached(TTL).all(&db).await.unwrap();
            let statement = Statement::from_string(kind, *sql);
            let raw = || Id::find_by_statement(statement.clone()).cached(TTL);
            let result = match how {
                0 => raw().all(&db).await.map(|_| ()),
                1 => raw().one(&db).await.map(|_| ()),
                2 => raw().count(&db).await.map(|_| ()),
                3 => raw().exists(&db).await.map(|_| ()),
                4 => raw().paginate(&db, 2).fetch_page(0).await.map(|_| ()),
                5 => book::Entity::find()
                    .cached(TTL)
                    .from_raw_sql(statement.clone())
                    .all(&db)
                    .await
                    .map(|_| ()),
                _ => {
                    let t = db.begin().await.unwrap();
                    let r = raw().all(&t).await.map(|_| ());
                    let _ = t.commit().await;
                    r
                }
            };
            let plain = book::Entity::find().order_by_id_asc().all(&pool).await.unwrap();
            let mut cached = book::Entity::find().cached(TTL).all(&db).await.unwrap();
            cached.sort_by_key(|b| b.id);
            assert_eq!(cached, plain, "{backend:?} {sql} {how} {result:?}");
        }
    }
}

#[tokio::test]
async fn what_raw_sql_writes_through_a_cached_read_is_seen_on_sqlite() {
    raw_writes(
        Backend::Sqlite,
        &[
            "INSERT INTO book (id, title, genre, price) VALUES (50, 'x', 1, 1) RETURNING id",
            "UPDATE book SET price = price + 1 RETURNING id",
            "DELETE FROM book WHERE id = 3 RETURNING id",
            "SELECT 1 AS id; DELETE FROM book WHERE id = 3",
            "DELETE FROM book WHERE id = 3; SELECT 1 AS id",
            "WITH x AS (SELECT 1) UPDATE book SET price = 3 RETURNING id",
            "SELECT id FROM book; UPDATE book SET price = 9;",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_raw_sql_writes_through_a_cached_read_is_seen_on_postgres() {
    raw_writes(
        Backend::Postgres,
        &[
            "INSERT INTO book (id, title, genre, price) VALUES (50, 'x', 1, 1) RETURNING id",
            "WITH x AS (UPDATE book SET price = 7 RETURNING id) SELECT id FROM x",
            "DELETE FROM book WHERE id = 3 RETURNING id",
            "SELECT id FROM book FOR UPDATE",
        ],
    )
    .await;
}

mod yearly {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "yearly")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: u16,
        pub n: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// MySQL finds the year 2020 by 20.
#[tokio::test]
async fn a_number_that_stands_for_another_one_is_found_among_many() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let test = TestDb::new(Backend::MySql).await;
    let plain = test.pool(2).await;
    let table = "CREATE TABLE yearly (id YEAR PRIMARY KEY, n INTEGER NOT NULL);
        INSERT INTO yearly VALUES (2020, 1), (1999, 2)";
    plain.execute_unprepared(table).await.unwrap();
    let cache = checked().build().await.unwrap();
    let db = cache.connect(plain.clone()).await.unwrap();
    let fresh = yearly::Entity::find_by_id(20u16).one(&plain).await.unwrap();
    assert!(fresh.is_some());
    let many = cache.find_many::<yearly::Entity>(&db, [20u16], TTL).await.unwrap();
    let one = yearly::Entity::find_by_id(20u16).cached(TTL).one(&db).await.unwrap();
    assert_eq!((&many[0], &one), (&fresh, &fresh));
}

/// Other programs' writes are what a refresh is for.
#[tokio::test]
async fn a_load_that_began_before_a_refresh_does_not_replace_what_that_stored() {
    let file = File::new();
    let plain = file.pool(4).await;
    plain.execute_unprepared(SCHEMA).await.unwrap();
    let gate = gate::Gate::new(plain.clone());
    let cache = checked().build().await.unwrap();
    let db = cache.connect(gate.clone()).await.unwrap();
    let read = || book::Entity::find_by_id(1).cached(TTL);
    let (other, program) = (db.clone(), plain.clone());
    gate.after("FROM \"book\"", async move {
        program.execute_unprepared("UPDATE book SET price = 7 WHERE id = 1").await.unwrap();
        let fresh =
            book::Entity::find_by_id(1).cached(TTL).refresh().one(&other).await.unwrap().unwrap();
        assert_eq!(fresh.price, 7);
    });
    read().one(&db).await.unwrap();
    assert!(gate.passed());
    assert_eq!(read().one(&db).await.unwrap().unwrap().price, 7);
}

/// A load of several statements is only stored if every part of it still holds in the end.
#[tokio::test]
async fn a_write_between_the_statements_of_a_load_is_not_missed() {
    // Behind which statement, and a write to what it has read, or will have.
    for behind in ["FROM \"book\"", "FROM \"review\""] {
        for write in [
            "UPDATE author SET name = 'x' WHERE id = 1",
            "UPDATE book SET title = 'x' WHERE id = 1",
            "INSERT INTO book (id, title, author_id, genre, price) VALUES (50, 'New', 1, 1, 1)",
            "DELETE FROM book WHERE id = 2",
            "UPDATE review SET rating = 0 WHERE id = 1",
            "INSERT INTO review (id, book_id, rating) VALUES (50, 1, 1)",
            "UPDATE review SET book_id = 2 WHERE id = 4",
        ] {
            let file = File::new();
            let plain = file.pool(4).await;
            plain.execute_unprepared(SCHEMA).await.unwrap();
            let gate = gate::Gate::new(plain.clone());
            let db = checked().build().await.unwrap().connect(gate.clone()).await.unwrap();
            let writer = db.clone();
            gate.after(behind, async move {
                writer.execute_unprepared(write).await.unwrap();
            });
            let shelf = || {
                let ann = shelf::author::Entity::load().filter(shelf::author::Column::Id.eq(1));
                ann.with((shelf::book::Entity, shelf::review::Entity))
            };
            shelf().cached(TTL).all(&db).await.unwrap();
            assert!(gate.passed(), "{behind}");
            let fresh = format!("{:?}", shelf().all(&plain).await.unwrap());
            for _ in 0..2 {
                let cached = format!("{:?}", shelf().cached(TTL).all(&db).await.unwrap());
                assert_eq!(cached, fresh, "{write} behind {behind}");
            }
        }
    }
}

/// The bookshop's tables with relations that a loader follows.
mod shelf {
    macro_rules! module {
        ($name:ident { $($model:item)* }) => {
            #[allow(dead_code)]
            pub mod $name {
                use sea_orm::entity::prelude::*;

                $($model)*

                impl ActiveModelBehavior for ActiveModel {}
            }
        };
    }

    module!(author {
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
    });

    module!(book {
        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "book")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub title: String,
            pub author_id: Option<i32>,
            #[sea_orm(belongs_to, from = "author_id", to = "id")]
            pub author: BelongsTo<Option<super::author::Entity>>,
            #[sea_orm(has_many)]
            pub reviews: HasMany<super::review::Entity>,
        }
    });

    module!(review {
        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "review")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub book_id: i32,
            pub rating: i32,
            #[sea_orm(belongs_to, from = "book_id", to = "id")]
            pub book: BelongsTo<super::book::Entity>,
        }
    });
}
