//! Cursors, pages and streams.

use futures_util::TryStreamExt as _;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, TransactionTrait};
use sea_orm_cache::prelude::*;

use crate::bakeries::*;
use crate::bakery_reads::{open_the_bakeries, watched};
use crate::run::{Pair, Run};
use crate::support::TTL;
use crate::support::servers::Backend;
use crate::world::Db;

#[tokio::test]
async fn cursors_go_both_ways() {
    same_on_connections!(watched, cursors);
}

#[tokio::test]
async fn cursors_go_both_ways_in_a_transaction() {
    same_in_transactions!(watched, cursors);
}

#[tokio::test]
async fn pages_are_turned() {
    same_on_connections!(watched, pages);
}

#[tokio::test]
async fn pages_are_turned_in_a_transaction() {
    same_in_transactions!(watched, pages);
}

#[tokio::test]
async fn streams_flow() {
    same_on_connections!(watched, streams);
}

#[tokio::test]
async fn streams_flow_in_a_transaction() {
    same_in_transactions!(watched, streams);
}

fn cakes() -> Select<cake::Entity> {
    cake::Entity::find().order_by_asc(cake::Column::Id)
}

async fn cursors(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let mut by_id = cake::Entity::find().cursor_by(cake::Column::Id);
        run.step("first two", by_id.first(2).all(db)).await;
        run.step("after 2", by_id.after(2).first(3).all(db)).await;
        run.step("between", by_id.after(2).before(6).all(db)).await;
        run.step("last", by_id.last(2).all(db)).await;
        run.step("downwards", by_id.desc().first(2).all(db)).await;
        let mut by_two = cake::Entity::find().cursor_by((cake::Column::Price, cake::Column::Id));
        let after = run.step("by two columns", by_two.after((500, 1)).first(3).all(db)).await;
        assert!(after.iter().all(|cake| (cake.price, cake.id) > (500, 1)) && !after.is_empty());
        let mut by_key =
            shift::Entity::find().cursor_by((shift::Column::CakeId, shift::Column::BakerId));
        run.step("by a composite key", by_key.before((5, 3)).last(2).all(db)).await;
        let mut filtered = cake::Entity::find()
            .filter(cake::Column::BakeryId.is_not_null())
            .cursor_by(cake::Column::Name);
        run.step("of some", filtered.after("b").first(3).all(db)).await;
        let mut related =
            cake::Entity::find().find_also_related(bakery::Entity).cursor_by(cake::Column::Id);
        run.step("with the bakery", related.after(1).first(4).all(db)).await;
        if round == 0 {
            run.step("a cake goes", cake::Entity::delete_by_id(3).exec(db)).await;
        }
    }
    Ok(())
}

async fn pages(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    for round in 0..2 {
        let mut pages = cakes().paginate(db, 3);
        run.step("items", pages.num_items()).await;
        let all = run.step("both", pages.num_items_and_pages()).await;
        assert_eq!(all.number_of_pages, 3 - round);
        for page in 0..4 {
            run.step("page", pages.fetch_page(page)).await;
        }
        while let Some(page) = run.step("next", pages.fetch_and_next()).await {
            run.note("at", &(pages.cur_page(), page.len()));
        }
        let stream = cakes().paginate(db, 2).into_stream();
        let all: Vec<_> = run.step("stream", stream.try_collect::<Vec<_>>()).await;
        assert_eq!(all.concat(), cakes().all(db).await?);
        let related = cakes().find_also_related(bakery::Entity).paginate(db, 4);
        run.step("with bakeries", related.fetch_page(1)).await;
        run.step("count", cakes().filter(cake::Column::Vegan.eq(true)).count(db)).await;
        run.step("exists", cakes().filter(cake::Column::Price.gt(9000)).exists(db)).await;
        if round == 0 {
            run.step("a cake goes", cake::Entity::delete_by_id(1).exec(db)).await;
        }
    }
    Ok(())
}

