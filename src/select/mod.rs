//! `.cached(ttl)` on whatever SeaORM reads with.

mod ask;
mod board;
mod cursor;
mod entity_loader;
mod find_many;
mod fresh;
mod freshness;
mod keep;
mod loader;
mod many;
mod options;
mod outcome;
mod paginate;
mod raw;
mod read;
mod reader;
mod record;
mod selection;
mod source;
mod through;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::EntityTrait;

pub use cursor::CursorOf;
pub use entity_loader::{CachedLoaderExt, LoaderOf};
pub use loader::Models;
pub use outcome::{Outcome, Source};
pub use paginate::{CachedPaginator, ItemsAndPages, PageStream, Pages};
pub use raw::RawOf;
pub use reader::Reader;
pub use selection::{Selection, Shaped};
pub use source::CacheSource;

pub use ask::Repeatable;
pub(crate) use fresh::Fresh;
pub(crate) use keep::Known;
use options::Decide;
pub(crate) use options::{Mode, Options};
pub(crate) use read::{Form, ReadThrough};
pub(crate) use source::internal;

/// Adds [`cached`](Self::cached) to SeaORM's selects.
///
/// | on | gives the methods |
/// |---|---|
/// | `Select<E>`, also from `find_by_id`, `find_related`, `find_linked` | `one`, `require_one`, `all`, `count`, `exists`, `paginate`, `cursor_by`, `from_raw_sql`, `into_model`, `into_partial_model`, `into_tuple`, `into_values`, `into_json` |
/// | `SelectTwo` to `SelectSix`, `SelectTwoRequired` | `one`, `require_one`, `all`, `count`, `exists`, `paginate`; two and three: `cursor_by` |
/// | `SelectTwoMany` to `SelectFourMany` (`find_with_related`, `consolidate`) | `all` |
/// | `Selector<S>` (`into_model`, `into_tuple`, …) | `one`, `require_one`, `all`, `count`, `exists` |
/// | `SelectorRaw` (`from_raw_sql`, `find_by_statement`) | `one`, `require_one`, `all`, `count`, `exists`, `paginate` |
/// | `Cursor` over entities (others: `.cached` before `cursor_by`) | `before`, `after`, `first`, `last`, `asc`, `desc`, `all` |
/// | `Vec<Model>`, `&[Model]` | `load_one`, `load_many`, `load_many_to_many`, `load_self`, … |
/// | `Entity::load()` (through [`CachedLoaderExt`]) | `one`, `all`, `paginate` |
///
/// `one`, `all` and the loads have a twin that ends in `_shared` and hands out an `Arc`: a hit then
/// copies a pointer.
///
/// # What a result must be able to
///
/// Models of entities are kept through their columns and need nothing. Anything else is kept
/// through serde, so it needs `Serialize` and `DeserializeOwned`, and a field that serde skips is
/// not kept by a store that holds bytes. Where an entity's model might be either, put `.cached`
/// right behind the select (`find().cached(ttl).from_raw_sql(..)`): there the entity is known.
pub trait CachedExt: Sized + sealed::Sealed {
    /// What a cached read of this kind is.
    type Cached;

    /// Answers from the cache what was answered less than `ttl` ago and has not changed since.
    /// A TTL of zero caches nothing.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub name: String }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sea_orm::{ConnectionTrait, Database, EntityTrait};
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY, name TEXT)").await?;
    ///
    /// let cakes = cake::Entity::find().cached(Duration::from_secs(60)).all(&db).await?;
    /// assert!(cakes.is_empty());
    /// # Ok(()) }
    /// ```
    fn cached(self, ttl: Duration) -> Self::Cached {
        self.with_options(Options { ttl: Some(ttl), ..Options::default() })
    }

    /// The same with the TTL that the entity declares for this kind of result (see
    /// [`CachedEntity`](crate::CachedEntity)), or else the cache's default. What loads of models
    /// give counts for the entity of the loaded ones; a select of no entity has the default.
    fn cached_default(self) -> Self::Cached {
        self.with_options(Options::default())
    }

    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached;
}

