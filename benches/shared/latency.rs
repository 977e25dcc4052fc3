//! One read at a time.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use futures_util::FutureExt;
use redis::aio::MultiplexedConnection;
use sea_orm::EntityTrait;
use sea_orm_cache::prelude::*;

use crate::server::calls;
use crate::shelf::{TTL, median, nanos, verdict};
use crate::world::{AUTHORS, By, World, article, list};

const ROUNDS: i32 = 6_000;

/// The time of one call in microseconds.
pub async fn time<T>(call: impl Future<Output = T>) -> f64 {
    let start = Instant::now();
    black_box(call.await);
    start.elapsed().as_nanos() as f64 / 1_000.0
}

pub async fn get(bare: &mut MultiplexedConnection, key: &str) -> Vec<u8> {
    redis::cmd("GET").arg(key).query_async(bare).await.expect("an entry")
}

pub async fn hit(db: &CachedConnection, author: i32, by: By) {
    list(author, by).cached(TTL).all_shared(db).await.expect("an answer");
}

/// Calls of several kinds, which take turns in random order: medians in microseconds.
async fn medians<const N: usize>(
    rounds: i32,
    mut call: impl AsyncFnMut(usize, i32) -> f64,
) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    let mut order: Vec<usize> = (0..N).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for n in -rounds / 10..rounds {
        rng.shuffle(&mut order);
        for which in order.iter().copied() {
            let micros = call(which, n.rem_euclid(AUTHORS)).await;
            // The first tenth warms up.
            if n >= 0 {
                times[which].push(micros);
            }
        }
    }
    times.map(median)
}

pub async fn from_redis(world: &World) -> Result<(), Box<dyn Error>> {
    let mut bare = world.bare.clone();
    let hits = world.remote.cache().stats().total.hits;
    let before = calls(&mut bare, "evalsha").await?.0;
    let (few, many) = (By::Columns, By::Rows);
    let [get_few, hit_few, get_many, hit_many, mget, same_few, same_many, again] =
        medians(ROUNDS, async |which, n| {
            let (key, other) = (&world.by_columns[n as usize], &world.by_rows[n as usize]);
            match which {
                0 => time(get(&mut bare, key)).await,
                1 => time(hit(&world.remote, n, few)).await,
                2 => time(get(&mut bare, other)).await,
                3 => time(hit(&world.remote, n, many)).await,
                4 => {
                    let first = n as usize % (AUTHORS as usize - 4);
                    let four = &world.by_columns[first..first + 4];
                    let mut mget = redis::cmd("MGET");
                    time(mget.arg(four).query_async::<Vec<Vec<u8>>>(&mut bare)).await
                }
                5 => time(hit(&world.strong, n, few)).await,
                6 => time(hit(&world.strong, n, many)).await,
                // What the same call differs by, measured like all the others.
                _ => time(get(&mut bare, key)).await,
            }
        })
        .await;
    let rounds = (ROUNDS + ROUNDS / 10) as u64;
    assert_eq!(world.remote.cache().stats().total.hits - hits, 2 * rounds, "all were hits");
    assert_eq!(calls(&mut bare, "evalsha").await?.0 - before, 4 * rounds, "one script each");
    println!(
        "\nmicroseconds: GET {get_few:.1} and {get_many:.1}, from Redis {hit_few:.1} and \
         {hit_many:.1}, confirmed {same_few:.1} and {same_many:.1}, MGET of 4 {mget:.1}"
    );
    println!("the same GET measured twice differs by {:.1} %", 100.0 * (again / get_few - 1.0));
    verdict("(a) from Redis, by columns ÷ GET", hit_few / get_few, "", 1.35, false);
    verdict("(a) from Redis, by rows ÷ GET", hit_many / get_many, "", 1.35, false);
    println!("MGET of 4 ÷ GET: {:.2}", mget / get_few);
    println!("confirmed, by columns ÷ GET: {:.2}", same_few / get_few);
    println!("confirmed, by rows ÷ GET: {:.2}", same_many / get_many);
    for command in ["get", "evalsha", "mget", "info"] {
        println!(
            "the server's own time for {command}: {:.2} µs",
            calls(&mut bare, command).await?.1
        );
    }
    Ok(())
}

/// Memory that answers by itself, beside memory that nobody shares.
pub async fn from_memory(world: &World) -> Result<(), Box<dyn Error>> {
    const ROUND: usize = 256;
    let round = |db: &CachedConnection| {
        let selects = vec![list(7, By::Rows); ROUND];
        nanos(|| {
            for select in selects {
                // A hit never waits.
                let answer = select.cached(TTL).all_shared(db).now_or_never();
                black_box(answer.expect("a hit").expect("an answer"));
            }
        }) / ROUND as f64
    };
    let (mut bounded, mut memory, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..2_200 {
        let (one, other) = (round(&world.bounded), round(&world.memory));
        if n >= 200 {
            bounded.push(one);
            memory.push(other);
            ratios.push(one / other);
        }
    }
    println!("\nnanoseconds: Bounded {:.0}, memory alone {:.0}", median(bounded), median(memory));
    verdict("(b) a Bounded hit ÷ one of memory alone", median(ratios), "", 1.10, false);
    Ok(())
}

/// Redis is killed: a read that then goes to the database, beside one without a cache.
pub async fn without_redis(mut world: World) -> Result<(), Box<dyn Error>> {
    world.server.kill();
    hit(&world.strong, 0, By::Rows).await;
    let away = world.strong.cache().stats().store.is_some_and(|store| store.away);
    assert!(away, "Redis is known to be away");
    let bypassed = world.strong.cache().stats().total.bypassed;
    let by_id = |n: i32| article::Entity::find_by_id(n);
    let [plain, through, plain_one, through_one, again] =
        medians(ROUNDS, async |which, n| match which {
            0 => time(list(n, By::Rows).all(&world.plain)).await,
            1 => time(list(n, By::Rows).cached(TTL).all(&world.strong)).await,
            2 => time(by_id(n).one(&world.plain)).await,
            3 => time(by_id(n).cached(TTL).one(&world.strong)).await,
            _ => time(list(n, By::Rows).all(&world.plain)).await,
        })
        .await;
    let rounds = (ROUNDS + ROUNDS / 10) as u64;
    assert_eq!(world.strong.cache().stats().total.bypassed - bypassed, 2 * rounds);
    println!(
        "\nwithout Redis, microseconds: 20 rows {plain:.1}, cached {through:.1}; one row \
         {plain_one:.1}, cached {through_one:.1}"
    );
    println!("the same read measured twice differs by {:.1} %", 100.0 * (again / plain - 1.0));
    verdict("(c) Redis gone, 20 rows ÷ plain", through / plain, "", 1.03, false);
    verdict("(c) Redis gone, one row ÷ plain", through_one / plain_one, "", 1.03, false);
    Ok(())
}
