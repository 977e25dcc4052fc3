//! The library itself under one capture policy, on a database of its own.

use std::error::Error;
use std::time::Instant;

use fake::rand::SeedableRng;
use fake::rand::rngs::StdRng;
use hdrhistogram::Histogram;
use sea_orm::DbErr;
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Capture, Observer};

use crate::answer::{self, Answer};
use crate::schema;
use crate::trace::{Query, WRITES, Write};

/// Room for all results of the trace, so that only writes end entries.
const MAX_BYTES: usize = 256 << 20;

pub struct Shop {
    pub capture: Capture,
    pub db: CachedConnection,
    /// Nanoseconds of each kind of write.
    pub writes: Vec<Histogram<u64>>,
}

impl Shop {
    pub async fn new(
        capture: Capture,
        observer: Option<impl Observer + 'static>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut rng = StdRng::seed_from_u64(5);
        let plain = schema::create(&mut rng).await?;
        let mut builder = QueryCache::builder().max_bytes(MAX_BYTES).capture(capture);
        if let Some(observer) = observer {
            builder = builder.observer(observer);
        }
        let db = builder.build().await?.connect(plain).await?;
        let writes = WRITES.iter().map(|_| Histogram::new_with_max(10_000_000_000, 3));
        Ok(Self { capture, db, writes: writes.collect::<Result<_, _>>()? })
    }

    pub fn hits(&self) -> u64 {
        self.db.cache().stats().total.hits
    }

    /// The cached answer, and whether an entry gave it.
    pub async fn read(&self, query: Query) -> Result<(Answer, bool), DbErr> {
        let hits = self.hits();
        let answer = answer::cached(query, &self.db).await?;
        Ok((answer, self.hits() > hits))
    }

    pub async fn write(&mut self, write: Write) -> Result<(), DbErr> {
        let start = Instant::now();
        answer::write(write, &self.db).await?;
        self.writes[write.kind()].saturating_record(start.elapsed().as_nanos() as u64);
        Ok(())
    }
}
