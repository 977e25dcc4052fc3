//! What became of a read, for who wants to know.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Engine;
use crate::event::Reason;
use crate::key::Key;
use crate::memory::Entry;
use crate::tag::Tag;

/// A result and where it came from: what the methods with `fetch` in their names give.
///
/// ```
/// # mod cake {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "cake")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use sea_orm::{ConnectionTrait, Database, EntityTrait};
/// use sea_orm_cache::{Source, prelude::*};
///
/// let cache = QueryCache::builder().build().await?;
/// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
/// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY)").await?;
///
/// let cakes = || cake::Entity::find().cached(Duration::from_secs(60));
/// assert_eq!(cakes().fetch(&db).await?.source, Source::Database);
/// assert_eq!(cakes().fetch(&db).await?.source, Source::Memory);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// The result.
    pub value: T,
    /// Who answered.
    pub source: Source,
    /// How long ago it was read from the database.
    pub age: Duration,
    /// The entry's key; `None` if it was not looked for.
    pub key: Option<Key>,
    /// What it depends on. Empty if that is not known: of what came from the store, and of an entry
    /// that was made by a read which did not ask for it.
    pub tags: Vec<Tag>,
    /// Why it is not stored, if it is not.
    pub refused: Option<Reason>,
}

/// Who answered a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// An entry in memory, or another task that was just loading it.
    Memory,
    /// An entry in the store that processes share.
    Store,
    /// The database, or the computation.
    Database,
    /// An entry whose time is over, or whose data has changed: what [`swr`](crate::Cached::swr) and
    /// its like ask for.
    Stale,
}

impl<T> Outcome<T> {
    pub(super) fn of_entry(
        value: T,
        entry: &Entry,
        source: Source,
        engine: &Engine,
        told: bool,
    ) -> Self {
        let tags = entry.tags.as_deref().filter(|_| told);
        Self {
            value,
            source,
            age: Duration::from_millis(engine.age_ms(entry)),
            key: Some(entry.key.clone()),
            tags: tags.map_or_else(Vec::new, <[Tag]>::to_vec),
            refused: None,
        }
    }

    pub(super) fn refused(value: T, key: Option<Key>, refused: Option<Reason>) -> Self {
        let source = Source::Database;
        Self { value, source, age: Duration::ZERO, key, tags: Vec::new(), refused }
    }

    /// The same about another value.
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U> {
        let Self { value, source, age, key, tags, refused } = self;
        Outcome { value: map(value), source, age, key, tags, refused }
    }
}

impl<T: Clone> Outcome<Arc<T>> {
    pub(crate) fn owned(self) -> Outcome<T> {
        self.map(super::owned)
    }
}
