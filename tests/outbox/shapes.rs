//! Tables, values and writers of other shapes than the bookshop's.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Outbox, OutboxConfig};

use crate::support::TTL;
use crate::support::servers::{Backend, TestDb};
use crate::support::{checked, review};
use crate::world::{World, number, price, run};

mod thing {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "thing")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub k: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

async fn watch(db: &DatabaseConnection, table: &str) {
    Outbox::default().watch(db, [table]).await.expect("triggers");
}

/// How many things there are of this `k`.
async fn things(db: &CachedConnection, k: &str) -> usize {
    let of = thing::Entity::find().filter(thing::Column::K.eq(k)).cached(TTL);
    of.all(db).await.expect("an answer").len()
}

async fn a_change_of_a_thing_is_heard(world: &World) {
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    assert_eq!(things(&db, "b").await, 0);
    world.write("UPDATE thing SET k = 'b'").await;
    db.catch_up().await.expect("heard");
    assert_eq!(things(&db, "b").await, 1, "{:?}", world.file.backend);
}

#[tokio::test]
async fn two_outboxes_hear_of_the_same_table() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let second = Outbox::named("second").expect("a name");
        second.create(&world.other).await.expect("another outbox");
        second.watch(&world.other, ["book"]).await.expect("triggers");
        let (_one, one) = world.cache(OutboxConfig::new()).await;
        let (_two, two) = world.cache(OutboxConfig::new().table("second")).await;
        assert_eq!((price(&one, 1).await, price(&two, 1).await), (100, 100));
        world.write("UPDATE book SET price = 55 WHERE id = 1").await;
        one.catch_up().await.expect("heard");
        two.catch_up().await.expect("heard");
        assert_eq!((price(&one, 1).await, price(&two, 1).await), (55, 55), "{backend:?}");
        second.unwatch(&world.other, ["book"]).await.expect("no triggers");
        world.write("UPDATE book SET price = 66 WHERE id = 1").await;
        one.catch_up().await.expect("heard");
        assert_eq!(price(&one, 1).await, 66, "{backend:?}");
        assert_eq!(number(&world.other, "SELECT count(*) FROM second").await, 0, "{backend:?}");
    }
}

#[tokio::test]
async fn a_table_named_like_another_one_s_trigger_takes_none_away() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        for name in ["book_before", "book_insert", "book_before_insert"] {
            run(&world.other, &format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY)")).await;
            watch(&world.other, name).await;
        }
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        price(&db, 1).await;
        if backend == Backend::Sqlite {
            world
                .write("REPLACE INTO book (id, title, genre, price) VALUES (1, 'One', 1, 7)")
                .await;
        } else {
            world.write("UPDATE book SET price = 7 WHERE id = 1").await;
        }
        db.catch_up().await.expect("heard");
        assert_eq!(price(&db, 1).await, 7, "{backend:?}");
    }
}

mod document {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "document")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        /// As text.
        pub said: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A column of this type whose values change, and nothing else, and what its text is then.
async fn changes_of(kind: &str, before: &str, set: &str, session: &str) -> [Option<String>; 2] {
    let world = World::new(Backend::Postgres).await;
    run(&world.other, &format!("CREATE TABLE document (id INTEGER PRIMARY KEY, body {kind})"))
        .await;
    run(&world.other, &format!("INSERT INTO document VALUES (1, {before}), (2, NULL)")).await;
    watch(&world.other, "document").await;
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    let said = async |id: i32| {
        let sql = "SELECT id, body::text AS said FROM document WHERE id = $1";
        let statement =
            sea_orm::Statement::from_sql_and_values(sea_orm::DbBackend::Postgres, sql, [id.into()]);
        let found = document::Entity::find().cached(TTL).from_raw_sql(statement.clone());
        let cached = found.one(&db).await.expect("an answer").expect("the row").said;
        let found = document::Entity::find().from_raw_sql(statement).one(&world.other);
        let fresh = found.await.expect("an answer").expect("the row").said;
        [cached, fresh]
    };
    said(1).await;
    world
        .write(&format!("{session}; UPDATE document SET body = {set} WHERE id = 1; RESET ALL"))
        .await;
    db.catch_up().await.expect("heard");
    let [cached, fresh] = said(1).await;
    assert_eq!(cached, fresh, "{kind}: {before} to {set}");
    // The same for more than one row.
    run(&world.other, &format!("UPDATE document SET body = {before}")).await;
    db.catch_up().await.expect("heard");
    said(1).await;
    world.write(&format!("{session}; UPDATE document SET body = {set}; RESET ALL")).await;
    db.catch_up().await.expect("heard");
    said(1).await
}

