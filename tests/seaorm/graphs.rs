//! Whole graphs of models: saved, loaded, replaced and deleted in one call.

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, Set, TransactionTrait};

use crate::bakeries::*;
use crate::bakery_reads::watched;
use crate::run::Run;
use crate::world::Db;

#[tokio::test]
async fn a_graph_of_models_is_saved_and_loaded() {
    same_on_connections!(watched, graph);
}

#[tokio::test]
async fn a_graph_of_models_is_saved_and_loaded_in_a_transaction() {
    same_in_transactions!(watched, graph);
}

async fn graph(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    let pie = cake::ActiveModel::builder().set_name("pie").set_price(5).set_vegan(true);
    let tart = cake::ActiveModel::builder().set_name("tart").set_price(6).set_vegan(false);
    let ben = baker::ActiveModel::builder().set_name("Ben");
    let ada = bakery::ActiveModel::builder()
        .set_name("Ada's")
        .set_margin(0.5)
        .add_cake(pie.add_baker(ben))
        .add_cake(tart);
    let mut ada = run.step("a bakery with cakes and a baker", ada.save(db)).await;
    load(db, run).await;

    ada.margin = Set(0.25);
    ada.cakes[0].price = Set(7);
    let mut ada = run.step("changes at two levels", ada.save(db)).await;
    ada.cakes.push(cake::ActiveModel::builder().set_name("roll").set_price(8).set_vegan(true));
    let mut ada = run.step("one more cake", ada.save(db)).await;
    load(db, run).await;

    ada.cakes
        .replace_all([cake::ActiveModel::builder().set_name("only").set_price(9).set_vegan(true)]);
    let ada = run.step("other cakes", ada.save(db)).await;
    load(db, run).await;
    run.step("delete it all", ada.delete(db)).await;
    load(db, run).await;
    Ok(())
}

async fn load(db: &impl Db, run: &Run<'_>) {
    let bakeries = bakery::Entity::load()
        .with(cake::Entity)
        .with(baker::Entity)
        .order_by_asc(bakery::Column::Id);
    run.step("load bakeries", bakeries.all(db)).await;
    let cakes = cake::Entity::load()
        .with(bakery::Entity)
        .with(baker::Entity)
        .order_by_asc(cake::Column::Id);
    run.step("load cakes", cakes.all(db)).await;
    let nested = bakery::Entity::load().with((cake::Entity, baker::Entity));
    run.step("load two levels", nested.order_by_asc(bakery::Column::Id).all(db)).await;
}
