//! Several connections to one cache, with other names, other rights or other databases; and pools
//! that have no connection to spare.

mod stage;
mod support;

use sea_orm::{ConnectionTrait, EntityTrait, IsolationLevel, QueryOrder, TransactionTrait};
use sea_orm_cache::prelude::*;
use stage::Stage;
use support::servers::{Backend, TestDb, connect};
use support::{TTL, author, schema};

async fn names(db: &impl sea_orm_cache::CacheSource) -> Vec<String> {
    let query = author::Entity::find().order_by_asc(author::Column::Id);
    let authors = query.cached(TTL).all(db).await.expect("authors");
    authors.into_iter().map(|author| author.name).collect()
}

#[tokio::test]
async fn a_table_is_one_table_whatever_the_search_path() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, "").await;
    let tables =
        "CREATE SCHEMA other; CREATE TABLE other.author (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO other.author VALUES (1, 'x')";
    stage.plain.execute_unprepared(tables).await.expect("a schema");
    let url = format!("{}?options=-c%20search_path%3Dother", stage.test.url());
    let pool = connect(&url, 1).await;
    let db = stage.cache.connect(pool.clone()).await.expect("a connection");
    assert_eq!(names(&db).await, ["x"]);
    assert_eq!(names(&db).await, ["x"]);
    assert_eq!(stage.cache.stats().total.hits, 1);
    // The same table by another name.
    stage.sql("UPDATE other.author SET name = 'y'").await;
    assert_eq!(names(&db).await, ["y"]);
    pool.close().await.expect("closed");
}

#[tokio::test]
async fn a_cascade_from_another_database_is_not_missed() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let parent = Stage::new(
        Backend::MySql,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1)",
    )
    .await;
    let test = TestDb::new(Backend::MySql).await;
    let pool = test.pool(2).await;
    let child = format!(
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(9), p INTEGER,
            FOREIGN KEY (p) REFERENCES {}.p (id) ON DELETE CASCADE);
         INSERT INTO author VALUES (1, 'Ada', 1)",
        parent.test.name
    );
    pool.execute_unprepared(&child).await.expect("a child");
    let db = parent.cache.connect(pool.clone()).await.expect("a connection");
    assert_eq!(names(&db).await, ["Ada"]);
    parent.sql("DELETE FROM p").await;
    assert!(names(&db).await.is_empty());
    pool.execute_unprepared("DROP TABLE author").await.expect("dropped");
}

#[tokio::test]
async fn who_may_not_see_the_triggers_is_told_so_and_every_write_invalidates_everything() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::MySql, &schema(Backend::MySql)).await;
    let trigger = "CREATE TRIGGER g AFTER UPDATE ON book FOR EACH ROW UPDATE author SET name = 'x'";
    stage.plain.execute_unprepared(trigger).await.expect("a trigger");
    let (user, name) = (format!("u_{}", stage.test.name), &stage.test.name);
    let grant = format!(
        "CREATE USER '{user}'@'%'; GRANT SELECT, UPDATE ON {name}.book TO '{user}'@'%';
         GRANT SELECT ON {name}.author TO '{user}'@'%'"
    );
    stage.plain.execute_unprepared(&grant).await.expect("a user");
    let pool = connect(&stage.test.url().replace("root@", &format!("{user}@")), 1).await;
    let db = stage.cache.connect(pool.clone()).await.expect("a connection");
    let log = stage.log.take();
    assert!(log.iter().any(|line| line.contains("GRANT TRIGGER")), "{log:?}");
    let hits = || stage.cache.stats().total.hits;
    let before = hits();
    names(&db).await;
    names(&db).await;
    assert_eq!(hits(), before + 1, "{:?}", stage.log.take());
    db.execute_unprepared("UPDATE book SET price = 1 WHERE id = 1").await.expect("a write");
    assert_eq!(names(&db).await, ["x", "x", "x"]);
    pool.close().await.expect("closed");
    stage.plain.execute_unprepared(&format!("DROP USER '{user}'@'%'")).await.expect("dropped");
}

/// A transaction that asked its own pool for a second connection would wait for itself.
#[tokio::test]
async fn a_pool_of_one_is_enough() {
    for backend in Backend::servers() {
        let stage = Stage::new(backend, &schema(backend)).await;
        let db = stage.cache.connect(stage.test.pool(1).await).await.expect("a connection");
        let work = async {
            let transaction = db.begin().await.expect("begun");
            for sql in ["SAVEPOINT a", "RELEASE SAVEPOINT a", "CREATE TABLE x (id INTEGER)"] {
                transaction.execute_unprepared(sql).await.expect(sql);
            }
            transaction.commit().await.expect("committed");
            let committed = Some(IsolationLevel::ReadCommitted);
            let caching = db.caching_in_transactions();
            let transaction = caching.begin_with_config(committed, None).await.expect("begun");
            stage.cache.declare().function_reads("slugify", [""; 0]);
            assert_eq!(names(&transaction).await.len(), 3);
            transaction.commit().await.expect("committed");
            assert_eq!(names(&db).await.len(), 3);
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), work).await.expect("no waiting");
    }
}

mod t {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "t")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn a_declared_table_may_be_named_in_any_way_and_one_that_is_not_found_changes_nothing() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    for written in ["author", "public.author", "AUTHOR", "v", "nothing"] {
        let stage = Stage::new(
            Backend::Postgres,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER); INSERT INTO t VALUES (1, 1);
             CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO author VALUES (1, 'x');
             CREATE VIEW v AS SELECT * FROM author;
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN UPDATE author SET name = name || 'y'; RETURN NULL; END $$;
             CREATE TRIGGER g AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        )
        .await;
        stage.cache.declare().trigger_writes::<t::Entity>([written]);
        assert_eq!(names(&stage.db).await, ["x"]);
        stage.sql("UPDATE t SET k = 2 WHERE id = 1").await;
        assert_eq!(names(&stage.db).await, ["xy"], "{written}");
    }
}
