//! Odd schemas and odd writes: each query through the cache says what fresh SQL says.

use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Outbox, OutboxConfig};

use crate::support::TTL;
use crate::support::servers::Backend;
use crate::world::{World, run};

mod seen {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "seen")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub said: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The same where each write has a session of its own.
async fn of_sessions(
    backend: Backend,
    ddl: &[&str],
    watched: &[&str],
    queries: &[&str],
    writes: &[&str],
) -> Vec<String> {
    let world = World::new(backend).await;
    for sql in ddl {
        run(&world.other, sql).await;
    }
    Outbox::default().watch(&world.other, watched.iter().copied()).await.expect("triggers");
    let (_cache, db) = world.cache(OutboxConfig::new()).await;
    let mut wrong = Vec::new();
    for write in writes {
        let session = world.file.pool(1).await;
        wrong.extend(compare(&world, &db, &session, queries, &[write]).await);
    }
    wrong
}

/// After each write each query is asked through the cache and past it. What went wrong is told.
async fn compare(
    world: &World,
    db: &CachedConnection,
    session: &DatabaseConnection,
    queries: &[&str],
    writes: &[&str],
) -> Vec<String> {
    let backend = world.file.backend;
    let mut wrong = Vec::new();
    let cached = async |sql: &str| {
        let statement = Statement::from_string(world.other.get_database_backend(), sql);
        let found = seen::Entity::find().cached(TTL).from_raw_sql(statement).all(db).await;
        let mut found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        found.sort_by_key(|row| (row.id, row.said.clone()));
        found
    };
    for write in writes {
        for query in queries {
            cached(query).await;
        }
        if let Err(error) = session.execute_unprepared(write).await {
            wrong.push(format!("{backend:?}: {write}: {error}"));
            continue;
        }
        if let Err(error) = db.catch_up().await {
            wrong.push(format!("{backend:?}: {write}: {error}"));
            continue;
        }
        for query in queries {
            let known = cached(query).await;
            let statement = Statement::from_string(world.other.get_database_backend(), *query);
            let mut fresh =
                seen::Entity::find().from_raw_sql(statement).all(&world.other).await.expect("rows");
            fresh.sort_by_key(|row| (row.id, row.said.clone()));
            if known != fresh {
                wrong.push(format!("{backend:?}: {write}: {query}: {known:?}, not {fresh:?}"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn names_that_sql_or_the_triggers_use() {
    let mut wrong = Vec::new();
    for backend in Backend::reachable() {
        let quote = |name: &str| match backend {
            Backend::MySql => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        };
        let long_table = "x".repeat(60);
        let long = "y".repeat(63);
        let names = [
            ("order", "select"),
            ("t", "t"),
            ("old", "new"),
            ("new", "old"),
            ("r", "r"),
            ("Mixed", "CamelCase"),
            ("with space", "and space"),
            ("quo'te", "it's"),
            ("dou\"ble", "dou\"ble"),
            ("back`tick", "back`tick"),
            ("back\\slash", "back\\slash"),
            ("ünï", "çôl"),
            ("key", "key"),
            ("columns", "columns"),
            ("changed", "changed"),
            ("sea_orm_old", "sea_orm_row"),
            ("c", "c"),
            ("k", "x"),
            ("rowid", "rowid"),
            ("_rowid_", "oid"),
            ("table_name", "operation"),
            ("created_ms", "row_before"),
            ("o", "n"),
            ("TG_OP", "unsure"),
            (&*long_table, &*long),
            ("percent%", "dollar$1"),
            ("q?", "q?"),
            ("brace{}", "brace{}"),
            ("semi;", "semi;"),
            ("excluded", "rewritten"),
            ("newline", "new\nline"),
        ];
        let world = World::new(backend).await;
        let text = match backend {
            Backend::MySql => "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
            _ => "VARCHAR(20)",
        };
        for (at, (table, column)) in names.iter().enumerate() {
            let (t, c) = (quote(table), quote(column));
            for sql in [
                format!("CREATE TABLE {t} (id INTEGER PRIMARY KEY, {c} {text}, v VARCHAR(20))"),
                format!("CREATE INDEX odd_index{at} ON {t} ({c})"),
                format!("CREATE UNIQUE INDEX odd_unique{at} ON {t} (v, {c})"),
                format!("INSERT INTO {t} (id, {c}, v) VALUES (1, 'a', 'v'), (2, 'b', 'v')"),
            ] {
                run(&world.other, &sql).await;
            }
        }
        let tables = names.iter().map(|(table, _)| *table);
        Outbox::default().watch(&world.other, tables).await.expect("triggers");
        let (_cache, db) = world.cache(OutboxConfig::new()).await;
        for (table, column) in names {
            let (t, c) = (quote(table), quote(column));
            let id = match backend {
                Backend::Sqlite => "id",
                Backend::Postgres => "id::int8 AS id",
                Backend::MySql => "CAST(id AS SIGNED) AS id",
            };
            let queries = [
                format!("SELECT {id}, {c} AS said FROM {t}"),
                format!("SELECT {id}, v AS said FROM {t} WHERE id = 1"),
                format!("SELECT {id}, v AS said FROM {t} WHERE {c} = 'a'"),
                format!("SELECT {id}, v AS said FROM {t} WHERE {c} = 'z'"),
            ];
            let writes = [
                format!("UPDATE {t} SET {c} = 'z' WHERE id = 1"),
                format!("UPDATE {t} SET v = 'w' WHERE id = 1"),
                format!("UPDATE {t} SET id = id + 10 WHERE id = 1"),
                format!("INSERT INTO {t} (id, {c}, v) VALUES (3, 'z', 'q')"),
                format!("DELETE FROM {t}"),
            ];
            let queries: Vec<_> = queries.iter().map(String::as_str).collect();
            let writes: Vec<_> = writes.iter().map(String::as_str).collect();
            wrong.extend(compare(&world, &db, &world.other, &queries, &writes).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn writes_of_all_kinds_on_postgresql() {
    if !Backend::Postgres.is_reachable() {
        return;
    }
    let wrong = of_sessions(
        Backend::Postgres,
        &[
            "CREATE DOMAIN code AS text CHECK (length(VALUE) < 9)",
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            "CREATE TABLE a (id int, k code, m mood, u uuid UNIQUE, n numeric UNIQUE, c char(4) UNIQUE, \
             b boolean, t timestamptz UNIQUE, f float8 UNIQUE, bt bytea UNIQUE, bi bit(4), arr int[], \
             g int GENERATED ALWAYS AS (id * 2) STORED, said text, PRIMARY KEY (id, k))",
            "CREATE INDEX a_k ON a (k)", "CREATE INDEX a_b ON a (b)", "CREATE INDEX a_g ON a (g)", "CREATE INDEX a_m ON a (m)",
            "INSERT INTO a (id, k, m, u, n, c, b, t, f, bt, said) VALUES \
             (1, 'x', 'sad', '00000000-0000-0000-0000-000000000001', 1.0, 'a', true, '2020-01-01', 1.5, '\\x01', 'one'), \
             (2, 'y', 'ok', '00000000-0000-0000-0000-000000000002', 2.0, 'b', false, '2020-01-02', 2.5, '\\x02', 'two')",
            "CREATE TABLE p (id int, said text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id)",
            "CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (10) TO (20)",
            "INSERT INTO p VALUES (1, 'one'), (11, 'eleven')",
            "CREATE TABLE f (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, said text)",
            "INSERT INTO f VALUES (1, 1, 'f'), (2, 11, 'f')",
            "CREATE INDEX f_p ON f (p)",
            "CREATE TABLE nokey (id int, said text)", "INSERT INTO nokey VALUES (1, 'a'), (1, 'a'), (2, 'b')",
            "CREATE VIEW w AS SELECT id, said FROM nokey",
            "CREATE TABLE ruled (id int PRIMARY KEY, said text)",
            "CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO nokey VALUES (NEW.id, 'by rule')",
            "CREATE TABLE secured (id int PRIMARY KEY, said text)", "INSERT INTO secured VALUES (1, 'a')",
            "ALTER TABLE secured ENABLE ROW LEVEL SECURITY", "CREATE POLICY s ON secured USING (id = 1)",
            "DO $$ BEGIN CREATE ROLE hz_writer; EXCEPTION WHEN duplicate_object THEN END $$",
            "CREATE SCHEMA hidden", "CREATE TABLE hidden.h (id int PRIMARY KEY, said text)",
            "GRANT USAGE ON SCHEMA hidden TO hz_writer", "GRANT SELECT, INSERT, UPDATE, DELETE ON hidden.h, secured, nokey TO hz_writer",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT USAGE ON SCHEMA public TO hz_writer",
        ],
        &["a", "p", "f", "nokey", "ruled", "hidden.h", "secured"],
        &[
            "SELECT id::int8 AS id, said FROM a",
            "SELECT id::int8 AS id, said FROM a WHERE id = 1 AND k = 'x'",
            "SELECT id::int8 AS id, said FROM a WHERE k = 'y'",
            "SELECT id::int8 AS id, said FROM a WHERE b = true",
            "SELECT id::int8 AS id, said FROM a WHERE g = 4",
            "SELECT id::int8 AS id, said FROM a WHERE m = 'ok'",
            "SELECT id::int8 AS id, said FROM a WHERE u = '00000000-0000-0000-0000-000000000002'",
            "SELECT id::int8 AS id, said FROM a WHERE n = 1",
            "SELECT id::int8 AS id, said FROM a WHERE c = 'a'",
            "SELECT id::int8 AS id, said FROM a WHERE f = 2.5",
            "SELECT id::int8 AS id, said FROM a WHERE bt = '\\x02'",
            "SELECT id::int8 AS id, arr::text AS said FROM a",
            "SELECT id::int8 AS id, bi::text AS said FROM a",
            "SELECT id::int8 AS id, said FROM p",
            "SELECT id::int8 AS id, said FROM p WHERE id = 1",
            "SELECT id::int8 AS id, said FROM p1",
            "SELECT id::int8 AS id, said FROM p2",
            "SELECT id::int8 AS id, said FROM p2a",
            "SELECT id::int8 AS id, said FROM f",
            "SELECT id::int8 AS id, said FROM f WHERE p = 1",
            "SELECT id::int8 AS id, said FROM f WHERE p IS NULL",
            "SELECT id::int8 AS id, said FROM nokey",
            "SELECT id::int8 AS id, said FROM w",
            "SELECT count(*) AS id, min(said) AS said FROM nokey",
            "SELECT id::int8 AS id, said FROM ruled",
            "SELECT id::int8 AS id, said FROM hidden.h",
        ],
        &[
            "UPDATE a SET id = id + 1",
            "UPDATE a SET said = 'x' WHERE k = 'y'",
            "UPDATE a SET k = 'y' WHERE k = 'x'",
            "UPDATE a SET b = NOT b",
            "UPDATE a SET m = 'ok' WHERE m = 'sad'",
            "UPDATE a SET u = '00000000-0000-0000-0000-000000000009' WHERE u = '00000000-0000-0000-0000-000000000002'",
            "UPDATE a SET n = 1.00 WHERE n = 1", "UPDATE a SET n = 3 WHERE n = 1", "UPDATE a SET c = 'z' WHERE c = 'a'",
            "UPDATE a SET f = 2.5 WHERE f = 1.5 AND false", "UPDATE a SET bt = '\\x05' WHERE bt = '\\x02'",
            "UPDATE a SET arr = '{1}'", "UPDATE a SET arr = '{1,2}' WHERE id = 3", "UPDATE a SET bi = B'1010'",
            "INSERT INTO a (id, k, said) VALUES (1, 'x', 'new') ON CONFLICT (id, k) DO UPDATE SET said = 'upserted'",
            "INSERT INTO a (id, k, said) VALUES (1, 'x', 'new') ON CONFLICT (id, k) DO UPDATE SET said = 'upserted', b = true, id = 7",
            "INSERT INTO a (id, k) VALUES (1, 'x') ON CONFLICT DO NOTHING",
            "MERGE INTO a USING (VALUES (7, 'x'), (99, 'q')) s (id, k) ON a.id = s.id AND a.k = s.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, k) VALUES (s.id, s.k)",
            "UPDATE p SET id = 12 WHERE id = 1", "UPDATE p SET id = 1 WHERE id = 12", "UPDATE p1 SET said = 'p1'",
            "UPDATE p2 SET said = 'p2'", "UPDATE p2a SET said = 'p2a'", "INSERT INTO p2a VALUES (15, 'new')", "DELETE FROM p WHERE id = 11",
            "TRUNCATE p2, f", "INSERT INTO f VALUES (1, 1, 'f')", "INSERT INTO p VALUES (13, 'x')", "TRUNCATE p CASCADE",
            "UPDATE nokey SET said = 'z' WHERE ctid = (SELECT min(ctid) FROM nokey)", "UPDATE nokey SET id = id + 1",
            "DELETE FROM nokey WHERE ctid = (SELECT min(ctid) FROM nokey)", "UPDATE w SET said = 'through the view'",
            "INSERT INTO ruled VALUES (1, 'r')", "INSERT INTO w VALUES (8, 'v')",
            "BEGIN; SAVEPOINT s; UPDATE nokey SET said = 'undone'; ROLLBACK TO s; UPDATE nokey SET said = 'kept' WHERE id = 8; COMMIT",
            "BEGIN; INSERT INTO nokey SELECT n, 'many' FROM generate_series(100, 400) n; COMMIT",
            "INSERT INTO nokey SELECT n, 'few' FROM generate_series(100, 120) n", "UPDATE nokey SET said = 'f' WHERE said = 'few'",
            "SET search_path = ''; INSERT INTO public.nokey VALUES (55, 'p')",
            "SET ROLE hz_writer; INSERT INTO hidden.h VALUES (1, 'h'); UPDATE secured SET said = 'b'; INSERT INTO public.nokey VALUES (77, 'role')",
            "SET session_replication_role = replica; UPDATE nokey SET said = 'replica'",
            "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; UPDATE a SET t = t + interval '7 day', bt = bt || '\\x5c'",
            "WITH gone AS (DELETE FROM nokey WHERE id < 100 RETURNING id) INSERT INTO hidden.h SELECT DISTINCT id + 1000, 'moved' FROM gone",
        ],
    )
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn writes_of_all_kinds_on_mysql() {
    if !Backend::MySql.is_reachable() {
        return;
    }
    let nopad = "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    let a = format!(
        "CREATE TABLE a (id INT, k {nopad}, ci VARCHAR(20) CHARACTER SET latin1, u UUID, n DECIMAL(10,3), e ENUM('x','y',''), s SET('p','q'), \
         f FLOAT, d DOUBLE, bt VARBINARY(9), bi BIT(4), y YEAR, ts TIMESTAMP(3) NULL, j JSON, geo POINT, ip INET6, big BIGINT UNSIGNED, z INT(8) ZEROFILL, \
         g INT AS (id * 2) STORED, vg INT AS (id + 1) VIRTUAL, said TEXT, PRIMARY KEY (id, k), UNIQUE (u), UNIQUE (n), UNIQUE (bt), UNIQUE (big), \
         KEY (ci), KEY (e), KEY (f), KEY (z), KEY (g), KEY (y), KEY (ip))"
    );
    let wrong = of_sessions(
        Backend::MySql,
        &[
            &a,
            "INSERT INTO a (id, k, ci, u, n, e, f, d, bt, bi, y, ts, j, geo, ip, big, z, said) VALUES \
             (1, 'x', 'é', '00000000-0000-0000-0000-000000000001', 1, 'x', 1.5, 1.5, x'01', 1, 2020, '2020-01-01', '{\"a\":1}', POINT(1,1), '::1', 18446744073709551615, 5, 'one'), \
             (2, 'y', 'B', '00000000-0000-0000-0000-000000000002', 2, 'y', 2.5, 2.5, x'02', 2, 2021, '2020-01-02', '[1]', POINT(2,2), '::2', 7, 6, 'two')",
            "CREATE TABLE par (id INT PRIMARY KEY, code VARCHAR(9), KEY (code))",
            "CREATE TABLE kid (id INT PRIMARY KEY, p INT, code VARCHAR(9), said TEXT, FOREIGN KEY (p) REFERENCES par (id) ON DELETE SET NULL ON UPDATE CASCADE, FOREIGN KEY (code) REFERENCES par (code) ON UPDATE CASCADE ON DELETE CASCADE)",
            "CREATE TABLE grandkid (id INT PRIMARY KEY, p INT, said TEXT, FOREIGN KEY (p) REFERENCES kid (id) ON DELETE CASCADE ON UPDATE CASCADE)",
            "INSERT INTO par VALUES (1, 'a'), (2, 'b')", "INSERT INTO kid VALUES (1, 1, 'a', 'k'), (2, 2, 'b', 'k')", "INSERT INTO grandkid VALUES (1, 1, 'g'), (2, 2, 'g')",
            "CREATE TABLE nokey (id INT, said TEXT)", "INSERT INTO nokey VALUES (1, 'a'), (1, 'a')",
            "CREATE VIEW w AS SELECT id, said FROM nokey",
        ],
        &["a", "par", "kid", "grandkid", "nokey"],
        &[
            "SELECT CAST(id AS SIGNED) AS id, said FROM a",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE id = 1 AND k = 'x'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE k = 'y'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE ci = 'b'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE ci = 'é'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE e = 'x'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE f = 1.5",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE bt = x'02'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE big = 18446744073709551615",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE big = 7",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE z = 5",
            "SELECT CAST(id AS SIGNED) AS id, said FROM a WHERE g = 4",
            "SELECT CAST(id AS SIGNED) AS id, CAST(f AS CHAR) AS said FROM a",
            "SELECT CAST(id AS SIGNED) AS id, CAST(vg AS CHAR) AS said FROM a",
            "SELECT CAST(id AS SIGNED) AS id, CAST(j AS CHAR) AS said FROM a",
            "SELECT CAST(id AS SIGNED) AS id, CAST(e AS CHAR) AS said FROM a",
            "SELECT CAST(id AS SIGNED) AS id, code AS said FROM par",
            "SELECT CAST(id AS SIGNED) AS id, said FROM kid",
            "SELECT CAST(id AS SIGNED) AS id, code AS said FROM kid",
            "SELECT CAST(id AS SIGNED) AS id, said FROM kid WHERE p = 1",
            "SELECT CAST(id AS SIGNED) AS id, said FROM kid WHERE p IS NULL",
            "SELECT CAST(id AS SIGNED) AS id, said FROM kid WHERE code = 'a'",
            "SELECT CAST(id AS SIGNED) AS id, said FROM grandkid",
            "SELECT CAST(id AS SIGNED) AS id, said FROM grandkid WHERE p = 1",
            "SELECT CAST(id AS SIGNED) AS id, said FROM nokey",
            "SELECT CAST(id AS SIGNED) AS id, said FROM w",
        ],
        &[
            "UPDATE a SET id = id + 1 ORDER BY id DESC", "UPDATE a SET said = 'SAID' WHERE id = 2", "UPDATE a SET said = 'said' WHERE id = 2",
            "UPDATE a SET k = 'y' WHERE k = 'x'", "UPDATE a SET ci = 'b' WHERE ci = 'é'", "UPDATE a SET ci = 'É ' WHERE id = 2",
            "UPDATE a SET e = 'y' WHERE e = 'x'", "UPDATE a SET e = ''", "SET sql_mode = ''; UPDATE a SET e = 'nonsense'",
            "UPDATE a SET f = -0.0", "UPDATE a SET f = 0.0", "UPDATE a SET f = 1.5, d = 0.1 + 0.2e0", "UPDATE a SET j = '{\"a\": 1}'", "UPDATE a SET j = '{\"a\": 1.0}'",
            "UPDATE a SET geo = POINT(5,5), ip = '::5', u = '00000000-0000-0000-0000-000000000008' WHERE id = 2", "UPDATE a SET geo = NULL, ip = NULL, bi = 3, y = 1999",
            "UPDATE a SET big = 8 WHERE big = 7", "UPDATE a SET big = 7 WHERE id = 2", "UPDATE a SET z = 9 WHERE z = 5",
            "INSERT INTO a (id, k, said) VALUES (1, 'x', 'new') ON DUPLICATE KEY UPDATE said = 'upserted'", "INSERT INTO a (id, k, said) VALUES (1, 'x', 'new') ON DUPLICATE KEY UPDATE said = 'upserted', id = 50",
            "REPLACE INTO a (id, k, big, said) VALUES (77, 'r', 7, 'replaced')", "INSERT IGNORE INTO a (id, k, big) VALUES (78, 'r', 7), (79, 'x', 1)",
            "UPDATE par SET id = id + 10 WHERE id = 1", "UPDATE par SET code = 'c' WHERE code = 'a'", "UPDATE par SET code = 'C' WHERE code = 'c'", "DELETE FROM par WHERE id = 11",
            "UPDATE kid SET id = 20 WHERE id = 2", "DELETE FROM par", "INSERT INTO par VALUES (1, 'a'), (2, 'b')", "INSERT INTO kid VALUES (1, 1, 'a', 'k'), (2, 2, 'b', 'k')", "INSERT INTO grandkid VALUES (1, 1, 'g')",
            "UPDATE kid JOIN par ON kid.p = par.id SET kid.said = 'joined', par.code = 'b'", "DELETE kid, grandkid FROM kid LEFT JOIN grandkid ON grandkid.p = kid.id",
            "UPDATE nokey SET said = 'z' LIMIT 1", "DELETE FROM nokey LIMIT 1", "UPDATE w SET said = 'v'", "INSERT INTO w VALUES (9, 'w')",
            "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'; UPDATE nokey SET said = 'mode'",
            "SET NAMES latin1; UPDATE a SET ci = 'x', said = 'latin'", "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci; UPDATE a SET said = 'utf'", "SET character_set_client = binary; UPDATE a SET said = 'bin'",
            "SET @sea_orm_cache_own = 'no'; UPDATE nokey SET said = 'not ours'", "SET @sea_orm_cache_own = NULL; UPDATE nokey SET said = 'not ours either'",
            "SET time_zone = '+05:30'; UPDATE a SET ts = NOW(3)", "START TRANSACTION; SAVEPOINT s; UPDATE nokey SET said = 'undone'; ROLLBACK TO s; INSERT INTO nokey VALUES (5, 'kept'); COMMIT",
            "LOCK TABLES nokey WRITE; UPDATE nokey SET said = 'locked'; INSERT INTO nokey VALUES (6, 'too'); UNLOCK TABLES", "SET foreign_key_checks = 0; UPDATE par SET id = 500 WHERE id = 1",
            "SET sql_mode = 'ORACLE'; UPDATE nokey SET said = 'oracle'",
        ],
    )
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn writes_of_all_kinds_on_sqlite() {
    let wrong = of_sessions(
        Backend::Sqlite,
        &[
            "CREATE TABLE a (id INTEGER, k TEXT, n NUMERIC, r REAL, b BLOB, any, said TEXT, g INT AS (id * 2) STORED, v INT AS (id + 1) VIRTUAL, PRIMARY KEY (id, k))",
            "CREATE UNIQUE INDEX a_n ON a (n)", "CREATE INDEX a_r ON a (r)", "CREATE INDEX a_b ON a (b)", "CREATE INDEX a_any ON a (any)", "CREATE INDEX a_g ON a (g)",
            "INSERT INTO a (id, k, n, r, b, any, said) VALUES (1, 'x', 1, 1.5, x'01', 1, 'one'), (2, 'y', 2, 2.5, x'02', 'two', 'two')",
            "CREATE TABLE wr (id INTEGER, k TEXT UNIQUE, said TEXT, PRIMARY KEY (id)) WITHOUT ROWID", "INSERT INTO wr VALUES (1, 'a', 'w'), (2, 'b', 'w')",
            "CREATE TABLE st (id INTEGER PRIMARY KEY, k ANY UNIQUE, said TEXT) STRICT", "INSERT INTO st VALUES (1, '1', 's'), (2, 1, 's')",
            "CREATE TABLE par (id INTEGER PRIMARY KEY, code TEXT UNIQUE)", "CREATE TABLE kid (id INTEGER PRIMARY KEY, p INTEGER REFERENCES par ON DELETE SET NULL ON UPDATE CASCADE, code TEXT REFERENCES par (code) ON DELETE CASCADE ON UPDATE CASCADE, said TEXT)",
            "CREATE INDEX kid_p ON kid (p)", "INSERT INTO par VALUES (1, 'a'), (2, 'b')", "INSERT INTO kid VALUES (1, 1, 'a', 'k'), (2, 2, 'b', 'k')",
            "CREATE TABLE nokey (id INTEGER, said TEXT)", "INSERT INTO nokey VALUES (1, 'a'), (1, 'a')",
            "CREATE VIEW w AS SELECT id, said FROM nokey", "CREATE TRIGGER wi INSTEAD OF UPDATE ON w BEGIN UPDATE nokey SET said = NEW.said WHERE id = OLD.id; END",
            "CREATE TABLE oc (id INTEGER PRIMARY KEY, k TEXT UNIQUE ON CONFLICT REPLACE, said TEXT)", "INSERT INTO oc VALUES (1, 'a', 'o'), (2, 'b', 'o')",
            "CREATE TABLE tr (id INTEGER PRIMARY KEY, k TEXT UNIQUE, said TEXT)", "INSERT INTO tr VALUES (1, 'a', 't'), (2, 'b', 't')",
            "CREATE TRIGGER tri AFTER UPDATE ON tr WHEN NEW.said = 'chain' BEGIN REPLACE INTO oc VALUES (9, 'a', 'chained'); UPDATE OR REPLACE wr SET k = 'a' WHERE k = 'b'; END",
        ],
        &["a", "wr", "st", "par", "kid", "nokey", "oc", "tr"],
        &[
            "SELECT id, said FROM a", "SELECT id, said FROM a WHERE id = 1 AND k = 'x'", "SELECT id, said FROM a WHERE k = 'y'", "SELECT id, said FROM a WHERE n = 1", "SELECT id, said FROM a WHERE n = 2",
            "SELECT id, said FROM a WHERE r = 1.5", "SELECT id, said FROM a WHERE b = x'02'", "SELECT id, said FROM a WHERE any = 1", "SELECT id, said FROM a WHERE any = 'two'", "SELECT id, said FROM a WHERE g = 4",
            "SELECT id, CAST(v AS TEXT) AS said FROM a", "SELECT id, typeof(n) AS said FROM a", "SELECT id, hex(said) AS said FROM a",
            "SELECT id, said FROM wr", "SELECT id, said FROM wr WHERE id = 1", "SELECT id, said FROM wr WHERE k = 'b'", "SELECT id, said FROM st", "SELECT id, said FROM st WHERE k = '1'", "SELECT id, said FROM st WHERE k = 1",
            "SELECT id, code AS said FROM par", "SELECT id, said FROM kid", "SELECT id, code AS said FROM kid", "SELECT id, said FROM kid WHERE p = 1", "SELECT id, said FROM kid WHERE p IS NULL",
            "SELECT id, said FROM nokey", "SELECT id, said FROM w", "SELECT id, said FROM oc", "SELECT id, said FROM oc WHERE id = 1", "SELECT id, said FROM oc WHERE k = 'a'", "SELECT id, said FROM tr WHERE id = 1", "SELECT id, said FROM tr WHERE id = 2",
        ],
        &[
            "UPDATE a SET id = id + 1", "UPDATE a SET k = 'y' WHERE k = 'x'", "UPDATE a SET n = 1.0 WHERE n = 1", "UPDATE a SET n = '1' WHERE n = 1", "UPDATE OR REPLACE a SET n = 2 WHERE n = 1",
            "INSERT INTO a (id, k, n) VALUES (1, 'x', 1)", "REPLACE INTO a (id, k, n, said) VALUES (8, 'x', 1.0, 'r')", "REPLACE INTO a (id, k, n, said) VALUES ('8', 'x', '1', 'r')", "UPDATE a SET n = 9223372036854775807 - id, r = 9e999, b = zeroblob(2000), any = -9e999", "UPDATE a SET n = NULL, any = CAST(x'00ff' AS TEXT)",
            "UPDATE a SET any = 'two', n = 5 WHERE id = 8", "UPDATE a SET any = 1 WHERE id = 8", "UPDATE a SET any = 1.0 WHERE id = 8", "UPDATE a SET any = '1' WHERE id = 8",
            "UPDATE wr SET id = id + 5", "REPLACE INTO wr VALUES (7, 'a', 'r')", "UPDATE OR REPLACE wr SET id = 7", "INSERT INTO wr VALUES (1, 'a', 'w'), (2, 'b', 'w') ON CONFLICT DO UPDATE SET said = 'u'",
            "REPLACE INTO st VALUES (3, '1', 'r')", "UPDATE OR REPLACE st SET k = '1' WHERE id = 2", "REPLACE INTO st VALUES (4, 1.0, 'r')", "REPLACE INTO st VALUES (5, 1, 'r')",
            "PRAGMA foreign_keys = ON; UPDATE par SET id = 10 WHERE id = 1", "PRAGMA foreign_keys = ON; UPDATE par SET code = 'c' WHERE code = 'a'", "PRAGMA foreign_keys = ON; REPLACE INTO par VALUES (10, 'x')", "PRAGMA foreign_keys = ON; DELETE FROM par",
            "UPDATE w SET said = 'through'", "UPDATE nokey SET said = 'z' WHERE rowid = 1", "DELETE FROM nokey WHERE rowid = 1", "DELETE FROM nokey",
            "INSERT INTO oc VALUES (5, 'a', 'n')", "UPDATE oc SET k = 'a' WHERE k = 'b'", "UPDATE tr SET said = 'chain' WHERE id = 1",
            "PRAGMA recursive_triggers = ON; REPLACE INTO tr VALUES (3, 'a', 'r')", "UPDATE OR REPLACE tr SET k = 'b' WHERE k = 'a'", "BEGIN; SAVEPOINT s; UPDATE tr SET said = 'undone'; ROLLBACK TO s; INSERT INTO tr VALUES (11, 'k', 'kept'); COMMIT",
            "BEGIN; REPLACE INTO tr VALUES (2, 'zz', 'r'); COMMIT", "PRAGMA case_sensitive_like = ON; UPDATE tr SET said = 'SAID'", "PRAGMA trusted_schema = OFF; UPDATE tr SET said = 'untrusted'",
        ],
    )
    .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
