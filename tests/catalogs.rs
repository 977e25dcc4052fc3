//! What the catalogs of PostgreSQL and MariaDB tell, seen through what statements depend on.

mod stage;
mod support;

use stage::Stage;
use support::servers::Backend;

const SHOP: &str = "
    CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL);
    CREATE TABLE book (id BIGINT PRIMARY KEY, author_id INTEGER, price INTEGER,
        FOREIGN KEY (author_id) REFERENCES author (id) ON DELETE CASCADE);";

#[tokio::test]
async fn keys_of_all_kinds_are_read() {
    for backend in Backend::servers() {
        let stage = Stage::new(backend, SHOP).await;
        assert_eq!(stage.log.take(), ["catalog read, 2 tables"]);
        assert_eq!(
            stage.explain("SELECT id, price FROM book WHERE author_id = 7"),
            "depends on: * book* book+author_id=7 book+author_id=* book:pk=*; \
             and on each row shown of: book"
        );
        // The children go by the parent's key, which is all that is known of them.
        assert_eq!(
            stage.explain("DELETE FROM author WHERE id = 7"),
            "bumps: author! author- author:pk=7 author-id=7 \
             book! book- book:pk=* book-id=* book-author_id=7"
        );
    }
}

#[tokio::test]
async fn two_hundred_tables_are_read_in_a_few_questions() {
    for backend in Backend::servers() {
        let tables: String = (0..200)
            .map(|n| {
                format!("CREATE TABLE t{n} (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR(9));")
            })
            .collect();
        let stage = Stage::new(backend, &tables).await;
        assert_eq!(stage.log.take(), ["catalog read, 200 tables"]);
        assert!(stage.explain("SELECT id FROM t199 WHERE id = 1").contains("t199:pk=*"));
    }
}

#[tokio::test]
async fn text_is_a_key_only_where_it_is_compared_byte_by_byte() {
    if Backend::Postgres.is_reachable() {
        let schema = "
            CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE DOMAIN code AS VARCHAR(3);
            CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT COLLATE loose UNIQUE, b CHAR(3) UNIQUE,
                c code UNIQUE, m mood UNIQUE, n NUMERIC UNIQUE, d DATE UNIQUE);";
        let stage = Stage::new(Backend::Postgres, schema).await;
        assert!(stage.explain("SELECT count(*) FROM t WHERE id = 'x'").contains("t+id=\"x\""));
        assert!(stage.explain("SELECT count(*) FROM t WHERE c = 'x'").contains("t+c=\"x\""));
        // Longer than the column: its trailing spaces would be cut off on the way in.
        assert!(!stage.explain("SELECT count(*) FROM t WHERE c = 'abc '").contains("t+c="));
        for column in ["a", "b", "m", "n", "d"] {
            let query = format!("SELECT count(*) FROM t WHERE {column} = '1'");
            assert!(!stage.explain(&query).contains(&format!("t+{column}=")), "{column}");
        }
    }
    if Backend::MySql.is_reachable() {
        let schema = "
            CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(9) UNIQUE,
                b VARCHAR(9) COLLATE utf8mb4_bin UNIQUE, c VARCHAR(9) COLLATE utf8mb4_nopad_bin UNIQUE,
                d DECIMAL(5,2) UNIQUE, e ENUM('x', 'y') UNIQUE);";
        let stage = Stage::new(Backend::MySql, schema).await;
        assert!(stage.explain("SELECT count(*) FROM t WHERE c = 'x'").contains("t+c=\"x\""));
        for column in ["a", "b", "d", "e"] {
            let query = format!("SELECT count(*) FROM t WHERE {column} = 'x'");
            assert!(!stage.explain(&query).contains(&format!("t+{column}=")), "{column}");
        }
    }
}

