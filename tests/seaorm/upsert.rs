//! Inserts that meet rows that are there already.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ExprTrait, NotSet, Set, TransactionTrait, TryInsertResult};

use crate::run::Run;
use crate::support::servers::Backend;
use crate::world::{Db, Tables};

mod stock {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(unique)]
        pub code: String,
        pub amount: i32,
        pub note: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use stock::{ActiveModel, Column, Entity};

#[tokio::test]
async fn an_upsert_updates_what_is_there() {
    same_on_connections!(tables, updates);
}

#[tokio::test]
async fn an_upsert_updates_what_is_there_in_a_transaction() {
    same_in_transactions!(tables, updates);
}

#[tokio::test]
async fn an_upsert_may_do_nothing() {
    same_on_connections!(tables, does_nothing);
}

#[tokio::test]
async fn an_upsert_may_do_nothing_in_a_transaction() {
    same_in_transactions!(tables, does_nothing);
}

fn tables(tables: Tables) -> Tables {
    tables
        .add(Entity)
        .watch(|| Entity::find().filter(Column::Code.eq("flour")))
        .watch(|| Entity::find().filter(Column::Amount.gt(15)).filter(Column::Note.is_null()))
}

fn stock(code: &str, amount: i32) -> ActiveModel {
    ActiveModel { id: NotSet, code: Set(code.into()), amount: Set(amount), note: Set(None) }
}

fn noted(code: &str, amount: i32, note: &str) -> ActiveModel {
    ActiveModel { note: Set(Some(note.into())), ..stock(code, amount) }
}

async fn amount_of(db: &impl Db, code: &str) -> Result<i32, DbErr> {
    Ok(Entity::find().filter(Column::Code.eq(code)).require_one(db).await?.amount)
}

async fn updates(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let two = Entity::insert_many([stock("flour", 10), stock("sugar", 20)]);
    run.step("insert", two.exec(db)).await;

    let amount = || OnConflict::column(Column::Code).update_column(Column::Amount).to_owned();
    let one = Entity::insert(noted("flour", 11, "not written")).on_conflict(amount());
    run.step("one column", one.exec(db)).await;
    assert_eq!(amount_of(db, "flour").await?, 11);
    let columns = [Column::Amount, Column::Note];
    let both = || OnConflict::column(Column::Code).update_columns(columns).to_owned();
    let two = Entity::insert(noted("flour", 12, "written")).on_conflict(both());
    run.step("two columns", two.exec_without_returning(db)).await;
    let mixed = Entity::insert_many([noted("sugar", 21, "sweet"), stock("salt", 5)]);
    run.step("old and new", mixed.on_conflict(both()).exec_without_returning(db)).await;
    let sum = Expr::col((Entity, Column::Amount)).add(100);
    let sum = OnConflict::column(Column::Code).value(Column::Amount, sum).to_owned();
    let added = Entity::insert(stock("salt", 1)).on_conflict(sum);
    run.step("an expression", added.exec_without_returning(db)).await;
    assert_eq!(amount_of(db, "salt").await?, 105);

    let by_key = ActiveModel { id: Set(1), ..stock("rye", 7) };
    let key =
        OnConflict::column(Column::Id).update_columns([Column::Code, Column::Amount]).to_owned();
    run.step("by key", Entity::insert(by_key).on_conflict(key).exec(db)).await;
    assert_eq!(Entity::find().filter(Column::Code.eq("flour")).count(db).await?, 0);
    let back = Entity::insert(stock("sugar", 33)).on_conflict(both()).exec_with_returning(db);
    let back = run.outcome("the row comes back", back).await;
    if db.support_returning() {
        let row = back.expect("a row");
        assert_eq!((row.id, row.amount, row.note), (2, 33, None));
    }
    assert_eq!(amount_of(db, "sugar").await?, 33);
    Ok(())
}

async fn does_nothing(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    run.step("insert", Entity::insert_many([stock("flour", 10), stock("sugar", 20)]).exec(db))
        .await;
    let again = || [stock("flour", 1), stock("sugar", 2)];
    let nothing = || OnConflict::column(Column::Code).do_nothing_on([Column::Id]).to_owned();
    let old = Entity::insert_many(again()).on_conflict(nothing()).exec(db);
    run.outcome("all are there", old).await.ok();
    let old = Entity::insert_many(again()).on_conflict_do_nothing_on([Column::Code]).exec(db);
    let done = run.step("told so", old).await;
    assert!(matches!(done, TryInsertResult::Conflicted), "{done:?}");
    let same_key = ActiveModel { id: Set(1), ..stock("rye", 3) };
    let old = Entity::insert(same_key).on_conflict_do_nothing().exec(db);
    let done = run.step("the same key", old).await;
    assert!(matches!(done, TryInsertResult::Conflicted), "{done:?}");
    let some = Entity::insert_many([stock("flour", 4), stock("salt", 5)]);
    let some = some.on_conflict_do_nothing_on([Column::Code]).exec_without_returning(db);
    let done = run.step("one of two", some).await;
    // MariaDB counts the row that was there.
    let count = if run.is(Backend::MySql) { 2 } else { 1 };
    assert!(matches!(done, TryInsertResult::Inserted(n) if n == count), "{done:?}");
    let none = Entity::insert_many::<ActiveModel, _>([]).on_conflict_do_nothing().exec(db);
    run.step("none", none).await;
    assert_eq!(amount_of(db, "flour").await?, 10);
    assert_eq!(amount_of(db, "salt").await?, 5);
    Ok(())
}
