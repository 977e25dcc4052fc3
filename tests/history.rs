//! Two pools and many tasks against one cache on a real server. What each task did and saw is
//! checked for the promise: a read that starts after a write was acknowledged sees it.

mod stage;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, TransactionTrait};
use sea_orm_cache::prelude::*;
use stage::Stage;
use support::TTL;
use support::servers::Backend;

mod counter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "counter")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub shelf: i32,
        pub n: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const ROWS: usize = 12;
const SHELVES: usize = 3;
const TASKS: u64 = 8;
const OPERATIONS: usize = 2_000;

/// What is known to be committed: each row's number only grows, so a read must not show less.
struct History {
    acknowledged: [AtomicI64; ROWS],
    reads: AtomicU64,
}

impl History {
    fn now(&self) -> Vec<i64> {
        self.acknowledged.iter().map(|n| n.load(Ordering::SeqCst)).collect()
    }

    fn acknowledge(&self, row: usize, n: i64) {
        self.acknowledged[row].fetch_max(n, Ordering::SeqCst);
    }

    fn check(&self, lower: &[i64], seen: &[counter::Model]) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        for row in seen {
            let least = lower[row.id as usize];
            assert!(
                row.n >= least,
                "stale: row {} shows {}, {least} was acknowledged",
                row.id,
                row.n
            );
        }
    }
}

fn on_shelf(shelf: usize) -> Select<counter::Entity> {
    counter::Entity::find()
        .filter(counter::Column::Shelf.eq(shelf as i32))
        .order_by_asc(counter::Column::Id)
}

async fn read(db: &CachedConnection, history: &History, rng: &mut fastrand::Rng) {
    let shelf = rng.usize(0..SHELVES);
    let lower = history.now();
    match rng.u8(0..4) {
        0 => {
            let one = counter::Entity::find_by_id(rng.i32(0..ROWS as i32)).cached(TTL);
            let seen = one.one(db).await.expect("a row").expect("it is there");
            history.check(&lower, &[seen]);
        }
        1 => {
            let top = counter::Entity::find().order_by_desc(counter::Column::N).limit(3);
            history.check(&lower, &top.cached(TTL).all(db).await.expect("rows"));
        }
        _ => {
            let seen = on_shelf(shelf).cached(TTL).all_shared(db).await.expect("rows");
            assert_eq!(seen.len(), ROWS / SHELVES);
            history.check(&lower, &seen);
        }
    }
}

/// Counts rows of one shelf up, in their order so that no two tasks wait for each other in a circle.
async fn write(db: &CachedConnection, history: &History, rng: &mut fastrand::Rng) {
    let mut rows: Vec<usize> = (0..ROWS).filter(|_| rng.u8(0..5) == 0).collect();
    rows.truncate(3);
    let transaction = db.begin().await.expect("begun");
    let mut numbers = Vec::new();
    for row in &rows {
        let locked = counter::Entity::find_by_id(*row as i32).lock_exclusive();
        let now = locked.one(&transaction).await.expect("a row").expect("it is there");
        let next = counter::Entity::update_many()
            .col_expr(counter::Column::N, Expr::value(now.n + 1))
            .filter(counter::Column::Id.eq(now.id));
        next.exec(&transaction).await.expect("a write");
        numbers.push((*row, now.n + 1));
    }
    if rng.u8(0..5) == 0 {
        return transaction.rollback().await.expect("rolled back");
    }
    transaction.commit().await.expect("committed");
    numbers.into_iter().for_each(|(row, n)| history.acknowledge(row, n));
}

/// The same in one statement.
async fn write_alone(db: &CachedConnection, history: &History, row: usize) {
    let sql = format!("UPDATE counter SET n = n + 1 WHERE id = {row} RETURNING n");
    let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
    let answer = db.query_one_raw(statement).await.expect("a write").expect("the row");
    history.acknowledge(row, answer.try_get_by_index(0).expect("the number"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_starts_after_an_acknowledged_write_sees_it() {
    for backend in Backend::servers() {
        let rows: Vec<_> = (0..ROWS).map(|id| format!("({id}, {}, 0)", id % SHELVES)).collect();
        let schema = format!(
            "CREATE TABLE counter (id INTEGER PRIMARY KEY, shelf INTEGER NOT NULL, n BIGINT NOT NULL);
             CREATE INDEX counter_shelf ON counter (shelf);
             INSERT INTO counter VALUES {}",
            rows.join(", ")
        );
        let stage = Stage::new(backend, &schema).await;
        let second = stage.cache.connect(stage.test.pool(4).await).await.expect("a second pool");
        let history = Arc::new(History {
            acknowledged: std::array::from_fn(|_| AtomicI64::new(0)),
            reads: AtomicU64::new(0),
        });
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let db = if task % 2 == 0 { stage.db.clone() } else { second.clone() };
            let history = history.clone();
            tasks.spawn(async move {
                let mut rng = fastrand::Rng::with_seed(task);
                for _ in 0..OPERATIONS {
                    match rng.u8(0..12) {
                        0 => write(&db, &history, &mut rng).await,
                        // MariaDB's UPDATE brings nothing back.
                        1 if backend == Backend::Postgres => {
                            write_alone(&db, &history, rng.usize(0..ROWS)).await;
                        }
                        _ => read(&db, &history, &mut rng).await,
                    }
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        let (stats, reads) = (stage.cache.stats().total, history.reads.load(Ordering::SeqCst));
        println!("{backend:?}: {reads} reads checked, {} of them hits", stats.hits);
        assert!(stats.hits > reads / 10, "too few hits to mean anything: {stats:?}");
        assert!(history.now().iter().all(|n| *n > 0), "every row was written");
    }
}
