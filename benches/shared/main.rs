//! What a Redis behind the cache costs: an entry that comes from it, a confirmation, a write, and a
//! Redis that is gone, each beside the least that could be done instead, in one run. Starts a
//! `redis-server` of its own on loopback; the database is an SQLite file.
//!
//! ```sh
//! cargo bench --bench shared --features redis
//! SHARED="load writes" cargo bench --bench shared --features redis
//! ```

mod latency;
mod load;
mod server;
#[path = "../shelf/mod.rs"]
mod shelf;
mod world;
mod writes;

use std::error::Error;

use tokio::runtime::Runtime;

use world::World;

fn main() -> Result<(), Box<dyn Error>> {
    let chosen = std::env::var("SHARED").ok();
    let on = |name| chosen.as_ref().is_none_or(|chosen| chosen.split(' ').any(|it| it == name));
    let runtime = Runtime::new()?;
    let world = runtime.block_on(World::new())?;
    if on("redis") {
        runtime.block_on(latency::from_redis(&world))?;
    }
    if on("memory") {
        runtime.block_on(latency::from_memory(&world))?;
    }
    if on("load") {
        runtime.block_on(load::report(&world))?;
    }
    if on("writes") {
        runtime.block_on(writes::report(&world))?;
    }
    if on("away") {
        runtime.block_on(latency::without_redis(world))?;
    }
    Ok(())
}
