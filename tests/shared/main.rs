//! Several processes, one cache: what one writes, the others see.

mod coherent;
mod files;
mod outages;
mod processes;
mod reach;
mod stampede;
#[path = "../support/mod.rs"]
mod support;
