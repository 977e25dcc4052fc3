//! Single values, in memory and in Redis.

mod away;
mod counters;
mod loads;
mod locks;
mod places;
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod values;
mod views;
