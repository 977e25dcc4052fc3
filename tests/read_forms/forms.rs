//! Reads of one table.

use sea_orm::entity::prelude::*;
use sea_orm::{
    DbBackend, FromQueryResult, JsonValue, PaginatorTrait, QueryOrder, QuerySelect, SelectExt,
    Statement, Value,
};
use sea_orm_cache::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entities::book;
use crate::support::TTL;
use crate::world::{Form, World};

#[derive(Clone, Debug, FromQueryResult, Serialize, Deserialize)]
struct Priced {
    title: String,
    price: i32,
}

#[derive(Clone, Debug, DerivePartialModel, Serialize, Deserialize)]
#[sea_orm(entity = "book::Entity")]
struct Labelled {
    id: i32,
    #[sea_orm(from_col = "title")]
    label: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveIden)]
enum Shown {
    Price,
    Id,
}

fn of_ann() -> Select<book::Entity> {
    book::Entity::find().filter(book::Column::AuthorId.eq(1)).order_by_asc(book::Column::Id)
}

/// Without the columns that it does not need.
fn bare() -> Select<book::Entity> {
    of_ann().select_only().columns([book::Column::Id, book::Column::Title, book::Column::Price])
}

fn totals() -> Select<book::Entity> {
    book::Entity::find()
        .select_only()
        .column(book::Column::AuthorId)
        .column_as(book::Column::Price.max(), "dearest")
        .filter(book::Column::AuthorId.is_in([1, 2]))
        .group_by(book::Column::AuthorId)
        .order_by_asc(book::Column::AuthorId)
}

fn raw(world: &World, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    let backend = world.plain.get_database_backend();
    let mut sql = sql.to_owned();
    if backend == DbBackend::Postgres {
        sql = sql.replacen('?', "$1", 1).replacen('?', "$2", 1);
    }
    Statement::from_sql_and_values(backend, sql, values)
}

fn books_of(world: &World, author: i32) -> Statement {
    raw(world, "SELECT * FROM book WHERE author_id = ? ORDER BY id", [author.into()])
}

fn dearer(world: &World, than: i32) -> Statement {
    let sql = "SELECT title, price FROM book WHERE author_id = ? AND price > ? ORDER BY price";
    raw(world, sql, [1.into(), than.into()])
}

/// Writes to rows and tables that no form here reads.
const FAR: &[&str] = &[
    "UPDATE book SET price = 7 WHERE id = 90",
    "UPDATE book SET title = 'x', note = 'y' WHERE author_id = 90",
    "INSERT INTO book VALUES (92, 90, 'New', 5, NULL)",
    "DELETE FROM book WHERE id = 91",
    "UPDATE book SET author_id = 91 WHERE id = 90",
    "UPDATE author SET name = 'x' WHERE id = 1",
    "INSERT INTO author VALUES (50, 'New', NULL)",
    "DELETE FROM review",
    "UPDATE shelf SET n = n + 1",
    "INSERT INTO shelf VALUES (9, 9)",
    "DELETE FROM book_tag WHERE book_id = 1",
];

/// Writes that change the list of Ann's books.
const LIST: &[&str] = &[
    "UPDATE book SET title = 'x' WHERE id = 1",
    "UPDATE book SET price = price + 1 WHERE author_id = 1",
    "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)",
    "DELETE FROM book WHERE id = 2",
    "UPDATE book SET author_id = 1 WHERE id = 90",
    "UPDATE book SET author_id = 2 WHERE id = 1",
    "DELETE FROM book",
];

/// Writes that change how many books Ann has.
const NUMBER: &[&str] = &[
    "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)",
    "DELETE FROM book WHERE id = 2",
    "UPDATE book SET author_id = 1 WHERE id = 90",
    "UPDATE book SET author_id = 2 WHERE author_id = 1",
];

pub fn all() -> Vec<Form> {
    let mut all = models();
    all.extend(numbers());
    all.extend(shaped());
    all.extend(in_sql());
    all.extend(cursors());
    all
}

