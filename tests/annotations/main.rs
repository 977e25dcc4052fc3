//! What entities say about their own caching holds, and none of it makes an answer stale.

mod case_insensitive;
mod entities;
mod folded;
mod functions;
mod keys;
mod no_cache;
mod policies;
mod processes;
mod reports;
#[path = "../shared/processes.rs"]
#[allow(dead_code)]
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod tags;
mod ttls;
