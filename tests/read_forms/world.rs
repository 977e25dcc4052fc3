//! The tables, their rows, and a form of read to be tried on them.

use std::pin::Pin;

use fastrand::Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_cache::prelude::*;

use crate::support::servers::{Backend, TestDb};
use crate::support::{Log, checked};

const TABLES: &str = "
    CREATE TABLE publisher (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL);
    CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL,
        publisher_id INTEGER REFERENCES publisher (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE book (id INTEGER PRIMARY KEY,
        author_id INTEGER NOT NULL REFERENCES author (id) ON DELETE CASCADE ON UPDATE CASCADE,
        title VARCHAR(50) NOT NULL, price INTEGER NOT NULL, note VARCHAR(50));
    CREATE TABLE review (id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE ON UPDATE CASCADE,
        stars INTEGER NOT NULL);
    CREATE TABLE edition (id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE ON UPDATE CASCADE,
        year INTEGER NOT NULL);
    CREATE TABLE award (id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE ON UPDATE CASCADE,
        year INTEGER NOT NULL);
    CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL);
    CREATE TABLE book_tag (
        book_id INTEGER REFERENCES book (id) ON DELETE CASCADE ON UPDATE CASCADE,
        tag_id INTEGER REFERENCES tag (id) ON DELETE CASCADE ON UPDATE CASCADE,
        PRIMARY KEY (book_id, tag_id));
    CREATE TABLE person (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL,
        boss_id INTEGER REFERENCES person (id) ON DELETE CASCADE);
    CREATE TABLE follow (
        who INTEGER REFERENCES person (id) ON DELETE CASCADE,
        whom INTEGER REFERENCES person (id) ON DELETE CASCADE,
        PRIMARY KEY (who, whom));
    CREATE TABLE shelf (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
";

/// Authors 1 and 2 are read by the forms; the rows from 90 on are far from all of them.
const ROWS: &str = "
    INSERT INTO publisher VALUES (1, 'Ace'), (2, 'Bay'), (90, 'Far');
    INSERT INTO author VALUES (1, 'Ann', 1), (2, 'Bob', NULL), (90, 'Far', 90), (91, 'Out', NULL);
    INSERT INTO book VALUES (1, 1, 'Apple', 30, NULL), (2, 1, 'Bread', 10, 'dry'),
        (3, 2, 'Cheese', 20, NULL), (90, 90, 'Far', 1000, NULL), (91, 90, 'Out', 1001, 'x');
    INSERT INTO review VALUES (1, 1, 5), (2, 1, 3), (3, 3, 4), (90, 90, 1);
    INSERT INTO edition VALUES (1, 1, 1990), (2, 2, 2000), (90, 90, 2010);
    INSERT INTO award VALUES (1, 1, 1991), (90, 90, 2011);
    INSERT INTO tag VALUES (1, 'red'), (2, 'green'), (90, 'far');
    INSERT INTO book_tag VALUES (1, 1), (1, 2), (3, 2), (90, 90);
    INSERT INTO person VALUES (1, 'Top', NULL), (2, 'Mid', 1), (3, 'Low', 2), (90, 'Far', NULL);
    INSERT INTO follow VALUES (2, 1), (3, 1), (3, 2), (90, 90);
    INSERT INTO shelf VALUES (1, 1), (2, 2);
";

pub struct World {
    pub plain: DatabaseConnection,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub log: Log,
    _database: TestDb,
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        let database = TestDb::new(backend).await;
        let plain = database.pool(4).await;
        plain.execute_unprepared(TABLES).await.expect("the tables");
        let log = Log::default();
        let cache = checked().observer(log.observer()).build().await.expect("a cache");
        let db = cache.connect(plain.clone()).await.expect("a wrapped connection");
        Self { plain, cache, db, log, _database: database }
    }

    /// The rows as they were, and an empty cache.
    pub async fn reset(&self) {
        let delete = |table: &str| format!("DELETE FROM {table};");
        let tables = TABLES.split("CREATE TABLE ").skip(1);
        let names = tables.map(|table| table.split(' ').next().expect("a name"));
        let sql: String = names.map(delete).collect::<String>() + ROWS;
        self.plain.execute_unprepared(&sql).await.expect("the rows");
        self.cache.invalidate_all().await;
    }

    /// Other rows about the same authors.
    pub async fn scatter(&self, rng: &mut Rng) {
        for (table, width) in [("review", 20), ("edition", 5), ("award", 3)] {
            for id in 100..100 + rng.i32(0..width) {
                let (book, n) = (rng.i32(1..4), rng.i32(0..9));
                self.plain_sql(&format!("INSERT INTO {table} VALUES ({id}, {book}, {n})")).await;
            }
        }
        for id in 4..rng.i32(4..12) {
            let author = rng.i32(1..3);
            let title: String = (0..rng.usize(0..20)).map(|_| rng.alphanumeric()).collect();
            let note = if rng.bool() { "NULL".to_owned() } else { format!("'{title}'") };
            let price = rng.i32(-5..i32::MAX);
            let row = format!("({id}, {author}, '{title}', {price}, {note})");
            self.plain_sql(&format!("INSERT INTO book VALUES {row}")).await;
            let tag = rng.i32(1..3);
            self.plain_sql(&format!("INSERT INTO book_tag VALUES ({id}, {tag})")).await;
        }
        self.cache.invalidate_all().await;
    }

    async fn plain_sql(&self, sql: &str) {
        self.plain.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub async fn sql(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }
}

pub type Answer<'w> = Pin<Box<dyn Future<Output = String> + Send + 'w>>;

/// One way to read, and what ends its entry.
pub struct Form {
    pub name: &'static str,
    pub plain: for<'w> fn(&'w World) -> Answer<'w>,
    pub cached: for<'w> fn(&'w World) -> Answer<'w>,
    /// Writes that change its result.
    pub ended_by: &'static [&'static str],
    /// Writes that do not; the entry must survive them.
    pub survives: &'static [&'static str],
}

/// The same tokens on a plain connection, and with `.cached(TTL)` between them on a cached one.
macro_rules! form {
    ($name:literal, |$db:ident, $world:ident| [$($select:tt)+] [$($read:tt)+],
     $ended_by:expr, $survives:expr) => {
        Form {
            name: $name,
            plain: |$world| {
                let $db = &$world.plain;
                Box::pin(async move {
                    format!("{:?}", $($select)+ $($read)+.await.expect($name))
                })
            },
            cached: |$world| {
                let $db = &$world.db;
                Box::pin(async move {
                    format!("{:?}", $($select)+ .cached(TTL) $($read)+.await.expect($name))
                })
            },
            ended_by: $ended_by,
            survives: $survives,
        }
    };
}
