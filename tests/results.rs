//! What is done with a result: whether it is stored, for how long, and one by one under the keys
//! of its rows.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{PaginatorTrait, QueryOrder, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{ManualClock, StorableEntity};
use support::servers::{Backend, TestDb};
use support::*;

fn by_author(id: i32) -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(id)).order_by_asc(book::Column::Id)
}

#[tokio::test]
async fn what_is_not_found_is_remembered_until_it_is_inserted() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let one = || book::Entity::find_by_id(77).cached(TTL);
    let list = || by_author(30).cached(TTL);
    shop.sql("INSERT INTO author VALUES (30, 'New')").await?;
    for hits in [0, 3] {
        assert_eq!(one().one(&shop.db).await?, None);
        assert!(list().all(&shop.db).await?.is_empty());
        assert_eq!(list().count(&shop.db).await?, 0);
        assert_eq!(shop.hits(), hits);
    }
    // Another book: they stay.
    shop.sql(
        "INSERT INTO book (id, title, author_id, genre, price, stock) VALUES (78, 'x', 1, 1, 1, 1)",
    )
    .await?;
    assert_eq!(one().one(&shop.db).await?, None);
    assert!(list().all(&shop.db).await?.is_empty());
    assert_eq!(shop.hits(), 5);
    shop.sql(
        "INSERT INTO book (id, title, author_id, genre, price, stock) VALUES (77, 'x', 30, 1, 1, 1)",
    )
    .await?;
    assert!(one().one(&shop.db).await?.is_some());
    assert_eq!(list().all(&shop.db).await?.len(), 1);
    assert_eq!(list().count(&shop.db).await?, 1);
    Ok(())
}

#[tokio::test]
async fn nothing_found_is_not_stored_if_asked_to_skip_it() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    for _ in 0..2 {
        book::Entity::find_by_id(77).cached(TTL).skip_empty().one(&shop.db).await?;
        by_author(9).cached(TTL).skip_empty().all(&shop.db).await?;
        by_author(9)
            .find_also_related(author::Entity)
            .cached(TTL)
            .skip_empty()
            .all(&shop.db)
            .await?;
    }
    assert_eq!((shop.hits(), shop.cache.stats().entries), (0, 0));
    let refused = shop.log.take();
    assert_eq!(refused.iter().filter(|line| line.contains("skip_empty()")).count(), 6);
    for _ in 0..2 {
        by_author(1).cached(TTL).skip_empty().all(&shop.db).await?;
        // A count is a result, zero too.
        by_author(9).cached(TTL).skip_empty().count(&shop.db).await?;
    }
    assert_eq!(shop.hits(), 2);
    Ok(())
}

#[tokio::test]
async fn the_caller_decides_by_the_result_whether_it_is_stored() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let cheap = |books: &[book::Model]| books.iter().all(|book| book.price < 500);
    for _ in 0..2 {
        // A book of author 2 costs more.
        for id in [1, 2] {
            by_author(id).cached(TTL).cache_if(cheap).all(&shop.db).await?;
        }
    }
    assert_eq!((shop.hits(), shop.cache.stats().entries), (1, 1));
    let one = |id: i32| book::Entity::find_by_id(id).cached(TTL).cache_if(|found| found.len() == 1);
    let before = shop.hits();
    for _ in 0..2 {
        one(1).one(&shop.db).await?;
        one(99).one(&shop.db).await?;
    }
    assert_eq!(shop.hits(), before + 1);
    Ok(())
}

#[tokio::test]
async fn a_decision_about_other_items_stores_nothing() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let yes = || by_author(1).cached(TTL).cache_if(|_| true);
    let books = by_author(1).all(&shop.plain).await?;
    for _ in 0..2 {
        yes().into_tuple::<(i32, String)>().all(&shop.db).await?;
        yes().cursor_by(book::Column::Id).all(&shop.db).await?;
        books.cached(TTL).cache_if(|_| true).load_one(author::Entity, &shop.db).await?;
    }
    assert_eq!((shop.hits(), shop.cache.stats().entries), (0, 0));
    for _ in 0..2 {
        let tuples = by_author(1).cached(TTL).into_tuple::<(i32, String)>();
        tuples.cache_if(|tuples| tuples.len() > 1).all(&shop.db).await?;
    }
    assert_eq!(shop.hits(), 1);
    Ok(())
}