#[tokio::test]
async fn a_value_that_json_does_not_tell_from_another_is_seen_to_change() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let plain = "SET extra_float_digits = 1";
    let digits = "SET extra_float_digits = -10";
    let all = [
        ("jsonb", "'\"{\\\"a\\\": 1}\"'", "(body #>> '{}')::jsonb", plain),
        ("jsonb", "'\"5\"'", "'5'", plain),
        ("jsonb", "'\"true\"'", "'true'", plain),
        ("jsonb", "NULL", "'null'", plain),
        ("jsonb", "'null'", "NULL", plain),
        ("jsonb", "'{\"a\": 1.0}'", "'{\"a\": 1.00}'", plain),
        ("json", "NULL", "'null'", plain),
        ("json", "'{\"a\":1}'", "'{\"a\": 1}'", plain),
        ("json", "'1e2'", "'100'", plain),
        ("double precision", "0", "'-0'", plain),
        ("real", "0", "'-0'", plain),
        ("double precision", "0.3", "0.1::float8 + 0.2", digits),
        ("double precision[]", "'{0}'", "'{-0}'", plain),
        ("json[]", "ARRAY['1'::json]", "ARRAY['1 '::json]", plain),
        ("numeric", "1.0", "1.00", plain),
        ("text", "NULL", "'null'", plain),
        ("interval", "'1 day'", "'24:00'", plain),
        ("bytea", "'\\x00'", "'\\x01'", "SET bytea_output = escape"),
        ("char(3)", "'a'", "'b'", plain),
        ("xml", "'<a/>'", "'<a></a>'", plain),
        ("int4range", "'[1,2)'", "'[1,3)'", plain),
        ("point", "'(0,0)'", "'(-0,0)'", plain),
    ];
    let mut wrong = Vec::new();
    for (kind, before, set, session) in all {
        let one = tokio::spawn(changes_of(kind, before, set, session)).await;
        match one {
            Ok([cached, fresh]) if cached == fresh => {}
            other => wrong.push(format!("{kind}: {before} to {set}: {:?}", other.ok())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn where_json_does_not_tell_all_another_row_s_entry_stays() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let world = World::new(Backend::Postgres).await;
    let body = "body jsonb, weight float8, parts float8[], sea_orm_row json";
    run(&world.other, &format!("CREATE TABLE thing (id INTEGER PRIMARY KEY, k TEXT, {body})"))
        .await;
    run(
        &world.other,
        "INSERT INTO thing VALUES (1, 'a', NULL, 0, '{0}', '1'), (2, 'b', NULL, 0, '{0}', '1')",
    )
    .await;
    watch(&world.other, "thing").await;
    let (cache, db) = world.cache(OutboxConfig::new()).await;
    let thing = async |id: i32| {
        let before = cache.stats().total.hits;
        thing::Entity::find_by_id(id).cached(TTL).one(&db).await.expect("an answer");
        cache.stats().total.hits > before
    };
    thing(2).await;
    for write in ["UPDATE thing SET k = 'c' WHERE id = 1", "UPDATE thing SET k = k WHERE id = 2"] {
        world.write(write).await;
        db.catch_up().await.expect("heard");
        assert!(thing(2).await, "{write}");
    }
    world.write("UPDATE thing SET k = 'd' WHERE id = 2").await;
    db.catch_up().await.expect("heard");
    assert!(!thing(2).await);
}

mod public_book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(schema_name = "public", table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn a_table_of_public_is_watched_though_another_schema_comes_first() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let world = World::new(Backend::Postgres).await;
    run(&world.other, "CREATE SCHEMA app").await;
    run(&world.other, "CREATE TABLE app.book (id INTEGER PRIMARY KEY, price INTEGER)").await;
    Outbox::default().unwatch(&world.other, ["book"]).await.expect("no triggers");
    let name = &world.file.name;
    run(&world.other, &format!("ALTER DATABASE {name} SET search_path = app, public")).await;
    let later = world.file.pool(1).await;
    Outbox::default().create(&later).await.expect("an outbox");
    Outbox::default().watch(&later, ["public.book"]).await.expect("triggers");
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    let price = async || {
        let book = public_book::Entity::find_by_id(1).cached(TTL).one(&db);
        book.await.expect("an answer").expect("the book").price
    };
    assert_eq!(price().await, 100);
    world.write("UPDATE public.book SET price = 7 WHERE id = 1").await;
    db.catch_up().await.expect("heard");
    assert_eq!(price().await, 7);
}

/// What `connect` says about triggers that are not as they were made.
async fn outdated(world: &World) -> Vec<String> {
    world.log.take();
    let (_cache, _db) = world.cache(OutboxConfig::new()).await;
    let of_triggers = |line: &String| line.contains("not the triggers");
    world.log.take().into_iter().filter(of_triggers).collect()
}

#[tokio::test]
async fn a_table_that_was_made_anew_or_renamed_is_told() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        // Another session of SQLite's may take the schema for what it was.
        let alone = world.file.pool(1).await;
        assert!(outdated(&world).await.is_empty(), "{backend:?}");
        // As SQLite's own manual says how to change a table.
        run(&alone, "CREATE TABLE copy AS SELECT * FROM review").await;
        run(&alone, "DROP TABLE review").await;
        let key = "id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE";
        run(&alone, &format!("CREATE TABLE review ({key}, rating INTEGER NOT NULL)")).await;
        run(&alone, "CREATE INDEX review_book ON review (book_id)").await;
        run(&alone, "INSERT INTO review SELECT * FROM copy").await;
        let told = outdated(&world).await;
        assert!(told.iter().any(|line| line.starts_with("review")), "{backend:?}: {told:?}");
        watch(&alone, "review").await;
        assert!(outdated(&world).await.is_empty(), "{backend:?}");

        run(&alone, "CREATE TABLE thing (id INTEGER PRIMARY KEY, k VARCHAR(10))").await;
        watch(&alone, "thing").await;
        run(&alone, "ALTER TABLE thing RENAME TO object").await;
        let told = outdated(&world).await;
        assert!(told.iter().any(|line| line.starts_with("object")), "{backend:?}: {told:?}");
        watch(&alone, "object").await;
        let told = outdated(&world).await;
        assert!(told.is_empty(), "{backend:?}: {told:?}");
        // Also those of its former name go.
        let outbox = sea_orm_cache::Outbox::default();
        let all = ["object", "author", "book", "review"];
        outbox.unwatch(&alone, all).await.expect("no triggers");
        outbox.drop(&alone).await.expect("no outbox");
        run(&alone, "INSERT INTO object VALUES (1, 'a')").await;
    }
}

