//! The trace's reads and writes as SeaORM statements.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
    Statement,
};
use sea_orm_cache::prelude::*;

use crate::schema::{author, book, review};
use crate::trace::{Query, Write};

/// Longer than any run: only writes end entries.
const TTL: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Book(Option<book::Model>),
    Books(Vec<book::Model>),
    Reviews(Vec<review::Model>),
    Number(u64),
    Author(Option<author::Model>),
}

enum Asked {
    Book(Select<book::Entity>),
    Books(Select<book::Entity>),
    Reviews(Select<review::Entity>),
    Number(Select<review::Entity>),
    Author(Select<author::Entity>),
}

fn select(query: Query) -> Asked {
    match query {
        Query::Book(id) => Asked::Book(book::Entity::find_by_id(id)),
        Query::BooksOfAuthor(author) => Asked::Books(
            book::Entity::find()
                .filter(book::Column::AuthorId.eq(author))
                .order_by_asc(book::Column::Id),
        ),
        Query::LatestReviews(book) => Asked::Reviews(
            review::Entity::find()
                .filter(review::Column::BookId.eq(book))
                .order_by_desc(review::Column::Id)
                .limit(10),
        ),
        Query::NumberOfReviews(book) => {
            Asked::Number(review::Entity::find().filter(review::Column::BookId.eq(book)))
        }
        Query::TopOfGenre(genre) => Asked::Books(
            book::Entity::find()
                .filter(book::Column::Genre.eq(genre))
                .order_by_desc(book::Column::Price)
                .order_by_asc(book::Column::Id)
                .limit(20),
        ),
        Query::Author(id) => Asked::Author(author::Entity::find_by_id(id)),
        Query::Cheapest(price) => Asked::Books(
            book::Entity::find()
                .filter(book::Column::Price.lt(price))
                .order_by_asc(book::Column::Price)
                .order_by_asc(book::Column::Id)
                .limit(20),
        ),
    }
}

/// The database's own answer.
pub async fn fresh(query: Query, db: &DatabaseConnection) -> Result<Answer, DbErr> {
    Ok(match select(query) {
        Asked::Book(select) => Answer::Book(select.one(db).await?),
        Asked::Books(select) => Answer::Books(select.all(db).await?),
        Asked::Reviews(select) => Answer::Reviews(select.all(db).await?),
        Asked::Number(select) => Answer::Number(select.count(db).await?),
        Asked::Author(select) => Answer::Author(select.one(db).await?),
    })
}

pub async fn cached(query: Query, db: &CachedConnection) -> Result<Answer, DbErr> {
    Ok(match select(query) {
        Asked::Book(select) => Answer::Book(select.cached(TTL).one(db).await?),
        Asked::Books(select) => Answer::Books(select.cached(TTL).all(db).await?),
        Asked::Reviews(select) => Answer::Reviews(select.cached(TTL).all(db).await?),
        Asked::Number(select) => Answer::Number(select.cached(TTL).count(db).await?),
        Asked::Author(select) => Answer::Author(select.cached(TTL).one(db).await?),
    })
}

pub async fn write(write: Write, db: &impl ConnectionTrait) -> Result<(), DbErr> {
    match write {
        Write::NewReview { book } => {
            review::ActiveModel {
                book_id: Set(book),
                rating: Set(3),
                body: Set("n".to_owned()),
                ..Default::default()
            }
            .insert(db)
            .await?;
        }
        Write::Stock { book } => {
            book::Entity::update_many()
                .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).sub(1))
                .filter(book::Column::Id.eq(book))
                .exec(db)
                .await?;
        }
        Write::Price { book, price } => {
            book::ActiveModel { id: Set(book), price: Set(price), ..Default::default() }
                .update(db)
                .await?;
        }
        Write::Rename { author } => {
            let backend = db.get_database_backend();
            let mark = if backend == DbBackend::Postgres { "$1" } else { "?" };
            let sql = format!("UPDATE author SET name = concat(name, 'x') WHERE id = {mark}");
            db.execute_raw(Statement::from_sql_and_values(backend, sql, [author.into()])).await?;
        }
        Write::DeleteReview { id } => {
            review::Entity::delete_by_id(id).exec(db).await?;
        }
        Write::GenrePrices { genre } => {
            book::Entity::update_many()
                .col_expr(book::Column::Price, Expr::col(book::Column::Price).add(1))
                .filter(book::Column::Genre.eq(genre))
                .exec(db)
                .await?;
        }
    }
    Ok(())
}
