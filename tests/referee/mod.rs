//! The referee: random schemas, data, queries, writes and transactions on a real SQLite file.
//! After every acknowledged operation each entry that answers must equal what the database says.
#![allow(dead_code)]

pub mod dump;
pub mod forms;
pub mod operations;
pub mod queries;
pub mod schemas;
pub mod servers;
pub mod tables;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement,
    TransactionTrait,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{CachedTransaction, Capture, Outbox, OutboxConfig};

use crate::support::TTL;
use crate::support::servers::{Backend, TestDb};
use operations::{Operation, Step};
use queries::Query;
use schemas::Schema;

/// How many queries are kept in the cache at any time.
const POOL: usize = 10;

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub operations: u64,
    pub hits: u64,
    pub misses: u64,
    pub refused: u64,
}

/// A stale answer, with everything that is needed to see it again.
#[derive(Debug)]
pub struct Stale {
    pub seed: u64,
    pub schema: Schema,
    pub operations: Vec<Operation>,
    pub query: Query,
    pub cached: Vec<String>,
    pub fresh: Vec<String>,
    /// Another program wrote.
    pub foreign: bool,
}

/// A database with the schema of one seed, behind a cache.
pub struct Arena {
    _file: TestDb,
    pub plain: DatabaseConnection,
    /// Who writes, if not the cache's own connection.
    foreign: Option<DatabaseConnection>,
    pub db: CachedConnection,
    pub cache: QueryCache,
    backend: Backend,
}

