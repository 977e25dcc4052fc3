//! Many reads at a time.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use sea_orm_cache::prelude::*;
use tokio::task::JoinSet;

use crate::latency::{get, hit};
use crate::shelf::{median, verdict};
use crate::world::{AUTHORS, By, World};

const TASKS: i32 = 64;
const EACH: i32 = 100;
const ROUNDS: usize = 25;

/// So many tasks do something so often: how often in a second.
async fn rate<F: Future<Output = ()> + Send>(
    call: impl Fn(i32) -> F + Clone + Send + 'static,
) -> f64 {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let call = call.clone();
        tasks.spawn(async move {
            for n in 0..EACH {
                call((task + n) % AUTHORS).await;
            }
        });
    }
    tasks.join_all().await;
    f64::from(TASKS * EACH) / start.elapsed().as_secs_f64()
}

async fn gets(world: &World, by: By) -> f64 {
    let (bare, keys): (_, Arc<[String]>) = (world.bare.clone(), world.keys(by).into());
    rate(move |n| {
        let (mut bare, keys) = (bare.clone(), keys.clone());
        async move { drop(get(&mut bare, &keys[n as usize]).await) }
    })
    .await
}

async fn hits(db: &CachedConnection, by: By) -> f64 {
    let db = db.clone();
    rate(move |n| {
        let db = db.clone();
        async move { hit(&db, n, by).await }
    })
    .await
}

pub async fn report(world: &World) -> Result<(), Box<dyn Error>> {
    let mut rates: [Vec<f64>; 6] = Default::default();
    let mut order: Vec<usize> = (0..rates.len()).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for n in 0..ROUNDS + 2 {
        rng.shuffle(&mut order);
        for which in order.iter().copied() {
            let by = if which < 3 { By::Columns } else { By::Rows };
            let rate = match which % 3 {
                0 => gets(world, by).await,
                1 => hits(&world.remote, by).await,
                _ => hits(&world.strong, by).await,
            };
            // The first two warm up.
            if n >= 2 {
                rates[which].push(rate);
            }
        }
    }
    let [get_few, hit_few, same_few, get_many, hit_many, same_many] = rates.map(median);
    println!(
        "\n{TASKS} tasks, a second: GET {get_few:.0} and {get_many:.0}, from Redis {hit_few:.0} \
         and {hit_many:.0}, confirmed {same_few:.0} and {same_many:.0}"
    );
    verdict("(d) from Redis, by columns ÷ GETs", hit_few / get_few, "", 0.8, true);
    verdict("(d) from Redis, by rows ÷ GETs", hit_many / get_many, "", 0.8, true);
    println!("confirmed, by columns ÷ GETs: {:.2}", same_few / get_few);
    println!("confirmed, by rows ÷ GETs: {:.2}", same_many / get_many);
    Ok(())
}
