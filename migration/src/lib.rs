#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, missing_debug_implementations)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::todo, clippy::dbg_macro)]
#![doc = include_str!("../README.md")]

mod entities;
mod outbox;
mod table;
mod triggers;

pub use entities::Entities;
pub use outbox::CacheOutbox;
pub use table::CacheTable;
pub use triggers::CacheTriggers;