#[tokio::test]
async fn another_schema_is_told_apart_from_the_one_in_sight() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let schema = "CREATE TABLE book (id INTEGER PRIMARY KEY);
        CREATE SCHEMA shop; CREATE TABLE shop.book (id INTEGER PRIMARY KEY);
        CREATE TABLE shop.sale (id INTEGER PRIMARY KEY)";
    let stage = Stage::new(Backend::Postgres, schema).await;
    assert!(stage.explain("DELETE FROM public.book WHERE id = 1").contains("bumps: book! book-"));
    assert!(stage.explain("DELETE FROM shop.book WHERE id = 1").contains("bumps: shop.book!"));
    let query = "SELECT \"book\".\"id\" FROM \"shop\".\"book\" WHERE \"book\".\"id\" = 1";
    assert!(stage.explain(query).contains("shop.book:pk=*"));
    assert!(stage.explain("SELECT id FROM sale").contains("not cached"));
}

#[tokio::test]
async fn what_can_not_be_cached_says_why() {
    if Backend::Postgres.is_reachable() {
        let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMPTZ, s TEXT);
            CREATE FUNCTION noisy() RETURNS integer LANGUAGE sql AS 'DELETE FROM t; SELECT 1';
            CREATE FUNCTION lower(integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
            CREATE VIEW w AS SELECT noisy() AS n;
            CREATE TABLE mother (id INTEGER PRIMARY KEY);
            CREATE TABLE child () INHERITS (mother);";
        let stage = Stage::new(Backend::Postgres, schema).await;
        for query in [
            "SELECT id FROM t WHERE at < now()",
            "SELECT id FROM t WHERE at < CURRENT_TIMESTAMP",
            "SELECT id FROM t WHERE at < 'today'",
            "SELECT id FROM t WHERE at < 'yesterday'::timestamptz",
            "SELECT id FROM t WHERE at < s::timestamptz",
            "SELECT id, current_user FROM t",
            "SELECT lower(id) FROM t",
            "SELECT id FROM mother",
            "SELECT relname FROM pg_class",
        ] {
            assert!(stage.explain(query).starts_with("not cached"), "{query}");
        }
        for query in [
            "SELECT noisy()",
            "SELECT * FROM w",
            "SELECT id FROM t WHERE id = noisy()",
            "SELECT id INTO copy FROM t",
            "SELECT set_config('search_path', 'x', false)",
        ] {
            assert!(stage.explain(query).starts_with("bumps everything"), "{query}");
        }
    }
    if Backend::MySql.is_reachable() {
        let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NULL, s TEXT);
            CREATE TABLE quick (id INTEGER PRIMARY KEY) ENGINE = MyISAM;
            CREATE FUNCTION noisy() RETURNS INTEGER DETERMINISTIC RETURN 1;";
        let stage = Stage::new(Backend::MySql, schema).await;
        for query in [
            "SELECT id FROM t WHERE at < now()",
            "SELECT id FROM t WHERE at < UTC_TIMESTAMP",
            "SELECT id, @x FROM t",
            "SELECT id FROM t WHERE id = @@session.auto_increment_increment",
            "SELECT id FROM quick",
            "SELECT id /*!50000 , s */ FROM t",
            "SELECT id FROM t WHERE id = LAST_INSERT_ID()",
            "SELECT table_name FROM information_schema.tables",
        ] {
            assert!(stage.explain(query).starts_with("not cached"), "{query}");
        }
        for query in
            ["SELECT noisy()", "SELECT id FROM t WHERE id = noisy()", "ANALYZE UPDATE t SET id = 1"]
        {
            assert!(stage.explain(query).starts_with("bumps everything"), "{query}");
        }
    }
}

