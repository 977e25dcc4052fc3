//! Hooks that report what is written through a plain connection.

use sea_orm::{
    ActiveModelTrait, DatabaseConnection, EntityTrait, ModelTrait, Set, TransactionTrait,
};
use sea_orm_cache::prelude::*;

use crate::support::servers::{Backend, TestDb};
use crate::support::{Shop, TTL, schema};

mod plain {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[sea_orm_cache::reports_to("reports")]
    impl ActiveModelBehavior for ActiveModel {}
}

/// With hooks of its own, under names of its own.
mod hooked {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[sea_orm_cache::reports_to("reports")]
    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn after_save<D>(mut saved: Model, _: &D, _insert: bool) -> Result<Model, DbErr>
        where
            D: ConnectionTrait,
        {
            saved.name += "!";
            match &*saved.name {
                "refused!" => Err(DbErr::Custom("as told".into())),
                _ => Ok(saved),
            }
        }

        async fn after_delete<D>(self, conn: &D) -> Result<Self, DbErr>
        where
            D: ConnectionTrait,
        {
            let _ = conn.get_database_backend();
            Ok(self)
        }
    }
}

async fn names(db: &CachedConnection) -> Vec<String> {
    let all = plain::Entity::find().cached(TTL).all(db).await.expect("authors");
    all.into_iter().map(|author| author.name).collect()
}

#[tokio::test]
async fn what_is_saved_and_deleted_through_a_plain_connection_is_seen() {
    let shop = Shop::new().await;
    shop.cache.receive_reports("reports");
    let (db, plain): (&CachedConnection, &DatabaseConnection) = (&shop.db, &shop.plain);
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo"]);
    let dan = plain::ActiveModel { id: Set(4), name: Set("Dan".into()) };
    let dan = dan.insert(plain).await.expect("an author");
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo", "Dan"]);
    let mut dan: plain::ActiveModel = dan.into();
    dan.name = Set("Eve".into());
    let eve = dan.update(plain).await.expect("an author");
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo", "Eve"]);
    eve.delete(plain).await.expect("a delete");
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo"]);
    // A hook that fails comes too late.
    let refused = hooked::ActiveModel { id: Set(5), name: Set("refused".into()) };
    refused.insert(plain).await.expect_err("as told");
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo", "refused"]);
    let deleted = hooked::Entity::find_by_id(5).one(plain).await.expect("one").expect("an author");
    deleted.delete(plain).await.expect("a delete");
    assert_eq!(names(db).await, ["Ada", "Bob", "Cleo"]);
    let kept = hooked::ActiveModel { id: Set(6), name: Set("Fay".into()) };
    assert_eq!(kept.insert(plain).await.expect("an author").name, "Fay!");
}

#[tokio::test]
async fn what_is_saved_in_a_plain_transaction_is_seen_when_it_is_over() {
    for backend in Backend::reachable() {
        let test = TestDb::new(backend).await;
        let plain = test.pool(4).await;
        sea_orm::ConnectionTrait::execute_unprepared(&plain, &schema(backend)).await.expect("it");
        let cache = QueryCache::builder().build().await.expect("a cache");
        cache.receive_reports("reports");
        let db = cache.connect(plain.clone()).await.expect("a connection");
        for commits in [true, false] {
            let before = names(&db).await;
            let transaction = plain.begin().await.expect("a transaction");
            let name = format!("in a transaction {commits}");
            let new = plain::ActiveModel { name: Set(name.clone()), ..Default::default() };
            new.insert(&transaction).await.expect("an author");
            if backend != Backend::Sqlite {
                // It is not cached meanwhile.
                assert_eq!(names(&db).await, before, "{backend:?}");
            }
            if commits {
                transaction.commit().await.expect("a commit");
            } else {
                transaction.rollback().await.expect("undone");
            }
            assert_eq!(names(&db).await.contains(&name), commits, "{backend:?}");
            while cache.stats().background > 0 {
                tokio::task::yield_now().await;
            }
        }
        let hits = cache.stats().total.hits;
        names(&db).await;
        names(&db).await;
        assert!(cache.stats().total.hits > hits, "{backend:?}: it is cached again");
    }
}
