//! Bad input has a clear outcome, and the query itself is always answered.

mod support;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, ExprTrait, SelectStatement};
use sea_orm::{ConnectionTrait, QueryOrder, QueryTrait};
use sea_orm_cache::ManualClock;
use sea_orm_cache::prelude::*;
use support::*;

fn all() -> Select<book::Entity> {
    book::Entity::find().order_by_asc(book::Column::Id)
}

/// A select of books with this condition as its text.
fn custom(condition: &str) -> Select<book::Entity> {
    all().filter(Expr::cust(condition.to_owned()))
}

#[tokio::test]
async fn sql_that_does_not_parse_gives_the_databases_own_answer() {
    let shop = Shop::new().await;
    // SQLite understands this, we do not.
    let odd = custom("id BETWEEN 1 AND 2 AND title NOT NULL");
    assert_eq!(odd.clone().cached(TTL).all(&shop.db).await.expect("books").len(), 2);
    // Nobody understands this: the error is the database's.
    let error = custom("frob nicate (").cached(TTL).all(&shop.db).await.expect_err("an error");
    let plain = custom("frob nicate (").all(&shop.plain).await.expect_err("an error");
    assert_eq!(error.to_string(), plain.to_string());
    let error = shop.sql("frobnicate the books").await.expect_err("an error");
    assert!(error.to_string().contains("frobnicate"), "{error}");
    let events = shop.log.take().join("\n");
    assert!(events.contains("frobnicate"), "{events}");
}

#[tokio::test]
async fn a_megabyte_of_sql_is_answered_and_not_cached() {
    let shop = Shop::new().await;
    let long = custom(&format!("1 = 1 /* {} */", "x".repeat(1 << 20)));
    assert_eq!(long.cached(TTL).all(&shop.db).await.expect("books").len(), 5);
    assert_eq!(shop.cache.stats().entries, 0);
    let events = shop.log.take().join("\n");
    assert!(events.contains("too long to analyse"), "{}", &events[..200]);
    let write = format!("UPDATE book SET stock = 1 /* {} */", "x".repeat(1 << 20));
    assert_eq!(shop.sql(&write).await.expect("a write").rows_affected(), 5);
}

#[tokio::test]
async fn ten_thousand_parameters_are_answered_and_seen() {
    let shop = Shop::new().await;
    let many = || all().filter(book::Column::Id.is_in(1..=10_000));
    for _ in 0..2 {
        assert_eq!(many().cached(TTL).all(&shop.db).await.expect("books").len(), 5);
    }
    assert_eq!(shop.hits(), 1);
    shop.sql("DELETE FROM book WHERE id = 5").await.expect("a write");
    assert_eq!(many().cached(TTL).all(&shop.db).await.expect("books").len(), 4);
    // A bulk insert of as many: lists of books end, others' entries stay.
    author::Entity::find().cached(TTL).all(&shop.db).await.expect("authors");
    let new = |id| review::ActiveModel {
        id: sea_orm::Set(id),
        book_id: sea_orm::Set(1),
        rating: sea_orm::Set(1),
    };
    review::Entity::insert_many((100..3_400).map(new)).exec(&shop.db).await.expect("an insert");
    let hits = shop.hits();
    author::Entity::find().cached(TTL).all(&shop.db).await.expect("authors");
    assert_eq!(shop.hits(), hits + 1);
}

