//! Commit, rollback, savepoints, closures and isolation levels.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    AccessMode, ExprTrait, IsolationLevel, SqliteTransactionMode, TransactionError,
    TransactionOptions, TransactionSession, TransactionTrait,
};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::Db;

#[tokio::test]
async fn a_commit_is_seen_and_a_rollback_is_not() {
    same_on_connections!(watched, ends);
}

#[tokio::test]
async fn savepoints_come_and_go() {
    same_on_connections!(watched, savepoints);
}

#[tokio::test]
async fn savepoints_come_and_go_within_a_transaction() {
    same_in_transactions!(watched, savepoints);
}

#[tokio::test]
async fn a_closure_commits_or_rolls_back_by_its_result() {
    same_on_connections!(watched, closures);
}

#[tokio::test]
async fn a_closure_is_a_savepoint_within_a_transaction() {
    same_in_transactions!(watched, closures);
}

#[tokio::test]
async fn every_isolation_level_and_access_mode_is_passed_on() {
    same_on_connections!(watched, isolation);
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes_and_nobody_else_does() {
    same_on_connections!(watched, own_writes);
}

async fn ends(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let kept = db.begin().await?;
    let ada = run.step("insert", bakery("Ada's", 0.5).insert(&kept)).await;
    run.step("cake", cake("pie", 500, Some(ada.id)).insert(&kept)).await;
    run.step("commit", kept.commit()).await;

    let undone = db.begin().await?;
    run.step("more", cake("tart", 300, Some(ada.id)).insert(&undone)).await;
    run.step("delete", cake::Entity::delete_by_id(1).exec(&undone)).await;
    run.step("roll back", undone.rollback()).await;
    assert_eq!(run.reads("cakes", db, cake::Entity::find).await.len(), 1);

    let empty = db.begin().await?;
    run.step("commit nothing", empty.commit()).await;
    let dropped = db.begin().await?;
    run.step("in vain", dearer(1).exec(&dropped)).await;
    drop(dropped);
    run.step("after the drop", dearer(2).exec(db)).await;
    let cakes = run.reads("cakes", db, cake::Entity::find).await;
    assert_eq!(cakes[0].price, 502, "only what was not dropped counts");
    Ok(())
}

fn dearer(by: i32) -> sea_orm::UpdateMany<cake::Entity> {
    let price = Expr::col(cake::Column::Price).add(by);
    cake::Entity::update_many().col_expr(cake::Column::Price, price)
}

async fn savepoints(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let outer = db.begin().await?;
    run.step("outer", cake("outer", 1, Some(1)).insert(&outer)).await;
    let undone = outer.begin().await?;
    run.step("undone", cake("undone", 2, Some(1)).insert(&undone)).await;
    run.step("delete", bakery::Entity::delete_by_id(2).exec(&undone)).await;
    run.step("roll back the savepoint", undone.rollback()).await;
    let kept = outer.begin().await?;
    run.step("kept", cake("kept", 3, None).insert(&kept)).await;
    let deep = kept.begin().await?;
    run.step("deep", dearer(7).filter(cake::Column::BakeryId.eq(2)).exec(&deep)).await;
    run.step("release the inner", deep.commit()).await;
    run.step("release", kept.commit()).await;
    let within = cake::Entity::find().count(&outer).await?;
    run.note("within", &within);
    run.step("commit", outer.commit()).await;
    let cakes = run.reads("cakes", db, cake::Entity::find).await;
    assert_eq!(cakes.len(), 9);

    let outer = db.begin().await?;
    let inner = outer.begin().await?;
    run.step("empty", shift::Entity::delete_many().exec(&inner)).await;
    run.step("release", inner.commit()).await;
    run.step("roll back all", outer.rollback()).await;
    assert_eq!(run.reads("shifts", db, shift::Entity::find).await.len(), 5);
    Ok(())
}

async fn closures(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let works = db.transaction::<_, i32, DbErr>(|transaction| {
        Box::pin(async move {
            let new = bakery("Dan's", 0.75).insert(transaction).await?;
            dearer(1).filter(cake::Column::BakeryId.eq(2)).exec(transaction).await?;
            Ok(cake("torte", 800, Some(new.id)).insert(transaction).await?.id)
        })
    });
    assert_eq!(run.step("works", works).await, 8);
    let refuses = db.transaction::<_, (), DbErr>(|transaction| {
        Box::pin(async move {
            cake::Entity::delete_many().exec(transaction).await?;
            Err(DbErr::Custom("changed my mind".into()))
        })
    });
    let refused = run.outcome("refuses", refuses).await;
    assert!(matches!(refused, Err(TransactionError::Transaction(DbErr::Custom(_)))));
    let violates = db.transaction::<_, bakery::Model, DbErr>(|transaction| {
        Box::pin(async move {
            bakery("Eve's", 0.5).insert(transaction).await?;
            bakery("Ada's", 0.5).insert(transaction).await
        })
    });
    run.outcome("violates", violates).await.expect_err("the name is taken");
    let nested = db.transaction::<_, u64, DbErr>(|transaction| {
        Box::pin(async move {
            let inner = transaction.transaction::<_, (), DbErr>(|inner| {
                Box::pin(async move {
                    bakery::Entity::delete_many().exec(inner).await?;
                    Err(DbErr::Custom("not these".into()))
                })
            });
            inner.await.expect_err("told to");
            cake("last", 1, Some(3)).insert(transaction).await?;
            cake::Entity::find().count(transaction).await
        })
    });
    assert_eq!(run.step("nested", nested).await, 9);
    let left = run.reads("bakeries", db, bakery::Entity::find).await;
    assert_eq!(left.len(), 4);
    Ok(())
}

async fn isolation(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    use IsolationLevel::*;
    open_the_bakeries(db, run).await;
    for level in
        [None, Some(ReadUncommitted), Some(ReadCommitted), Some(RepeatableRead), Some(Serializable)]
    {
        let writing = db.begin_with_config(level, Some(AccessMode::ReadWrite)).await?;
        run.step("write", dearer(1).exec(&writing)).await;
        note_level(&writing, run).await?;
        run.step("commit", writing.commit()).await;
        let reading = db.begin_with_config(level, Some(AccessMode::ReadOnly)).await?;
        let refused = run.outcome("write", dearer(1).exec(&reading)).await;
        assert_eq!(refused.is_ok(), run.is(Backend::Sqlite), "SQLite has no access modes");
        run.step("roll back", reading.rollback()).await;
    }
    let configured = db.transaction_with_config::<_, cake::Model, DbErr>(
        |transaction| Box::pin(cake("careful", 5, Some(1)).insert(transaction)),
        Some(Serializable),
        Some(AccessMode::ReadWrite),
    );
    run.step("configured closure", configured).await;
    let options = TransactionOptions {
        isolation_level: Some(RepeatableRead),
        sqlite_transaction_mode: run
            .is(Backend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let optioned = db.begin_with_options(options).await?;
    run.step("write", dearer(3).filter(cake::Column::Vegan.eq(true)).exec(&optioned)).await;
    run.step("commit", optioned.commit()).await;
    Ok(())
}

/// What the server says the level is, where it can be asked.
async fn note_level(
    transaction: &impl sea_orm::ConnectionTrait,
    run: &Run<'_>,
) -> Result<(), DbErr> {
    if run.is(Backend::Postgres) {
        let ask = sea_orm::Statement::from_string(
            sea_orm::DbBackend::Postgres,
            "SELECT current_setting('transaction_isolation')",
        );
        let row = transaction.query_one_raw(ask).await?.expect("one row");
        run.note("level", &row.try_get_by_index::<String>(0)?);
    }
    Ok(())
}

async fn own_writes(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let transaction = db.begin().await?;
    run.step("dearer", dearer(1000).exec(&transaction)).await;
    let cheap = || cake::Entity::find().filter(cake::Column::Price.lt(1000));
    run.note("within", &cheap().all(&transaction).await?);
    assert_eq!(cheap().count(&transaction).await?, 0);
    // Outside, on a connection of its own, nothing has changed.
    assert_eq!(run.reads("outside", db, cheap).await.len(), 5);
    run.step("commit", transaction.commit()).await;
    assert!(run.reads("outside", db, cheap).await.is_empty());
    Ok(())
}
