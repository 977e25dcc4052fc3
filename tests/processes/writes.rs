//! The writes of a worker. Each tells the states that it brought about, and nothing of what it
//! rolled back: that has numbers which nobody may ever see.
//!
//! No two of them wait for each other in a circle: who locks several common books locks one of each
//! author at most, in the authors' order; or all of one author, which only one task ever does.

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, IntoActiveModel, QuerySelect, Set, TransactionTrait};
use sea_orm_cache::prelude::*;

use crate::shelf::{AUTHORS, COMMON, book, own};
use crate::wire::{Setup, State};

/// Far beyond all numbers that are committed.
const UNDONE: i64 = 1_000_000_000;

pub struct Writer {
    worker: usize,
    /// All of one author's common books are its to write at once.
    bulk: Vec<i32>,
    own: Vec<State>,
}

fn state(book: &book::Model) -> State {
    State { id: book.id, n: book.n, author: Some(book.author) }
}

impl Writer {
    pub fn new(setup: &Setup, task: usize) -> Self {
        let mine = |author: &i32| task == 0 && *author as usize % setup.workers == setup.worker;
        let state = |id| State { id, n: 0, author: Some(id % AUTHORS) };
        Self {
            worker: setup.worker,
            bulk: (0..AUTHORS).filter(mine).collect(),
            own: own(setup.worker, task).map(state).collect(),
        }
    }

    pub async fn write(
        &mut self,
        db: &CachedConnection,
        rng: &mut fastrand::Rng,
    ) -> Result<Vec<State>, DbErr> {
        match rng.u8(0..16) {
            0..3 => count_up(db, rng.i32(0..COMMON)).await,
            3 if !self.bulk.is_empty() => {
                let author = self.bulk[rng.usize(0..self.bulk.len())];
                count_all_up(db, author).await
            }
            3..6 => count_some_up(db, rng).await,
            6 => self.write_much(db).await,
            7..10 => self.write_both(db, rng).await,
            _ => {
                let position = rng.usize(0..self.own.len());
                let mut next = self.own[position];
                next.n += 1;
                next.author = match (next.author, rng.u8(0..4)) {
                    (Some(_), 0) => None,
                    (Some(author), 1) => Some((author + 1) % AUTHORS),
                    (Some(author), _) => Some(author),
                    (None, _) => Some(rng.i32(0..AUTHORS)),
                };
                self.become_one(db, rng, self.own[position], next).await?;
                self.own[position] = next;
                Ok(vec![next])
            }
        }
    }

    /// An own book in its next state, by one of the ways to say so.
    async fn become_one(
        &self,
        db: &impl ConnectionTrait,
        rng: &mut fastrand::Rng,
        now: State,
        next: State,
    ) -> Result<(), DbErr> {
        let State { id, n, .. } = next;
        let Some(author) = next.author else {
            let gone = book::Entity::delete_by_id(id).exec(db).await?;
            assert_eq!(gone.rows_affected, 1, "book {id} is nobody else's");
            return Ok(());
        };
        let model = book::ActiveModel { id: Set(id), author: Set(author), n: Set(n) };
        if now.author.is_none() {
            return model.insert(db).await.map(drop);
        }
        let written = match rng.u8(0..4) {
            0 => {
                let unchanged = book::Model { id, author, n: now.n }.into_active_model();
                let model = if now.author == next.author {
                    book::ActiveModel { n: Set(n), ..unchanged }
                } else {
                    model
                };
                model.update(db).await?;
                1
            }
            1 => {
                let many = book::Entity::update_many()
                    .col_expr(book::Column::N, Expr::value(n))
                    .col_expr(book::Column::Author, Expr::value(author));
                many.filter(book::Column::Id.eq(id)).exec(db).await?.rows_affected
            }
            2 => {
                // Whose rows these are only a look at them shows.
                let many = book::Entity::update_many()
                    .col_expr(book::Column::N, Expr::value(n))
                    .col_expr(book::Column::Author, Expr::value(author))
                    .filter(book::Column::Id.gte(id))
                    .filter(book::Column::Id.lt(id + 1));
                many.exec(db).await?.rows_affected
            }
            _ => {
                let sql = format!("UPDATE book SET n = {n}, author = {author} WHERE id = {id}");
                db.execute_unprepared(&sql).await?.rows_affected()
            }
        };
        assert_eq!(written, 1, "book {id} is nobody else's");
        Ok(())
    }

