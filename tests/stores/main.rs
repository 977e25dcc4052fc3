//! The contract of `store/mod.rs`, on every store.

mod contract;
mod files;
mod hostile;
mod subject;
#[path = "../support/mod.rs"]
mod support;