async fn streams(db: &impl Db, run: &Run<'_>) -> Result<(), DbErr> {
    open_the_bakeries(db, run).await;
    let all = async { cakes().stream(db).await?.try_collect::<Vec<_>>().await };
    assert_eq!(run.step("all", all).await.len(), 7);
    let some = async {
        let dear = cakes().filter(cake::Column::Price.gt(900));
        dear.stream(db).await?.try_collect::<Vec<_>>().await
    };
    run.step("some", some).await;
    let two = async {
        let two = cakes().find_also_related(bakery::Entity);
        two.stream(db).await?.try_collect::<Vec<_>>().await
    };
    run.step("two tables", two).await;
    let names = async {
        let names = cakes().select_only().column(cake::Column::Name).into_tuple::<String>();
        names.stream(db).await?.try_collect::<Vec<_>>().await
    };
    run.step("names", names).await;
    // One that is left before its end does not keep the connection from going on.
    let first = async { cakes().stream(db).await?.try_next().await };
    run.step("the first only", first).await;
    run.step("a write", cake::Entity::delete_by_id(1).exec(db)).await;
    if db.support_returning() {
        let raise = "UPDATE cake SET price = price + 1 WHERE price < 600 RETURNING price";
        let raise = sea_orm::Statement::from_string(crate::world::dialect(run.backend), raise);
        let raised = async {
            let rows: Vec<_> = db.stream_raw(raise).await?.try_collect().await?;
            let prices = rows.iter().map(|row| row.try_get_by_index::<i32>(0));
            prices.collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(run.step("a write", raised).await.len(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn writes_go_on_while_a_stream_is_open() -> Result<(), DbErr> {
    for backend in Backend::reachable() {
        let pair = Pair::new(backend, watched).await;
        let (world, run) = (&pair.world, Run::through_the_wrapper(&pair));
        open_the_bakeries(&world.db, &run).await;
        let mut open = cakes().stream(&world.db).await?;
        assert_eq!(open.try_next().await?.expect("a cake").price, 500);
        let update = cake::ActiveModel {
            id: sea_orm::Unchanged(7),
            price: sea_orm::Set(9),
            ..Default::default()
        };
        run.step("update", update.update(&world.db)).await;
        let rest: Vec<_> = open.try_collect().await?;
        assert_eq!(rest.len(), 6, "{backend:?}");
        world.check().await;
    }
    Ok(())
}

#[tokio::test]
async fn cached_pages_are_those_of_the_plain_paginator_after_every_write() -> Result<(), DbErr> {
    for backend in Backend::reachable() {
        let pair = Pair::new(backend, watched).await;
        let (world, run) = (&pair.world, Run::through_the_wrapper(&pair));
        open_the_bakeries(&world.db, &run).await;
        for sql in [
            "INSERT INTO cake (name, price, vegan) VALUES ('new', 3, true)",
            "UPDATE cake SET name = 'renamed' WHERE id = 5",
            "UPDATE cake SET bakery_id = NULL WHERE price > 900",
            "DELETE FROM cake WHERE id < 3",
            "DELETE FROM cake",
        ] {
            same_pages(&pair).await?;
            same_pages(&pair).await?;
            world.db.execute_unprepared(sql).await?;
        }
        same_pages(&pair).await?;
        let hit = world.hits() > 0;
        assert!(hit);
    }
    Ok(())
}

async fn same_pages(pair: &Pair) -> Result<(), DbErr> {
    let world = &pair.world;
    let cached = cakes().cached(TTL).paginate(&world.db, 3);
    let plain = cakes().paginate(&world.plain, 3);
    assert_eq!(cached.num_items().await?, plain.num_items().await?);
    for page in 0..4 {
        assert_eq!(cached.fetch_page(page).await?, plain.fetch_page(page).await?);
    }
    let cached: Vec<_> = cached.into_stream().try_collect().await?;
    let plain: Vec<_> = plain.into_stream().try_collect().await?;
    assert_eq!(cached, plain, "{:?}", world.backend);
    Ok(())
}
