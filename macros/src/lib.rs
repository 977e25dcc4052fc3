//! The macros of [`sea-orm-cache`](https://docs.rs/sea-orm-cache), which exports them under its
//! feature `macros`.
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::todo, clippy::dbg_macro)]

mod cached_as;
mod entity;
mod options;
mod reports;
mod ttl;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, ItemImpl, LitStr, parse_macro_input};

/// Implements `CachedEntity` for the entity of a SeaORM model, from what `#[cached(..)]` says.
///
/// Write it on the `Model` struct, in SeaORM's classic format or behind `#[sea_orm::model]`. (Where
/// `Model` and `ModelEx` are both written by hand, on `ModelEx`.) Then
/// `cache.register::<Entity>()` puts it into effect. Every part is optional:
///
/// | `#[cached(..)]` | what it says |
/// |---|---|
/// | `ttl = "5m"` | the TTL of `cached_default()`; units are `ms`, `s`, `m`, `h` and `d` |
/// | `family_ttl(count = "30s", list = "1m")` | the same for one kind of results: `model`, `list`, `count`, `page`, `related` |
/// | `no_cache` | no query that reads the table is cached |
/// | `tags("catalog")` | every entry that reads the table ends with `invalidate_tag("catalog")` |
/// | `key(author_id, isbn)` | columns that queries filter by, beside those of keys and indexes |
/// | `case_insensitive(email)` | the same for text under a collation that ignores case |
/// | `related(author, review)` | relations (`Relation::Author`, or fields of the new format) that a rule may name: `rules().on::<Entity>().invalidates_declared()` |
///
/// Columns and relations are named as their fields are, or as their variants: `author_id` or
/// `AuthorId`. One that does not exist is an error at that word.
///
/// ```
/// mod book {
///     use sea_orm::entity::prelude::*;
///     use sea_orm_cache::CachedEntity;
///
///     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
///     #[sea_orm(table_name = "book")]
///     #[cached(ttl = "5m", family_ttl(count = "30s"), key(author_id), tags("catalog"))]
///     pub struct Model {
///         #[sea_orm(primary_key)]
///         pub id: i32,
///         pub author_id: i32,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl ActiveModelBehavior for ActiveModel {}
/// }
///
/// use sea_orm_cache::{CachedEntity, Family};
///
/// let policy = book::Entity::policy();
/// assert_eq!(policy.ttl_of(Family::Count).map(|ttl| ttl.as_secs()), Some(30));
/// assert_eq!(policy.ttl_of(Family::List).map(|ttl| ttl.as_secs()), Some(300));
/// ```
#[proc_macro_derive(CachedEntity, attributes(cached))]
pub fn cached_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    entity::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Caches what an async function returns, if that is `Ok`.
///
/// | `#[cached_as(..)]` | what it says |
/// |---|---|
/// | `ttl = "10m"` | how long it may be used; otherwise the cache's default |
/// | `deps(book::Entity, "tag")` | what it depends on, as in `deps!`; without it, whatever it reads through its argument `db`, a `CachedConnection`, is recorded |
/// | `key = "{genre} of {year}"` | the arguments that tell its values apart; otherwise all but `db` and `cache` |
/// | `name = "shelf"` | the name of its values; otherwise the function's path |
/// | `tags("catalog")`, `scope = tenant` | as on any value |
/// | `cache = state.cache()` | the cache; otherwise the argument `cache`, or that of `db` |
///
/// Arguments are taken through serde, each by itself, so that no two sets of them are one value.
///
/// ```
/// # mod book {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "book")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub genre: String }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
/// use sea_orm_cache::{CachedConnection, QueryCache, cached_as};
///
/// /// What it reads is found out.
/// #[cached_as(ttl = "10m")]
/// async fn books_of(db: &CachedConnection, genre: &str) -> Result<u64, DbErr> {
///     book::Entity::find().filter(book::Column::Genre.eq(genre)).count(db).await
/// }
///
/// /// What it depends on is said.
/// #[cached_as(ttl = "10m", deps(book::Entity), key = "{genre}")]
/// async fn report(cache: &QueryCache, genre: String, verbose: bool) -> Result<String, DbErr> {
///     if verbose {
///         println!("computing");
///     }
///     Ok(format!("all about {genre}"))
/// }
/// ```
#[proc_macro_attribute]
pub fn cached_as(options: TokenStream, function: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as cached_as::Options);
    let function = parse_macro_input!(function as ItemFn);
    cached_as::expand(&options, function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Has an entity's saves and deletes reported to the caches that
/// `receive_reports("main")`, for code that writes through a plain
/// `DatabaseConnection`. Write it on `impl ActiveModelBehavior for ActiveModel`, above
/// `async_trait` if that is there.
///
/// It is the second best: wrapping the connection sees everything. This sees what goes through an
/// active model's `insert`, `update`, `save` and `delete`, and nothing else: no `insert_many`, no
/// `update_many` or `delete_many`, no raw SQL, no cascade's or trigger's effect. It does not see
/// commits either. A save in a transaction invalidates at once; then the table is not cached until
/// the database says that every transaction of that time is over, and is invalidated again: so
/// that it is never stale in this process needs the database to be connected to the cache, and in
/// other processes it may be stale until then. The write returns without waiting for that.
///
/// ```
/// mod book {
///     use sea_orm::entity::prelude::*;
///
///     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
///     #[sea_orm(table_name = "book")]
///     pub struct Model {
///         #[sea_orm(primary_key)]
///         pub id: i32,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     #[sea_orm_cache::reports_to("main")]
///     impl ActiveModelBehavior for ActiveModel {}
/// }
/// ```
#[proc_macro_attribute]
pub fn reports_to(cache: TokenStream, behavior: TokenStream) -> TokenStream {
    let cache = parse_macro_input!(cache as LitStr);
    let behavior = parse_macro_input!(behavior as ItemImpl);
    reports::expand(&cache, behavior).unwrap_or_else(syn::Error::into_compile_error).into()
}