#[tokio::test]
async fn what_is_written_to_a_renamed_table_is_heard_once_it_is_known() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        run(&world.other, "CREATE TABLE old (id INTEGER PRIMARY KEY, k VARCHAR(10))").await;
        run(&world.other, "INSERT INTO old VALUES (1, 'a')").await;
        watch(&world.other, "old").await;
        run(&world.other, "ALTER TABLE old RENAME TO thing").await;
        a_change_of_a_thing_is_heard(&world).await;
    }
}

#[tokio::test]
async fn a_column_that_took_the_name_of_another_one_is_heard() {
    for backend in Backend::reachable() {
        let world = World::new(backend).await;
        let alone = world.file.pool(1).await;
        run(&alone, "CREATE TABLE thing (id INTEGER PRIMARY KEY, k VARCHAR(10))").await;
        run(&alone, "INSERT INTO thing VALUES (1, 'a')").await;
        watch(&alone, "thing").await;
        let rename = "ALTER TABLE thing RENAME COLUMN k TO old_k";
        run(&alone, rename).await;
        run(&alone, "ALTER TABLE thing ADD COLUMN k VARCHAR(10)").await;
        a_change_of_a_thing_is_heard(&world).await;
    }
}

#[tokio::test]
async fn what_a_replace_deletes_by_the_number_of_its_row_is_heard() {
    for (key, without) in
        [("PRIMARY KEY", ""), ("UNIQUE", ""), ("", ""), ("PRIMARY KEY", " WITHOUT ROWID")]
    {
        let world = World::new(Backend::Sqlite).await;
        run(
            &world.other,
            &format!("CREATE TABLE thing (k TEXT {key}, id INTEGER, rowid_ TEXT){without}"),
        )
        .await;
        run(&world.other, "INSERT INTO thing (k, id) VALUES ('a', 1), ('b', 2)").await;
        watch(&world.other, "thing").await;
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        assert_eq!(things(&db, "a").await, 1);
        assert_eq!(things(&db, "b").await, 1);
        match without {
            "" => world.write("REPLACE INTO thing (rowid, k, id) VALUES (1, 'c', 1)").await,
            _ => world.write("UPDATE OR REPLACE thing SET k = 'a' WHERE k = 'b'").await,
        }
        db.catch_up().await.expect("heard");
        assert_eq!(things(&db, "a").await, usize::from(!without.is_empty()), "{key}{without}");
        if without.is_empty() {
            world.write("UPDATE OR REPLACE thing SET rowid = 2 WHERE k = 'c'").await;
            db.catch_up().await.expect("heard");
        }
        assert_eq!(things(&db, "b").await, 0, "{key}{without}");
    }
}

