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

/// The session that listens for notifications in this world's database.
const LISTENS: &str = "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity \
    WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";

#[tokio::test]
async fn notifications_wake_the_listener_also_after_their_session_was_lost() {
    for backend in Backend::servers().into_iter().filter(|b| *b == Backend::Postgres) {
        let world = World::new(backend).await;
        let outbox = sea_orm_cache::Outbox::default().notifying();
        outbox.watch(&world.other, ["book"]).await.expect("triggers");
        // By itself it would look every twelve seconds.
        let config = OutboxConfig::new().bound(crate::support::TTL).notified();
        let (cache, db) = world.cache(config).await;
        db.catch_up().await.expect("heard");
        let mut lost = 0;
        for new in [7, 8] {
            assert_ne!(price(&db, 1).await, new);
            let listens = until(&world, |pid| pid != 0 && pid != lost).await;
            world.log.take();
            world.write(&format!("UPDATE book SET price = {new} WHERE id = 1")).await;
            let heard = async {
                while !world.log.take().iter().any(|line| line.starts_with("heard 1 notes")) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), heard).await.expect("woken");
            assert_eq!(price(&db, 1).await, new);
            world.write(&format!("SELECT pg_terminate_backend({listens}::int)")).await;
            lost = listens;
        }
        until(&world, |pid| pid != 0 && pid != lost).await;
        drop((cache, db));
        until(&world, |pid| pid == 0).await;
    }
}

async fn until(world: &World, is_so: impl Fn(i64) -> bool) -> i64 {
    let asking = async {
        loop {
            let pid = number(&world.other, LISTENS).await;
            if is_so(pid) {
                return pid;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it comes to be so")
}

#[tokio::test]
async fn what_a_replace_deletes_is_heard_whatever_it_was_found_by() {
    let backend = Backend::Sqlite;
    let world = World::new(backend).await;
    run(&world.other, "ALTER TABLE author ADD COLUMN code TEXT").await;
    run(&world.other, "UPDATE author SET code = name").await;
    run(&world.other, "CREATE UNIQUE INDEX author_code ON author (code)").await;
    let outbox = sea_orm_cache::Outbox::default();
    outbox.watch(&world.other, ["author"]).await.expect("triggers");
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    use sea_orm::EntityTrait;
    use sea_orm_cache::prelude::*;
    let author =
        |id: i32| crate::support::author::Entity::find_by_id(id).cached(crate::support::TTL);
    assert!(author(3).one(&db).await.expect("an answer").is_some());
    // Cleo goes, since another one takes her code.
    world.write("INSERT OR REPLACE INTO author (id, name, code) VALUES (9, 'Dora', 'Cleo')").await;
    db.catch_up().await.expect("heard");
    assert!(author(3).one(&db).await.expect("an answer").is_none());
    assert!(author(1).one(&db).await.expect("an answer").is_some());
    world.write("UPDATE OR REPLACE author SET code = 'Ada' WHERE id = 9").await;
    db.catch_up().await.expect("heard");
    assert!(author(1).one(&db).await.expect("an answer").is_none());
}

#[tokio::test]
async fn long_keys_and_odd_values_leave_the_write_and_what_is_heard_as_they_should_be() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (text, blob) = match backend {
            Backend::Sqlite => ("TEXT", "BLOB"),
            Backend::Postgres => ("TEXT COLLATE \"C\"", "BYTEA"),
            Backend::MySql => {
                ("VARCHAR(3000) CHARACTER SET latin1 COLLATE latin1_nopad_bin", "BLOB")
            }
        };
        let real = if backend == Backend::MySql { "DOUBLE" } else { "DOUBLE PRECISION" };
        run(
            &world.other,
            &format!(
                "CREATE TABLE odd (id INTEGER PRIMARY KEY, k {text}, b {blob}, r {real}, \
                 big BIGINT)"
            ),
        )
        .await;
        for index in ["k", "big"] {
            let prefix = if backend == Backend::MySql && index == "k" { "(500)" } else { "" };
            run(&world.other, &format!("CREATE INDEX odd_{index} ON odd ({index}{prefix})")).await;
        }
        sea_orm_cache::Outbox::default().watch(&world.other, ["odd"]).await.expect("triggers");
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
        use sea_orm_cache::prelude::*;
        let long = "x".repeat(2_500);
        let of =
            |k: &str| odd::Entity::find().filter(odd::Column::K.eq(k)).cached(crate::support::TTL);
        let largest = i64::MAX - 1;
        let of_big =
            || odd::Entity::find().filter(odd::Column::Big.eq(largest)).cached(crate::support::TTL);
        assert!(of(&long).all(&db).await.expect("an answer").is_empty());
        assert!(of("é").all(&db).await.expect("an answer").is_empty());
        assert!(of_big().all(&db).await.expect("an answer").is_empty());
        let bytes = match backend {
            Backend::Postgres => "'\\xff00'",
            _ => "x'ff00'",
        };
        for (id, k) in [(1, long.as_str()), (2, "é")] {
            world
                .write(&format!("INSERT INTO odd VALUES ({id}, '{k}', {bytes}, 1e300, {largest})"))
                .await;
        }
        db.catch_up().await.expect("heard");
        assert_eq!(of(&long).all(&db).await.expect("an answer").len(), 1, "{backend:?}");
        assert_eq!(of("é").all(&db).await.expect("an answer").len(), 1, "{backend:?}");
        assert_eq!(of_big().all(&db).await.expect("an answer").len(), 2, "{backend:?}");
        world.write(&format!("UPDATE odd SET k = 'é' WHERE k = '{long}'")).await;
        db.catch_up().await.expect("heard");
        assert!(of(&long).all(&db).await.expect("an answer").is_empty(), "{backend:?}");
        assert_eq!(of("é").all(&db).await.expect("an answer").len(), 2, "{backend:?}");
    }
}

mod odd {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "odd")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub k: String,
        pub big: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn what_was_read_before_a_table_had_triggers_ends_when_it_gets_them() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let outbox = sea_orm_cache::Outbox::default();
        outbox.unwatch(&world.other, ["book"]).await.expect("gone");
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        let before = price(&db, 1).await;
        world.write("UPDATE book SET price = price + 1 WHERE id = 1").await;
        outbox.watch(&world.other, ["book"]).await.expect("triggers");
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 1).await, before + 1, "{backend:?}");
    }
}

