//! Several processes, one cache: what one writes, the others see.

mod coherent;
mod processes;
#[path = "../support/mod.rs"]
mod support;