#[tokio::test]
async fn keys_of_a_database_in_utf_16_are_heard() {
    let file = TestDb::new(Backend::Sqlite).await;
    let other = crate::support::servers::connect(&file.url(), 1).await;
    run(&other, "PRAGMA encoding = 'UTF-16le'").await;
    run(&other, "CREATE TABLE thing (id INTEGER PRIMARY KEY, k TEXT)").await;
    run(&other, "CREATE INDEX thing_k ON thing (k)").await;
    Outbox::default().create(&other).await.expect("an outbox");
    watch(&other, "thing").await;
    let cache = checked().outbox(OutboxConfig::new()).build().await.expect("a cache");
    let db = cache.connect(file.pool(1).await).await.expect("a connection");
    for k in ["a", "é"] {
        assert_eq!(things(&db, k).await, 0);
        run(&other, &format!("INSERT INTO thing (k) VALUES ('{k}')")).await;
        db.catch_up().await.expect("heard");
        assert_eq!(things(&db, k).await, 1, "{k}");
    }
}

#[tokio::test]
async fn triggers_call_nothing_that_a_distrustful_program_refuses() {
    let world = World::new(Backend::Sqlite).await;
    run(&world.other, "PRAGMA trusted_schema = OFF").await;
    let json = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%json%'";
    // Older versions take what makes JSON for unsafe.
    assert_eq!(number(&world.other, json).await, 0);
}

#[tokio::test]
async fn a_parent_that_is_not_watched_is_told_where_its_cascades_fire_nothing() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let world = World::new(Backend::MySql).await;
    Outbox::default().unwatch(&world.other, ["author", "book"]).await.expect("no triggers");
    world.log.take();
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    let told = world.log.take();
    for parent in ["author", "book"] {
        let named = told.iter().any(|line| line.starts_with(parent) && line.contains("watch"));
        assert!(named, "{parent}: {told:?}");
    }
    let rated = || review::Entity::find().cached(TTL);
    assert_eq!(rated().all(&db).await.expect("reviews").len(), 4);
}
