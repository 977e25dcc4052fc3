//! A database behind the wrapper, and the comparison of every cached read with the plain one.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Mutex;

use sea_orm::sea_query::{FromValueTuple, ValueTuple};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Iterable, ModelTrait, PaginatorTrait,
    PrimaryKeyToColumn, PrimaryKeyTrait, QueryOrder, Schema, Select, StreamTrait, TransactionTrait,
};
use sea_orm_cache::StorableEntity;
use sea_orm_cache::prelude::*;

use crate::support::TTL;
use crate::support::servers::{Backend, TestDb};

/// What a script runs on: a connection or a transaction, plain or wrapped.
pub trait Db: ConnectionTrait + TransactionTrait + StreamTrait {}

impl<C: ConnectionTrait + TransactionTrait + StreamTrait> Db for C {}

/// An entity whose reads can be compared.
pub trait Watched: StorableEntity<Model: PartialEq> {}

impl<E: StorableEntity<Model: PartialEq>> Watched for E {}

type Pending<'w> = Pin<Box<dyn Future<Output = ()> + Send + 'w>>;
type Check = Box<dyn for<'w> Fn(&'w World) -> Pending<'w> + Send + Sync>;

/// The tables of a test, and the reads that are compared after each of its steps.
pub struct Tables {
    backend: Backend,
    pub sql: Vec<String>,
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
            let sql = backend.build(&statement).to_string();
            // Two columns may have one type.
            if !self.sql.contains(&sql) {
                self.sql.push(sql);
            }
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
    pub database: TestDb,
}

impl World {
    pub async fn new(tables: Tables) -> Self {
        let Tables { backend, sql, checks } = tables;
        let database = TestDb::new(backend).await;
        let plain = create(&database, &sql).await;
        let cache = crate::support::checked().build().await.expect("a cache");
        let wrapped = database.pool(4).await;
        let db = cache.connect(wrapped).await.expect("a wrapped connection");
        let seen = Mutex::default();
        Self { backend, cache, db, plain, checks, seen, database }
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
        self.rows_agree(&select).await;
        self.count_agrees(select).await;
    }

    pub async fn count_agrees<E: Watched>(&self, select: impl Fn() -> Select<E> + Send + Sync) {
        let count = PaginatorTrait::count(select(), &self.plain).await.expect("a plain count");
        self.twice(&count, || select().cached(TTL).count(&self.db)).await;
    }

    pub async fn rows_agree<E: Watched>(&self, select: impl Fn() -> Select<E> + Send + Sync) {
        let fresh = select().all(&self.plain).await.expect("a plain read");
        self.twice(&fresh, || select().cached(TTL).all(&self.db)).await;
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
            assert!(round == 0 || hit, "no hit: {fresh:?}");
        }
    }
}

pub async fn create(database: &TestDb, sql: &[String]) -> DatabaseConnection {
    let plain = database.pool(4).await;
    for sql in sql {
        let done = plain.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{:?}: {sql}: {error}", database.backend));
    }
    plain
}
