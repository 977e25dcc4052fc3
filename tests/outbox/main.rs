//! What other programs write, and what a process that died owed: who hears it, and what happens
//! while nobody does.

mod durable;
mod foreign;
mod history;
mod kill;
mod leases;
mod notes;
mod odd;
mod rules;
mod scenes;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod world;
