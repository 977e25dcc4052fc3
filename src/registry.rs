//! All entities that derive a policy, by the modules that they are in.

use crate::cache::QueryCache;
use crate::entity::CachedEntity;

/// An entity that derives `CachedEntity`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registered {
    module: &'static str,
    register: fn(&QueryCache),
}

inventory::collect!(Registered);

#[doc(hidden)]
pub use inventory::submit;

impl Registered {
    #[doc(hidden)]
    pub const fn new<E: CachedEntity>(module: &'static str) -> Self {
        Self { module, register: |cache| _ = cache.register::<E>() }
    }
}

impl QueryCache {
    /// [Registers](Self::register) every entity that derives `CachedEntity` in this module and
    /// below, and returns how many there are. `my_crate::entity` and `my_crate::entity::*` are the
    /// same, and so are a package's name and its crate's.
    ///
    /// It knows the entities of all crates that are linked into the program; one of which nothing
    /// else is used may not be.
    ///
    /// ```
    /// mod shop {
    ///     pub mod book {
    ///         use sea_orm::entity::prelude::*;
    ///         use sea_orm_cache::CachedEntity;
    ///
    ///         #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    ///         #[sea_orm(table_name = "book")]
    ///         #[cached(ttl = "5m")]
    ///         pub struct Model {
    ///             #[sea_orm(primary_key)]
    ///             pub id: i32,
    ///         }
    ///
    ///         #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    ///         pub enum Relation {}
    ///
    ///         impl ActiveModelBehavior for ActiveModel {}
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// assert_eq!(cache.register_all(concat!(module_path!(), "::shop::*")), 1);
    /// # Ok(()) }
    /// ```
    pub fn register_all(&self, modules: &str) -> usize {
        let modules = modules.trim_end_matches('*').trim_end_matches(':').replace('-', "_");
        let within = |module: &str| {
            let rest = module.strip_prefix(&*modules);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let found = inventory::iter::<Registered>().filter(|entity| within(entity.module));
        found.map(|entity| (entity.register)(self)).count()
    }
}

/// What the derive macro ends with.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_entity {
    ($entity:ty) => {
        $crate::submit! {
            $crate::Registered::new::<$entity>(::core::module_path!())
        }
    };
}
