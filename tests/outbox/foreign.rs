//! What another program writes ends what depends on it, and nothing else.

use std::time::Duration;

use sea_orm::TransactionTrait;
use sea_orm_cache::OutboxConfig;

use crate::support::servers::Backend;
use crate::world::{World, hits, number, price, run};

#[tokio::test]
async fn a_row_that_another_program_changed_ends_and_others_stay() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new()).await;
        price(&db, 1).await;
        price(&db, 2).await;
        world.write("UPDATE book SET price = 77 WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        assert!(hits(&cache, &db, 2).await, "{backend:?}: another row's entry stays");
        assert_eq!(price(&db, 1).await, 77, "{backend:?}");
        assert_eq!(world.notes().await, 0, "{backend:?}: what was heard is taken out");
        let stats = cache.stats().outbox.expect("an outbox");
        assert!(stats.listening && stats.notes == 1, "{backend:?}: {stats:?}");
        world.write("UPDATE book SET price = price WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        assert!(hits(&cache, &db, 1).await, "{backend:?}: nothing was changed");
    }
}

#[tokio::test]
async fn what_another_program_wrote_is_read_once_it_was_heard() {
    for backend in Backend::reachable() {
        let (cached, fresh) = crate::scenes::another_program_writes(backend).await;
        assert_eq!(cached, fresh, "{backend:?}");
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_not_heard_and_what_commits_late_is() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (cache, db) = world.cache(OutboxConfig::new()).await;
        price(&db, 1).await;
        let undone = world.other.begin().await.expect("begun");
        use sea_orm::ConnectionTrait;
        undone.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.expect("done");
        undone.rollback().await.expect("undone");
        db.catch_up().await.expect("heard");
        assert!(hits(&cache, &db, 1).await, "{backend:?}");
        if backend == Backend::Sqlite {
            // It has one writer at a time: nothing is committed out of order.
            continue;
        }
        // Begun first, with the lower number, and committed last.
        let late = world.other.begin().await.expect("begun");
        late.execute_unprepared("UPDATE book SET price = 11 WHERE id = 1").await.expect("done");
        world.write("UPDATE book SET price = 22 WHERE id = 2").await;
        db.catch_up().await.expect("heard");
        assert_eq!((price(&db, 1).await, price(&db, 2).await), (100, 22), "{backend:?}");
        late.commit().await.expect("committed");
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 1).await, 11, "{backend:?}");
    }
}

#[tokio::test]
async fn a_cascade_that_another_program_sets_off_is_heard() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        if backend == Backend::Sqlite {
            run(&world.other, "PRAGMA foreign_keys = ON").await;
        }
        use sea_orm::EntityTrait;
        use sea_orm_cache::prelude::*;
        let reviews = || crate::support::review::Entity::find().cached(crate::support::TTL);
        assert_eq!(reviews().all(&db).await.expect("reviews").len(), 4, "{backend:?}");
        world.write("DELETE FROM author WHERE id = 1").await;
        db.catch_up().await.expect("heard");
        assert_eq!(reviews().all(&db).await.expect("reviews").len(), 1, "{backend:?}");
    }
}

#[tokio::test]
async fn many_rows_of_one_statement_are_one_note_where_the_database_can() {
    for backend in Backend::servers().into_iter().filter(|b| *b == Backend::Postgres) {
        let world = World::new(backend).await;
        world
            .write(
                "INSERT INTO book (id, title, genre, price) \
                 SELECT n, 'many', 1, n FROM generate_series(1000, 11000) n",
            )
            .await;
        assert_eq!(world.notes().await, 1);
        world.write("UPDATE book SET price = 1 WHERE id >= 1000").await;
        world.write("DELETE FROM book WHERE id >= 1000").await;
        assert_eq!(world.notes().await, 3);
        world.write("TRUNCATE review").await;
        assert_eq!(world.notes().await, 4);
        world.write("UPDATE book SET price = 1 WHERE id < 0").await;
        assert_eq!(world.notes().await, 4, "no row, no note");
        // Also what is written as a replica's.
        world.write("SET session_replication_role = replica; UPDATE book SET price = 7 WHERE id = 1; SET session_replication_role = DEFAULT").await;
        assert_eq!(world.notes().await, 5);
        // Nor does it change what those who write see of their sequences.
        world.write("INSERT INTO review (book_id, rating) VALUES (1, 5)").await;
        let last = "SELECT lastval() - currval('review_id_seq')";
        let same = world.other.begin().await.expect("begun");
        use sea_orm::ConnectionTrait;
        let insert = "INSERT INTO review (book_id, rating) VALUES (1, 5)";
        same.execute_unprepared(insert).await.expect("done");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, last);
        let row = same.query_one_raw(statement).await.expect("an answer").expect("a row");
        assert_eq!(row.try_get_by_index::<i64>(0).expect("a number"), 0);
        same.rollback().await.expect("undone");
    }
}

