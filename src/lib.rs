#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub, missing_debug_implementations)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::todo, clippy::dbg_macro)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

mod barrier;
mod builder;
mod cache;
mod call;
mod cascade;
mod catalog;
mod change;
mod clock;
// Parts of it are exported for the tests alone.
#[cfg_attr(not(feature = "__codec"), allow(unreachable_pub))]
mod codec;
mod connection;
mod database;
mod declare;
mod depend;
mod detach;
mod effect;
mod entity;
mod error;
mod event;
mod execute;
mod explain;
mod fate;
#[cfg(feature = "__mutation")]
#[doc(hidden)]
pub mod fault;
#[cfg(not(feature = "__mutation"))]
mod fault;
mod fill;
mod flight;
#[cfg(all(test, feature = "__shuttle"))]
#[allow(clippy::unwrap_used)]
mod interleavings;
mod invalidate;
mod key;
mod kv;
mod log;
mod memory;
mod outbox;
mod policy;
mod recorder;
#[cfg(feature = "entity-registry")]
mod registry;
mod remember;
mod replica;
#[cfg(feature = "macros")]
mod report;
mod rules;
mod schema;
mod schema_change;
mod select;
mod shared;
mod sql;
mod stats;
pub mod store;
#[cfg(feature = "stream")]
mod stream;
mod suspend;
mod sync;
mod tag;
mod transaction;
mod value;
mod value_name;
mod versions;

pub use builder::QueryCacheBuilder;
pub use cache::{Capture, QueryCache};
pub use clock::{Clock, ManualClock, SystemClock};
#[doc(hidden)]
pub use codec::{Codec, Columns, InMemory, Listed, Maybe, Serde};
pub use codec::{Compression, StorableEntity};
#[cfg(feature = "__codec")]
#[doc(hidden)]
pub use codec::{Packing, open, seal};
pub use connection::CachedConnection;
pub use declare::Declare;
pub use entity::{CachedEntity, EntityPolicy};
pub use error::Error;
pub use event::{Because, Cause, Event, Observer, Reason};
pub use explain::Explanation;
pub use invalidate::Invalidate;
pub use key::{Family, Key};
pub use kv::{Kv, KvConfig, KvLock};
pub use outbox::{Outbox, OutboxConfig};
#[cfg(feature = "entity-registry")]
#[doc(hidden)]
pub use registry::{Registered, submit};
pub use remember::{Dependencies, Dependency, Detached, Inline, Valued};
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use report::__report;
pub use rules::{ChangedRow, Commit, RowsOf, RuleOn, Rules, TableChange};
/// Writes the policy of an entity from `#[cached(..)]` on its model.
#[cfg(feature = "macros")]
pub use sea_orm_cache_macros::CachedEntity;
#[cfg(feature = "macros")]
pub use sea_orm_cache_macros::{cached_as, reports_to};
pub use select::{
    CacheSource, Cacheable, Cached, CachedExt, CachedLoaderExt, CachedPaginator, CursorOf,
    ItemsAndPages, LoaderOf, Models, Outcome, PageStream, Pages, RawOf, Reader, Repeatable,
    Selection, Shaped, Source,
};
pub use shared::{Coherence, WhenAway};
pub use stats::{EntityStats, OutboxStats, Stats, StoreStats};
#[cfg(feature = "stream")]
pub use stream::CachedStream;
pub use tag::{KeyValue, Part, Tag};
pub use transaction::CachedTransaction;

/// What the derive macro ends with: nobody collects entities.
#[cfg(not(feature = "entity-registry"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __register_entity {
    ($entity:ty) => {};
}

/// What most users import.
pub mod prelude {
    pub use crate::{
        CachedConnection, CachedEntity, CachedExt, CachedLoaderExt, CachedTransaction, QueryCache,
    };
}