mod sealed {
    pub trait Sealed {}
}

/// What can be read through a cache.
pub trait Cacheable {
    /// One of its results: what [`cache_if`](Cached::cache_if) and
    /// [`ttl_with`](Cached::ttl_with) see.
    type Item;
}

/// A read whose result is cached. It has the methods of SeaORM's own, with the same results.
///
/// A caller that changes a returned model changes its own copy, never the entry.
///
/// "Not found" and empty lists are cached like any other result, and end with the insert that
/// changes them; see [`skip_empty`](Self::skip_empty).
#[derive(Debug)]
#[must_use]
pub struct Cached<Q: Cacheable> {
    query: Q,
    options: Options,
    decide: Decide<Q::Item>,
}

impl<Q: Cacheable + Clone> Clone for Cached<Q> {
    fn clone(&self) -> Self {
        let Self { query, options, decide } = self;
        Self { query: query.clone(), options: options.clone(), decide: decide.clone() }
    }
}

impl<Q: Cacheable> Cached<Q> {
    fn new(query: Q, options: Options) -> Self {
        Self { query, options, decide: Decide::default() }
    }

    /// How long the result may be used at most.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// Reads the database and stores nothing.
    pub fn bypass(mut self) -> Self {
        self.options.mode = Mode::Bypass;
        self
    }

    /// Reads the database and stores the result, whether or not a valid entry is there.
    pub fn refresh(mut self) -> Self {
        self.options.mode = Mode::Refresh;
        self
    }

    /// Also depends on this name:
    /// [`invalidate_tag`](crate::QueryCache::invalidate_tag) ends the entry.
    pub fn tag(mut self, name: &str) -> Self {
        self.options.tags.push(name.into());
        self
    }

    /// Keeps this query's entry apart from other scopes', as
    /// [`CachedConnection::scoped`](crate::CachedConnection::scoped) does for a connection.
    pub fn scope(mut self, name: &str) -> Self {
        self.options.scope = Some(name.into());
        self
    }

    /// Does not store "not found" or an empty list. What models load has an item for each of them,
    /// so it is never empty.
    pub fn skip_empty(mut self) -> Self {
        self.options.skip_empty = true;
        self
    }

    /// Stores only the results of which this is true. It sees the list, or one item or none;
    /// numbers are stored without asking. A select that is made into another afterwards
    /// (`into_model`, `cursor_by`, …) has other items, and stores nothing; nor do loads of models,
    /// whose items have several types.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub draft: bool }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// use std::time::Duration;
    /// use sea_orm::EntityTrait;
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cakes = cake::Entity::find()
    ///     .cached(Duration::from_secs(60))
    ///     .cache_if(|cakes| cakes.iter().all(|cake| !cake.draft));
    /// ```
    pub fn cache_if(mut self, keep: impl Fn(&[Q::Item]) -> bool + Send + Sync + 'static) -> Self {
        self.decide.keep = Some(Arc::new(keep));
        self
    }

    /// Takes the TTL from the result, instead of the one that was given; see
    /// [`cache_if`](Self::cache_if). Zero stores nothing.
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
    /// use std::time::Duration;
    /// use sea_orm::EntityTrait;
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cakes = cake::Entity::find()
    ///     .cached_default()
    ///     .ttl_with(|cakes| Duration::from_secs(if cakes.is_empty() { 5 } else { 600 }));
    /// ```
    pub fn ttl_with(
        mut self,
        ttl: impl Fn(&[Q::Item]) -> Duration + Send + Sync + 'static,
    ) -> Self {
        self.decide.ttl = Some(Arc::new(ttl));
        self
    }

    /// The same read of something else, with the same options.
    fn of<P: Cacheable>(self, query: impl FnOnce(Q) -> P) -> Cached<P> {
        let decide = self.decide.of_others();
        Cached { query: query(self.query), options: self.options, decide }
    }
}

/// The caller's own copy.
pub(crate) fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone())
}

fn table_of<E: EntityTrait>() -> &'static str {
    E::default().table_name()
}
