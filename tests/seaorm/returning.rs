//! Writes that bring rows back, where the database can.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ExprTrait, IntoActiveModel, Set, TransactionTrait};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::Db;

#[tokio::test]
async fn writes_bring_their_rows_back() {
    same_on_connections!(watched, returning);
}

#[tokio::test]
async fn writes_bring_their_rows_back_in_a_transaction() {
    same_in_transactions!(watched, returning);
}

#[tokio::test]
async fn a_returning_clause_may_be_written_by_hand() {
    same_on_connections!(watched, by_hand);
}

#[tokio::test]
async fn a_returning_clause_may_be_written_by_hand_in_a_transaction() {
    same_in_transactions!(watched, by_hand);
}

/// A call that answers with rows on SQLite and PostgreSQL, and refuses on MariaDB.
async fn rows<T: std::fmt::Debug>(
    run: &Run<'_>,
    what: &str,
    work: impl Future<Output = Result<T, DbErr>>,
) -> Option<T> {
    match run.outcome(what, work).await {
        Ok(rows) => Some(rows),
        Err(DbErr::BackendNotSupported { .. }) if run.is(Backend::MySql) => None,
        Err(error) => panic!("{:?}: {what}: {error}", run.backend),
    }
}

async fn returning(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let one = cake::Entity::insert(cake("halva", 75, Some(3)));
    let one = run.step("insert one", one.exec_with_returning(db)).await;
    assert_eq!((one.id, one.price), (8, 75));
    let pair = || cake::Entity::insert_many([cake("ice", 80, None), cake("jelly", 81, Some(1))]);
    rows(run, "insert many", pair().exec_with_returning(db)).await;
    rows(run, "their keys", pair().exec_with_returning_keys(db)).await;
    let composite = shift::Entity::insert_many([shift(2, 2, 1), shift(2, 3, 1)]);
    rows(run, "composite keys", composite.exec_with_returning_keys(db)).await;
    let key = cake::Entity::insert(cake("kulfi", 90, None));
    rows(run, "one key", key.exec_with_returning_keys(db)).await;

    let cheaper = cake::Entity::update_many()
        .col_expr(cake::Column::Price, Expr::col(cake::Column::Price).sub(1))
        .filter(cake::Column::BakeryId.eq(1));
    rows(run, "update many", cheaper.exec_with_returning(db)).await;
    let none = cake::Entity::update_many()
        .col_expr(cake::Column::Price, Expr::val(1))
        .filter(cake::Column::Id.eq(99));
    rows(run, "update none", none.exec_with_returning(db)).await;
    let renamed = cake::ActiveModel { name: Set("halwa".into()), ..one.into_active_model() };
    run.step("update one", cake::Entity::update(renamed).exec(db)).await;

    let gone = cake::Entity::delete_many().filter(cake::Column::Price.lt(85));
    rows(run, "delete many", gone.exec_with_returning(db)).await;
    rows(run, "delete one", cake::Entity::delete_by_id(1).exec_with_returning(db)).await;
    rows(run, "delete none", cake::Entity::delete_by_id(99).exec_with_returning(db)).await;
    Ok(())
}

async fn by_hand(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let mut insert = Query::insert();
    insert
        .into_table(bakery::Entity)
        .columns([bakery::Column::Name, bakery::Column::Margin])
        .values_panic(["Dan's".into(), 0.75.into()]);
    let mut update = Query::update();
    update
        .table(cake::Entity)
        .value(cake::Column::Vegan, true)
        .and_where(cake::Column::BakeryId.eq(1));
    let mut delete = Query::delete();
    delete.from_table(shift::Entity).and_where(shift::Column::Hours.gt(4));
    if !db.support_returning() {
        let done = run.step("insert", async { db.execute(&insert).await.map(affected) }).await;
        assert_eq!(done, 1);
        run.step("update", async { db.execute(&update).await.map(affected) }).await;
        run.step("delete", async { db.execute(&delete).await.map(affected) }).await;
        return Ok(());
    }
    insert.returning_col(bakery::Column::Id);
    update.returning_all();
    delete.returning(Query::returning().columns([shift::Column::CakeId, shift::Column::Hours]));
    let new = async { db.query_one(&insert).await?.expect("a row").try_get::<i32>("", "id") };
    assert_eq!(run.step("insert", new).await, 4);
    let changed = async { names(&db.query_all(&update).await?, "name") };
    assert_eq!(run.step("update", changed).await.len(), 3);
    let deleted = async {
        let rows = db.query_all(&delete).await?;
        rows.iter().map(|row| row.try_get::<i32>("", "hours")).collect::<Result<Vec<_>, _>>()
    };
    run.step("delete", deleted).await;
    // Only the first row is asked for; all are written.
    let mut all = Query::update();
    all.table(cake::Entity).value(cake::Column::Price, 7).returning_col(cake::Column::Name);
    let first = async { db.query_one(&all).await.map(|row| row.is_some()) };
    run.step("update all, ask for one", first).await;
    let cakes = run.reads("cakes", db, cake::Entity::find).await;
    assert!(cakes.iter().all(|cake| cake.price == 7));
    Ok(())
}

fn affected(done: sea_orm::ExecResult) -> u64 {
    done.rows_affected()
}

fn names(rows: &[sea_orm::QueryResult], column: &str) -> Result<Vec<String>, DbErr> {
    rows.iter().map(|row| row.try_get("", column)).collect()
}
