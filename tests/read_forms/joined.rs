//! Reads of several tables at once.

use sea_orm::entity::prelude::*;
use sea_orm::{PaginatorTrait, QueryOrder, SelectExt};
use sea_orm_cache::prelude::*;

use crate::entities::*;
use crate::support::TTL;
use crate::world::Form;

fn of_ann() -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(1)).order_by_asc(book::Column::Id)
}

/// Writes to rows that no join here meets, and to tables that none reads. A row that appears or
/// goes in a joined table ends them all: which rows it would meet is not known.
const FAR: &[&str] = &[
    "UPDATE book SET price = 7 WHERE id = 90",
    "UPDATE book SET title = 'x', note = 'y' WHERE author_id = 90",
    "UPDATE author SET name = 'x' WHERE id = 90",
    "UPDATE publisher SET name = 'x' WHERE id = 90",
    "UPDATE tag SET name = 'x' WHERE id = 90",
    "UPDATE review SET stars = 9 WHERE id = 90",
    "UPDATE edition SET year = 9 WHERE id = 90",
    "UPDATE award SET year = 9 WHERE id = 90",
    "UPDATE shelf SET n = n + 1",
    "INSERT INTO shelf VALUES (9, 9)",
    "DELETE FROM follow",
    "UPDATE person SET boss_id = 3",
];

const BOOK_OR_AUTHOR: &[&str] = &[
    "UPDATE author SET name = 'x' WHERE id = 1",
    "UPDATE book SET title = 'x' WHERE id = 1",
    "DELETE FROM author WHERE id = 1",
    "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)",
    "UPDATE book SET author_id = 1 WHERE id = 90",
];

const BOOK_OR_REVIEW: &[&str] = &[
    "UPDATE review SET stars = 1 WHERE id = 2",
    "INSERT INTO review VALUES (50, 2, 4)",
    "DELETE FROM review WHERE id = 1",
    "UPDATE review SET book_id = 2 WHERE id = 90",
    "UPDATE book SET title = 'x' WHERE id = 1",
    "DELETE FROM book WHERE id = 2",
];

const ALL_SIX: &[&str] = &[
    "UPDATE book SET title = 'x' WHERE id = 1",
    "UPDATE author SET name = 'x' WHERE id = 1",
    "UPDATE review SET stars = 1 WHERE id = 2",
    "INSERT INTO review VALUES (50, 2, 4)",
];

pub fn all() -> Vec<Form> {
    let mut all = two();
    all.extend(more());
    all.extend(gathered());
    all
}

fn two() -> Vec<Form> {
    vec![
        form!("find_also_related", |db, _w| [of_ann().find_also_related(author::Entity)] [.all(db)],
            BOOK_OR_AUTHOR, FAR),
        form!("find_also_related, one",
            |db, _w| [of_ann().find_also_related(author::Entity)] [.one(db)],
            &["UPDATE author SET name = 'x' WHERE id = 1", "DELETE FROM author",
              "UPDATE book SET title = 'x' WHERE id = 1"], FAR),
        form!("find_also_related, count",
            |db, _w| [of_ann().find_also_related(review::Entity)] [.count(db)],
            &["INSERT INTO review VALUES (50, 1, 4)",
              "DELETE FROM book WHERE id = 2"], FAR),
        form!("find_also_related, exists",
            |db, _w| [of_ann().find_also_related(review::Entity)] [.exists(db)],
            &["DELETE FROM book WHERE author_id = 1"], FAR),
        form!("find_also_related, a page",
            |db, _w| [of_ann().find_also_related(author::Entity)] [.paginate(db, 9).fetch()],
            BOOK_OR_AUTHOR, FAR),
        form!("find_also_related, cursor",
            |db, _w| [of_ann().find_also_related(author::Entity)]
                [.cursor_by(book::Column::Id).last(2).all(db)],
            BOOK_OR_AUTHOR, FAR),
        form!("cursor_by_other, cached",
            |db, _w| [of_ann().find_also_related(author::Entity)
                .cursor_by_other(author::Column::Id)] [.first(9).all(db)],
            BOOK_OR_AUTHOR, FAR),
        form!("find_also_related, into_json",
            |db, _w| [of_ann().find_also_related(author::Entity).into_json()] [.all(db)],
            BOOK_OR_AUTHOR, FAR),
        form!("find_both_related", |db, _w| [of_ann().find_both_related(review::Entity)
                .order_by_asc(review::Column::Id)] [.all(db)],
            &["UPDATE review SET stars = 1 WHERE id = 2", "INSERT INTO review VALUES (50, 2, 4)",
              "DELETE FROM book WHERE id = 1"], FAR),
        form!("find_linked", |db, _w| [Ann.find_linked(db).await] [.all(db)],
            &["UPDATE review SET stars = 1 WHERE id = 2", "INSERT INTO review VALUES (50, 2, 4)",
              "UPDATE book SET author_id = 1 WHERE id = 90"], FAR),
        form!("find_also_linked",
            |db, _w| [author::Entity::find_by_id(2).find_also_linked(author::Judged)] [.all(db)],
            &["UPDATE review SET stars = 1 WHERE id = 3", "DELETE FROM review WHERE id = 3",
              "UPDATE author SET name = 'x' WHERE id = 2"], FAR),
        form!("find_related", |db, _w| [Ann.find_related(db).await] [.all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1",
              "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)"], FAR),
    ]
}