#[tokio::test]
async fn the_ttl_may_depend_on_the_result() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let read = |author: i32| {
        let ttl =
            |books: &[book::Model]| Duration::from_secs(if books.is_empty() { 5 } else { 600 });
        by_author(author).cached(TTL).ttl_with(ttl)
    };
    let both = async || -> Result<u64, DbErr> {
        let before = shop.hits();
        read(1).all(&shop.db).await?;
        read(9).all(&shop.db).await?;
        Ok(shop.hits() - before)
    };
    assert_eq!((both().await?, both().await?), (0, 2));
    shop.clock.advance(Duration::from_secs(5));
    assert_eq!(both().await?, 1, "the empty one is over");
    shop.clock.advance(Duration::from_secs(590));
    assert_eq!(both().await?, 1, "the full one is not, long after the TTL that was given");
    shop.clock.advance(Duration::from_secs(5));
    // Read 600 seconds after it was filled; the empty one was filled just now.
    assert_eq!(both().await?, 0);
    let never = || by_author(2).cached(TTL).ttl_with(|_| Duration::ZERO);
    never().all(&shop.db).await?;
    let before = shop.hits();
    never().all(&shop.db).await?;
    assert_eq!(shop.hits(), before);
    Ok(())
}

#[tokio::test]
async fn entries_that_were_filled_together_do_not_end_together() -> Result<(), DbErr> {
    let file = File::new();
    let plain = file.pool(2).await;
    plain.execute_unprepared(SCHEMA).await?;
    let clock = Arc::new(ManualClock::default());
    let cache = QueryCache::builder().clock(clock.clone()).build().await?;
    let db = cache.connect(plain).await?;
    for id in 0..300 {
        book::Entity::find_by_id(id).cached(Duration::from_secs(100)).one(&db).await?;
    }
    let alive_after = |seconds| {
        clock.advance(Duration::from_secs(seconds));
        cache.count_valid()
    };
    assert_eq!(alive_after(89), 300, "none ends before nine tenths of its time");
    let half = alive_after(6);
    assert!((60..240).contains(&half), "{half} of 300 live at 95 of 100 seconds");
    assert_eq!(alive_after(5), 0, "none lives longer than its TTL");
    Ok(())
}

#[tokio::test]
async fn a_jitter_or_a_size_that_makes_no_sense_is_named() {
    for part in [-0.1, 1.1, f64::NAN] {
        let error = QueryCache::builder().ttl_jitter(part).build().await.expect_err("an error");
        assert!(error.is_config() && error.to_string().contains("ttl_jitter"), "{error}");
    }
}

#[tokio::test]
async fn a_result_above_the_limit_is_not_stored_and_the_event_says_so() -> Result<(), DbErr> {
    let file = File::new();
    let plain = file.pool(2).await;
    plain.execute_unprepared(SCHEMA).await?;
    let log = Log::default();
    let builder = QueryCache::builder().max_entry_bytes(600).observer(log.observer());
    let db = builder.build().await?.connect(plain).await?;
    for _ in 0..2 {
        book::Entity::find_by_id(1).cached(TTL).one(&db).await?;
        book::Entity::find().cached(TTL).all(&db).await?;
    }
    let log = log.take();
    let lines = |start: &str, part: &str| {
        log.iter().filter(|line| line.starts_with(start) && line.contains(part)).count()
    };
    assert_eq!((lines("hit", ":model:"), lines("hit", ":list:")), (1, 0), "{log:?}");
    assert_eq!(lines("not stored", "too large"), 2, "{log:?}");
    Ok(())
}

