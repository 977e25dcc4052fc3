//! A script's surroundings: the same tables behind a plain connection and behind the wrapper, a
//! record of what was seen, and the comparison of every cached read with the plain one.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::pin::Pin;
use std::sync::Mutex;

use sea_orm::sea_query::{FromValueTuple, ValueTuple};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Iterable, ModelTrait,
    PaginatorTrait, PrimaryKeyToColumn, PrimaryKeyTrait, QueryOrder, Schema, Select, StreamTrait,
    TransactionTrait,
};
use sea_orm_cache::prelude::*;

use crate::support::TTL;
use crate::support::servers::{Backend, TestDb};

/// What a script runs on: a connection or a transaction, plain or wrapped.
pub trait Db: ConnectionTrait + TransactionTrait + StreamTrait {}

impl<C: ConnectionTrait + TransactionTrait + StreamTrait> Db for C {}

/// An entity whose reads can be compared.
pub trait Watched: EntityTrait<Model: PartialEq + Sync + 'static> {}

impl<E: EntityTrait<Model: PartialEq + Sync + 'static>> Watched for E {}

type Pending<'w> = Pin<Box<dyn Future<Output = ()> + Send + 'w>>;
type Check = Box<dyn for<'w> Fn(&'w World) -> Pending<'w> + Send + Sync>;

/// The tables of a test, and the reads that are compared after each of its steps.
pub struct Tables {
    backend: Backend,
    sql: Vec<String>,
    checks: Vec<Check>,
}

impl Tables {
    pub fn of(backend: Backend) -> Self {
        Self { backend, sql: Vec::new(), checks: Vec::new() }
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Creates the entity's table; its rows are compared all together and one by one.
    pub fn add<E: Watched>(mut self, entity: E) -> Self {
        let backend = dialect(self.backend);
        let schema = Schema::new(backend);
        for statement in schema.create_enum_from_entity(entity) {
            self.sql.push(backend.build(&statement).to_string());
        }
        self.sql.push(backend.build(&schema.create_table_from_entity(entity)).to_string());
        for statement in schema.create_index_from_entity(entity) {
            self.sql.push(backend.build(&statement).to_string());
        }
        self.check(|world| Box::pin(world.each_row_agrees::<E>()))
    }

    /// Also compares this read.
    pub fn watch<E: Watched>(self, select: fn() -> Select<E>) -> Self {
        self.check(move |world| Box::pin(world.agrees(select)))
    }

    fn check(
        mut self,
        check: impl for<'w> Fn(&'w World) -> Pending<'w> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Box::new(check));
        self
    }
}

pub fn dialect(backend: Backend) -> DbBackend {
    match backend {
        Backend::Sqlite => DbBackend::Sqlite,
        Backend::Postgres => DbBackend::Postgres,
        Backend::MySql => DbBackend::MySql,
    }
}

/// A database with its cache, and a connection that knows nothing of it.
pub struct World {
    pub backend: Backend,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub plain: DatabaseConnection,
    checks: Vec<Check>,
    /// The keys of all rows that ever were there, by table: those that are gone are asked for too.
    seen: Mutex<BTreeMap<&'static str, Vec<ValueTuple>>>,
    _database: TestDb,
}

impl World {
    pub async fn new(tables: Tables) -> Self {
        let Tables { backend, sql, checks } = tables;
        let database = TestDb::new(backend).await;
        let plain = create(&database, &sql).await;
        let cache = QueryCache::builder().build().await.expect("a cache");
        let wrapped = database.pool(4).await;
        let db = cache.connect(wrapped).await.expect("a wrapped connection");
        let seen = Mutex::default();
        Self { backend, cache, db, plain, checks, seen, _database: database }
    }

    pub fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }

    /// Every watched read gives what the plain connection gives, from the database and from memory.
    pub async fn check(&self) {
        for check in &self.checks {
            check(self).await;
        }
    }

    /// The same of one more read.
    pub async fn agrees<E: Watched>(&self, select: impl Fn() -> Select<E> + Send + Sync) {
        let fresh = select().all(&self.plain).await.expect("a plain read");
        self.twice(&fresh, || select().cached(TTL).all(&self.db)).await;
        let count = PaginatorTrait::count(select(), &self.plain).await.expect("a plain count");
        self.twice(&count, || select().cached(TTL).count(&self.db)).await;
    }

    async fn each_row_agrees<E: Watched>(&self) {
        let all = || E::PrimaryKey::iter().fold(E::find(), |s, k| s.order_by_asc(k.into_column()));
        self.agrees(all).await;
        for key in self.keys::<E>(&all().all(&self.plain).await.expect("a plain read")) {
            let by_key = || {
                let key = key.clone();
                E::find_by_id(<E::PrimaryKey as PrimaryKeyTrait>::ValueType::from_value_tuple(key))
            };
            let fresh = by_key().one(&self.plain).await.expect("a plain read");
            self.twice(&fresh, || by_key().cached(TTL).one(&self.db)).await;
        }
    }

    fn keys<E: Watched>(&self, rows: &[E::Model]) -> Vec<ValueTuple> {
        let mut seen = self.seen.lock().expect("the keys");
        let keys = seen.entry(E::default().table_name()).or_default();
        for key in rows.iter().map(ModelTrait::get_primary_key_value) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.clone()
    }

    /// The second time comes from memory, where the catalog is read.
    async fn twice<T, F>(&self, fresh: &T, read: impl Fn() -> F + Send + Sync)
    where
        T: PartialEq + Debug + Sync,
        F: Future<Output = Result<T, DbErr>> + Send,
    {
        for round in 0..2 {
            let hits = self.hits();
            let cached = read().await.expect("a cached read");
            assert_eq!(cached, *fresh, "{:?}, round {round}: stale", self.backend);
            let hit = self.hits() > hits;
            assert!(round == 0 || hit || self.backend != Backend::Sqlite, "no hit: {fresh:?}");
        }
    }
}

