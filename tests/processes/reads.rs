//! The reads of a worker.

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm_cache::prelude::*;

use crate::shelf::{AUTHORS, COMMON, OWN, TASKS, book};
use crate::support::TTL;
use crate::wire::{Query, Seen};

pub async fn read(db: &CachedConnection, rng: &mut fastrand::Rng) -> Result<(Query, Seen), DbErr> {
    let author = rng.i32(0..AUTHORS);
    let query = match rng.u8(0..10) {
        0..4 => Query::Key(rng.i32(0..COMMON + (2 * TASKS * OWN) as i32)),
        4..6 => Query::Author(author),
        6 => Query::Ranked(author),
        7 => Query::Top,
        _ => Query::Count(author),
    };
    let of = |author| book::Entity::find().filter(book::Column::Author.eq(author));
    let ranked = |select: sea_orm::Select<book::Entity>| {
        select.order_by_desc(book::Column::N).order_by_asc(book::Column::Id)
    };
    let seen = match query {
        Query::Key(id) => {
            let found = book::Entity::find_by_id(id).cached(TTL).one(db).await?;
            rows(found.as_slice())
        }
        Query::Author(author) => {
            rows(&of(author).order_by_asc(book::Column::Id).cached(TTL).all_shared(db).await?)
        }
        Query::Ranked(author) => rows(&ranked(of(author)).cached(TTL).all(db).await?),
        Query::Top => rows(&ranked(book::Entity::find()).limit(3).cached(TTL).all(db).await?),
        Query::Count(author) => Seen::Count(of(author).cached(TTL).count(db).await?),
    };
    Ok((query, seen))
}

fn rows(books: &[book::Model]) -> Seen {
    Seen::Rows(books.iter().map(|book| (book.id, book.author, book.n)).collect())
}
