//! What Redis adds to a write, and how often it is asked.

use std::error::Error;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set,
    TransactionTrait,
};
use sea_orm_cache::prelude::*;
use sea_orm_cache::store::RedisConfig;

use crate::latency::time;
use crate::server::calls;
use crate::shelf::{TTL, median};
use crate::world::{By, World, article, list};

const ROUNDS: i32 = 2_000;

async fn restock(db: &impl ConnectionTrait, n: i32) {
    let article = article::ActiveModel { id: Set(n), stock: Set(Some(n)), ..Default::default() };
    article.update(db).await.expect("an update");
}

async fn restock_many(db: &impl ConnectionTrait, n: i32) {
    let many = article::Entity::update_many().col_expr(article::Column::Stock, Expr::value(n));
    many.filter(article::Column::Id.eq(n)).exec(db).await.expect("an update");
}

pub async fn report(world: &World) -> Result<(), Box<dyn Error>> {
    // Caches in which nothing would gain by captured rows: what is left is the wrapper.
    let redis = QueryCache::builder().prefix("writes").redis(RedisConfig::new(&world.server.url));
    let (shared, alone) = (world.open(redis).await?, world.open(QueryCache::builder()).await?);
    let mut times: [Vec<f64>; 7] = Default::default();
    let mut order: Vec<usize> = (0..times.len()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut bare = world.bare.clone();
    for n in 0..ROUNDS {
        rng.shuffle(&mut order);
        for which in order.iter().copied() {
            let id = n % 1_000;
            times[which].push(match which {
                0 => time(restock(&world.plain, id)).await,
                1 => time(restock(&alone, id)).await,
                2 => time(restock(&shared, id)).await,
                3 => time(restock_many(&world.plain, id)).await,
                4 => time(restock_many(&alone, id)).await,
                5 => time(restock_many(&shared, id)).await,
                _ => time(redis::cmd("PING").exec_async(&mut bare)).await,
            });
        }
    }
    let [plain, memory, redis, many, many_memory, many_redis, ping] = times.map(median);
    println!(
        "\nwrites, microseconds: ActiveModel's update {plain:.1}, through the wrapper {memory:.1}, \
         with Redis {redis:.1}; update_many {many:.1}, {many_memory:.1}, {many_redis:.1}; a PING \
         {ping:.1}"
    );
    println!("(e) an ActiveModel's update with Redis ÷ plain: {:.2}", redis / plain);
    println!("(e) an update_many with Redis ÷ plain: {:.2}", many_redis / many);
    println!("(e) Redis adds to an update: {:.2} PINGs", (redis - memory) / ping);
    count(world, &shared).await
}

/// How many scripts each of these runs.
async fn count(world: &World, shared: &CachedConnection) -> Result<(), Box<dyn Error>> {
    const TIMES: i32 = 50;
    let mut bare = world.bare.clone();
    let whats = ["update", "transaction of three updates", "fill", "hit from memory, confirmed"];
    for what in whats {
        let before = calls(&mut bare, "evalsha").await?.0;
        for n in 0..TIMES {
            match what {
                "update" => restock(shared, n).await,
                "transaction of three updates" => three(shared, n).await?,
                _ => drop(list(n, By::Rows).cached(TTL).all_shared(shared).await?),
            }
        }
        let each = (calls(&mut bare, "evalsha").await?.0 - before) as f64 / f64::from(TIMES);
        println!("(e) scripts for one {what}: {each:.2}");
    }
    Ok(())
}

async fn three(shared: &CachedConnection, n: i32) -> Result<(), DbErr> {
    let transaction = shared.begin().await?;
    for id in n..n + 3 {
        restock(&transaction, id).await;
    }
    transaction.commit().await
}
