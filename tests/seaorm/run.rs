//! A script's run: on a plain connection or through the wrapper, and a record of what it saw.

use std::fmt::{Debug, Display};
use std::sync::Mutex;

use sea_orm::{DatabaseConnection, DbErr, Select};

use crate::support::servers::{Backend, TestDb};
use crate::world::{Db, Tables, Watched, World, create};

/// The same tables twice.
pub struct Pair {
    pub plain: DatabaseConnection,
    pub world: World,
    database: TestDb,
}

impl Pair {
    pub async fn new(backend: Backend, tables: fn(Tables) -> Tables) -> Self {
        let (first, second) = (tables(Tables::of(backend)), tables(Tables::of(backend)));
        let database = TestDb::new(backend).await;
        let plain = create(&database, &first.sql).await;
        Self { plain, world: World::new(second).await, database }
    }
}

/// One run of a script, and what it saw.
pub struct Run<'w> {
    pub backend: Backend,
    world: Option<&'w World>,
    database: &'w str,
    lines: Mutex<Vec<String>>,
}

impl<'w> Run<'w> {
    pub fn on_plain(pair: &'w Pair) -> Self {
        let database = &pair.database.name;
        Self { backend: pair.world.backend, world: None, database, lines: Mutex::default() }
    }

    pub fn through_the_wrapper(pair: &'w Pair) -> Self {
        let world = &pair.world;
        Self { world: Some(world), database: &world.database.name, ..Self::on_plain(pair) }
    }

    pub fn is(&self, backend: Backend) -> bool {
        self.backend == backend
    }

    pub fn note(&self, what: &str, value: &impl Debug) {
        let line = format!("{what}: {value:?}").replace(self.database, "the database");
        // PostgreSQL's errors end with the line of its own source that found them, which depends
        // on whether the statement was prepared before.
        let line = line.split(", file: Some(").next().expect("a first part").to_owned();
        self.lines.lock().expect("the lines").push(line);
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
        let found = self.rows(what, db, &select).await;
        if let Some(world) = self.world {
            world.count_agrees(select).await;
        }
        found
    }

    /// The same without asking how many they are.
    pub async fn rows<E: Watched>(
        &self,
        what: &str,
        db: &impl Db,
        select: impl Fn() -> Select<E> + Send + Sync,
    ) -> Vec<E::Model> {
        let found = select().all(db).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        self.note(what, &found);
        if let Some(world) = self.world {
            world.rows_agree(select).await;
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
            let pair = $crate::run::Pair::new(backend, $tables).await;
            let theirs = $crate::run::Run::on_plain(&pair);
            $crate::run::failed(backend, $script(&pair.plain, &theirs).await);
            let ours = $crate::run::Run::through_the_wrapper(&pair);
            // From the start there are entries that can become stale.
            ours.check().await;
            $crate::run::failed(backend, $script(&pair.world.db, &ours).await);
            ours.saw_the_same_as(theirs);
        }
    };
}

/// Runs a script in a plain transaction and in a wrapped one. What is read outside stays as it
/// was until the commit.
macro_rules! same_in_transactions {
    ($tables:expr, $script:path) => {
        for backend in $crate::support::servers::Backend::reachable() {
            let pair = $crate::run::Pair::new(backend, $tables).await;
            let theirs = $crate::run::Run::on_plain(&pair);
            let plain = $crate::run::failed(backend, pair.plain.begin().await);
            $crate::run::failed(backend, $script(&plain, &theirs).await);
            theirs.step("commit", plain.commit()).await;
            let ours = $crate::run::Run::through_the_wrapper(&pair);
            // From the start there are entries that can become stale.
            ours.check().await;
            let wrapped = $crate::run::failed(backend, pair.world.db.begin().await);
            $crate::run::failed(backend, $script(&wrapped, &ours).await);
            ours.step("commit", wrapped.commit()).await;
            ours.saw_the_same_as(theirs);
        }
    };
}
