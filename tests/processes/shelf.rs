//! The table that all processes read and write.

use sea_orm::{ConnectionTrait, DatabaseConnection};

pub mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub author: i32,
        pub n: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub const AUTHORS: i32 = 4;
/// Books that everybody counts up, and that never move: book k is of author k % AUTHORS.
pub const COMMON: i32 = 12;
/// Tasks of a worker, and books that only one task writes, absolutely, and moves and deletes.
pub const TASKS: usize = 4;
pub const OWN: usize = 2;
/// Rows that a worker writes all at once, so that it has much to tell.
pub const BULK: usize = 200;

/// The keys of a task's own books.
pub fn own(worker: usize, task: usize) -> std::ops::Range<i32> {
    let first = COMMON as usize + (worker * TASKS + task) * OWN;
    first as i32..(first + OWN) as i32
}

pub fn books(workers: usize) -> i32 {
    own(workers, 0).start
}

pub async fn set_up(db: &DatabaseConnection, workers: usize) {
    let sql = format!(
        "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, n BIGINT NOT NULL);
         CREATE INDEX book_author ON book (author);
         CREATE INDEX book_n ON book (n);
         INSERT INTO book SELECT k, k % {AUTHORS}, 0 FROM generate_series(0, {} - 1) AS k;
         CREATE TABLE bulk (id INTEGER PRIMARY KEY, worker INTEGER NOT NULL, n BIGINT NOT NULL);
         INSERT INTO bulk SELECT k, k / {BULK}, 0 FROM generate_series(0, {} - 1) AS k",
        books(workers),
        workers * BULK,
    );
    db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
