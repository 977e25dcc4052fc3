//! A statement and its answer, in the forms in which SeaORM hands them over.

use sea_orm::{
    ConnectionTrait, DbErr, ExecResult, QueryResult, Statement, StatementBuilder, Value,
};

/// A statement as SeaORM hands it over.
pub(crate) enum Call<'s, S> {
    Bound(Statement),
    Text(String),
    Typed(&'s S, Statement),
}

/// A call that needs no borrowed builder.
pub(crate) type OwnedCall = Call<'static, sea_orm::sea_query::SelectStatement>;

/// Which answer the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Done,
    Rows,
    First,
}

impl Want {
    /// For a write: some drivers hand out the first row before the statement is committed.
    pub(crate) fn to_the_end(self) -> Self {
        if self == Self::First { Self::Rows } else { self }
    }
}

pub(crate) enum Answer {
    Done(ExecResult),
    Rows(Vec<QueryResult>),
}

impl<S: StatementBuilder> Call<'_, S> {
    pub(crate) fn sql(&self) -> &str {
        match self {
            Self::Bound(statement) | Self::Typed(_, statement) => &statement.sql,
            Self::Text(sql) => sql,
        }
    }

    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Self::Bound(statement) | Self::Typed(_, statement) => {
                statement.values.as_ref().map_or(&[], |values| &values.0)
            }
            Self::Text(_) => &[],
        }
    }

    pub(crate) async fn send(
        self,
        conn: &impl ConnectionTrait,
        want: Want,
    ) -> Result<Answer, DbErr> {
        let first = |row: Option<QueryResult>| Answer::Rows(row.into_iter().collect());
        Ok(match (self, want) {
            (Self::Bound(sql), Want::Done) => Answer::Done(conn.execute_raw(sql).await?),
            (Self::Bound(sql), Want::Rows) => Answer::Rows(conn.query_all_raw(sql).await?),
            (Self::Bound(sql), Want::First) => first(conn.query_one_raw(sql).await?),
            (Self::Typed(typed, _), Want::Done) => Answer::Done(conn.execute(typed).await?),
            (Self::Typed(typed, _), Want::Rows) => Answer::Rows(conn.query_all(typed).await?),
            (Self::Typed(typed, _), Want::First) => first(conn.query_one(typed).await?),
            (Self::Text(sql), _) => Answer::Done(conn.execute_unprepared(&sql).await?),
        })
    }

    /// The same without rendering the SQL a second time, where the connection takes SQL.
    pub(crate) async fn send_read(
        self,
        conn: &impl ConnectionTrait,
        want: Want,
        typed_only: bool,
    ) -> Result<Answer, DbErr> {
        match self {
            Self::Typed(_, rendered) if !typed_only => {
                OwnedCall::Bound(rendered).send(conn, want).await
            }
            call => call.send(conn, want).await,
        }
    }
}

impl Answer {
    pub(crate) fn done(self) -> Result<ExecResult, DbErr> {
        match self {
            Self::Done(result) => Ok(result),
            Self::Rows(_) => Err(DbErr::Custom("the database answered with rows".into())),
        }
    }

    pub(crate) fn rows(self) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::Done(_) => Err(DbErr::Custom("the database answered without rows".into())),
        }
    }

    pub(crate) fn first(self) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.rows()?.into_iter().next())
    }

    /// How many rows were written.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Done(result) => result.rows_affected(),
            Self::Rows(rows) => rows.len() as u64,
        }
    }
}