#[tokio::test]
async fn triggers_are_replaced_by_whichever_connection_and_no_write_goes_unnoted_meanwhile() {
    const ROUNDS: usize = 20;
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let (outbox, pool) = (sea_orm_cache::Outbox::default(), world.file.pool(4).await);
        let done = std::sync::atomic::AtomicBool::new(false);
        let replace = async {
            for round in 0..ROUNDS {
                let made = outbox.watch(&pool, ["book"]).await;
                made.unwrap_or_else(|error| panic!("{backend:?} {round}: {error}"));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let write = async {
            let mut writes = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                world.write("UPDATE book SET price = price + 1 WHERE id = 1").await;
                writes += 1;
            }
            writes
        };
        let ((), writes) = tokio::join!(replace, write);
        let noted = world.notes().await;
        assert!(noted >= writes, "{backend:?}: {noted} notes of {writes} writes");
        assert!(writes > 0, "{backend:?}: something was written meanwhile");
        // Also as part of a transaction.
        let transaction = world.other.begin().await.expect("a transaction");
        outbox.watch(&transaction, ["book"]).await.expect("triggers");
        transaction.commit().await.expect("a commit");
        let before = world.notes().await;
        world.write("UPDATE book SET price = price + 1 WHERE id = 1").await;
        assert_eq!(world.notes().await, before + 1, "{backend:?}: old triggers are gone");
    }
}