async fn create(database: &TestDb, sql: &[String]) -> DatabaseConnection {
    let plain = database.pool(4).await;
    for sql in sql {
        let done = plain.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{:?}: {sql}: {error}", database.backend));
    }
    plain
}

/// The same tables twice.
pub struct Pair {
    pub plain: DatabaseConnection,
    pub world: World,
    _database: TestDb,
}

impl Pair {
    pub async fn new(backend: Backend, tables: fn(Tables) -> Tables) -> Self {
        let (first, second) = (tables(Tables::of(backend)), tables(Tables::of(backend)));
        let database = TestDb::new(backend).await;
        let plain = create(&database, &first.sql).await;
        Self { plain, world: World::new(second).await, _database: database }
    }
}

/// One run of a script, and what it saw.
pub struct Run<'w> {
    pub backend: Backend,
    world: Option<&'w World>,
    lines: Mutex<Vec<String>>,
}

impl<'w> Run<'w> {
    pub fn on_plain(pair: &'w Pair) -> Self {
        Self { backend: pair.world.backend, world: None, lines: Mutex::default() }
    }

    pub fn through_the_wrapper(pair: &'w Pair) -> Self {
        Self { world: Some(&pair.world), ..Self::on_plain(pair) }
    }

    pub fn is(&self, backend: Backend) -> bool {
        self.backend == backend
    }

    pub fn note(&self, what: &str, value: &impl Debug) {
        self.lines.lock().expect("the lines").push(format!("{what}: {value:?}"));
    }

    /// Something that works: what it gave is noted, and everything is compared.
    pub async fn step<T: Debug, E: Debug>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> T {
        let done = self.outcome(what, work).await;
        done.unwrap_or_else(|error| panic!("{:?}: {what}: {error:?}", self.backend))
    }

    /// Something that fails on every database.
    pub async fn fails<T: Debug>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> DbErr {
        let Err(error) = self.outcome(what, work).await else {
            panic!("{:?}: {what}: it works", self.backend)
        };
        self.note("as SQL's error", &error.sql_err());
        error
    }

    /// Something that works on some databases only.
    pub async fn outcome<T: Debug, E: Debug>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.check().await;
        let done = work.await;
        self.note(what, &done);
        self.check().await;
        done
    }

    /// A select through the script's connection, and through the cache.
    pub async fn reads<E: Watched>(
        &self,
        what: &str,
        db: &impl Db,
        select: impl Fn() -> Select<E> + Send + Sync,
    ) -> Vec<E::Model> {
        let found = select().all(db).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        self.note(what, &found);
        if let Some(world) = self.world {
            world.agrees(select).await;
        }
        found
    }

    pub async fn check(&self) {
        if let Some(world) = self.world {
            world.check().await;
        }
    }

    /// Both runs saw something, and the same.
    pub fn saw_the_same_as(self, other: Self) {
        let backend = self.backend;
        let lines = |run: Self| run.lines.into_inner().expect("the lines");
        let (ours, theirs) = (lines(self), lines(other));
        assert!(!theirs.is_empty(), "{backend:?}: nothing was seen");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{backend:?}");
        }
        assert_eq!(ours.len(), theirs.len(), "{backend:?}: one run saw more");
    }
}

pub fn failed<T>(backend: Backend, result: Result<T, impl Display>) -> T {
    result.unwrap_or_else(|error| panic!("{backend:?}: {error}"))
}

/// Runs a script on a plain connection and through the wrapper.
macro_rules! same_on_connections {
    ($tables:expr, $script:path) => {
        for backend in $crate::support::servers::Backend::reachable() {
            let pair = $crate::world::Pair::new(backend, $tables).await;
            let theirs = $crate::world::Run::on_plain(&pair);
            $crate::world::failed(backend, $script(&pair.plain, &theirs).await);
            let ours = $crate::world::Run::through_the_wrapper(&pair);
            $crate::world::failed(backend, $script(&pair.world.db, &ours).await);
            ours.saw_the_same_as(theirs);
        }
    };
}

/// Runs a script in a plain transaction and in a wrapped one. What is read outside stays as it
/// was until the commit.
macro_rules! same_in_transactions {
    ($tables:expr, $script:path) => {
        for backend in $crate::support::servers::Backend::reachable() {
            let pair = $crate::world::Pair::new(backend, $tables).await;
            let theirs = $crate::world::Run::on_plain(&pair);
            let plain = $crate::world::failed(backend, pair.plain.begin().await);
            $crate::world::failed(backend, $script(&plain, &theirs).await);
            theirs.step("commit", plain.commit()).await;
            let ours = $crate::world::Run::through_the_wrapper(&pair);
            let wrapped = $crate::world::failed(backend, pair.world.db.begin().await);
            $crate::world::failed(backend, $script(&wrapped, &ours).await);
            ours.step("commit", wrapped.commit()).await;
            ours.saw_the_same_as(theirs);
        }
    };
}
