//! What the outbox costs and gives: its triggers on a write, on a bulk write, and how long another
//! program's write stays unseen. Needs `POSTGRES_URL` and `MYSQL_URL`, too, for these:
//!
//! ```console
//! FLUSHED=1 scripts/with-servers cargo bench --bench outbox --features postgres-notify
//! ```
//!
//! `FLUSHED=1`: the servers flush each commit to the disk, as they do by default, and SQLite does.
//! Without it what a commit costs is left out.

use std::error::Error;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    Statement, TransactionTrait,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Outbox, OutboxConfig};

mod watched {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "watched")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub price: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

type Failure = Box<dyn Error>;

const ROUNDS: i32 = 2_000;
const BULK: i32 = 100_000;
const LAGS: u32 = 200;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display());
    report("SQLite", &file).await?;
    for (name, variable, of) in
        [("PostgreSQL", "POSTGRES_URL", "postgres"), ("MariaDB", "MYSQL_URL", "mysql")]
    {
        let Ok(server) = std::env::var(variable) else {
            println!("left out: {name}, because {variable} is not set");
            continue;
        };
        let admin = connect(&format!("{server}/{of}")).await?;
        admin.execute_unprepared("DROP DATABASE IF EXISTS outbox_bench").await?;
        admin.execute_unprepared("CREATE DATABASE outbox_bench").await?;
        report(name, &format!("{server}/outbox_bench")).await?;
    }
    Ok(())
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    // One, so that both sides of a ratio have the same session.
    options.sqlx_logging(false).min_connections(1).max_connections(1);
    let db = Database::connect(options).await?;
    if db.get_database_backend() == DbBackend::Sqlite {
        db.execute_unprepared("PRAGMA journal_mode = WAL").await?;
        let level = if std::env::var_os("FLUSHED").is_some() { "FULL" } else { "NORMAL" };
        db.execute_unprepared(&format!("PRAGMA synchronous = {level}")).await?;
    }
    Ok(db)
}

async fn report(name: &str, url: &str) -> Result<(), Failure> {
    let db = connect(url).await?;
    for table in ["plain", "watched"] {
        fill(&db, table).await?;
    }
    let outbox = Outbox::default();
    outbox.create(&db).await?;
    outbox.watch(&db, ["watched"]).await?;

    for prepared in [true, false] {
        one_row(name, &db, prepared).await?;
    }

    let mut bulk = [0.0; 2];
    for (table, time) in ["plain", "watched"].into_iter().zip(&mut bulk) {
        let start = Instant::now();
        db.execute_unprepared(&format!("UPDATE {table} SET price = price + 1")).await?;
        *time = start.elapsed().as_secs_f64() * 1e3;
    }
    let [one, two] = bulk;
    println!(
        "{name}: update of {BULK} rows {one:.0} ms, with triggers {two:.0} ms: x {:.2}",
        two / one
    );
    db.execute_unprepared("DELETE FROM sea_orm_cache_outbox").await?;
    migrate(name, &db, &outbox).await?;
    lag(name, url, &db, OutboxConfig::new()).await?;
    #[cfg(feature = "postgres-notify")]
    if db.get_database_backend() == DbBackend::Postgres {
        outbox.notifying().watch(&db, ["watched"]).await?;
        lag("PostgreSQL, NOTIFY", url, &db, OutboxConfig::new().notified()).await?;
    }
    Ok(())
}