#[tokio::test]
async fn deep_nesting_and_long_chains_do_not_overflow_the_stack() {
    let shop = Shop::new().await;
    for depth in [10, 90, 110, 900] {
        let nested = custom(&format!("{}1 = 1{}", "(".repeat(depth), ")".repeat(depth)));
        // SQLite has a limit of its own; whatever it says is the answer.
        let plain = nested.clone().all(&shop.plain).await.map_err(|e| e.to_string());
        let cached = nested.cached(TTL).all(&shop.db).await.map_err(|e| e.to_string());
        assert_eq!(cached, plain, "depth {depth}");
    }
    for (length, operator) in
        [(100, "AND"), (900, "AND"), (900, "+"), (3_900, "OR"), (50_000, "AND")]
    {
        let chain = custom(&vec!["1"; length].join(&format!(" {operator} ")));
        let plain = chain.clone().all(&shop.plain).await.map_err(|e| e.to_string());
        let cached = chain.cached(TTL).all(&shop.db).await.map_err(|e| e.to_string());
        assert_eq!(cached, plain, "{length} {operator}");
    }
    let chain = format!("UPDATE book SET stock = stock {}", "+ 1 ".repeat(900));
    assert_eq!(shop.sql(&chain).await.expect("a write").rows_affected(), 5);
    let not = custom(&format!("{} 1", "NOT ".repeat(900)));
    let plain = not.clone().all(&shop.plain).await.map_err(|e| e.to_string());
    assert_eq!(not.cached(TTL).all(&shop.db).await.map_err(|e| e.to_string()), plain);
    let values = vec!["(1, 1)"; 20_000].join(", ");
    let insert = format!("INSERT INTO review (book_id, rating) VALUES {values}");
    assert_eq!(shop.sql(&insert).await.expect("an insert").rows_affected(), 20_000);
}

#[tokio::test]
async fn names_are_found_in_every_quoting_style_and_in_unicode() {
    let shop = Shop::new().await;
    let ddl =
        "CREATE TABLE \"Bücher [x] \"\"y\"\"\" (\"größe\" INTEGER PRIMARY KEY, [ein Name] TEXT);
               INSERT INTO \"Bücher [x] \"\"y\"\"\" VALUES (1, 'a')";
    shop.sql(ddl).await.expect("a table");
    let read = || {
        let table = "\"Bücher [x] \"\"y\"\"\"";
        let mut select = book::Entity::find();
        let text = format!(
            "\"größe\" AS id, `ein Name` AS title, 1 AS author_id, 1 AS genre, 1 AS price, 1 AS stock FROM {table}"
        );
        *QueryTrait::query(&mut select) = SelectStatement::new().expr(Expr::cust(text)).to_owned();
        select
    };
    for _ in 0..2 {
        assert_eq!(read().cached(TTL).all(&shop.db).await.expect("rows")[0].title, "a");
    }
    assert_eq!(shop.hits(), 1);
    let updates = [
        "UPDATE \"Bücher [x] \"\"y\"\"\" SET [ein Name] = 'b' WHERE \"größe\" = 1",
        "UPDATE `BüCHER [X] \"Y\"` SET \"EIN NAME\" = 'c' WHERE [größe] = 1",
        "UPDATE main.\"bücher [x] \"\"y\"\"\" SET `ein name` = 'd'",
    ];
    for (update, title) in updates.into_iter().zip(["b", "c", "d"]) {
        assert_eq!(shop.sql(update).await.expect("a write").rows_affected(), 1, "{update}");
        assert_eq!(read().cached(TTL).all(&shop.db).await.expect("rows")[0].title, title);
    }
    let alias =
        book::Entity::find().filter(Expr::col((Alias::new("book"), Alias::new("ID"))).eq(1));
    assert_eq!(alias.cached(TTL).all(&shop.db).await.expect("a book").len(), 1);
}

#[tokio::test]
async fn a_ttl_of_zero_caches_nothing_and_an_enormous_one_never_ends() {
    let shop = Shop::new().await;
    for _ in 0..2 {
        all().cached(Duration::ZERO).all(&shop.db).await.expect("books");
    }
    assert_eq!((shop.hits(), shop.cache.stats().entries), (0, 0));
    for _ in 0..2 {
        all().cached(Duration::MAX).all(&shop.db).await.expect("books");
        shop.clock.advance(Duration::from_secs(1 << 40));
    }
    assert_eq!(shop.hits(), 1);
    all().cached(Duration::from_nanos(1)).limit_one().await;
}

