//! What a hit and a write cost.
//!
//! Criterion shows each time by itself; the ratios are measured apart, the two sides taking turns
//! in short rounds, so that a busy machine slows down both.

#[path = "../shelf/mod.rs"]
mod shelf;
mod threads;
mod writes;

use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use futures_util::FutureExt;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Value,
};
use sea_orm_cache::Event;
use sea_orm_cache::prelude::*;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use shelf::{TTL, book, median, nanos, verdict};

/// Operations in one round of a ratio: long enough for the clock, short beside a time slice.
const ROUND: usize = 256;
const ROUNDS: usize = 2_000;

fn by_author(author: i32) -> Select<book::Entity> {
    book::Entity::find()
        .filter(book::Column::AuthorId.eq(author))
        .order_by_desc(book::Column::Price)
}

fn hit(select: Select<book::Entity>, db: &CachedConnection) -> Arc<Vec<book::Model>> {
    // A hit never waits.
    let answer = select.cached(TTL).all_shared(db).now_or_never();
    answer.expect("a hit").expect("an answer")
}

/// The least that any cache with such keys must do: render the SQL and hash it with its values.
fn render_and_hash(select: Select<book::Entity>) -> [u8; 32] {
    let statement = select.build(DbBackend::Sqlite);
    let mut hash = Sha256::new();
    hash.update(&statement.sql);
    for value in statement.values.iter().flat_map(|values| &values.0) {
        match value {
            Value::Int(Some(number)) => hash.update(number.to_le_bytes()),
            other => hash.update(format!("{other:?}")),
        }
    }
    hash.finalize().into()
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let (plain, db) = runtime.block_on(open())?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    absolute(&mut criterion, &runtime, &plain, &db);
    criterion.final_summary();

    println!("\nRatios");
    hit_beside_hash(&db);
    hit_beside_query(&runtime, &plain, &db);
    threads::report(&db);
    runtime.block_on(writes::report())?;
    Ok(())
}

async fn open() -> Result<(DatabaseConnection, CachedConnection), Box<dyn Error>> {
    let plain = shelf::create(5_000).await?;
    let tags = Arc::new(Mutex::new(0));
    let seen = tags.clone();
    let count = move |event: &Event<'_>| {
        if let Event::Fill { tags, .. } = event {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = tags.len();
        }
    };
    let observed = QueryCache::builder().observer(count).build().await?;
    by_author(7).cached(TTL).all(&observed.connect(plain.clone()).await?).await?;
    println!("the list by author: {} tags", tags.lock().unwrap_or_else(PoisonError::into_inner));

    let db = QueryCache::builder().build().await?.connect(plain.clone()).await?;
    for author in [7, 8] {
        by_author(author).cached(TTL).all(&db).await?;
    }
    Ok((plain, db))
}

fn absolute(
    criterion: &mut Criterion,
    runtime: &Runtime,
    plain: &DatabaseConnection,
    db: &CachedConnection,
) {
    let batch = BatchSize::NumIterations(64);
    criterion.bench_function("hit, all_shared", |b| {
        b.iter_batched(|| by_author(7), |select| hit(select, db), batch);
    });
    criterion.bench_function("render and SHA-256", |b| {
        b.iter_batched(|| by_author(7), render_and_hash, batch);
    });
    criterion.bench_function("render alone", |b| {
        b.iter_batched(|| by_author(7), |select| select.build(DbBackend::Sqlite), batch);
    });
    criterion.bench_function("uncached, in-memory SQLite", |b| {
        b.iter(|| runtime.block_on(by_author(7).all(plain)).expect("an answer"));
    });
}

fn hit_beside_hash(db: &CachedConnection) {
    let (mut hits, mut hashes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let selects = vec![by_author(7); ROUND];
        let hit = nanos(|| selects.into_iter().for_each(|s| drop(black_box(hit(s, db)))));
        let selects = vec![by_author(7); ROUND];
        let hash = nanos(|| {
            selects.into_iter().for_each(|select| {
                black_box(render_and_hash(select));
            });
        });
        ratios.push(hit / hash);
        hits.push(hit / ROUND as f64);
        hashes.push(hash / ROUND as f64);
    }
    println!("hit {:.0} ns, render and SHA-256 {:.0} ns", median(hits), median(hashes));
    verdict("(a) hit / render and SHA-256", median(ratios), " x", 2.0, false);
}

fn hit_beside_query(runtime: &Runtime, plain: &DatabaseConnection, db: &CachedConnection) {
    let top = book::Entity::find().order_by_desc(book::Column::Price).limit(20);
    let cases = [
        ("a book by id", book::Entity::find_by_id(126)),
        ("the 18 books of an author", by_author(7)),
        ("the dearest 20 of 5,000, without an index", top),
    ];
    for (name, select) in cases {
        let (mut hits, mut queries, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        runtime.block_on(select.clone().cached(TTL).all(db)).expect("an answer");
        for _ in 0..ROUNDS / 2 {
            let selects = vec![select.clone(); ROUND];
            let hit = nanos(|| selects.into_iter().for_each(|s| drop(black_box(hit(s, db)))));
            let hit = hit / ROUND as f64;
            let selects = vec![select.clone(); 4];
            let query = runtime.block_on(async {
                let start = Instant::now();
                for select in selects {
                    black_box(select.all(plain).await.expect("an answer"));
                }
                start.elapsed().as_nanos() as f64 / 4.0
            });
            ratios.push(query / hit);
            hits.push(hit);
            queries.push(query);
        }
        println!("{name}: hit {:.0} ns, uncached {:.0} ns", median(hits), median(queries));
        verdict("(c) uncached / hit", median(ratios), " x", 100.0, true);
    }
}
