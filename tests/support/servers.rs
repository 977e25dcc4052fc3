//! Databases for tests: a file for SQLite; on PostgreSQL and MariaDB a database of its own on the
//! server that `POSTGRES_URL` or `MYSQL_URL` names. `scripts/test` starts both servers; without
//! them the tests that need one say so and pass.

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};

/// The databases that a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
    MySql,
}

impl Backend {
    /// All that can be reached, with a word about the others.
    pub fn reachable() -> Vec<Self> {
        let all = [Self::Sqlite, Self::Postgres, Self::MySql];
        all.into_iter().filter(|backend| backend.is_reachable()).collect()
    }

    /// The servers among them.
    pub fn servers() -> Vec<Self> {
        Self::reachable().into_iter().filter(|backend| *backend != Self::Sqlite).collect()
    }

    pub fn is_reachable(self) -> bool {
        let Some(variable) = self.variable() else { return true };
        let set = std::env::var(variable).is_ok();
        // `scripts/test` must not pass because a server is missing.
        assert!(set || std::env::var("REQUIRE_SERVERS").is_err(), "{variable} is not set");
        if !set {
            println!("left out: {self:?}, because {variable} is not set");
        }
        set
    }

    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("POSTGRES_URL"),
            Self::MySql => Some("MYSQL_URL"),
        }
    }

    fn server_url(self) -> String {
        let url = self.variable().and_then(|variable| std::env::var(variable).ok());
        url.expect("only called for a server that is there")
    }
}

/// An empty database, dropped in the end.
pub struct TestDb {
    pub backend: Backend,
    pub name: String,
    folder: Option<tempfile::TempDir>,
}

impl TestDb {
    pub async fn new(backend: Backend) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("cached_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder =
            (backend == Backend::Sqlite).then(|| tempfile::tempdir().expect("a temporary folder"));
        let db = Self { backend, name, folder };
        if backend != Backend::Sqlite {
            db.administer(&format!("CREATE DATABASE {}", db.name)).await;
        }
        db
    }

    pub fn url(&self) -> String {
        match &self.folder {
            Some(folder) => {
                format!("sqlite://{}?mode=rwc", folder.path().join("test.db").display())
            }
            None => format!("{}/{}", self.backend.server_url(), self.name),
        }
    }

    /// A pool of its own on this database.
    pub async fn pool(&self, connections: u32) -> DatabaseConnection {
        let db = connect(&self.url(), connections).await;
        if self.backend == Backend::Sqlite {
            for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF"] {
                db.execute_unprepared(pragma).await.expect("a pragma");
            }
        }
        db
    }

    async fn administer(&self, sql: &str) {
        let of = if self.backend == Backend::Postgres { "/postgres" } else { "/mysql" };
        let db = connect(&format!("{}{of}", self.backend.server_url()), 1).await;
        if self.backend == Backend::MySql {
            self.disconnect(&db).await;
        }
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        db.close().await.expect("closed");
    }

    /// A transaction that a dropped pool left open would keep the database from being dropped.
    async fn disconnect(&self, db: &DatabaseConnection) {
        let find = format!(
            "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = '{}'",
            self.name
        );
        let found = db.query_all_raw(Statement::from_string(DbBackend::MySql, find)).await;
        for row in found.expect("the processes") {
            let id: i64 = row.try_get_by_index(0).expect("an id");
            // It may be gone by itself.
            let _ = db.execute_unprepared(&format!("KILL {id}")).await;
        }
    }
}

pub async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if self.backend == Backend::Sqlite {
            return;
        }
        let force = if self.backend == Backend::Postgres { " WITH (FORCE)" } else { "" };
        let sql = format!("DROP DATABASE {}{force}", self.name);
        // A runtime can't be entered twice in one thread.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(self.administer(&sql));
            });
        });
    }
}
