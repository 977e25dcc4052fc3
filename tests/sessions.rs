//! What changes the meaning of statements, or of who asks: settings, transactions, row-level
//! security, replicas, lost connections.

mod stage;
mod support;

use sea_orm::ActiveModelTrait;
use sea_orm::{ConnectionTrait, EntityTrait, IsolationLevel, Set, TransactionTrait};
use sea_orm_cache::Reason;
use sea_orm_cache::prelude::*;
use stage::Stage;
use support::servers::{Backend, connect};
use support::{TTL, author, book, schema};

async fn names(db: &impl sea_orm_cache::CacheSource) -> Vec<String> {
    let authors = author::Entity::find().cached(TTL).all(db).await.expect("authors");
    authors.into_iter().map(|author| author.name).collect()
}

fn hits(stage: &Stage) -> u64 {
    stage.cache.stats().total.hits
}

async fn rename(db: &impl ConnectionTrait, name: &str) {
    let change = author::ActiveModel { id: Set(1), name: Set(name.into()) };
    change.update(db).await.expect("a new name");
}

#[tokio::test]
async fn a_setting_that_changes_meanings_ends_caching_and_every_write_invalidates_everything() {
    for (backend, sql) in [
        (Backend::Postgres, "SET search_path TO other, public"),
        (Backend::Postgres, "SET ROLE postgres"),
        (Backend::Postgres, "SET TIME ZONE 'UTC'"),
        (Backend::Postgres, "SELECT set_config('search_path', 'public', false)"),
        (Backend::MySql, "SET autocommit = 1"),
        (Backend::MySql, "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"),
        (Backend::MySql, "SET NAMES latin1"),
    ] {
        if !backend.is_reachable() {
            continue;
        }
        let stage = Stage::new(backend, &schema(backend)).await;
        names(&stage.db).await;
        names(&stage.db).await;
        assert_eq!(hits(&stage), 1);
        stage.sql(sql).await;
        assert!(stage.log.take().iter().any(|line| line.starts_with("a session was changed")));
        names(&stage.db).await;
        names(&stage.db).await;
        assert_eq!(hits(&stage), 1, "{sql}");
        assert!(stage.explain("DELETE FROM book").starts_with("bumps everything"), "{sql}");
    }
}

#[tokio::test]
async fn a_harmless_setting_changes_nothing() {
    for (backend, sql) in [
        (Backend::Postgres, "SET statement_timeout = 10000"),
        (Backend::Postgres, "SET LOCAL search_path TO other"),
        (Backend::MySql, "SET @x = 1"),
        (Backend::MySql, "SET FOREIGN_KEY_CHECKS = 1"),
    ] {
        if !backend.is_reachable() {
            continue;
        }
        let stage = Stage::new(backend, &schema(backend)).await;
        names(&stage.db).await;
        stage.sql(sql).await;
        names(&stage.db).await;
        assert_eq!(hits(&stage), 1, "{sql}");
    }
}

#[tokio::test]
async fn a_transaction_uses_the_cache_only_if_asked_to_and_until_it_does_more_than_read() {
    for backend in Backend::servers() {
        let stage = Stage::new(backend, &schema(backend)).await;
        let db = stage.db.caching_in_transactions();
        let committed = Some(IsolationLevel::ReadCommitted);
        names(&stage.db).await;
        // Not asked to.
        let transaction = stage.db.begin_with_config(committed, None).await.expect("begun");
        names(&transaction).await;
        assert_eq!(hits(&stage), 0);
        transaction.commit().await.expect("committed");
        // Hits, and fills what others hit.
        let transaction = db.begin_with_config(committed, None).await.expect("begun");
        names(&transaction).await;
        assert_eq!(hits(&stage), 1);
        let count = book::Entity::find().cached(TTL).count(&transaction).await.expect("a count");
        assert_eq!(book::Entity::find().cached(TTL).count(&stage.db).await.expect("it"), count);
        assert_eq!(hits(&stage), 2);
        // Its own write is its own.
        rename(&transaction, "inside").await;
        assert!(names(&transaction).await.contains(&"inside".to_owned()));
        assert!(!names(&stage.db).await.contains(&"inside".to_owned()));
        transaction.rollback().await.expect("rolled back");
        assert!(!names(&stage.db).await.contains(&"inside".to_owned()));
    }
}

