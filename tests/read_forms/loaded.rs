//! Reads that take several statements.

use sea_orm::compound::EntityLoaderTrait;
use sea_orm::entity::prelude::*;
use sea_orm::{LoaderTrait, QueryOrder};
use sea_orm_cache::prelude::*;

use crate::entities::*;
use crate::support::TTL;
use crate::world::Form;

async fn authors(db: &impl ConnectionTrait) -> Vec<author::Model> {
    let both = author::Entity::find().filter(author::Column::Id.lte(2));
    both.order_by_asc(author::Column::Id).all(db).await.expect("authors")
}

async fn books(db: &impl ConnectionTrait) -> Vec<book::Model> {
    let all = book::Entity::find().filter(book::Column::AuthorId.lte(2));
    all.order_by_desc(book::Column::Id).all(db).await.expect("books")
}

async fn people(db: &impl ConnectionTrait) -> Vec<person::Model> {
    let all = person::Entity::find().filter(person::Column::Id.lte(3));
    all.order_by_asc(person::Column::Id).all(db).await.expect("people")
}

fn tags() -> Select<tag::Entity> {
    tag::Entity::find().order_by_asc(tag::Column::Id)
}

/// Writes to rows that no loader here meets, and to tables that none reads.
const FAR: &[&str] = &[
    "UPDATE book SET price = 7 WHERE id = 90",
    "UPDATE book SET title = 'x', note = 'y' WHERE id = 91",
    "UPDATE author SET name = 'x' WHERE id = 90",
    "UPDATE publisher SET name = 'x' WHERE id = 90",
    "UPDATE tag SET name = 'x' WHERE id = 90",
    "UPDATE person SET name = 'x' WHERE id = 90",
    "UPDATE review SET stars = 0 WHERE id = 90",
    "UPDATE shelf SET n = n + 1",
    "INSERT INTO shelf VALUES (9, 9)",
    "DELETE FROM shelf",
    "DELETE FROM award",
];

pub fn all() -> Vec<Form> {
    let mut all = of_models();
    all.extend(of_entities());
    all
}

fn of_models() -> Vec<Form> {
    vec![
        form!("load_one", |db, _w| [books(db).await] [.load_one(author::Entity, db)],
            &["UPDATE author SET name = 'x' WHERE id = 1", "DELETE FROM author WHERE id = 2"], FAR),
        form!("load_many", |db, _w| [authors(db).await] [.load_many(book::Entity, db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 3",
              "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)",
              "UPDATE book SET author_id = 2 WHERE id = 90"], FAR),
        form!("load_many of some",
            |db, _w| [authors(db).await]
                [.load_many(book::Entity::find().filter(book::Column::Price.gt(15)), db)],
            &["UPDATE book SET price = 16 WHERE id = 2", "DELETE FROM book WHERE id = 3"], FAR),
        form!("load_many, through a junction", |db, _w| [books(db).await] [.load_many(tags(), db)],
            &["UPDATE tag SET name = 'x' WHERE id = 1", "INSERT INTO book_tag VALUES (2, 2)",
              "DELETE FROM book_tag WHERE book_id = 3"], FAR),
        form!("load_many_to_many",
            |db, _w| [books(db).await] [.load_many_to_many(tags(), book_tag::Entity, db)],
            &["UPDATE tag SET name = 'x' WHERE id = 1", "INSERT INTO book_tag VALUES (2, 2)",
              "DELETE FROM book_tag WHERE book_id = 3"], FAR),
        form!("load_self",
            |db, _w| [people(db).await]
                [.load_self(person::Entity, person::Relation::Boss, db)],
            &["UPDATE person SET name = 'x' WHERE id = 1"], FAR),
        form!("load_self_many",
            |db, _w| [people(db).await]
                [.load_self_many(person::Entity, person::Relation::Boss, db)],
            &["UPDATE person SET name = 'x' WHERE id = 3", "INSERT INTO person VALUES (50, 'New', 1)",
              "UPDATE person SET boss_id = 1 WHERE id = 90"], FAR),
        form!("load_self_via", |db, _w| [people(db).await] [.load_self_via(follow::Entity, db)],
            &["UPDATE person SET name = 'x' WHERE id = 1", "DELETE FROM follow WHERE who = 3",
              "INSERT INTO follow VALUES (1, 3)"], FAR),
        form!("load_self_via_rev",
            |db, _w| [people(db).await] [.load_self_via_rev(follow::Entity, db)],
            &["UPDATE person SET name = 'x' WHERE id = 3", "DELETE FROM follow WHERE who = 3",
              "INSERT INTO follow VALUES (1, 3)"], FAR),
    ]
}

fn of_entities() -> Vec<Form> {
    vec![
        form!("load",
            |db, _w| [author::Entity::load().filter(author::Column::Id.lte(2))
                .order_by_id_asc().with(publisher::Entity).with(book::Entity)] [.all(db)],
            &["UPDATE author SET name = 'x' WHERE id = 1", "UPDATE book SET title = 'x' WHERE id = 3",
              "UPDATE publisher SET name = 'x' WHERE id = 1",
              "INSERT INTO book VALUES (50, 2, 'New', 5, NULL)"], FAR),
        // The same first statement with less behind it.
        form!("load, less", |db, _w| [author::Entity::load().filter(author::Column::Id.lte(2))
                .order_by_id_asc().with(publisher::Entity)] [.all(db)],
            &["UPDATE publisher SET name = 'x' WHERE id = 1",
              "INSERT INTO author VALUES (0, 'New', 2)"], FAR),
        form!("load, one", |db, _w| [book::Entity::load().filter_by_id(1)
                .with(tag::Entity).with(review::Entity)] [.one(db)],
            &["UPDATE tag SET name = 'x' WHERE id = 2", "INSERT INTO review VALUES (50, 1, 1)",
              "DELETE FROM book_tag WHERE tag_id = 2", "DELETE FROM book WHERE id = 1"], FAR),
        form!("load, nested", |db, _w| [publisher::Entity::load().filter_by_id(1)
                .with((author::Entity, book::Entity))] [.all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 2", "INSERT INTO author VALUES (50, 'New', 1)",
              "UPDATE publisher SET name = 'x' WHERE id = 1"], FAR),
        form!("load, a page", |db, _w| [book::Entity::load()
                .filter(book::Column::AuthorId.eq(1)).order_by_id_asc()
                .with(review::Entity)] [.paginate(db, 1).fetch_page(0)],
            &["UPDATE review SET stars = 0 WHERE id = 1", "UPDATE book SET title = 'x' WHERE id = 1"],
            FAR),
        form!("load, num_items", |db, _w| [book::Entity::load()
                .filter(book::Column::AuthorId.eq(1))] [.paginate(db, 1).num_items()],
            &["DELETE FROM book WHERE id = 1", "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)"],
            FAR),
    ]
}