#[tokio::test]
async fn a_session_that_says_it_is_ours_is_not_noted() {
    for backend in Backend::servers() {
        let world = World::new(backend).await;
        let own = world.file.pool(1).await;
        let mark = match backend {
            Backend::Postgres => "SET sea_orm_cache.own = on",
            _ => "SET @sea_orm_cache_own = 1",
        };
        run(&own, mark).await;
        run(&own, "UPDATE book SET price = 5 WHERE id = 1").await;
        assert_eq!(world.notes().await, 0, "{backend:?}");
        world.write("UPDATE book SET price = 6 WHERE id = 1").await;
        assert_eq!(world.notes().await, 1, "{backend:?}");
    }
}

#[tokio::test]
async fn without_an_outbox_connect_says_what_to_do() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let config = OutboxConfig::new().table("elsewhere");
        let cache = crate::support::checked().outbox(config).build().await.expect("a cache");
        let error = cache.connect(world.file.pool(1).await).await.expect_err("no outbox");
        assert!(error.is_config(), "{backend:?}: {error}");
        assert!(error.to_string().contains("elsewhere_state"), "{backend:?}: {error}");
    }
    let short = OutboxConfig::new().bound(Duration::from_millis(10));
    let error = crate::support::checked().outbox(short).build().await.expect_err("too short");
    assert!(error.is_config() && error.to_string().contains("bound"), "{error}");
}

#[tokio::test]
async fn triggers_leave_a_write_s_own_answer_alone() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        use sea_orm::ConnectionTrait;
        let done =
            world.other.execute_unprepared("UPDATE book SET price = 1 WHERE genre = 1").await;
        assert_eq!(done.expect("done").rows_affected(), 2, "{backend:?}");
        let insert = "INSERT INTO review (book_id, rating) VALUES (1, 5)";
        let done = world.other.execute_unprepared(insert).await.expect("done");
        if backend != Backend::Postgres {
            let id = number(&world.other, "SELECT max(id) FROM review").await;
            assert_eq!(done.last_insert_id(), id as u64, "{backend:?}");
        }
    }
}

#[tokio::test]
async fn a_note_comes_with_a_notification_by_which_the_listener_can_be_woken() {
    for backend in Backend::servers().into_iter().filter(|b| *b == Backend::Postgres) {
        use sea_orm::sqlx::postgres::PgListener;
        let world = World::new(backend).await;
        let outbox = sea_orm_cache::Outbox::default().notifying();
        outbox.watch(&world.other, ["book"]).await.expect("triggers");
        let (_cache, db) = world.cache(OutboxConfig::new().bound(crate::support::TTL)).await;
        price(&db, 1).await;
        let mut listener = PgListener::connect(&world.file.url()).await.expect("a session");
        listener.listen("sea_orm_cache_outbox").await.expect("listening");
        world.write("UPDATE book SET price = 8 WHERE id = -1").await;
        world.write("UPDATE book SET price = 9 WHERE id = 1").await;
        let told = listener.recv().await.expect("a notification");
        assert_eq!(told.channel(), "sea_orm_cache_outbox");
        db.wake_listener();
        let heard = async {
            while !world.log.take().iter().any(|line| line.starts_with("heard 1 notes")) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), heard).await.expect("woken");
        assert_eq!(price(&db, 1).await, 9);
    }
}
