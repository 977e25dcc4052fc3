//! `.cached(ttl)` on a select.

mod paginate;
mod source;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    DbErr, EntityTrait, FromQueryResult, Iterable, ModelTrait, QueryResult, QueryTrait, Select,
    SelectExt,
};

pub use paginate::{CachedPaginator, ItemsAndPages, PageStream};
pub use source::CacheSource;

use crate::fill::{Decode, Decoded, Mode, Options, Read};
use crate::key::Family;
use crate::value::heap_bytes;

/// Adds [`cached`](Self::cached) to SeaORM's selects.
pub trait CachedExt: Sized + sealed::Sealed {
    /// What a cached select of this kind is.
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
    fn cached(self, ttl: Duration) -> Self::Cached;

    /// The same with the cache's default TTL.
    fn cached_default(self) -> Self::Cached;
}

mod sealed {
    pub trait Sealed {}
    impl<E: sea_orm::EntityTrait> Sealed for sea_orm::Select<E> {}
}

impl<E: EntityTrait> CachedExt for Select<E> {
    type Cached = CachedSelect<E>;

    fn cached(self, ttl: Duration) -> CachedSelect<E> {
        CachedSelect { select: self, options: Options { ttl: Some(ttl), ..Options::default() } }
    }

    fn cached_default(self) -> CachedSelect<E> {
        CachedSelect { select: self, options: Options::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { ttl: None, mode: Mode::Cached, tags: Vec::new(), scope: None }
    }
}

/// A select whose result is cached. It has the methods of SeaORM's own [`Select`], with the same
/// results.
///
/// A caller that changes a returned model changes its own copy, never the entry.
#[derive(Clone, Debug)]
#[must_use]
pub struct CachedSelect<E: EntityTrait> {
    select: Select<E>,
    options: Options,
}

impl<E: EntityTrait> CachedSelect<E> {
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
}

impl<E> CachedSelect<E>
where
    E: EntityTrait,
    E::Model: Clone + Send + Sync + 'static,
{
    /// The first model, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn one<D: CacheSource>(mut self, db: &D) -> Result<Option<E::Model>, DbErr> {
        QueryTrait::query(&mut self.select).limit(1);
        let decode = |rows: &[QueryResult]| -> Result<Decoded<Option<E::Model>>, DbErr> {
            let Decoded { mut value, heap_bytes } = models::<E>(rows)?;
            Ok(Decoded { value: value.pop(), heap_bytes })
        };
        let query = self.select.as_query();
        fetch::<E, _, _, _>(db, Family::Model, query, &self.options, decode).await.map(owned)
    }

    /// The first model.
    ///
    /// # Errors
    ///
    /// [`DbErr::RecordNotFound`] if there is none, or the database's.
    pub async fn require_one<D: CacheSource>(self, db: &D) -> Result<E::Model, DbErr> {
        let missing = || DbErr::RecordNotFound("None of the models match the query".to_owned());
        self.one(db).await?.ok_or_else(missing)
    }

    /// All models.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all<D: CacheSource>(self, db: &D) -> Result<Vec<E::Model>, DbErr> {
        self.all_shared(db).await.map(owned)
    }

    /// All models, shared with the cache: a hit copies a pointer.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn all_shared<D: CacheSource>(self, db: &D) -> Result<Arc<Vec<E::Model>>, DbErr> {
        let query = self.select.as_query();
        fetch::<E, _, _, _>(db, Family::List, query, &self.options, models::<E>).await
    }

    /// How many rows the query has, its own limit and offset included.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn count<D: CacheSource>(self, db: &D) -> Result<u64, DbErr> {
        let query = count_of(self.select.as_query().clone().clear_order_by().to_owned());
        fetch::<E, _, _, _>(db, Family::Count, &query, &self.options, number).await.map(|n| *n)
    }

    /// Whether the query has any row, whatever its limit and offset.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn exists<D: CacheSource>(self, db: &D) -> Result<bool, DbErr> {
        let query = self.select.exists_query().limit(1).to_owned();
        let decode = |rows: &[QueryResult]| -> Result<Decoded<bool>, DbErr> {
            Ok(Decoded { value: !rows.is_empty(), heap_bytes: 0 })
        };
        fetch::<E, _, _, _>(db, Family::Count, &query, &self.options, decode)
            .await
            .map(|found| *found)
    }

    /// Pages of `page_size` rows, each cached by itself.
    ///
    /// # Panics
    ///
    /// If `page_size` is 0, as SeaORM's own.
    pub fn paginate<D: CacheSource>(self, db: &D, page_size: u64) -> CachedPaginator<'_, D, E> {
        CachedPaginator::new(db, self.select.into_query(), self.options, page_size)
    }
}

/// `SELECT COUNT(*) FROM (query)`, as SeaORM writes it.
fn count_of(query: SelectStatement) -> SelectStatement {
    SelectStatement::new()
        .expr(Expr::cust("COUNT(*) AS num_items"))
        .from_subquery(query, "sub_query")
        .to_owned()
}

async fn fetch<E, D, T, F>(
    db: &D,
    family: Family,
    query: &SelectStatement,
    options: &Options,
    decode: F,
) -> Result<Arc<T>, DbErr>
where
    E: EntityTrait,
    D: CacheSource,
    T: std::any::Any + Send + Sync,
    F: Decode<T>,
{
    let entity = E::default();
    let read = Read {
        database: db.database(),
        conn: db.conn(),
        nearest: &|tables| db.nearest(tables),
        in_transaction: &|| db.in_transaction(),
        may_load: D::MAY_LOAD,
        scope: db.scope_name(),
        family,
        table: entity.table_name(),
        query,
        options,
    };
    read.fetch(decode).await
}

/// The caller's own copy.
fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone())
}

fn models<E: EntityTrait>(rows: &[QueryResult]) -> Result<Decoded<Vec<E::Model>>, DbErr> {
    let mut heap = rows.len() * size_of::<E::Model>();
    let mut value = Vec::with_capacity(rows.len());
    for row in rows {
        let model = E::Model::from_query_result(row, "")?;
        heap += E::Column::iter().map(|column| heap_bytes(&model.get(column))).sum::<usize>();
        value.push(model);
    }
    Ok(Decoded { value, heap_bytes: heap })
}

fn number(rows: &[QueryResult]) -> Result<Decoded<u64>, DbErr> {
    let count = match rows.first() {
        Some(row) => row.try_get_by_index::<i64>(0)?,
        None => 0,
    };
    Ok(Decoded { value: count.unsigned_abs(), heap_bytes: 0 })
}
