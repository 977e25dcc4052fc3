//! What is asked of the bakeries after every step, and what they begin with.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{Condition, ExprTrait, JoinType, QueryOrder, QuerySelect, RelationTrait, Select};

use crate::bakeries::{self, *};
use crate::run::Run;
use crate::world::{Db, Tables};

/// The tables, and reads of every shape.
pub fn watched(tables: Tables) -> Tables {
    bakeries::tables(tables)
        .watch(cakes_of_profitable_bakeries)
        .watch(dear_cakes)
        .watch(cakes_of_nobody)
        .watch(cakes_that_take_long)
        .watch(bakeries_with_vegan_cakes)
        .watch(bakers_by_name)
        .watch(second_page)
        .watch(odd_mixture)
}

fn cakes_of_profitable_bakeries() -> Select<cake::Entity> {
    cake::Entity::find()
        .inner_join(bakery::Entity)
        .filter(bakery::Column::Margin.gt(0.2))
        .order_by_asc(cake::Column::Id)
}

fn dear_cakes() -> Select<cake::Entity> {
    cake::Entity::find()
        .filter(cake::Column::Price.between(500, 2000))
        .order_by_desc(cake::Column::Price)
        .order_by_asc(cake::Column::Id)
}

fn cakes_of_nobody() -> Select<cake::Entity> {
    cake::Entity::find().filter(cake::Column::BakeryId.is_null()).order_by_asc(cake::Column::Id)
}

fn cakes_that_take_long() -> Select<cake::Entity> {
    let long = Query::select()
        .column(shift::Column::CakeId)
        .from(shift::Entity)
        .and_where(shift::Column::Hours.gte(4))
        .to_owned();
    cake::Entity::find().filter(cake::Column::Id.in_subquery(long)).order_by_asc(cake::Column::Id)
}

fn bakeries_with_vegan_cakes() -> Select<bakery::Entity> {
    bakery::Entity::find()
        .join(JoinType::InnerJoin, bakery::Relation::Cake.def())
        .filter(cake::Column::Vegan.eq(true))
        .distinct()
        .order_by_asc(bakery::Column::Id)
}

fn bakers_by_name() -> Select<baker::Entity> {
    baker::Entity::find()
        .filter(baker::Column::Name.starts_with("B"))
        .order_by_asc(baker::Column::Name)
        .order_by_asc(baker::Column::Id)
}

fn second_page() -> Select<cake::Entity> {
    cake::Entity::find().order_by_asc(cake::Column::Id).limit(2).offset(2)
}

fn odd_mixture() -> Select<cake::Entity> {
    let any = Condition::any()
        .add(cake::Column::Name.contains("pie"))
        .add(Expr::col(cake::Column::Price).modulo(3).eq(0))
        .add(cake::Column::BakeryId.is_in([1, 3]).and(cake::Column::Vegan.eq(false)));
    cake::Entity::find().filter(any).order_by_asc(cake::Column::Id)
}

/// Three bakeries, seven cakes, three bakers and who bakes what.
pub async fn open_the_bakeries(db: &impl Db, run: &Run<'_>) {
    let bakeries = [bakery("Ada's", 0.5), bakery("Bob's", 0.125), bakery("Cleo's", 0.25)];
    run.step("bakeries", bakery::Entity::insert_many(bakeries).exec(db)).await;
    let cakes = [
        cake("apple pie", 500, Some(1)),
        cake("brownie", 301, Some(1)),
        cake("cheesecake", 999, Some(2)),
        cake("date pie", 1500, Some(2)),
        cake("eclair", 250, None),
        cake("fudge", 2001, Some(3)),
        cake("ganache", 500, Some(1)),
    ];
    run.step("cakes", cake::Entity::insert_many(cakes).exec(db)).await;
    let bakers = [baker("Ben", Some(1)), baker("Bea", Some(2)), baker("Cyd", None)];
    run.step("bakers", baker::Entity::insert_many(bakers).exec(db)).await;
    let shifts = [shift(1, 1, 2), shift(1, 2, 5), shift(3, 2, 4), shift(5, 3, 1), shift(6, 1, 8)];
    run.step("shifts", shift::Entity::insert_many(shifts).exec(db)).await;
}
