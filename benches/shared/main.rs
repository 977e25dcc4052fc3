//! What a Redis behind the cache costs: an entry that comes from it, a confirmation, a write, and a
//! Redis that is gone, each beside the least that could be done instead, in one run. Starts a
//! `redis-server` of its own on loopback; the database is an SQLite file.
//!
//! ```sh
//! cargo bench --bench shared --features redis
//! ```
//!
//! `SHARED`: which parts to run, any of `redis`, `memory`, `load`, `writes`, `away`; all if not set.

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
    let all = "redis memory load writes away";
    let wanted = std::env::var("SHARED").unwrap_or_else(|_| all.to_owned());
    let runtime = Runtime::new()?;
    let world = runtime.block_on(World::new())?;
    if wanted.contains("redis") {
        runtime.block_on(latency::from_redis(&world))?;
    }
    if wanted.contains("memory") {
        runtime.block_on(latency::from_memory(&world))?;
    }
    if wanted.contains("load") {
        runtime.block_on(load::report(&world))?;
    }
    if wanted.contains("writes") {
        runtime.block_on(writes::report(&world))?;
    }
    if wanted.contains("away") {
        runtime.block_on(latency::without_redis(world))?;
    }
    Ok(())
}
