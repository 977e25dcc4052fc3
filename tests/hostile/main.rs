//! What reviewers who looked for stale answers, lost rules and values that are not what they are
//! made of once found, and what they tried.
#![allow(dead_code)]

mod fresh;
mod parts;
#[path = "../vocabulary/places.rs"]
mod places;
#[path = "../shared/processes.rs"]
mod processes;
mod rules;
mod stale;
#[path = "../support/mod.rs"]
mod support;
