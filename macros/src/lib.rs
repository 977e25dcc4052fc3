//! The derive macro of [`sea-orm-cache`](https://docs.rs/sea-orm-cache), which exports it under its
//! feature `macros`.
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::todo, clippy::dbg_macro)]

mod entity;
mod options;
mod ttl;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

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
