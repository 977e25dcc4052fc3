//! What is particular to a store in the user's own database; the contract that it shares with the
//! others is in `tests/stores`.

mod coherent;
mod hostile;
mod interleaved;
mod limits;
mod scenario;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod tables;