trait LimitOne {
    async fn limit_one(self);
}

impl LimitOne for sea_orm_cache::Cached<sea_orm::Select<book::Entity>> {
    /// A TTL below a millisecond is one millisecond.
    async fn limit_one(self) {
        let shop = Shop::new().await;
        self.clone().one(&shop.db).await.expect("a book");
        self.one(&shop.db).await.expect("a book");
        assert_eq!(shop.hits(), 1);
    }
}

#[tokio::test]
async fn a_budget_of_zero_and_a_value_larger_than_it_store_nothing() -> Result<(), DbErr> {
    for max_bytes in [0, 1_000] {
        let shop = Shop::new().await;
        let log = Log::default();
        let cache =
            QueryCache::builder().max_bytes(max_bytes).observer(log.observer()).build().await?;
        let db = cache.connect(shop.plain.clone()).await?;
        shop.plain.execute_unprepared("UPDATE book SET title = printf('%.5000c', 'x')").await?;
        for _ in 0..2 {
            assert_eq!(all().cached(TTL).all(&db).await?.len(), 5);
        }
        assert_eq!((cache.stats().total.hits, cache.stats().entries), (0, 0));
        let events = log.take().join("\n");
        assert!(events.contains("the result is too large"), "{events}");
        // The promise holds without any entry.
        db.execute_unprepared("DELETE FROM book").await?;
        assert!(all().cached(TTL).all(&db).await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    for prefix in ["", "a:b", "a*", "a b", "ä", "a\nb"] {
        let error = QueryCache::builder().prefix(prefix).build().await.expect_err("an error");
        assert!(error.is_config() && error.to_string().contains("prefix"), "{error}");
    }
}

#[test]
fn connecting_outside_a_runtime_is_an_error_that_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let shop = runtime.expect("a runtime").block_on(Shop::new());
    let outcome = futures_util::FutureExt::now_or_never(shop.cache.connect(shop.plain.clone()));
    let error = outcome.expect("at once").expect_err("an error");
    assert!(error.is_no_runtime() && error.to_string().contains("Tokio"), "{error}");
}

#[tokio::test]
async fn without_a_catalog_nothing_is_cached_and_every_write_invalidates_everything() {
    let shop = Shop::new().await;
    let gate = gate::Gate::new(shop.plain.clone());
    let (clock, log) = (Arc::new(ManualClock::default()), Log::default());
    let builder = checked().clock(clock.clone()).observer(log.observer());
    let cache = builder.build().await.expect("a cache");
    let db = cache.connect(gate.clone()).await.expect("a connection");
    let read = || async { all().cached(TTL).all(&db).await.expect("books") };
    read().await;
    gate.fail_on("sqlite_master");
    // Is read again after each attempt to change the schema, also after one that fails.
    db.execute_unprepared("CREATE TABLE author (id INTEGER)").await.expect_err("it is there");
    let events = log.take().join("\n");
    assert!(events.contains("catalog could not be read"), "{events}");
    for _ in 0..2 {
        read().await;
    }
    assert_eq!((cache.stats().total.hits, cache.count_valid()), (0, 0));
    let events = log.take().join("\n");
    assert!(events.contains("bypass: the catalog is not known"), "{events}");
    db.execute_unprepared("UPDATE author SET name = 'x' WHERE id = 3").await.expect("a write");
    let events = log.take().join("\n");
    assert!(events.contains("bump *: "), "{events}");
    read().await;

    // Once it is, what was read in between is not answered any more.
    gate.fail_on("nothing any more");
    clock.advance(Duration::from_secs(1));
    author::Entity::find().cached(TTL).all(&db).await.expect("authors");
    db.execute_unprepared("UPDATE book SET price = 77 WHERE id = 1").await.expect("a write");
    assert_eq!(read().await[0].price, 77);
    assert_eq!(read().await[0].price, 77);
    assert_eq!(cache.stats().total.hits, 1);
}
