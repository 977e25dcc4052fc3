//! A connection between the cache and the database at which tests can step in.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, IsolationLevel, QueryResult, Statement, TransactionError, TransactionOptions,
    TransactionSession, TransactionTrait,
};

type Action = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a test does when the statement that it waits for comes by.
struct Hook {
    /// A part of the statement's text; `COMMIT` for a transaction's end.
    text: String,
    after: bool,
    action: Action,
}

#[derive(Default)]
struct Shared {
    hook: Option<Hook>,
    /// The next COMMIT is answered with an error: `Some(true)` after it was done all the same.
    break_commit: Option<bool>,
    /// Every statement waits once before and once after it.
    yields: bool,
    panic_on: Option<String>,
    fail_on: Option<String>,
}

#[derive(Clone)]
pub struct Gate {
    inner: DatabaseConnection,
    shared: Arc<Mutex<Shared>>,
}

pub struct GateTransaction {
    inner: DatabaseTransaction,
    shared: Arc<Mutex<Shared>>,
}

impl Gate {
    pub fn new(inner: DatabaseConnection) -> Self {
        Self { inner, shared: Arc::default() }
    }

    pub fn before(&self, text: &str, action: impl Future<Output = ()> + Send + 'static) {
        let hook = Hook { text: text.into(), after: false, action: Box::pin(action) };
        self.shared.lock().expect("the gate").hook = Some(hook);
    }

    pub fn after(&self, text: &str, action: impl Future<Output = ()> + Send + 'static) {
        let hook = Hook { text: text.into(), after: true, action: Box::pin(action) };
        self.shared.lock().expect("the gate").hook = Some(hook);
    }

    pub fn break_commit(&self, but_do_it: bool) {
        self.shared.lock().expect("the gate").break_commit = Some(but_do_it);
    }

    pub fn yields(&self) {
        self.shared.lock().expect("the gate").yields = true;
    }

    pub fn panic_on(&self, text: &str) {
        self.shared.lock().expect("the gate").panic_on = Some(text.into());
    }

    /// From now on every query with this text fails.
    pub fn fail_on(&self, text: &str) {
        self.shared.lock().expect("the gate").fail_on = Some(text.into());
    }

    /// Has the hook run?
    pub fn passed(&self) -> bool {
        self.shared.lock().expect("the gate").hook.is_none()
    }
}

async fn at(shared: &Mutex<Shared>, sql: &str, after: bool) {
    let (action, yields, panics) = {
        let mut shared = shared.lock().expect("the gate");
        // MySQL's quotes are others.
        let sql = sql.replace('`', "\"");
        let matches = |hook: &Hook| sql.contains(&hook.text) && hook.after == after;
        let action =
            if shared.hook.as_ref().is_some_and(matches) { shared.hook.take() } else { None };
        let panics = shared.panic_on.take_if(|text| sql.contains(&**text)).is_some();
        (action, shared.yields, panics)
    };
    if let Some(hook) = action {
        hook.action.await;
    }
    assert!(!panics, "the driver panics, as told");
    if yields {
        tokio::task::yield_now().await;
    }
}

fn fails(shared: &Mutex<Shared>, sql: &str) -> Result<(), DbErr> {
    let shared = shared.lock().expect("the gate");
    match shared.fail_on.as_ref().is_some_and(|text| sql.contains(&**text)) {
        true => Err(DbErr::Custom("failing, as told".into())),
        false => Ok(()),
    }
}

macro_rules! connection_trait {
    ($type:ty) => {
        #[async_trait::async_trait]
        impl ConnectionTrait for $type {
            fn get_database_backend(&self) -> DbBackend {
                self.inner.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                let sql = statement.sql.clone();
                at(&self.shared, &sql, false).await;
                let result = self.inner.execute_raw(statement).await;
                at(&self.shared, &sql, true).await;
                result
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                at(&self.shared, sql, false).await;
                let result = self.inner.execute_unprepared(sql).await;
                at(&self.shared, sql, true).await;
                result
            }

            async fn query_one_raw(
                &self,
                statement: Statement,
            ) -> Result<Option<QueryResult>, DbErr> {
                let sql = statement.sql.clone();
                at(&self.shared, &sql, false).await;
                fails(&self.shared, &sql)?;
                let result = self.inner.query_one_raw(statement).await;
                at(&self.shared, &sql, true).await;
                result
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                let sql = statement.sql.clone();
                at(&self.shared, &sql, false).await;
                fails(&self.shared, &sql)?;
                let result = self.inner.query_all_raw(statement).await;
                at(&self.shared, &sql, true).await;
                result
            }
        }

        #[async_trait::async_trait]
        impl TransactionTrait for $type {
            type Transaction = GateTransaction;

            async fn begin(&self) -> Result<GateTransaction, DbErr> {
                at(&self.shared, "BEGIN", false).await;
                let inner = self.inner.begin().await?;
                Ok(GateTransaction { inner, shared: self.shared.clone() })
            }

            async fn begin_with_config(
                &self,
                isolation: Option<IsolationLevel>,
                access: Option<AccessMode>,
            ) -> Result<GateTransaction, DbErr> {
                let inner = self.inner.begin_with_config(isolation, access).await?;
                Ok(GateTransaction { inner, shared: self.shared.clone() })
            }

            async fn begin_with_options(
                &self,
                options: TransactionOptions,
            ) -> Result<GateTransaction, DbErr> {
                at(&self.shared, "BEGIN", false).await;
                let inner = self.inner.begin_with_options(options).await?;
                at(&self.shared, "BEGIN", true).await;
                Ok(GateTransaction { inner, shared: self.shared.clone() })
            }

            async fn transaction<F, T, E>(&self, _: F) -> Result<T, TransactionError<E>>
            where
                F: for<'c> FnOnce(
                        &'c GateTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                Err(TransactionError::Connection(DbErr::Custom("not used".into())))
            }

            async fn transaction_with_config<F, T, E>(
                &self,
                _: F,
                _: Option<IsolationLevel>,
                _: Option<AccessMode>,
            ) -> Result<T, TransactionError<E>>
            where
                F: for<'c> FnOnce(
                        &'c GateTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                Err(TransactionError::Connection(DbErr::Custom("not used".into())))
            }
        }
    };
}

connection_trait!(Gate);
connection_trait!(GateTransaction);

#[async_trait::async_trait]
impl TransactionSession for GateTransaction {
    async fn commit(self) -> Result<(), DbErr> {
        at(&self.shared, "COMMIT", false).await;
        let broken = self.shared.lock().expect("the gate").break_commit.take();
        match broken {
            None => self.inner.commit().await?,
            Some(true) => self.inner.commit().await?,
            Some(false) => self.inner.rollback().await?,
        }
        at(&self.shared, "COMMIT", true).await;
        match broken {
            None => Ok(()),
            Some(_) => Err(DbErr::Custom("the connection was lost".into())),
        }
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }
}
