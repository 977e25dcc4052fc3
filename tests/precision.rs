//! What a write ends, and what it leaves alone.

mod support;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, Set};
use sea_orm_cache::Capture;
use sea_orm_cache::prelude::*;
use support::*;

/// Fills these queries, runs a write, and tells which of them are still answered from memory.
struct Desk(Shop);

const KINDS: [&str; 9] = [
    "book 1",
    "book 4",
    "no book 99",
    "books of author 1",
    "books of author 2",
    "dearest of genre 1",
    "number of books of author 1",
    "reviews of book 1",
    "number of reviews of book 4",
];

impl Desk {
    async fn ask(&self, kind: usize) -> Result<(), DbErr> {
        let db = &self.0.db;
        let by_author = |id| book::Entity::find().filter(book::Column::AuthorId.eq(id));
        let of_book = |id| review::Entity::find().filter(review::Column::BookId.eq(id));
        match kind {
            0 => book::Entity::find_by_id(1).cached(TTL).one(db).await.map(drop),
            1 => book::Entity::find_by_id(4).cached(TTL).one(db).await.map(drop),
            2 => book::Entity::find_by_id(99).cached(TTL).one(db).await.map(drop),
            3 => by_author(1).cached(TTL).all(db).await.map(drop),
            4 => by_author(2).cached(TTL).all(db).await.map(drop),
            5 => {
                let genre = book::Entity::find().filter(book::Column::Genre.eq(1));
                let dearest = genre.order_by_desc(book::Column::Price).limit(10);
                dearest.cached(TTL).all(db).await.map(drop)
            }
            6 => by_author(1).cached(TTL).count(db).await.map(drop),
            7 => of_book(1).cached(TTL).all(db).await.map(drop),
            _ => of_book(4).cached(TTL).count(db).await.map(drop),
        }
    }

    async fn ended_by<T>(
        &self,
        write: impl Future<Output = Result<T, DbErr>>,
    ) -> Vec<&'static str> {
        for kind in 0..KINDS.len() {
            self.ask(kind).await.expect("an answer");
        }
        write.await.expect("a write");
        let mut ended = Vec::new();
        for (kind, name) in KINDS.into_iter().enumerate() {
            let hits = self.0.hits();
            self.ask(kind).await.expect("an answer");
            if self.0.hits() == hits {
                ended.push(name);
            }
        }
        ended
    }
}

#[tokio::test]
async fn a_write_ends_only_what_depends_on_it() {
    let desk = Desk(Shop::new().await);
    let db = &desk.0.db;
    let price = book::ActiveModel { id: Set(1), price: Set(101), ..Default::default() };
    assert_eq!(
        desk.ended_by(price.update(db)).await,
        ["book 1", "books of author 1", "dearest of genre 1"]
    );
    // A column that no list sorts or filters by: those that show the book.
    let stock = book::Entity::update_many()
        .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).sub(1))
        .filter(book::Column::Id.eq(4));
    assert_eq!(desk.ended_by(stock.exec(db)).await, ["book 4", "books of author 2"]);
    let review = review::ActiveModel { book_id: Set(1), rating: Set(1), ..Default::default() };
    assert_eq!(desk.ended_by(review.insert(db)).await, ["reviews of book 1"]);
    // Only the row itself knows which book it was for.
    assert_eq!(
        desk.ended_by(review::Entity::delete_by_id(4).exec(db)).await,
        ["number of reviews of book 4"]
    );
    let moved = book::ActiveModel { id: Set(4), author_id: Set(Some(1)), ..Default::default() };
    assert_eq!(
        desk.ended_by(moved.update(db)).await,
        ["book 4", "books of author 1", "books of author 2", "number of books of author 1"]
    );
    let new = book::ActiveModel {
        id: Set(99),
        title: Set("New".into()),
        author_id: Set(Some(3)),
        genre: Set(3),
        price: Set(1),
        stock: Set(1),
    };
    assert_eq!(desk.ended_by(new.insert(db)).await, ["no book 99"]);
    assert_eq!(desk.ended_by(db.execute_unprepared("UPDATE author SET name = 'X'")).await, [""; 0]);
    assert_eq!(
        desk.ended_by(db.execute_unprepared("UPDATE book SET price = price + 1 WHERE genre = 2"))
            .await,
        // Books 2 and 4, both of author 1 by now.
        ["book 4", "books of author 1"]
    );
    let book = book::Entity::find_by_id(99).one(db).await.expect("a book").expect("book 99");
    assert_eq!(
        desk.ended_by(book.into_active_model().delete(db)).await,
        // The cascade to reviews is known by book only for the slices of `book_id`.
        ["no book 99", "reviews of book 1"]
    );
}

#[tokio::test]
async fn without_capture_more_is_ended_and_nothing_is_read() {
    let desk = Desk(Shop::with(Capture::Never).await);
    let ended = desk.ended_by(review::Entity::delete_by_id(4).exec(&desk.0.db)).await;
    assert_eq!(ended, ["number of reviews of book 4"]);
    assert_eq!(desk.0.cache.stats().captures, 0);
}

#[tokio::test]
async fn rows_are_read_only_where_a_cached_result_gains_by_it() {
    let shop = Shop::new().await;
    shop.sql("DELETE FROM review WHERE id = 4").await.expect("a write");
    assert_eq!(shop.cache.stats().captures, 0, "nothing is cached");
    let desk = Desk(shop);
    desk.ended_by(desk.0.sql("UPDATE book SET title = 'x' WHERE id = 1")).await;
    assert_eq!(desk.0.cache.stats().captures, 0, "nothing is sorted by title");
    desk.ended_by(desk.0.sql("DELETE FROM review WHERE id = 3")).await;
    assert_eq!(desk.0.cache.stats().captures, 1, "reviews are counted by book");
}

#[tokio::test]
async fn a_captured_write_fails_and_counts_as_the_plain_one() -> Result<(), DbErr> {
    let desk = Desk(Shop::with(Capture::Always).await);
    for kind in 0..KINDS.len() {
        desk.ask(kind).await?;
    }
    let shop = &desk.0;
    let done = shop.sql("UPDATE book SET price = price + 1 WHERE price < 1000").await?;
    assert_eq!(done.rows_affected(), 4);
    assert!(shop.cache.stats().captures > 0);
    shop.sql("UPDATE book SET title = NULL WHERE price < 1000").await.expect_err("NOT NULL");
    let titles = book::Entity::find().all(&shop.plain).await?;
    assert!(titles.iter().all(|book| !book.title.is_empty()));
    Ok(())
}
