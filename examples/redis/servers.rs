//! Redis and a database for the time of the example.

use std::error::Error;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::shop::{AUTHORS, connect};

pub struct Servers {
    pub database: String,
    pub redis: String,
    /// A Redis of our own.
    process: Option<Child>,
    /// The PostgreSQL that we have made a database in.
    postgres: Option<(DatabaseConnection, String)>,
    _folder: tempfile::TempDir,
}

impl Servers {
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (redis, process) = match std::env::var("REDIS_URL") {
            Ok(url) => (url, None),
            Err(_) => start_redis(&folder).await.map(|(url, process)| (url, Some(process)))?,
        };
        let file = format!("sqlite://{}?mode=rwc", folder.path().join("shop.db").display());
        let mut servers = Self { database: file, redis, process, postgres: None, _folder: folder };
        if let Ok(url) = std::env::var("POSTGRES_URL") {
            match postgres(&url).await {
                Ok((admin, name)) => {
                    servers.database = format!("{url}/{name}");
                    servers.postgres = Some((admin, name));
                }
                Err(error) => println!("PostgreSQL is left out: {error}"),
            }
        }
        fill(&servers.database).await?;
        Ok(servers)
    }

    pub fn kind(&self) -> &'static str {
        if self.postgres.is_some() { "PostgreSQL" } else { "an SQLite file" }
    }

    pub fn redis_kind(&self) -> &'static str {
        if self.process.is_some() { "one of our own" } else { "that at REDIS_URL" }
    }

    /// Leaves nothing behind; a Redis that is not ours forgets the entries when their TTL is over.
    pub async fn stop(mut self) -> Result<(), DbErr> {
        if let Some((admin, name)) = self.postgres.take() {
            // Of a pool that was just dropped a connection may be left.
            admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

async fn start_redis(folder: &tempfile::TempDir) -> Result<(String, Child), Box<dyn Error>> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(folder.path()).stdout(Stdio::null());
    let mut process = command.spawn().map_err(|error| {
        format!(
            "There is no Redis: REDIS_URL is not set, and redis-server can't be started ({error}).\n\
             Install it (Debian and Ubuntu: apt install redis-server; Fedora: dnf install redis; \
             macOS: brew install redis),\nor name one that runs: \
             REDIS_URL=redis://127.0.0.1 cargo run --example redis --features redis"
        )
    })?;
    let url = format!("redis://127.0.0.1:{port}");
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok((url, process));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = process.kill();
    let _ = process.wait();
    Err("redis-server does not answer".into())
}

async fn postgres(url: &str) -> Result<(DatabaseConnection, String), DbErr> {
    let admin = connect(&format!("{url}/postgres")).await?;
    let name = format!("sea_orm_cache_example_{}", std::process::id());
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
    Ok((admin, name))
}

/// Book 1 is one of author 0.
async fn fill(database: &str) -> Result<(), DbErr> {
    let db = connect(database).await?;
    db.execute_unprepared(
        "CREATE TABLE book (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL, price INTEGER NOT NULL);
         CREATE INDEX book_author ON book (author_id)",
    )
    .await?;
    let books = (0..20 * AUTHORS).map(|n| format!("({}, {}, {})", n + 1, n % AUTHORS, 1_000 + n));
    let sql = format!("INSERT INTO book VALUES {}", books.collect::<Vec<_>>().join(", "));
    db.execute_unprepared(&sql).await?;
    db.close().await
}
