//! Computed values: each is as fresh as what it was made of.

mod dependencies;
mod fresh;
mod places;
#[path = "../shared/processes.rs"]
#[allow(dead_code)]
mod processes;
mod recorded;
mod stampede;
#[path = "../support/mod.rs"]
mod support;
