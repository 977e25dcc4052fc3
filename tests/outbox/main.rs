//! What other programs write, and what a process that died owed: who hears it, and what happens
//! while nobody does.

mod durable;
mod foreign;
mod history;
mod kill;
mod leases;
mod notes;
mod rules;
mod scenes;
#[path = "../support/mod.rs"]
mod support;
mod world;
