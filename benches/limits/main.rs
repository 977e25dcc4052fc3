//! What must hold however much is cached and written: the cost of a bump, the memory, and fills
//! while others write.
//!
//! `LIMITS`: which parts to run, any of `bump`, `memory`, `fire`; all if not set.

mod bump;
mod fire;
mod memory;
#[path = "../shelf/mod.rs"]
mod shelf;
mod slow;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::var("LIMITS").unwrap_or_else(|_| "bump memory fire".to_owned());
    if wanted.contains("memory") {
        memory::report().await?;
    }
    if wanted.contains("fire") {
        fire::report().await?;
    }
    if wanted.contains("bump") {
        bump::report().await?;
    }
    Ok(())
}