/// An update of a row as SeaORM sends it, prepared once, or as text that is understood each time.
async fn one_row(name: &str, db: &DatabaseConnection, prepared: bool) -> Result<(), Failure> {
    let (mut plain, mut noted) = (times()?, times()?);
    let backend = db.get_database_backend();
    let place = if backend == DbBackend::Postgres { "$1" } else { "?" };
    for round in 0..ROUNDS {
        let id = 1 + round % 1_000;
        // In turns, so that whatever else the machine does meets both.
        for (table, times) in [("plain", &mut plain), ("watched", &mut noted)] {
            let update = format!("UPDATE {table} SET price = price + 1 WHERE id = ");
            let start = Instant::now();
            if prepared {
                let sql = update + place;
                let statement = Statement::from_sql_and_values(backend, sql, [id.into()]);
                db.execute_raw(statement).await?;
            } else {
                db.execute_unprepared(&(update + &id.to_string())).await?;
            }
            times.record(start.elapsed().as_nanos() as u64)?;
        }
    }
    let [one, two] = [&plain, &noted].map(|times| times.value_at_quantile(0.5) as f64 / 1e3);
    let how = if prepared { "prepared" } else { "as text" };
    println!(
        "{name}: update of a row, {how}: {one:.1} us, with triggers {two:.1} us: x {:.2}",
        two / one
    );
    Ok(())
}

/// How long the migration holds its lock on a table of a million rows: as long as it takes.
async fn migrate(name: &str, db: &DatabaseConnection, outbox: &Outbox) -> Result<(), Failure> {
    db.execute_unprepared("DROP TABLE IF EXISTS million").await?;
    db.execute_unprepared("CREATE TABLE million (id INTEGER PRIMARY KEY, price INTEGER)").await?;
    let ten = "SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION \
               SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9";
    let many = format!(
        "INSERT INTO million SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n, 1 \
         FROM ({ten}) a, ({ten}) b, ({ten}) c, ({ten}) d, ({ten}) e, ({ten}) f"
    );
    db.execute_unprepared(&many).await?;
    let transaction = db.begin().await?;
    let start = Instant::now();
    outbox.watch(&transaction, ["million"]).await?;
    transaction.commit().await?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!("{name}: triggers on a table of 1,000,000 rows: {took:.0} ms");
    Ok(())
}

fn times() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new(3)?)
}

async fn fill(db: &DatabaseConnection, table: &str) -> Result<(), DbErr> {
    db.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
    let create = format!(
        "CREATE TABLE {table} (id INTEGER PRIMARY KEY, title VARCHAR(40) NOT NULL, author INTEGER NOT NULL, \
         genre INTEGER NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL)"
    );
    db.execute_unprepared(&create).await?;
    db.execute_unprepared(&format!("CREATE INDEX {table}_author ON {table} (author)")).await?;
    let rows = |from: i32| {
        let row =
            |id: i32| format!("({id}, 'Book number {id}', {}, {}, {id}, 10)", id % 500, id % 20);
        (from..from + 1_000).map(row).collect::<Vec<_>>().join(", ")
    };
    for from in (1..=BULK).step_by(1_000) {
        db.execute_unprepared(&format!("INSERT INTO {table} VALUES {}", rows(from))).await?;
    }
    Ok(())
}

/// From another program's write to the first cached read that shows it.
async fn lag(
    name: &str,
    url: &str,
    other: &DatabaseConnection,
    outbox: OutboxConfig,
) -> Result<(), Failure> {
    let cache = QueryCache::builder().outbox(outbox).build().await?;
    let db = cache.connect(connect(url).await?).await?;
    let minute = Duration::from_secs(60);
    let price = || watched::Entity::find_by_id(1).cached(minute).require_one(&db);
    let mut lags = times()?;
    for round in 0..LAGS {
        price().await?;
        // After busy times and idle ones.
        tokio::time::sleep(Duration::from_millis(u64::from(fastrand::u32(0..400)))).await;
        let sql = format!("UPDATE watched SET price = {} WHERE id = 1", 1_000_000 + round);
        other.execute_unprepared(&sql).await?;
        let start = Instant::now();
        while price().await?.price != 1_000_000 + round as i32 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lags.record(start.elapsed().as_micros() as u64)?;
    }
    let at = |quantile| lags.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{name}: another program's write is seen after {:.0} ms (p50), {:.0} ms (p99), {:.0} ms at most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}
