//! A connection that is lost while a COMMIT or a write is under way: it may land late, or never.
//! In neither case is anything stale served.

mod support;

use std::time::Duration;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryOrder, Set,
    TransactionTrait,
};
use sea_orm_cache::prelude::*;
use support::proxy::{Fate, Lost, Proxy};
use support::servers::{Backend, TestDb, connect};
use support::{TTL, author, schema};

struct Line {
    proxy: Proxy,
    cache: QueryCache,
    /// Through the proxy.
    db: CachedConnection,
    plain: DatabaseConnection,
    _test: TestDb,
}

impl Line {
    async fn new(backend: Backend) -> Self {
        let test = TestDb::new(backend).await;
        let plain = test.pool(2).await;
        plain.execute_unprepared(&schema(backend)).await.expect("the schema");
        let (proxy, url) = Proxy::of(&test.url()).await;
        let cache = crate::support::checked().build().await.expect("a cache");
        let db = cache.connect(connect(&url, 4).await).await.expect("a connection");
        Self { proxy, cache, db, plain, _test: test }
    }

    /// Is what the cache says what the database says? Returns whether an entry said it.
    async fn check(&self) -> bool {
        let query = || author::Entity::find().order_by_asc(author::Column::Id);
        let hits = self.cache.stats().total.hits;
        let before = query().all(&self.plain).await.expect("authors");
        let cached = query().cached(TTL).all(&self.db).await.expect("authors");
        let after = query().all(&self.plain).await.expect("authors");
        assert!(cached == before || cached == after, "stale: {cached:?} for {after:?}");
        self.cache.stats().total.hits > hits
    }

    async fn rename(&self, db: &impl ConnectionTrait, name: &str) -> Result<(), sea_orm::DbErr> {
        let change = author::ActiveModel { id: Set(1), name: Set(name.into()) };
        change.update(db).await.map(drop)
    }

    /// While it is unknown, and after it is known.
    async fn outcome(&self, lost: Lost, fate: Fate) {
        for _ in 0..20 {
            assert!(!self.check().await, "{:?}: answered while unknown", self.plain);
        }
        lost.ends(fate).await;
        for _ in 0..20 {
            self.check().await;
        }
    }

    async fn name(&self) -> String {
        let author = author::Entity::find_by_id(1).one(&self.plain).await.expect("an author");
        author.expect("author 1").name
    }
}

async fn lost_commit(backend: Backend, fate: Fate) {
    let line = Line::new(backend).await;
    line.check().await;
    assert!(line.check().await, "cached to begin with");
    let transaction = line.db.begin().await.expect("begun");
    line.rename(&transaction, "new").await.expect("a write");
    let lost = line.proxy.cut_at("COMMIT");
    transaction.commit().await.expect_err("the connection is lost");
    line.outcome(lost, fate).await;
    // Once it is over, and only then, its tables are cached again.
    let again = async { while !line.check().await {} };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("cached again");
    assert_eq!(line.name().await == "new", fate == Fate::Late);
}

/// A statement that the server may not know of yet: its tables stay in doubt for a while.
async fn lost_write(backend: Backend, fate: Fate) {
    let line = Line::new(backend).await;
    line.check().await;
    let lost = line.proxy.cut_at("new");
    line.rename(&line.db, "new").await.expect_err("the connection is lost");
    line.outcome(lost, fate).await;
    let landed = async { while (line.name().await == "new") != (fate == Fate::Late) {} };
    tokio::time::timeout(Duration::from_secs(60), landed).await.expect("landed, or not");
    assert!(!line.check().await, "still in doubt");
}

macro_rules! on_servers {
    ($($name:ident: $how:ident, $fate:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            for backend in Backend::servers() {
                $how(backend, Fate::$fate).await;
            }
        }
    )*};
}

on_servers! {
    a_commit_that_lands_after_its_connection_was_lost_leaves_nothing_stale: lost_commit, Late;
    a_commit_that_never_lands_leaves_nothing_stale: lost_commit, Never;
    a_write_that_lands_after_its_connection_was_lost_leaves_nothing_stale: lost_write, Late;
    a_write_that_never_lands_leaves_nothing_stale: lost_write, Never;
}