    /// Both own books in one transaction, with something undone in between; or all of it undone.
    async fn write_both(
        &mut self,
        db: &CachedConnection,
        rng: &mut fastrand::Rng,
    ) -> Result<Vec<State>, DbErr> {
        let transaction = db.begin().await?;
        let mut after = Vec::new();
        let undone = rng.u8(0..4) == 0;
        for now in &self.own {
            let author = Some(now.author.map_or(0, |author| (author + 1) % AUTHORS));
            let far = State { n: now.n + UNDONE, author, ..*now };
            if undone || rng.bool() {
                let savepoint = transaction.begin().await?;
                self.become_one(&savepoint, rng, *now, far).await?;
                savepoint.rollback().await?;
            }
            let next = if undone { far } else { State { n: now.n + 1, author, ..*now } };
            self.become_one(&transaction, rng, *now, next).await?;
            after.push(next);
        }
        if undone {
            return transaction.rollback().await.map(|()| Vec::new());
        }
        transaction.commit().await?;
        self.own.clone_from(&after);
        Ok(after)
    }

    /// Rows that nobody reads, but so many that telling of them takes kilobytes.
    async fn write_much(&self, db: &CachedConnection) -> Result<Vec<State>, DbErr> {
        let sql = format!("UPDATE bulk SET n = n + 1 WHERE worker = {} RETURNING id", self.worker);
        let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        db.query_all_raw(statement).await.map(|_| Vec::new())
    }
}

/// Raw SQL that tells what it did.
async fn count_up(db: &CachedConnection, id: i32) -> Result<Vec<State>, DbErr> {
    let sql = "UPDATE book SET n = n + 1 WHERE id = $1 RETURNING id, author, n";
    let statement =
        sea_orm::Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into()]);
    let row = db.query_one_raw(statement).await?.expect("a common book");
    let state = State {
        id: row.try_get_by_index(0)?,
        author: Some(row.try_get_by_index(1)?),
        n: row.try_get_by_index(2)?,
    };
    Ok(vec![state])
}

async fn count_all_up(db: &CachedConnection, author: i32) -> Result<Vec<State>, DbErr> {
    let many = book::Entity::update_many()
        .col_expr(book::Column::N, Expr::col(book::Column::N).add(1))
        .filter(book::Column::Author.eq(author))
        .filter(book::Column::Id.lt(COMMON));
    Ok(many.exec_with_returning(db).await?.iter().map(state).collect())
}

/// Some common books in one transaction, without being told what became of them.
async fn count_some_up(
    db: &CachedConnection,
    rng: &mut fastrand::Rng,
) -> Result<Vec<State>, DbErr> {
    let chosen = |author| rng.bool().then(|| author + AUTHORS * rng.i32(0..COMMON / AUTHORS));
    let ids: Vec<i32> = (0..AUTHORS).filter_map(chosen).collect();
    let undone = rng.u8(0..4) == 0;
    let transaction = db.begin().await?;
    let mut states = Vec::new();
    for id in ids {
        let locked = book::Entity::find_by_id(id).lock_exclusive().one(&transaction).await?;
        let mut book = locked.expect("a common book");
        book.n += if undone { UNDONE } else { 1 };
        let one = book::ActiveModel { id: Set(id), n: Set(book.n), ..Default::default() };
        book::Entity::update_many()
            .set(one)
            .filter(book::Column::Id.eq(id))
            .exec(&transaction)
            .await?;
        states.push(state(&book));
    }
    if undone {
        return transaction.rollback().await.map(|()| Vec::new());
    }
    transaction.commit().await.map(|()| states)
}
