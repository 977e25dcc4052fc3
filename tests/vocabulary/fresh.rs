//! The referee: after every acknowledged write each value is what a fresh computation gives.

use std::future::Future;
use std::pin::Pin;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use sea_orm_cache::prelude::*;

use crate::places::{Place, places};
use crate::support::{TTL, author, book, review};

/// A computation, which says what it reads by its own description.
#[derive(Debug, Clone)]
enum Work {
    Count(i32),
    Top(u64),
    One(i32),
    Names,
    Ratings(i32),
    Sum(Vec<Work>),
    /// A value of its own within the other.
    Value(Box<Work>),
}

impl Work {
    fn random(rng: &mut fastrand::Rng, depth: usize) -> Self {
        match rng.u8(0..if depth == 0 { 5 } else { 8 }) {
            0 => Self::Count(rng.i32(1..4)),
            1 => Self::Top(rng.u64(1..4)),
            2 => Self::One(rng.i32(1..8)),
            3 => Self::Names,
            4 => Self::Ratings(rng.i32(1..8)),
            5 | 6 => {
                Self::Sum((0..rng.usize(1..4)).map(|_| Self::random(rng, depth - 1)).collect())
            }
            _ => Self::Value(Box::new(Self::random(rng, depth - 1))),
        }
    }

    /// By plain reads.
    fn fresh<'w>(
        &'w self,
        db: &'w impl ConnectionTrait,
    ) -> Pin<Box<dyn Future<Output = Result<String, DbErr>> + 'w>> {
        Box::pin(async move {
            Ok(match self {
                Self::Count(author) => count(*author).count(db).await?.to_string(),
                Self::Top(n) => format!("{:?}", top(*n).all(db).await?),
                Self::One(id) => format!("{:?}", book::Entity::find_by_id(*id).one(db).await?),
                Self::Names => format!("{:?}", names().all(db).await?),
                Self::Ratings(book) => format!("{:?}", ratings(*book).all(db).await?),
                Self::Sum(parts) => {
                    let mut all = String::new();
                    for part in parts {
                        all += &part.fresh(db).await?;
                    }
                    all
                }
                Self::Value(inner) => inner.fresh(db).await?,
            })
        })
    }

    /// The same, some of it by cached reads, and remembered where it says so.
    fn remembered<'w>(
        &'w self,
        cache: &'w QueryCache,
        db: &'w CachedConnection,
        seed: u64,
    ) -> Pin<Box<dyn Future<Output = Result<String, DbErr>> + Send + 'w>> {
        Box::pin(async move {
            let cached = seed.is_multiple_of(2);
            Ok(match self {
                Self::Count(author) if cached => {
                    count(*author).cached(TTL).count(db).await?.to_string()
                }
                Self::Top(n) if cached => format!("{:?}", top(*n).cached(TTL).all(db).await?),
                Self::One(id) if cached => {
                    format!("{:?}", book::Entity::find_by_id(*id).cached(TTL).one(db).await?)
                }
                Self::Ratings(book) if cached => {
                    format!("{:?}", ratings(*book).cached(TTL).all(db).await?)
                }
                Self::Count(author) => count(*author).count(db).await?.to_string(),
                Self::Top(n) => format!("{:?}", top(*n).all(db).await?),
                Self::One(id) => format!("{:?}", book::Entity::find_by_id(*id).one(db).await?),
                Self::Names => format!("{:?}", names().all(db).await?),
                Self::Ratings(book) => format!("{:?}", ratings(*book).all(db).await?),
                Self::Sum(parts) => {
                    let mut all = String::new();
                    for (number, part) in parts.iter().enumerate() {
                        all += &part.remembered(cache, db, seed / 2 + number as u64).await?;
                    }
                    all
                }
                Self::Value(inner) => inner.value(cache, db, seed / 2).await?,
            })
        })
    }

    async fn value(
        &self,
        cache: &QueryCache,
        db: &CachedConnection,
        seed: u64,
    ) -> Result<String, DbErr> {
        let (work, inner) = (self.clone(), cache.clone());
        let named = cache.value("work").argument(&format!("{self:?}")).ttl(TTL);
        named.remember(db, |db| async move { work.remembered(&inner, &db, seed).await }).await
    }
}

fn count(author: i32) -> sea_orm::Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(author))
}

fn top(n: u64) -> sea_orm::Select<book::Entity> {
    let by_price = book::Entity::find().order_by_desc(book::Column::Price);
    by_price.order_by_asc(book::Column::Id).limit(n)
}

fn names() -> sea_orm::Select<author::Entity> {
    author::Entity::find().order_by_asc(author::Column::Id)
}

fn ratings(book: i32) -> sea_orm::Select<review::Entity> {
    let of = review::Entity::find().filter(review::Column::BookId.eq(book));
    of.order_by_asc(review::Column::Id)
}

fn write(rng: &mut fastrand::Rng, step: usize) -> String {
    let (book, author, n) = (rng.i32(1..8), rng.i32(1..4), rng.i32(0..400));
    match rng.u8(0..8) {
        0 => format!("UPDATE book SET price = {n} WHERE id = {book}"),
        1 => format!("UPDATE book SET author_id = {author} WHERE id = {book}"),
        2 => format!("INSERT OR IGNORE INTO book VALUES ({book}, 'b', {author}, 1, {n}, 1)"),
        3 => format!("DELETE FROM book WHERE id = {book}"),
        4 => format!("UPDATE author SET name = 'n{step}' WHERE id = {author}"),
        5 => format!("INSERT OR REPLACE INTO review VALUES ({book}, {book}, {n})"),
        6 => format!("UPDATE book SET price = price + 1 WHERE price < {n}"),
        _ => format!("DELETE FROM review WHERE rating < {n}"),
    }
}

async fn referee(place: Place, seed: u64, steps: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let works: Vec<_> = (0..12).map(|_| Work::random(&mut rng, 3)).collect();
    let plain = place.db.inner();
    for step in 0..steps {
        let sql = write(&mut rng, step);
        // One that breaks a foreign key is none.
        if place.db.execute_unprepared(&sql).await.is_err() {
            continue;
        }
        for _ in 0..3 {
            let work = &works[rng.usize(0..works.len())];
            let value = work.value(&place.cache, &place.db, rng.u64(..)).await.expect("a value");
            let fresh = work.fresh(plain).await.expect("a value");
            assert_eq!(value, fresh, "{} seed {seed} step {step}: {work:?}", place.name);
        }
    }
    let stats = place.cache.stats().total;
    assert!(stats.hits > steps as u64 / 4, "{}: {stats:?}", place.name);
}

#[tokio::test]
async fn after_every_write_a_value_is_what_a_fresh_computation_gives() {
    let steps = std::env::var("REMEMBER_STEPS").map_or(300, |steps| steps.parse().expect("steps"));
    for seed in 0..3 {
        for place in places().await {
            referee(place, seed, steps).await;
        }
    }
}