impl Arena {
    pub async fn new(schema: &Schema, capture: Capture, connections: u32) -> Self {
        let file = TestDb::new(schema.backend).await;
        let plain = file.pool(connections).await;
        for sql in &schema.statements {
            plain.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        Self::over(file, plain, schema, capture, None).await
    }

    /// The same where another program writes, and the cache hears of it through an outbox.
    pub async fn foreign(schema: &Schema, capture: Capture) -> Self {
        let file = TestDb::new(schema.backend).await;
        let (plain, other) = (file.pool(3).await, file.pool(2).await);
        for sql in &schema.statements {
            plain.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let outbox = Outbox::default();
        outbox.create(&other).await.expect("an outbox");
        outbox.watch(&other, ["t", "u", "v"]).await.expect("triggers");
        Self::over(file, plain, schema, capture, Some(other)).await
    }

    async fn over(
        file: TestDb,
        plain: DatabaseConnection,
        schema: &Schema,
        capture: Capture,
        foreign: Option<DatabaseConnection>,
    ) -> Self {
        let mut builder = crate::support::checked().capture(capture).max_bytes(8 << 20);
        if foreign.is_some() {
            // Far longer than any pause of a busy machine, so that nothing but a note ends an entry.
            builder = builder.outbox(OutboxConfig::new().bound(TTL));
        }
        let cache = builder.build().await.expect("a cache");
        if schema.declared {
            cache
                .declare()
                .trigger_writes::<tables::t::Entity>(["u"])
                .trigger_writes::<tables::u::Entity>(["v"])
                .trigger_writes::<tables::v::Entity>(["t", "u"]);
        }
        let db = cache.connect(plain.clone()).await.expect("a connection");
        Self { _file: file, plain, foreign, db, cache, backend: schema.backend }
    }

    /// The answer through the cache, and whether entries alone gave it.
    pub async fn cached(&self, query: &Query) -> (Vec<String>, bool) {
        let before = self.cache.stats().total;
        let answer = self.answer(query, true).await;
        let after = self.cache.stats().total;
        (answer, after.hits > before.hits && after.misses == before.misses)
    }

    pub async fn fresh(&self, query: &Query) -> Vec<String> {
        self.answer(query, false).await
    }

    /// Runs one operation. An error of the database (a constraint, say) is an outcome like any.
    pub async fn run(&self, operation: &Operation) -> Result<(), DbErr> {
        match &self.foreign {
            // A change of the schema that others make is not heard.
            Some(other) if !operation.changes_schema(self.backend) => {
                self.run_elsewhere(other, operation).await?;
                self.db.catch_up().await.map_err(DbErr::from)
            }
            _ => self.run_own(operation).await,
        }
    }

    async fn run_elsewhere(
        &self,
        other: &DatabaseConnection,
        operation: &Operation,
    ) -> Result<(), DbErr> {
        let (steps, commit) = match operation {
            Operation::Single(statement) => {
                let _ = send(other, statement).await;
                return Ok(());
            }
            Operation::Transaction { steps, commit, .. } => (steps, *commit),
        };
        let transaction = other.begin().await?;
        if let Err(error) = elsewhere(&transaction, steps).await {
            assert_eq!(self.backend, Backend::Postgres, "{error}");
            return transaction.rollback().await;
        }
        if commit { transaction.commit().await } else { transaction.rollback().await }
    }

    async fn run_own(&self, operation: &Operation) -> Result<(), DbErr> {
        match operation {
            Operation::Single(statement) => {
                let _ = send(&self.db, statement).await;
            }
            Operation::Transaction { steps, commit, immediate } => {
                let options = sea_orm::TransactionOptions {
                    sqlite_transaction_mode: immediate
                        .then_some(sea_orm::SqliteTransactionMode::Immediate),
                    ..Default::default()
                };
                let transaction = self.db.begin_with_options(options).await?;
                if let Err(error) = self.steps(&transaction, steps).await {
                    // PostgreSQL ends a transaction in which a statement failed.
                    assert_eq!(self.backend, Backend::Postgres, "{error}");
                    return transaction.rollback().await;
                }
                if *commit { transaction.commit().await? } else { transaction.rollback().await? }
            }
        }
        Ok(())
    }

    async fn steps(&self, transaction: &CachedTransaction, steps: &[Step]) -> Result<(), DbErr> {
        for step in steps {
            match step {
                Step::Statement(statement) => {
                    let _ = send(transaction, statement).await;
                }
                Step::Read(query) => {
                    // Neither hits nor fills: it may see what nobody else does.
                    let _ = query.select().cached(TTL).all(transaction).await;
                }
                Step::Savepoint { steps, commit } => {
                    let nested = transaction.begin().await?;
                    Box::pin(self.steps(&nested, steps)).await?;
                    if *commit { nested.commit().await? } else { nested.rollback().await? }
                }
            }
        }
        Ok(())
    }
}

async fn elsewhere(transaction: &DatabaseTransaction, steps: &[Step]) -> Result<(), DbErr> {
    for step in steps {
        match step {
            Step::Statement(statement) => {
                let _ = send(transaction, statement).await;
            }
            Step::Read(_) => {}
            Step::Savepoint { steps, commit } => {
                let nested = transaction.begin().await?;
                Box::pin(elsewhere(&nested, steps)).await?;
                if *commit { nested.commit().await? } else { nested.rollback().await? }
            }
        }
    }
    Ok(())
}

/// Sends a statement in one of the ways that SeaORM does.
async fn send(conn: &impl ConnectionTrait, write: &operations::Write) -> Result<(), DbErr> {
    use operations::Via;
    let backend = conn.get_database_backend();
    let sql = queries::numbered(&write.sql, backend == DbBackend::Postgres);
    let statement = || Statement::from_sql_and_values(backend, &sql, write.values.clone());
    match write.via {
        Via::Execute => conn.execute_raw(statement()).await.map(drop),
        Via::QueryOne => conn.query_one_raw(statement()).await.map(drop),
        Via::QueryAll => conn.query_all_raw(statement()).await.map(drop),
        Via::Text => conn.execute_unprepared(&write.sql).await.map(drop),
    }
}

/// One seed: a random schema and `operations` random operations on it, checked after each one.
pub async fn run_seed(seed: u64, operations: usize, backend: Backend) -> Result<Tally, Box<Stale>> {
    run_seed_of(seed, operations, backend, false).await
}

/// The same; `foreign`: another program writes.
pub async fn run_seed_of(
    seed: u64,
    operations: usize,
    backend: Backend,
    foreign: bool,
) -> Result<Tally, Box<Stale>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let schema = Schema::random(&mut rng, backend);
    let capture = [Capture::Auto, Capture::Auto, Capture::Always, Capture::Never][rng.usize(0..4)];
    let arena = arena(&schema, capture, foreign).await;
    let mut pool: Vec<Query> = Vec::new();
    let mut done: Vec<Operation> = Vec::new();
    let mut tally = Tally::default();
    for _ in 0..operations {
        while pool.len() < POOL {
            let query = Query::random(&mut rng, &schema);
            arena.cached(&query).await;
            pool.push(query);
        }
        let operation = Operation::random(&mut rng, &schema);
        done.push(operation);
        let last = done.last().expect("just pushed");
        arena.run(last).await.unwrap_or_else(|e| panic!("seed {seed}: {last:?}: {e}"));
        tally.operations += 1;
        for query in &pool {
            let (cached, hit) = arena.cached(query).await;
            let fresh = if hit { arena.fresh(query).await } else { continue };
            if cached != fresh {
                let (query, operations) = (query.clone(), done);
                let stale = Stale { seed, schema, operations, query, cached, fresh, foreign };
                return Err(Box::new(stale));
            }
        }
        if rng.u8(0..10) == 0 {
            pool.swap_remove(rng.usize(0..pool.len()));
        }
    }
    let stats = arena.cache.stats().total;
    (tally.hits, tally.misses, tally.refused) = (stats.hits, stats.misses, stats.refused);
    Ok(tally)
}

async fn arena(schema: &Schema, capture: Capture, foreign: bool) -> Arena {
    match foreign {
        true => Arena::foreign(schema, capture).await,
        false => Arena::new(schema, capture, 2).await,
    }
}

impl Stale {
    /// Leaves out operations as long as the answer stays stale.
    pub async fn shrink(mut self) -> Self {
        let mut size = self.operations.len().div_ceil(2);
        let mut attempts = 0;
        while size > 0 && attempts < 400 {
            let mut at = 0;
            while at < self.operations.len() && attempts < 400 {
                let mut fewer = self.operations.clone();
                fewer.drain(at..(at + size).min(fewer.len()));
                attempts += 1;
                match self.replay(&fewer).await {
                    Some((cached, fresh)) => {
                        (self.operations, self.cached, self.fresh) = (fewer, cached, fresh);
                    }
                    None => at += size,
                }
            }
            size /= 2;
        }
        self
    }

