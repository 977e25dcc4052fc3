//! A reader and a writer: one cache in memory, or two that share a Redis, as two processes do.

use std::any::Any;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Coherence, ManualClock};

use crate::processes::World;
use crate::support::redis::{eventually, is_there};
use crate::support::{Log, Shop};

pub struct Place {
    pub name: &'static str,
    pub cache: QueryCache,
    pub db: CachedConnection,
    pub clock: Arc<ManualClock>,
    pub log: Log,
    pub other: CachedConnection,
    /// Others' writes count after a moment.
    later: bool,
    _keep: Box<dyn Any>,
}

impl Place {
    async fn memory() -> Self {
        let shop = Shop::new().await;
        let (cache, db, clock, log) =
            (shop.cache.clone(), shop.db.clone(), shop.clock.clone(), shop.log.clone());
        let other = db.clone();
        Self { name: "memory", cache, db, clock, log, other, later: false, _keep: Box::new(shop) }
    }

    async fn shared(name: &'static str, coherence: Coherence) -> Self {
        let world = World::new().await;
        let (one, two) = (world.process(coherence).await, world.process(coherence).await);
        let (cache, db, clock, log) =
            (one.cache.clone(), one.db.clone(), one.clock.clone(), one.log.clone());
        let (other, later) = (two.db.clone(), coherence != Coherence::Strong);
        Self { name, cache, db, clock, log, other, later, _keep: Box::new((world, one, two)) }
    }

    pub async fn write(&self, sql: &str) {
        self.other.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// In the reader's own process, which knows what was read and so what need not end.
    pub async fn write_here(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// After a write the value is this.
    pub async fn sees<T: PartialEq + std::fmt::Debug>(
        &self,
        wanted: T,
        value: impl AsyncFn() -> T,
    ) {
        if self.later {
            eventually("what another wrote is seen", async || value().await == wanted).await;
        }
        assert_eq!(value().await, wanted, "{}: {:?}", self.name, self.log.take());
    }

    pub fn hits(&self) -> u64 {
        self.cache.stats().total.hits
    }
}

/// All kinds of them.
pub async fn places() -> Vec<Place> {
    let mut places = vec![Place::memory().await];
    if is_there() {
        places.push(Place::shared("strong", Coherence::Strong).await);
        places.push(Place::shared("bounded", Coherence::bounded()).await);
    }
    places
}