struct Ann;

impl Ann {
    async fn load(&self, db: &impl ConnectionTrait) -> author::Model {
        author::Entity::find_by_id(1).one(db).await.expect("a read").expect("Ann")
    }

    async fn find_linked(&self, db: &impl ConnectionTrait) -> Select<review::Entity> {
        let reviews = self.load(db).await.find_linked(author::Judged);
        reviews.order_by_asc(review::Column::Id)
    }

    async fn find_related(&self, db: &impl ConnectionTrait) -> Select<book::Entity> {
        self.load(db).await.find_related(book::Entity).order_by_asc(book::Column::Id)
    }
}

fn more() -> Vec<Form> {
    vec![
        form!("three", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(book::Entity, review::Entity)
                .order_by_asc(review::Column::Id)] [.all(db)], ALL_SIX, FAR),
        form!("three, one", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(author::Entity, publisher::Entity)] [.one(db)],
            &["UPDATE publisher SET name = 'x' WHERE id = 1",
              "UPDATE author SET publisher_id = 2 WHERE id = 1"], FAR),
        form!("three, cursor", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(author::Entity, publisher::Entity)]
                [.cursor_by(book::Column::Id).after(1).all(db)],
            &["UPDATE publisher SET name = 'x' WHERE id = 1",
              "UPDATE author SET publisher_id = 2 WHERE id = 1"], FAR),
        form!("four", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(author::Entity, publisher::Entity)
                .find_also(book::Entity, review::Entity)
                .order_by_asc(review::Column::Id)] [.all(db)], ALL_SIX, FAR),
        form!("five", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(author::Entity, publisher::Entity)
                .find_also(book::Entity, review::Entity)
                .find_also(book::Entity, edition::Entity).order_by_asc(edition::Column::Id)
                .order_by_asc(review::Column::Id)] [.all(db)], ALL_SIX, FAR),
        form!("six", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(author::Entity, publisher::Entity)
                .find_also(book::Entity, review::Entity)
                .find_also(book::Entity, edition::Entity).order_by_asc(edition::Column::Id)
                .find_also(book::Entity, award::Entity)
                .order_by_asc(award::Column::Id)
                .order_by_asc(review::Column::Id)] [.paginate(db, 20).fetch()], ALL_SIX, FAR),
    ]
}

fn gathered() -> Vec<Form> {
    vec![
        form!("find_with_related", |db, _w| [of_ann().find_with_related(review::Entity)
                .order_by_asc(review::Column::Id)] [.all(db)], BOOK_OR_REVIEW, FAR),
        form!("find_with_related, through a junction",
            |db, _w| [of_ann().find_with_related(tag::Entity)
                .order_by_asc(tag::Column::Id)] [.all(db)],
            &["DELETE FROM book_tag WHERE tag_id = 2", "UPDATE tag SET name = 'x' WHERE id = 1",
              "INSERT INTO book_tag VALUES (2, 90)"], FAR),
        form!("find_with_linked",
            |db, _w| [author::Entity::find_by_id(2).find_with_linked(author::Judged)] [.all(db)],
            &["UPDATE review SET stars = 1 WHERE id = 3", "DELETE FROM review WHERE id = 3",
              "UPDATE author SET name = 'x' WHERE id = 2"], FAR),
        form!("three, consolidated", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(book::Entity, review::Entity)
                .order_by_asc(review::Column::Id).consolidate()] [.all(db)], ALL_SIX, FAR),
        form!("a chain, consolidated", |db, _w| [author::Entity::find_by_id(1)
                .find_also_related(book::Entity)
                .and_also_related(review::Entity)
                .order_by_asc(book::Column::Id)
                .order_by_asc(review::Column::Id).consolidate()] [.all(db)],
            BOOK_OR_REVIEW, FAR),
        form!("four, consolidated", |db, _w| [of_ann().find_also_related(author::Entity)
                .find_also(book::Entity, review::Entity)
                .find_also(book::Entity, edition::Entity).order_by_asc(edition::Column::Id)
                .order_by_asc(review::Column::Id).consolidate()] [.all(db)], ALL_SIX, FAR),
    ]
}