/// A connection that counts its statements.
async fn counting(database: &TestDb) -> (DatabaseConnection, Arc<AtomicUsize>) {
    let mut plain = database.pool(2).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    plain.set_metric_callback(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    (plain, count)
}

mod word {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "word")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub text: String,
        pub n: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod place {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "place")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub x: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub y: i32,
        pub n: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const NUMBERED: &str = "CREATE TABLE word (text VARCHAR(20) PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE place (x INTEGER, y INTEGER, n INTEGER NOT NULL, PRIMARY KEY (x, y));
    INSERT INTO word VALUES ('one', 1), ('Two', 2), ('three', 3);
    INSERT INTO place VALUES (1, 1, 11), (1, 2, 12), (2, 1, 21);";

#[tokio::test]
async fn many_are_read_with_one_statement_and_stored_one_by_one() -> Result<(), DbErr> {
    for backend in Backend::reachable() {
        let database = TestDb::new(backend).await;
        let (plain, statements) = counting(&database).await;
        plain.execute_unprepared(NUMBERED).await?;
        let cache = checked().build().await?;
        let db = cache.connect(plain).await?;
        let mut asked = 0;
        let mut new_statements = || {
            let all = statements.load(Ordering::SeqCst);
            all - std::mem::replace(&mut asked, all)
        };
        new_statements();
        let places = async |keys: &[(i32, i32)]| -> Result<Vec<Option<i32>>, DbErr> {
            let keys = keys.iter().copied();
            let found = cache.find_many::<place::Entity>(&db, keys, TTL).await?;
            Ok(found.into_iter().map(|place| place.map(|place| place.n)).collect())
        };
        let keys = [(2, 1), (9, 9), (1, 1), (2, 1)];
        let expected = [Some(21), None, Some(11), Some(21)];
        assert_eq!(places(&keys).await?, expected);
        assert_eq!(new_statements(), 1, "{backend:?}");
        assert_eq!(places(&keys).await?, expected);
        assert_eq!(new_statements(), 0, "{backend:?}");
        // What `find_by_id` asks is answered by the same entries, the absent ones too.
        let one = async |x, y| place::Entity::find_by_id((x, y)).cached(TTL).one(&db).await;
        assert_eq!(one(1, 1).await?.map(|place| place.n), Some(11));
        assert_eq!(one(9, 9).await?, None);
        assert_eq!(new_statements(), 0, "{backend:?}");
        // And the other way round: only what is missing is read.
        one(1, 2).await?;
        new_statements();
        assert_eq!(places(&[(1, 2), (1, 1), (3, 3)]).await?, [Some(12), Some(11), None]);
        assert_eq!(new_statements(), 1, "{backend:?}");
        // A write ends the one that it changes.
        db.execute_unprepared("UPDATE place SET n = 99 WHERE x = 1 AND y = 1").await?;
        db.execute_unprepared("INSERT INTO place VALUES (9, 9, 9)").await?;
        new_statements();
        assert_eq!(places(&keys).await?, [Some(21), Some(9), Some(99), Some(21)]);
        assert_eq!(new_statements(), 1, "{backend:?}");
        assert_eq!(places(&[]).await?, []);
        assert_eq!(new_statements(), 0, "{backend:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_the_database_finds_in_another_spelling_is_found() -> Result<(), DbErr> {
    for backend in Backend::reachable() {
        let database = TestDb::new(backend).await;
        let plain = database.pool(2).await;
        plain.execute_unprepared(NUMBERED).await?;
        let cache = checked().build().await?;
        let db = cache.connect(plain.clone()).await?;
        let keys = ["ONE", "two", "Two", "three ", "four", "three"];
        for _ in 0..2 {
            let many = cache.find_many::<word::Entity>(&db, keys, TTL).await?;
            for (key, found) in keys.iter().zip(many) {
                let alone = word::Entity::find_by_id(*key).one(&plain).await?;
                assert_eq!(found, alone, "{backend:?}: {key}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn many_are_read_in_a_transaction_and_more_than_one_statement_takes() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let ids: Vec<i32> = (-1500..1500).rev().collect();
    let many = shop.cache.find_many::<book::Entity>(&shop.db, ids.clone(), TTL).await?;
    assert_eq!(many.len(), ids.len());
    let all = book::Entity::find().count(&shop.plain).await?;
    assert_eq!(many.iter().flatten().count() as u64, all);
    assert!(ids.iter().zip(&many).all(|(id, book)| book.as_ref().is_none_or(|b| b.id == *id)));
    let transaction = shop.db.begin().await?;
    transaction.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await?;
    let inside = shop.cache.find_many::<book::Entity>(&transaction, [1, 99], TTL).await?;
    assert_eq!(inside[0].as_ref().map(|book| book.price), Some(1));
    transaction.rollback().await?;
    let after = shop.cache.find_many::<book::Entity>(&shop.db, [1], TTL).await?;
    assert_ne!(after[0].as_ref().map(|book| book.price), Some(1));
    Ok(())
}

/// Generic code needs one bound.
async fn first<E: StorableEntity>(db: &CachedConnection) -> Result<Option<E::Model>, DbErr> {
    E::find().cached(TTL).one(db).await
}

#[tokio::test]
async fn generic_code_can_cache() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    for _ in 0..2 {
        assert!(first::<book::Entity>(&shop.db).await?.is_some());
    }
    assert_eq!(shop.hits(), 1);
    Ok(())
}

#[tokio::test]
async fn shared_results_are_one_allocation() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    let db = &shop.db;
    macro_rules! same {
        ($read:expr) => {
            // The first is the database's own, and the entry went through the codec.
            $read.await?;
            assert!(Arc::ptr_eq(&$read.await?, &$read.await?), stringify!($read));
        };
    }
    let books = by_author(1).all(db).await?;
    same!(by_author(1).cached(TTL).all_shared(db));
    same!(by_author(1).cached(TTL).one_shared(db));
    same!(by_author(1).find_also_related(author::Entity).cached(TTL).all_shared(db));
    same!(by_author(1).find_with_related(author::Entity).cached(TTL).all_shared(db));
    same!(by_author(1).into_tuple::<(i32, String)>().cached(TTL).all_shared(db));
    same!(by_author(1).cached(TTL).cursor_by(book::Column::Id).all_shared(db));
    same!(books.cached(TTL).load_one_shared(author::Entity, db));
    same!(books.as_slice().cached(TTL).load_many_shared(author::Entity, db));
    Ok(())
}

/// What a web server does: each request is a task.
#[tokio::test]
async fn every_read_can_be_a_task_of_its_own() -> Result<(), DbErr> {
    let shop = Shop::new().await;
    macro_rules! spawn {
        (|$db:ident| $read:expr) => {{
            let $db = shop.db.clone();
            tokio::spawn(async move { $read.await.map(drop) }).await.expect("a task")?;
        }};
    }
    let books = by_author(1).all(&shop.db).await?;
    spawn!(|db| by_author(1).cached(TTL).all(&db));
    spawn!(|db| by_author(1).cached(TTL).one(&db));
    spawn!(|db| by_author(1).cached(TTL).count(&db));
    spawn!(|db| by_author(1).cached(TTL).exists(&db));
    spawn!(|db| by_author(1).cached(TTL).paginate(&db, 2).fetch_page(0));
    spawn!(|db| by_author(1).cached(TTL).paginate(&db, 2).num_items_and_pages());
    spawn!(|db| by_author(1).find_also_related(author::Entity).cached(TTL).all(&db));
    spawn!(|db| by_author(1).find_with_related(author::Entity).cached(TTL).all(&db));
    spawn!(|db| by_author(1).into_json().cached(TTL).all(&db));
    spawn!(|db| by_author(1).cached(TTL).into_tuple::<(i32, String)>().paginate(&db, 2).fetch());
    spawn!(|db| by_author(1).cached(TTL).cursor_by(book::Column::Id).first(2).all(&db));
    spawn!(|db| books.cached(TTL).load_one(author::Entity, &db));
    let cache = shop.cache.clone();
    spawn!(|db| cache.find_many::<book::Entity>(&db, [1, 2], TTL));
    let transaction = shop.db.begin().await?;
    let in_transaction = async move { by_author(1).cached(TTL).all(&transaction).await.map(drop) };
    tokio::spawn(in_transaction).await.expect("a task")?;
    Ok(())
}