#[tokio::test]
async fn the_default_isolation_decides_whether_a_transaction_may_use_the_cache() {
    for backend in Backend::servers() {
        let stage = Stage::new(backend, &schema(backend)).await;
        let db = stage.db.caching_in_transactions();
        names(&stage.db).await;
        let transaction = db.begin().await.expect("begun");
        names(&transaction).await;
        // PostgreSQL's is READ COMMITTED, MySQL's REPEATABLE READ.
        assert_eq!(hits(&stage), u64::from(backend == Backend::Postgres));
        drop(transaction);
        let before = hits(&stage);
        let repeatable = Some(IsolationLevel::RepeatableRead);
        let transaction = db.begin_with_config(repeatable, None).await.expect("begun");
        names(&transaction).await;
        assert_eq!(hits(&stage), before);
    }
}

/// In MySQL, DDL commits the transaction that it is in.
#[tokio::test]
async fn what_mysql_commits_by_itself_is_invalidated_at_once() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::MySql, &schema(Backend::MySql)).await;
    for ddl in [
        "CREATE TABLE late (id INTEGER)",
        "TRUNCATE review",
        "ANALYZE TABLE book",
        "LOCK TABLES author WRITE, book WRITE",
    ] {
        names(&stage.db).await;
        let transaction = stage.db.begin().await.expect("begun");
        rename(&transaction, ddl).await;
        transaction.execute_unprepared(ddl).await.expect("DDL");
        if ddl.starts_with("LOCK") {
            transaction.execute_unprepared("UNLOCK TABLES").await.expect("unlocked");
        }
        assert_eq!(names(&stage.db).await[0], ddl, "{ddl}");
        // From now on its statements are committed one by one.
        rename(&transaction, "after").await;
        assert_eq!(names(&stage.db).await[0], "after", "{ddl}");
        transaction.rollback().await.expect("rolled back");
        assert_eq!(names(&stage.db).await[0], "after", "{ddl}");
    }
}

#[tokio::test]
async fn a_write_beside_a_savepoint_or_a_setting_is_not_missed() {
    for (backend, sql) in [
        (Backend::Postgres, "SAVEPOINT a; UPDATE author SET name = 'x' WHERE id = 1"),
        (Backend::MySql, "SAVEPOINT a; UPDATE author SET name = 'x' WHERE id = 1"),
        (
            Backend::Postgres,
            "WITH w AS (UPDATE author SET name = 'x' WHERE id = 1 RETURNING id)
             SELECT set_config('app.x', '1', true) FROM w",
        ),
    ] {
        if !backend.is_reachable() {
            continue;
        }
        for in_transaction in [true, false] {
            let stage = Stage::new(backend, &schema(backend)).await;
            names(&stage.db).await;
            if in_transaction {
                let transaction = stage.db.begin().await.expect("begun");
                transaction.execute_unprepared(sql).await.expect(sql);
                transaction.commit().await.expect("committed");
            } else if !sql.starts_with("SAVEPOINT") {
                stage.sql(sql).await;
            } else {
                continue;
            }
            let mut cached = names(&stage.db).await;
            cached.sort();
            assert_eq!(cached, ["Bob", "Cleo", "x"], "{backend:?}: {sql}");
        }
    }
}

/// In MySQL a transaction's DDL counts for others at once, not from the transaction's end.
#[tokio::test]
async fn a_trigger_made_inside_a_transaction_counts_at_once_in_mysql() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::MySql, &schema(Backend::MySql)).await;
    names(&stage.db).await;
    let transaction = stage.db.begin().await.expect("begun");
    let trigger = "CREATE TRIGGER g AFTER UPDATE ON book FOR EACH ROW UPDATE author SET name = 'x'";
    transaction.execute_unprepared(trigger).await.expect("a trigger");
    names(&stage.db).await;
    stage.sql("UPDATE book SET price = 1 WHERE id = 1").await;
    assert_eq!(names(&stage.db).await, ["x", "x", "x"]);
    transaction.commit().await.expect("committed");
}

#[tokio::test]
async fn a_temporary_table_that_shadows_a_real_one_is_never_mistaken_for_it() {
    for backend in Backend::servers() {
        let stage = Stage::new(backend, &schema(backend)).await;
        let before = names(&stage.db).await;
        stage.sql("CREATE TEMPORARY TABLE author (id INTEGER, name VARCHAR(9))").await;
        for _ in 0..3 {
            let cached = names(&stage.db).await;
            assert!(cached == before || cached.is_empty());
        }
        assert_eq!(hits(&stage), 0);
        assert!(stage.explain("SELECT id FROM author").contains("temporary"));
    }
}

