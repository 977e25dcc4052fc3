//! Writes that an entity's own hooks report, because they go through a plain connection.

use std::any::type_name;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sea_orm::sea_query::{FromValueTuple, ValueTuple};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, PrimaryKeyTrait};

use crate::cache::{Engine, QueryCache};
use crate::database::Lost;
use crate::execute::begin_doubt;
use crate::invalidate::Invalidate;

/// The caches by their names, of which several may have the same.
static CACHES: Mutex<BTreeMap<String, Vec<Weak<Engine>>>> = Mutex::new(BTreeMap::new());

impl QueryCache {
    /// From now on this cache gets what entities that say `reports_to(name)` report: writes of
    /// theirs through a connection that is not wrapped. See [`reports_to`](crate::reports_to) for
    /// what that can't see.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.receive_reports("main");
    /// # Ok(()) }
    /// ```
    pub fn receive_reports(&self, name: &str) {
        let mut all = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
        let same = all.entry(name.to_owned()).or_default();
        let own = Arc::downgrade(&self.engine);
        same.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&own));
        same.push(own);
    }
}

fn named(name: &str) -> Vec<Arc<Engine>> {
    let all = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(name).into_iter().flatten().filter_map(Weak::upgrade).collect()
}

/// What [`reports_to`](crate::reports_to) calls when a row was written. `None`: nobody knows which.
#[doc(hidden)]
pub async fn __report<E: EntityTrait, C: ConnectionTrait>(
    cache: &str,
    _: &C,
    key: Option<ValueTuple>,
) {
    let connection = type_name::<C>();
    if connection.starts_with(concat!(env!("CARGO_CRATE_NAME"), "::")) {
        // Its writes are seen.
        return;
    }
    let what = || match &key {
        Some(key) => {
            let key = key.clone();
            Invalidate::row::<E, _>(
                <E::PrimaryKey as PrimaryKeyTrait>::ValueType::from_value_tuple(key),
            )
        }
        None => Invalidate::entity::<E>(),
    };
    for engine in named(cache) {
        if connection != type_name::<DatabaseConnection>() {
            // Perhaps a transaction, which commits when we are gone.
            for database in engine.connected() {
                let (bump, _) = what().bump(&engine);
                begin_doubt(&database, bump, Lost::Commit);
            }
        }
        QueryCache { engine }.invalidate(what()).await;
    }
}