fn models() -> Vec<Form> {
    vec![
        form!("find_by_id", |db, _w| [book::Entity::find_by_id(2)] [.one(db)],
            &["UPDATE book SET note = NULL WHERE id = 2", "DELETE FROM book WHERE id = 2",
              "UPDATE book SET id = 55 WHERE id = 2"], FAR),
        form!("find_by_id of none", |db, _w| [book::Entity::find_by_id(77)] [.one(db)],
            &["INSERT INTO book VALUES (77, 1, 'x', 1, NULL)",
              "UPDATE book SET id = 77 WHERE id = 2"], FAR),
        form!("all", |db, _w| [of_ann()] [.all(db)], LIST, FAR),
        form!("all of none", |db, _w| [of_ann().filter(book::Column::Price.gt(5000))] [.all(db)],
            &["UPDATE book SET price = 6000 WHERE id = 1"], FAR),
        form!("one of many", |db, _w| [of_ann().order_by_desc(book::Column::Price)] [.one(db)],
            &["UPDATE book SET price = 6000 WHERE id = 1", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (0, 1, 'New', 5, NULL)"], FAR),
        form!("require_one", |db, _w| [of_ann()] [.require_one(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1"], FAR),
        form!("a page", |db, _w| [of_ann()] [.paginate(db, 1).fetch_page(1)],
            &["UPDATE book SET title = 'x' WHERE id = 2", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (0, 1, 'New', 5, NULL)"], FAR),
        form!("find_many", |db, _w| [many()] [.read(db)],
            &["UPDATE book SET title = 'x' WHERE id = 3", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (77, 1, 'New', 5, NULL)"], FAR),
    ]
}

fn numbers() -> Vec<Form> {
    vec![
        form!("count", |db, _w| [of_ann()] [.count(db)], NUMBER, FAR),
        form!("exists", |db, _w| [of_ann()] [.exists(db)],
            &["DELETE FROM book WHERE author_id = 1",
              "UPDATE book SET author_id = 2 WHERE author_id = 1"], FAR),
        form!("exists not", |db, _w| [of_ann().filter(book::Column::Price.gt(5000))] [.exists(db)],
            &["UPDATE book SET price = 6000 WHERE id = 1",
              "INSERT INTO book VALUES (50, 1, 'New', 6000, NULL)"], FAR),
        form!("num_items", |db, _w| [of_ann()] [.paginate(db, 2).num_items()], NUMBER, FAR),
        form!("num_pages", |db, _w| [of_ann()] [.paginate(db, 1).num_pages()], NUMBER, FAR),
    ]
}

/// Writes that change no column that a sum needs, or rows that it does not meet.
const HIDDEN_OR_FAR: &[&str] = &[
    "UPDATE book SET note = 'x' WHERE id = 1",
    "UPDATE book SET note = 'x' WHERE author_id = 1",
    "UPDATE book SET title = 'x'",
    "UPDATE book SET price = 7 WHERE id = 90",
    "UPDATE book SET title = 'x', note = 'y' WHERE author_id = 90",
    "INSERT INTO book VALUES (92, 90, 'New', 5, NULL)",
    "DELETE FROM book WHERE id = 91",
    "UPDATE author SET name = 'x' WHERE id = 1",
    "DELETE FROM review",
    "UPDATE shelf SET n = n + 1",
];

fn shaped() -> Vec<Form> {
    vec![
        form!("into_model", |db, _w| [bare().into_model::<Priced>()] [.all(db)], LIST, FAR),
        form!("into_model, of one", |db, _w| [bare().into_model::<Priced>()] [.one(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1"], FAR),
        form!("cached, into_model", |db, _w| [bare()] [.into_model::<Priced>().all(db)], LIST, FAR),
        form!("cached, into_model, a page",
            |db, _w| [bare()] [.into_model::<Priced>().paginate(db, 9).fetch_page(0)], LIST, FAR),
        form!("into_model, count", |db, _w| [bare().into_model::<Priced>()] [.count(db)],
            NUMBER, FAR),
        form!("into_model, exists", |db, _w| [bare().into_model::<Priced>()] [.exists(db)],
            &["DELETE FROM book WHERE author_id = 1"], FAR),
        form!("into_partial_model", |db, _w| [of_ann().into_partial_model::<Labelled>()] [.all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1"],
            FAR),
        form!("cached, into_partial_model",
            |db, _w| [of_ann()] [.into_partial_model::<Labelled>().all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1"],
            FAR),
        form!("into_tuple", |db, _w| [bare().into_tuple::<(i32, String, i32)>()] [.all(db)],
            LIST, FAR),
        form!("cached, into_tuple",
            |db, _w| [bare()] [.into_tuple::<(i32, String, i32)>().paginate(db, 9).fetch()],
            LIST, FAR),
        form!("into_values", |db, _w| [bare().into_values::<(i32, i32), Shown>()] [.all(db)],
            LIST_OF_PRICES, FAR),
        form!("cached, into_values", |db, _w| [bare()] [.into_values::<(i32, i32), Shown>().all(db)],
            LIST_OF_PRICES, FAR),
        form!("into_json", |db, _w| [of_ann().into_json()] [.all(db)], LIST, FAR),
        form!("cached, into_json", |db, _w| [of_ann()] [.into_json().one(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1"], FAR),
        form!("a sum", |db, _w| [totals().into_tuple::<(i32, Option<i32>)>()] [.all(db)],
            &["UPDATE book SET price = 6000 WHERE id = 1", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (50, 1, 'New', 6000, NULL)",
              "UPDATE book SET author_id = 1 WHERE id = 90"],
            HIDDEN_OR_FAR),
    ]
}

const LIST_OF_PRICES: &[&str] = &[
    "UPDATE book SET price = price + 1 WHERE author_id = 1",
    "INSERT INTO book VALUES (50, 1, 'New', 5, NULL)",
    "DELETE FROM book WHERE id = 2",
];

fn in_sql() -> Vec<Form> {
    vec![
        form!("from_raw_sql",
            |db, w| [book::Entity::find().from_raw_sql(books_of(w, 1))] [.all(db)], LIST, FAR),
        form!("cached, from_raw_sql",
            |db, w| [book::Entity::find()] [.from_raw_sql(books_of(w, 1)).all(db)], LIST, FAR),
        form!("from_raw_sql, the first",
            |db, w| [book::Entity::find().from_raw_sql(books_of(w, 1))] [.one(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (0, 1, 'New', 5, NULL)"], FAR),
        form!("from_raw_sql, a page",
            |db, w| [book::Entity::find().from_raw_sql(books_of(w, 1))]
                [.paginate(db, 1).fetch_page(1)],
            &["UPDATE book SET title = 'x' WHERE id = 2", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (0, 1, 'New', 5, NULL)"], FAR),
        form!("from_raw_sql, count",
            |db, w| [book::Entity::find().from_raw_sql(books_of(w, 1))] [.count(db)], NUMBER, FAR),
        form!("from_raw_sql, exists",
            |db, w| [book::Entity::find().from_raw_sql(books_of(w, 1))] [.exists(db)],
            &["DELETE FROM book WHERE author_id = 1"], FAR),
        form!("find_by_statement", |db, w| [Priced::find_by_statement(dearer(w, 15))] [.all(db)],
            &["UPDATE book SET price = 40 WHERE id = 2", "DELETE FROM book WHERE id = 1",
              "INSERT INTO book VALUES (50, 1, 'New', 6000, NULL)"], FAR),
        form!("find_by_statement into_json",
            |db, w| [JsonValue::find_by_statement(dearer(w, 15))] [.require_one(db)],
            &["UPDATE book SET price = 20 WHERE id = 2", "UPDATE book SET price = 31 WHERE id = 1"],
            FAR),
    ]
}

fn cursors() -> Vec<Form> {
    vec![
        form!("cursor, first", |db, _w| [of_ann()] [.cursor_by(book::Column::Id).first(1).all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1",
              "INSERT INTO book VALUES (0, 1, 'New', 5, NULL)"], FAR),
        form!("cursor, last", |db, _w| [of_ann()] [.cursor_by(book::Column::Id).last(2).all(db)],
            &["INSERT INTO book VALUES (50, 1, 'New', 5, NULL)", "DELETE FROM book WHERE id = 1"],
            FAR),
        // The same SQL as the one before, in the other direction.
        form!("cursor, descending",
            |db, _w| [of_ann()] [.cursor_by(book::Column::Id).desc().first(2).all(db)],
            &["INSERT INTO book VALUES (50, 1, 'New', 5, NULL)", "DELETE FROM book WHERE id = 1"],
            FAR),
        form!("cursor, after", |db, _w| [of_ann()] [.cursor_by(book::Column::Id).after(1).all(db)],
            &["INSERT INTO book VALUES (50, 1, 'New', 5, NULL)", "DELETE FROM book WHERE id = 2"],
            FAR),
        form!("cursor, before",
            |db, _w| [of_ann()]
                [.cursor_by((book::Column::Price, book::Column::Id)).before((20, 0)).all(db)],
            &["UPDATE book SET price = 50 WHERE id = 2", "UPDATE book SET price = 5 WHERE id = 1"],
            FAR),
        form!("cursor, cached", |db, _w| [of_ann().cursor_by(book::Column::Id)] [.last(2).all(db)],
            LIST, FAR),
        form!("cursor, descending, cached",
            |db, _w| [of_ann().cursor_by(book::Column::Id)] [.desc().first(2).all(db)],
            LIST, FAR),
        form!("last of a cursor, cached",
            |db, _w| [{
                let mut cursor = of_ann().cursor_by(book::Column::Id);
                cursor.last(2);
                cursor
            }] [.all(db)],
            LIST, FAR),
        form!("cursor, into_partial_model",
            |db, _w| [of_ann()]
                [.cursor_by(book::Column::Id).into_partial_model::<Labelled>().first(9).all(db)],
            &["UPDATE book SET title = 'x' WHERE id = 1", "DELETE FROM book WHERE id = 1"],
            FAR),
        form!("cursor, into_json",
            |db, _w| [of_ann()] [.cursor_by(book::Column::Id).into_json().first(9).all(db)],
            LIST, FAR),
    ]
}

/// `find_many` beside the same by hand.
struct Many {
    ttl: Option<std::time::Duration>,
}

fn many() -> Many {
    Many { ttl: None }
}

impl Many {
    fn cached(self, ttl: std::time::Duration) -> Self {
        Self { ttl: Some(ttl) }
    }

    async fn read(self, db: &impl ManySource) -> Result<Vec<Option<book::Model>>, DbErr> {
        db.many([3, 77, 1, 3], self.ttl).await
    }
}

trait ManySource {
    fn many(
        &self,
        ids: [i32; 4],
        ttl: Option<std::time::Duration>,
    ) -> impl Future<Output = Result<Vec<Option<book::Model>>, DbErr>> + Send;
}

impl ManySource for DatabaseConnection {
    async fn many(
        &self,
        ids: [i32; 4],
        _: Option<std::time::Duration>,
    ) -> Result<Vec<Option<book::Model>>, DbErr> {
        let mut found = Vec::new();
        for id in ids {
            found.push(book::Entity::find_by_id(id).one(self).await?);
        }
        Ok(found)
    }
}

impl ManySource for CachedConnection {
    async fn many(
        &self,
        ids: [i32; 4],
        ttl: Option<std::time::Duration>,
    ) -> Result<Vec<Option<book::Model>>, DbErr> {
        self.cache().find_many::<book::Entity>(self, ids, ttl.expect("a TTL")).await
    }
}
