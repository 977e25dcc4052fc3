//! What the tests share: throw-away SQLite files, a bookshop schema, and a log of events.
#![allow(dead_code)]

pub mod gate;
pub mod proxy;
pub mod redis;
pub mod servers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use servers::Backend;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;
use sea_orm_cache::{Capture, Coherence, Event, ManualClock, QueryCacheBuilder, Reason};

pub const TTL: Duration = Duration::from_secs(60);

/// A database in a temporary folder that goes with it.
pub struct File {
    folder: tempfile::TempDir,
}

impl File {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A pool of its own on this file.
    pub async fn pool(&self, connections: u32) -> DatabaseConnection {
        let path = self.folder.path().join("test.db");
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
        options.max_connections(connections).min_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await.expect("SQLite");
        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF"] {
            db.execute_unprepared(pragma).await.expect("a pragma");
        }
        db
    }
}

/// The lines of all events, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("the log"))
    }

    pub fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let lines = self.0.clone();
        move |event: &Event<'_>| {
            codec_works(event);
            lines.lock().expect("the log").push(event.to_string());
        }
    }
}

/// A cache whose every result goes through the codec and comes back the same.
///
/// With `CACHE_STORE=strong` or `bounded`, and `REDIS_URL`, it has a Redis behind it, as if there
/// were other processes.
pub fn checked() -> QueryCacheBuilder {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let builder = QueryCache::builder().check_codec(true).observer(codec_works);
    let coherence = match std::env::var("CACHE_STORE").as_deref() {
        Ok("strong") => Coherence::Strong,
        Ok("bounded") => Coherence::bounded(),
        Ok(other) => panic!("CACHE_STORE={other}"),
        Err(_) => return builder,
    };
    let url = std::env::var("REDIS_URL").expect("REDIS_URL");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("t{}-{number}", std::process::id());
    builder.prefix(&prefix).redis(RedisConfig::new(url)).coherence(coherence)
}

fn codec_works(event: &Event<'_>) {
    if let Event::FillRefused { reason: Reason::Unencodable(why), .. } = event
        && !why.starts_with("Some(None)")
    {
        panic!("{why}: {event}");
    }
}

/// A cached bookshop on a file, with what a test wants to look at.
pub struct Shop {
    pub file: File,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub plain: DatabaseConnection,
    pub clock: Arc<ManualClock>,
    pub log: Log,
}

pub const SCHEMA: &str = "
    CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE book (
        id INTEGER PRIMARY KEY,
        title TEXT NOT NULL,
        author_id INTEGER REFERENCES author (id) ON DELETE CASCADE ON UPDATE CASCADE,
        genre INTEGER NOT NULL,
        price INTEGER NOT NULL,
        stock INTEGER NOT NULL DEFAULT 10
    );
    CREATE INDEX book_author ON book (author_id);
    CREATE INDEX book_genre ON book (genre, price);
    CREATE TABLE review (
        id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE,
        rating INTEGER NOT NULL
    );
    CREATE INDEX review_book ON review (book_id);
    CREATE VIEW cheap AS SELECT id, title, author_id, genre, price, stock FROM book WHERE price < 500;
    INSERT INTO author (id, name) VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cleo');
    INSERT INTO book (id, title, author_id, genre, price) VALUES
        (1, 'One', 1, 1, 100), (2, 'Two', 1, 2, 200), (3, 'Three', 2, 1, 300),
        (4, 'Four', 2, 2, 900), (5, 'Five', NULL, 3, 1000);
    INSERT INTO review (id, book_id, rating) VALUES (1, 1, 5), (2, 1, 4), (3, 2, 3), (4, 4, 1);
";

/// The bookshop as a server spells it: its keys are numbered by themselves.
pub fn schema(backend: Backend) -> String {
    let numbered = match backend {
        Backend::Sqlite => return SCHEMA.to_owned(),
        Backend::Postgres => "SERIAL PRIMARY KEY",
        Backend::MySql => "INTEGER AUTO_INCREMENT PRIMARY KEY",
    };
    let schema = SCHEMA.replace("INTEGER PRIMARY KEY", numbered);
    match backend {
        // Rows with keys of their own do not move the sequence.
        Backend::Postgres => {
            schema
                + "ALTER SEQUENCE review_id_seq RESTART 100; \
            ALTER SEQUENCE book_id_seq RESTART 100; ALTER SEQUENCE author_id_seq RESTART 100;"
        }
        _ => schema,
    }
}

impl Shop {
    pub async fn new() -> Self {
        Self::with(Capture::Auto).await
    }

    pub async fn with(capture: Capture) -> Self {
        let file = File::new();
        let plain = file.pool(4).await;
        plain.execute_unprepared(SCHEMA).await.expect("the schema");
        let (clock, log) = (Arc::new(ManualClock::default()), Log::default());
        let cache = checked()
            .capture(capture)
            .clock(clock.clone())
            .ttl_jitter(0.0)
            .observer(log.observer())
            .build()
            .await
            .expect("a cache");
        let db = cache.connect(plain.clone()).await.expect("a connection");
        log.take();
        Self { file, cache, db, plain, clock, log }
    }

    pub async fn sql(&self, sql: &str) -> Result<sea_orm::ExecResult, DbErr> {
        self.db.execute_unprepared(sql).await
    }

    /// Hits since the cache was built.
    pub fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }
}

pub mod author {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(has_many = "super::book::Entity")]
        Book,
    }

    impl Related<super::book::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Book.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub author_id: Option<i32>,
        pub genre: i32,
        pub price: i32,
        pub stock: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::author::Entity",
            from = "Column::AuthorId",
            to = "super::author::Column::Id"
        )]
        Author,
        #[sea_orm(has_many = "super::review::Entity")]
        Review,
    }

    impl Related<super::author::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Author.def()
        }
    }

    impl Related<super::review::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Review.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod review {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "review")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub book_id: i32,
        pub rating: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::book::Entity",
            from = "Column::BookId",
            to = "super::book::Column::Id"
        )]
        Book,
    }

    impl Related<super::book::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Book.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}