#[tokio::test]
async fn one_tenants_rows_are_never_shown_to_another() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, "").await;
    let role = format!("tenant_{}", stage.test.name);
    stage
        .plain
        .execute_unprepared(&format!(
            "CREATE ROLE {role} LOGIN; {}
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             ALTER TABLE author ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON author USING (name = current_setting('app.tenant', true));",
            schema(Backend::Postgres)
        ))
        .await
        .expect("a tenant");
    let url = stage.test.url().replace("postgres@", &format!("{role}@"));
    let db = stage.cache.connect(connect(&url, 1).await).await.expect("a connection");
    // Without a scope nothing of it is cached; other tables are.
    for _ in 0..2 {
        assert!(names(&db).await.is_empty());
        book::Entity::find().cached(TTL).all(&db).await.expect("books");
    }
    assert_eq!(hits(&stage), 1);
    // In a scope it is, apart from every other scope's.
    let (ada, bob) = (db.scoped("Ada"), db.scoped("Bob"));
    for (tenant, name) in [(&ada, "Ada"), (&bob, "Bob"), (&ada, "Ada"), (&bob, "Bob")] {
        let before = hits(&stage);
        let transaction = tenant
            .caching_in_transactions()
            .begin_with_config(Some(IsolationLevel::ReadCommitted), None)
            .await
            .expect("begun");
        let set = format!("SELECT set_config('app.tenant', '{name}', true)");
        transaction.execute_unprepared(&set).await.expect("set");
        // What was set is this transaction's own, so it reads past the cache.
        assert_eq!(names(&transaction).await, [name]);
        assert_eq!(hits(&stage), before);
        transaction.commit().await.expect("committed");
    }
    let (first, again) = (names(&ada).await, names(&ada).await);
    assert_eq!(first, again);
    assert_eq!(hits(&stage), 2, "a scope's own entry answers");
    // What is made of it is that scope's, too.
    let made = async |db: &CachedConnection| {
        let ada = ada.clone();
        let value = stage.cache.value("names").ttl(TTL).fetch(db, |_| async move {
            author::Entity::find().cached(TTL).all(&ada).await.map(|all| all.len())
        });
        value.await.expect("names").refused
    };
    assert_eq!(made(&ada).await, None);
    for db in [&db, &bob] {
        assert!(matches!(made(db).await, Some(Reason::RowSecurity(_))));
    }
    drop((ada, bob));
    db.inner().clone().close().await.expect("closed");
    drop(db);
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    stage.plain.execute_unprepared(&drop).await.expect("dropped");
}

#[tokio::test]
async fn what_a_policy_reads_ends_what_it_hid_or_showed() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let stage = Stage::new(Backend::Postgres, "").await;
    let role = format!("reader_{}", stage.test.name);
    stage
        .plain
        .execute_unprepared(&format!(
            "CREATE ROLE {role} LOGIN; {}
             CREATE TABLE allowed (author_id INTEGER PRIMARY KEY);
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             ALTER TABLE author ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON author USING
                (id IN (SELECT author_id FROM allowed) AND current_user = '{role}');",
            schema(Backend::Postgres)
        ))
        .await
        .expect("a reader");
    let url = stage.test.url().replace("postgres@", &format!("{role}@"));
    let db = stage.cache.connect(connect(&url, 1).await).await.expect("a connection");
    let db = db.scoped("reader");
    assert!(names(&db).await.is_empty());
    assert!(names(&db).await.is_empty());
    assert_eq!(hits(&stage), 1);
    stage.sql("INSERT INTO allowed VALUES (2)").await;
    assert_eq!(names(&db).await, ["Bob"]);
    db.inner().clone().close().await.expect("closed");
    drop(db);
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    stage.plain.execute_unprepared(&drop).await.expect("dropped");
}

#[tokio::test]
async fn two_spellings_of_a_key_are_one_key() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let schema = "CREATE TABLE t (id UUID PRIMARY KEY, n INTEGER);
        INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1)";
    let stage = Stage::new(Backend::Postgres, schema).await;
    let query = "SELECT count(*) FROM t WHERE id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'";
    // Read from text, a UUID has no canonical form, so nothing is sliced by it.
    assert!(stage.explain(query).contains("depends on: * t* t+ t-"), "{}", stage.explain(query));
}
