//! What the database refuses is refused in the same words, and the connection goes on.

use sea_orm::entity::prelude::*;
use sea_orm::{SqlErr, TransactionSession, TransactionTrait};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::Db;

#[tokio::test]
async fn a_violation_is_the_same_error_and_the_connection_goes_on() {
    same_on_connections!(watched, violations);
}

#[tokio::test]
async fn a_failed_transaction_is_rolled_back_and_the_connection_goes_on() {
    same_on_connections!(watched, failed_transaction);
}

#[tokio::test]
async fn a_savepoint_outlives_a_violation() {
    same_on_connections!(watched, failed_savepoint);
}

#[tokio::test]
async fn a_statement_that_makes_no_sense_is_the_same_error() {
    same_on_connections!(watched, nonsense);
}

fn is_unique(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn is_foreign_key(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

async fn violations(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    assert!(is_unique(&run.fails("insert", bakery("Ada's", 0.1).insert(db)).await));
    let two = bakery::Entity::insert_many([bakery("Dan's", 0.1), bakery("Bob's", 0.1)]);
    assert!(is_unique(&run.fails("insert many", two.exec(db)).await));
    let rename = bakery::ActiveModel {
        id: sea_orm::Unchanged(2),
        name: sea_orm::Set("Ada's".into()),
        ..Default::default()
    };
    assert!(is_unique(&run.fails("update", rename.clone().update(db)).await));
    assert!(is_unique(&run.fails("save", rename.save(db)).await));
    assert!(is_unique(&run.fails("composite key", shift(1, 1, 1).insert(db)).await));

    let lost = cake("lost", 1, Some(99));
    assert!(is_foreign_key(&run.fails("no such bakery", lost.insert(db)).await));
    let moved = cake::Entity::update_many()
        .col_expr(cake::Column::BakeryId, sea_orm::sea_query::Expr::val(99));
    assert!(is_foreign_key(&run.fails("all moved", moved.exec(db)).await));
    let busy = baker::Entity::delete_by_id(1);
    assert!(is_foreign_key(&run.fails("a baker with shifts", busy.exec(db)).await));
    let all = baker::Entity::delete_many();
    assert!(is_foreign_key(&run.fails("all bakers", all.exec(db)).await));
    let null = "UPDATE cake SET name = NULL WHERE price > 400";
    run.fails("not null", async { db.execute_unprepared(null).await.map(drop) }).await;

    run.step("it goes on", bakery("Eve's", 0.2).insert(db)).await;
    assert_eq!(run.reads("bakeries", db, bakery::Entity::find).await.len(), 4);
    Ok(())
}

async fn failed_transaction(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let transaction = db.begin().await?;
    run.step("works", cake("in time", 1, Some(1)).insert(&transaction)).await;
    let taken = bakery("Ada's", 0.1).insert(&transaction);
    assert!(is_unique(&run.fails("fails", taken).await));
    // PostgreSQL takes nothing more; the others go on.
    let after = run.outcome("after it", cake("too late", 2, Some(1)).insert(&transaction)).await;
    assert_eq!(after.is_err(), run.is(Backend::Postgres));
    run.outcome("a read", cake::Entity::find().count(&transaction)).await.ok();
    run.step("roll back", transaction.rollback()).await;
    assert_eq!(run.reads("cakes", db, cake::Entity::find).await.len(), 7);

    let transaction = db.begin().await?;
    run.step("works", cake("again", 1, Some(1)).insert(&transaction)).await;
    let lost = cake("lost", 2, Some(99)).insert(&transaction);
    assert!(is_foreign_key(&run.fails("fails", lost).await));
    // PostgreSQL answers COMMIT with a rollback.
    run.step("commit", transaction.commit()).await;
    let kept = if run.is(Backend::Postgres) { 7 } else { 8 };
    assert_eq!(run.reads("cakes", db, cake::Entity::find).await.len(), kept);
    run.step("it goes on", cake("late", 3, None).insert(db)).await;
    Ok(())
}

async fn failed_savepoint(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let outer = db.begin().await?;
    run.step("before", cake("before", 1, Some(1)).insert(&outer)).await;
    let inner = outer.begin().await?;
    run.step("lost with it", cake("lost", 2, Some(1)).insert(&inner)).await;
    assert!(is_unique(&run.fails("fails", bakery("Bob's", 0.1).insert(&inner)).await));
    run.step("roll back the savepoint", inner.rollback()).await;
    run.step("after", cake("after", 3, Some(1)).insert(&outer)).await;
    run.step("commit", outer.commit()).await;
    let names = run.reads("cakes", db, cake::Entity::find).await;
    assert!(names.iter().all(|cake| cake.name != "lost") && names.len() == 9);
    Ok(())
}

async fn nonsense(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    for sql in [
        "SELEKT 1",
        "SELECT nothing FROM cake",
        "UPDATE nowhere SET a = 1",
        "INSERT INTO cake (nothing) VALUES (1)",
        "DELETE FROM cake WHERE nothing = 1",
    ] {
        run.fails(sql, async { db.execute_unprepared(sql).await.map(drop) }).await;
        let statement = sea_orm::Statement::from_string(crate::world::dialect(run.backend), sql);
        let rows = async { db.query_all_raw(statement.clone()).await.map(drop) };
        run.fails("for rows", rows).await;
        let row = async { db.query_one_raw(statement.clone()).await.map(drop) };
        run.fails("for a row", row).await;
        run.fails("for none", async { db.execute_raw(statement.clone()).await.map(drop) }).await;
    }
    run.step("it goes on", bakery("Eve's", 0.2).insert(db)).await;
    Ok(())
}
