//! Every way in which SeaORM reads gives the same with `.cached(ttl)`: from the database, from
//! memory and through the codec. Each one's entry ends with every write that changes it, and with
//! none of ten that do not.

#[path = "../support/mod.rs"]
mod support;
#[macro_use]
mod world;
mod entities;
mod forms;
mod joined;
mod loaded;

use fastrand::Rng;
use support::servers::Backend;
use world::{Form, World};

/// Runs on each database that can be reached, and names every form that fails.
macro_rules! on_each_database {
    ($test:expr) => {
        let mut failures = Vec::new();
        for backend in Backend::reachable() {
            let world = World::new(backend).await;
            for form in forms::all().into_iter().chain(joined::all()).chain(loaded::all()) {
                if let Err(why) = $test(&world, &form).await {
                    failures.push(format!("{} on {backend:?}: {why}", form.name));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    };
}

#[tokio::test]
async fn each_form_gives_what_it_gives_uncached() {
    on_each_database!(same);
}

#[tokio::test]
async fn each_form_ends_with_what_changes_it() {
    on_each_database!(ends);
}

#[tokio::test]
async fn each_form_survives_what_does_not_change_it() {
    on_each_database!(survives);
}

async fn same(world: &World, form: &Form) -> Result<(), String> {
    let mut rng = Rng::with_seed(form.name.len() as u64);
    for round in 0..4 {
        world.reset().await;
        if round > 0 {
            world.scatter(&mut rng).await;
        }
        let fresh = (form.plain)(world).await;
        world.log.take();
        let miss = (form.cached)(world).await;
        let hits = world.hits();
        let hit = (form.cached)(world).await;
        if (&miss, &hit) != (&fresh, &fresh) {
            return Err(format!("{fresh} is first {miss}, then {hit}"));
        }
        if world.hits() == hits {
            return Err(format!("not cached:\n{}", world.log.take().join("\n")));
        }
    }
    Ok(())
}

async fn ends(world: &World, form: &Form) -> Result<(), String> {
    for write in form.ended_by {
        world.reset().await;
        let before = (form.cached)(world).await;
        world.sql(write).await;
        let after = (form.plain)(world).await;
        let cached = (form.cached)(world).await;
        if before == after {
            return Err(format!("nothing is changed by {write}"));
        }
        if cached != after {
            return Err(format!("stale after {write}: {cached} for {after}"));
        }
    }
    Ok(())
}

async fn survives(world: &World, form: &Form) -> Result<(), String> {
    if form.survives.len() < 10 {
        return Err(format!("only {} writes to survive", form.survives.len()));
    }
    for write in form.survives {
        world.reset().await;
        let before = (form.cached)(world).await;
        world.log.take();
        world.sql(write).await;
        let after = (form.plain)(world).await;
        let hits = world.hits();
        let cached = (form.cached)(world).await;
        if (&before, &cached) != (&after, &after) {
            return Err(format!("{write} makes {before} {after}, and {cached} is cached"));
        }
        if world.hits() == hits {
            return Err(format!("ended by {write}:\n{}", world.log.take().join("\n")));
        }
    }
    Ok(())
}