#[tokio::test]
async fn a_long_transaction_of_another_program_holds_nobody_up() {
    for backend in Backend::reachable().into_iter().filter(|b| *b != Backend::Sqlite) {
        for (open, done) in [(1, 1), (1, 5), (5, 1), (300, 2), (2, 300)] {
            let world = World::new(backend).await;
            let (_cache, db) = world.cache(OutboxConfig::new()).await;
            use sea_orm::ConnectionTrait;
            let transaction = world.other.begin().await.expect("begun");
            for _ in 0..open {
                let sql = "UPDATE book SET price = price + 1 WHERE id = 1";
                transaction.execute_unprepared(sql).await.expect("done");
            }
            for _ in 0..done {
                world.write("UPDATE book SET price = price + 1 WHERE id = 2").await;
            }
            let heard = db.catch_up().await;
            heard.unwrap_or_else(|error| panic!("{backend:?} {open} {done}: {error}"));
            transaction.rollback().await.expect("undone");
        }
    }
}

/// InnoDB's cascades fire no triggers, and this user may not see the keys that they go by.
#[tokio::test]
async fn who_may_not_see_what_a_change_brings_about_takes_it_for_everything() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    use sea_orm::EntityTrait;
    use sea_orm_cache::prelude::*;
    let world = World::new(Backend::MySql).await;
    let (user, name) = (format!("u_{}", world.file.name), &world.file.name);
    let grants = [
        format!("CREATE USER '{user}'@'%'"),
        format!("GRANT SELECT ON {name}.* TO '{user}'@'%'"),
        format!("GRANT DELETE ON {name}.sea_orm_cache_outbox TO '{user}'@'%'"),
        format!("GRANT UPDATE ON {name}.sea_orm_cache_outbox_state TO '{user}'@'%'"),
    ];
    for grant in grants {
        world.write(&grant).await;
    }
    let url = world.file.url().replace("root@", &format!("{user}@"));
    let pool = crate::support::servers::connect(&url, 2).await;
    let cache = QueryCache::builder().outbox(OutboxConfig::new()).build().await.expect("a cache");
    let db = cache.connect(pool).await.expect("a connection");
    let reviews = || crate::support::review::Entity::find().cached(crate::support::TTL);
    for _ in 0..2 {
        assert_eq!(reviews().all(&db).await.expect("reviews").len(), 4);
    }
    assert_eq!(cache.stats().total.hits, 1);
    world.write("DELETE FROM author WHERE id = 1").await;
    db.catch_up().await.expect("heard");
    assert_eq!(reviews().all(&db).await.expect("reviews").len(), 1);
    drop((cache, db));
    world.write(&format!("DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn mysqls_safe_updates_keep_nobody_from_hearing() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let world = World::new(Backend::MySql).await;
    let pool = world.file.pool(1).await;
    run(&pool, "SET sql_safe_updates = 1").await;
    let cache = sea_orm_cache::QueryCache::builder().outbox(OutboxConfig::new());
    let cache = cache.build().await.expect("a cache");
    let db = cache.connect(pool).await.expect("a connection");
    price(&db, 1).await;
    world.write("UPDATE book SET price = price + 1").await;
    db.catch_up().await.expect("heard");
    assert_eq!(price(&db, 1).await, 101);
    assert_eq!(world.notes().await, 0);
}

/// By statement a replica would number the notes anew, and stop at the first that it does not find.
#[tokio::test]
async fn mysqls_binary_log_holds_the_notes_by_row() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    use sea_orm::{ConnectionTrait, Statement};
    let world = World::new(Backend::MySql).await;
    let ask = async |sql: &str| {
        let statement = Statement::from_string(sea_orm::DbBackend::MySql, sql);
        world.other.query_all_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    };
    let position = ask("SHOW MASTER STATUS").await;
    let Some(position) = position.first() else { return };
    let file: String = position.try_get_by_index(0).expect("a file");
    let from: u64 = position.try_get_by_index(1).expect("a position");
    let name = world.file.name.clone();
    world.write(&format!("UPDATE book SET price = 7 WHERE id IN (1, 2) /* {name} */")).await;
    let mut kinds = Vec::new();
    for row in ask(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {from}")).await {
        let (kind, info): (String, String) =
            (row.try_get_by_index(2).expect("a kind"), row.try_get_by_index(5).expect("a text"));
        if info.contains(&name) && info.contains("UPDATE book") {
            kinds.push(kind);
        }
    }
    assert!(!kinds.contains(&"Query".to_owned()), "{kinds:?}");
}
