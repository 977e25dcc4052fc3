//! Beyond the query itself: computed values, invalidating by hand, rules.

mod dependencies;
mod families;
mod fresh;
mod freshness;
mod outcomes;
mod parts;
mod places;
#[path = "../shared/processes.rs"]
#[allow(dead_code)]
mod processes;
mod recorded;
mod rules;
mod stampede;
#[path = "../support/mod.rs"]
mod support;
mod suspend;
mod told;
