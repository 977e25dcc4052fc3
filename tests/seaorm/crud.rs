//! Inserting, saving, updating and deleting, one by one and in bulk.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue, ExprTrait, IntoActiveModel, QueryOrder, Set, TransactionTrait, Unchanged,
};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::{Pair, Run};
use crate::support::servers::Backend;
use crate::world::Db;

#[tokio::test]
async fn a_bakery_is_run_through_the_wrapper() {
    same_on_connections!(watched, one_by_one);
}

#[tokio::test]
async fn a_bakery_is_run_in_a_transaction() {
    same_in_transactions!(watched, one_by_one);
}

#[tokio::test]
async fn a_bakery_is_run_in_bulk() {
    same_on_connections!(watched, in_bulk);
}

#[tokio::test]
async fn a_bakery_is_run_in_bulk_in_a_transaction() {
    same_in_transactions!(watched, in_bulk);
}

#[tokio::test]
async fn what_is_not_there_is_not_updated_or_deleted() {
    same_on_connections!(watched, on_what_is_not_there);
}

/// The tests are worth something only if a stale entry is noticed.
#[tokio::test]
#[should_panic(expected = "stale")]
async fn the_comparison_notices_a_write_behind_the_wrapper() {
    let pair = Pair::new(Backend::Sqlite, watched).await;
    let run = Run::through_the_wrapper(&pair);
    open_the_bakeries(&pair.world.db, &run).await;
    let behind = "UPDATE cake SET price = 1 WHERE id = 1";
    pair.world.plain.execute_unprepared(behind).await.expect("an update");
    pair.world.check().await;
}

async fn one_by_one(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let ada = run.step("insert", bakery("Ada's", 0.5).insert(db)).await;
    let bob = run.step("save what is new", bakery("Bob's", 0.125).save(db)).await;
    let pie = run.step("insert a cake", cake("apple pie", 500, Some(ada.id)).insert(db)).await;
    let tart = run.step("insert", cake::Entity::insert(cake("tart", 301, None)).exec(db)).await;
    let baker = run.step("a baker", baker("Ben", Some(ada.id)).insert(db)).await;
    run.step("a shift", shift(pie.id, baker.id, 5).insert(db)).await;

    let mut dearer = pie.clone().into_active_model();
    dearer.price = Set(650);
    let dearer = run.step("update one column", dearer.update(db)).await;
    assert_eq!((dearer.price, &dearer.name), (650, &pie.name));
    let moved = cake::ActiveModel { bakery_id: bob.id.clone().into_wrapped(), ..dearer.into() };
    let moved = run.step("save what is there", moved.save(db)).await;
    run.step("save what has not changed", moved.clone().save(db)).await;
    let renamed = cake::ActiveModel { name: Set("apple tart".into()), ..moved };
    run.step("without returning", renamed.update_without_returning(db)).await;

    let other_key = shift::ActiveModel { hours: Set(1), ..shift(pie.id, baker.id, 5) };
    run.step("update by a composite key", other_key.update(db)).await;
    let vegan = cake::ActiveModel {
        id: Unchanged(tart.last_insert_id),
        vegan: Set(false),
        bakery_id: Set(Some(ada.id)),
        ..Default::default()
    };
    run.step("update what was never read", cake::Entity::update(vegan).exec(db)).await;

    run.step("delete by key", cake::Entity::delete_by_id(tart.last_insert_id).exec(db)).await;
    run.step("delete a bakery with its cakes", bob.delete(db)).await;
    run.step("delete a baker's bakery", ada.delete(db)).await;
    let alone = run.reads("the baker", db, || baker::Entity::find_by_id(baker.id)).await;
    assert_eq!(alone[0].bakery_id, None, "set by the foreign key");
    run.step("delete a model", baker.delete(db)).await;
    let left = run.reads("cakes", db, cake::Entity::find).await;
    assert!(left.is_empty(), "cascaded to: {left:?}");
    Ok(())
}

/// The key of a row that was saved, for a column that points to it.
trait IntoWrapped {
    fn into_wrapped(self) -> ActiveValue<Option<i32>>;
}

impl IntoWrapped for ActiveValue<i32> {
    fn into_wrapped(self) -> ActiveValue<Option<i32>> {
        Set(Some(self.unwrap()))
    }
}

async fn in_bulk(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let none = cake::Entity::insert_many::<cake::ActiveModel, _>([]);
    run.step("insert none", none.exec(db)).await;
    let two = [cake("halva", 75, Some(3)), cake("ice pie", 80, None)];
    let two = cake::Entity::insert_many(two).exec_without_returning(db);
    run.step("insert without returning", two).await;

    let dearer = cake::Entity::update_many()
        .col_expr(cake::Column::Price, Expr::col(cake::Column::Price).add(100))
        .filter(cake::Column::BakeryId.eq(1));
    let done = run.step("dearer at Ada's", dearer.exec(db)).await;
    assert_eq!(done.rows_affected, 3);
    let several = cake::ActiveModel { vegan: Set(true), bakery_id: Set(Some(3)), ..empty() };
    let several = cake::Entity::update_many()
        .set(several)
        .filter(cake::Column::Price.lt(400).or(cake::Column::Name.contains("pie")));
    run.step("several columns", several.exec(db)).await;
    let all = baker::Entity::update_many().col_expr(baker::Column::BakeryId, Expr::val(2));
    run.step("all bakers move", all.exec(db)).await;
    let nobody = shift::Entity::update_many()
        .col_expr(shift::Column::Hours, Expr::val(0))
        .filter(shift::Column::Hours.gt(100));
    assert_eq!(run.step("nobody", nobody.exec(db)).await.rows_affected, 0);

    let short = shift::Entity::delete_many().filter(shift::Column::Hours.lt(3));
    run.step("delete short shifts", short.exec(db)).await;
    let poor = bakery::Entity::delete_many().filter(bakery::Column::Margin.lt(0.2));
    run.step("delete poor bakeries", poor.exec(db)).await;
    let ids = cake::Entity::delete_many().filter(cake::Column::Id.is_in([1, 2, 5, 99]));
    run.step("delete by keys", ids.exec(db)).await;
    run.step("delete all", cake::Entity::delete_many().exec(db)).await;
    let left = run.reads("cakes", db, || cake::Entity::find().order_by_asc(cake::Column::Id)).await;
    assert!(left.is_empty());
    Ok(())
}

fn empty() -> cake::ActiveModel {
    Default::default()
}

async fn on_what_is_not_there(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let gone = cake::ActiveModel { id: Unchanged(99), price: Set(1), ..Default::default() };
    let error = run.fails("update", gone.clone().update(db)).await;
    assert!(matches!(error, DbErr::RecordNotUpdated), "{error:?}");
    run.fails("save", gone.clone().save(db)).await;
    run.outcome("without returning", gone.clone().update_without_returning(db)).await.ok();
    let keyless = cake::ActiveModel { price: Set(1), ..Default::default() };
    run.fails("update without a key", keyless.clone().update(db)).await;
    run.fails("delete without a key", keyless.delete(db)).await;
    let done = run.step("delete", gone.delete(db)).await;
    assert_eq!(done.rows_affected, 0);
    run.step("delete by key", cake::Entity::delete_by_id(99).exec(db)).await;
    let missing = run.fails("find", cake::Entity::find_by_id(99).require_one(db)).await;
    assert!(matches!(missing, DbErr::RecordNotFound(_)), "{missing:?}");
    Ok(())
}
