//! Rows in other shapes than models: partial models, tuples, JSON, single values.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    DeriveColumn, DerivePartialModel, ExprTrait, FromQueryResult, JoinType, QueryOrder,
    QuerySelect, RelationTrait, TransactionTrait,
};

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::Run;
use crate::world::Db;

#[tokio::test]
async fn partial_models_are_read() {
    same_on_connections!(watched, partial);
}

#[tokio::test]
async fn partial_models_are_read_in_a_transaction() {
    same_in_transactions!(watched, partial);
}

#[tokio::test]
async fn tuples_values_and_json_are_read() {
    same_on_connections!(watched, shapes);
}

#[tokio::test]
async fn tuples_values_and_json_are_read_in_a_transaction() {
    same_in_transactions!(watched, shapes);
}

#[derive(Debug, DerivePartialModel)]
#[sea_orm(entity = "bakery::Entity")]
#[allow(dead_code, reason = "read by Debug")]
struct Place {
    id: i32,
    #[sea_orm(from_col = "name")]
    title: String,
}

#[derive(Debug, DerivePartialModel)]
#[sea_orm(entity = "cake::Entity")]
struct Piece {
    name: String,
    #[sea_orm(from_expr = "Expr::col((cake::Entity, cake::Column::Price)).div(4)")]
    #[allow(dead_code, reason = "read by Debug")]
    quarter: Price,
    #[sea_orm(nested)]
    place: Option<Place>,
}

/// MariaDB divides integers into decimals, the others into integers.
#[derive(Debug)]
#[allow(dead_code, reason = "read by Debug")]
enum Price {
    Whole(i32),
    Exact(Decimal),
}

impl sea_orm::TryGetable for Price {
    fn try_get_by<I: sea_orm::ColIdx>(
        row: &sea_orm::QueryResult,
        index: I,
    ) -> Result<Self, sea_orm::TryGetError> {
        match i32::try_get_by(row, index) {
            Ok(whole) => Ok(Self::Whole(whole)),
            Err(_) => Decimal::try_get_by(row, index).map(Self::Exact),
        }
    }
}

async fn partial(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let pieces = || {
            cake::Entity::find()
                .left_join(bakery::Entity)
                .order_by_asc(cake::Column::Id)
                .into_partial_model::<Piece>()
        };
        let all = run.step("all", pieces().all(db)).await;
        assert_eq!(all.iter().filter(|piece| piece.place.is_none()).count(), 1);
        let one = run.step("one", pieces().one(db)).await.expect("a cake");
        assert_eq!(one.name == "apple pie", round == 0);
        run.step("page", pieces().paginate(db, 3).fetch_page(1)).await;
        let mut cursor =
            bakery::Entity::find().cursor_by(bakery::Column::Id).into_partial_model::<Place>();
        run.step("cursor", cursor.after(1).all(db)).await;
        let model = bakery::Entity::find()
            .select_only()
            .column(bakery::Column::Name)
            .expr_as(Expr::col(bakery::Column::Margin).mul(2), "doubled")
            .order_by_asc(bakery::Column::Id)
            .into_model::<Doubled>();
        run.step("into a model", model.all(db)).await;
        if round == 0 {
            run.step("a cake goes", cake::Entity::delete_by_id(1).exec(db)).await;
        }
    }
    Ok(())
}

#[derive(Debug, FromQueryResult)]
#[allow(dead_code, reason = "read by Debug")]
struct Doubled {
    name: String,
    doubled: f64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveColumn)]
enum Summary {
    Cakes,
    Dearest,
}

async fn shapes(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let tuples = cake::Entity::find()
            .select_only()
            .columns([cake::Column::Id, cake::Column::Name, cake::Column::BakeryId])
            .order_by_asc(cake::Column::Id)
            .into_tuple::<(i32, String, Option<i32>)>();
        assert_eq!(run.step("tuples", tuples.all(db)).await.len(), 7 - round);
        let grouped = bakery::Entity::find()
            .select_only()
            .column(bakery::Column::Name)
            .column_as(cake::Column::Id.count(), "cakes")
            .column_as(cake::Column::Price.max(), "dearest")
            .join(JoinType::LeftJoin, bakery::Relation::Cake.def())
            .group_by(bakery::Column::Name)
            .having(cake::Column::Id.count().gt(0))
            .order_by_asc(bakery::Column::Name)
            .into_tuple::<(String, i64, i32)>();
        run.step("grouped", grouped.all(db)).await;
        let values = cake::Entity::find()
            .select_only()
            .column_as(cake::Column::Id.count(), "cakes")
            .expr_as(Expr::col(cake::Column::Price).max().cast_as("char(9)"), "dearest")
            .into_values::<(i64, String), Summary>();
        run.step("values", values.one(db)).await;
        let json = cake::Entity::find().order_by_asc(cake::Column::Id).into_json();
        let json = run.step("JSON", json.all(db)).await;
        assert_eq!(json.len(), 7 - round);
        let both = cake::Entity::find()
            .find_also_related(bakery::Entity)
            .order_by_asc(cake::Column::Id)
            .into_json();
        run.step("JSON of two", both.all(db)).await;
        let lengths = Func::char_length(Expr::col(cake::Column::Name));
        let lengths = cake::Entity::find().filter(Expr::expr(lengths).gt(6));
        run.reads("by an expression", db, || lengths.clone().order_by_asc(cake::Column::Id)).await;
        if round == 0 {
            run.step("a cake goes", cake::Entity::delete_by_id(2).exec(db)).await;
        }
    }
    Ok(())
}