#[tokio::test]
async fn every_form_of_a_write_names_its_tables() {
    const BOTH: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY, x INTEGER);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER, FOREIGN KEY (a_id) REFERENCES a (id));
        CREATE VIEW w AS SELECT id, x FROM a;";
    if Backend::Postgres.is_reachable() {
        let schema = format!("{BOTH} CREATE MATERIALIZED VIEW m AS SELECT id FROM a;");
        let stage = Stage::new(Backend::Postgres, &schema).await;
        for (sql, bumps) in [
            ("TRUNCATE b", "bumps: b! b*"),
            ("TRUNCATE a CASCADE", "bumps: a! a* b! b*"),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", "bumps: m! m*"),
            ("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE", "bumps: a! a*"),
            ("UPDATE w SET x = 1", "bumps: a! a* w! w*"),
        ] {
            assert_eq!(stage.explain(sql), bumps, "{sql}");
        }
        for sql in ["COPY a FROM STDIN", "CALL p()", "DO $$ BEGIN END $$", "GRANT SELECT ON a TO x"]
        {
            assert!(stage.explain(sql).starts_with("bumps everything"), "{sql}");
        }
        for sql in
            ["NOTIFY x", "LISTEN x", "SHOW work_mem", "SET statement_timeout = 5", "VACUUM a"]
        {
            assert!(stage.explain(sql).starts_with("not cached"), "{sql}");
        }
    }
    if Backend::MySql.is_reachable() {
        let stage = Stage::new(Backend::MySql, BOTH).await;
        for (sql, bumps) in [
            ("TRUNCATE TABLE b", "bumps: b! b*"),
            ("UPDATE a JOIN b ON a.id = b.a_id SET a.x = 1, b.a_id = 2", "bumps: b! b* a! a*"),
            ("DELETE b FROM b JOIN a ON a.id = b.a_id", "bumps: a! a* b! b*"),
        ] {
            let explained = stage.explain(sql);
            for tag in bumps.split(' ') {
                assert!(explained.contains(tag), "{sql}: {explained}");
            }
        }
        for sql in
            ["LOAD DATA INFILE 'x' INTO TABLE a", "CALL p()", "HANDLER a OPEN", "XA COMMIT 'x'"]
        {
            assert!(stage.explain(sql).starts_with("bumps everything"), "{sql}");
        }
    }
}

#[tokio::test]
async fn triggers_that_are_not_understood_are_named_with_the_line_to_write() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let schema = format!(
        "{SHOP} CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN UPDATE author SET name = 'x' WHERE id = NEW.author_id; RETURN NULL; END $$;
         CREATE TRIGGER t AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION f();"
    );
    let stage = Stage::new(Backend::Postgres, &schema).await;
    let line = "cache.declare().trigger_writes::<book::Entity>([\"author\"]);";
    assert!(stage.log.take().iter().any(|event| event.ends_with(line)));
    let insert = "INSERT INTO book (id) VALUES (1)";
    assert!(stage.explain(insert).ends_with(" *"), "{}", stage.explain(insert));
    stage.cache.declare().trigger_writes::<support::book::Entity>(["author"]);
    stage.read_catalog().await;
    let explained = stage.explain(insert);
    assert!(explained.contains("author*") && !explained.ends_with(" *"), "{explained}");
}

#[tokio::test]
async fn a_declared_view_or_function_is_cached_and_depends_on_what_was_said() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let schema = format!(
        "{SHOP} CREATE FUNCTION dear(integer) RETURNS boolean LANGUAGE sql STABLE AS
         'SELECT max(price) < $1 FROM book';
         CREATE VIEW odd AS SELECT id FROM author WHERE dear(id)"
    );
    let stage = Stage::new(Backend::Postgres, &schema).await;
    let by_function = "SELECT id FROM author WHERE dear(id)";
    assert!(stage.explain(by_function).starts_with("bumps everything"));
    let declare = stage.cache.declare();
    declare.function_reads("dear", ["book"]).view_reads("odd", ["author", "book"]);
    stage.read_catalog().await;
    for query in [by_function, "SELECT id FROM odd"] {
        let explained = stage.explain(query);
        assert!(explained.starts_with("depends on") && explained.contains("book!"), "{explained}");
    }
}