    /// What happens to the query's entry after each operation, in words.
    pub async fn probe(&self) -> String {
        let mut out = String::new();
        for capture in [Capture::Auto, Capture::Always, Capture::Never] {
            let arena = Arena::new(&self.schema, capture, 2).await;
            let select = self.query.select().cached(TTL).all_shared(&arena.db).await;
            if let Err(e) = select {
                return format!("QUERY ERROR {e}");
            }
            let fills = arena.cache.stats().total.fills;
            if fills == 0 {
                out += " [not stored]";
            }
            for operation in &self.operations {
                if let Operation::Single(write) = operation
                    && let Err(error) = send(&arena.db, write).await
                {
                    out += &format!(" [failed: {error}]");
                }
                let (cached, hit) = arena.cached(&self.query).await;
                let fresh = arena.fresh(&self.query).await;
                if cached != fresh {
                    return format!(
                        "{out} STALE {capture:?} hit={hit} cached {cached:?} fresh {fresh:?}"
                    );
                }
                out += if hit { " hit" } else { " miss" };
            }
            out += ";";
        }
        out
    }
    /// The same on another database.
    pub fn on(mut self, backend: Backend) -> Self {
        self.schema.backend = backend;
        self
    }

    /// A case of its own: this query is cached, these operations follow.
    pub fn case(schema: &[&str], query: &str, operations: Vec<Operation>) -> Self {
        let statements: Vec<String> = schema.iter().map(|sql| (*sql).to_owned()).collect();
        Self {
            seed: 0,
            schema: Schema::of(statements),
            operations,
            query: Query {
                sql: query.to_owned(),
                values: Vec::new(),
                ordered: false,
                numbered: false,
                form: forms::Form::All,
            },
            cached: Vec::new(),
            fresh: Vec::new(),
            foreign: false,
        }
    }

    /// Panics if the query's entry is stale after any of the operations.
    pub async fn must_not_happen(self) {
        if let Some((cached, fresh)) = self.replay(&self.operations).await {
            panic!("{}", Self { cached, fresh, ..self });
        }
    }

    /// The stale and the fresh answer, if these operations still make the query's entry stale.
    async fn replay(&self, operations: &[Operation]) -> Option<(Vec<String>, Vec<String>)> {
        for capture in [Capture::Auto, Capture::Always, Capture::Never] {
            let arena = arena(&self.schema, capture, self.foreign).await;
            arena.cached(&self.query).await;
            for operation in operations {
                arena.run(operation).await.ok()?;
                let (cached, hit) = arena.cached(&self.query).await;
                if hit {
                    let fresh = arena.fresh(&self.query).await;
                    if cached != fresh {
                        return Some((cached, fresh));
                    }
                }
            }
        }
        None
    }
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "-- STALE, seed {}. The schema:", self.seed)?;
        for sql in &self.schema.statements {
            writeln!(f, "{};", sql.trim())?;
        }
        writeln!(f, "-- The query, cached from the start:\n{:?}", self.query)?;
        writeln!(f, "-- The operations:")?;
        for operation in &self.operations {
            writeln!(f, "{operation:?}")?;
        }
        writeln!(f, "-- cached: {:?}\n-- fresh:  {:?}", self.cached, self.fresh)
    }
}
