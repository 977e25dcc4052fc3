//! SQL text → facts: which tables a statement reads and writes, which columns decide its result,
//! and which keys bound it. Pure: text and schema in, facts out.
//!
//! Unsure is always coarse or uncached, never silently wrong: every syntax element that is not
//! named here makes a query uncacheable and a write bump everything.

mod bounds;
mod capture;
mod equality;
mod expr;
pub(crate) mod facts;
mod from;
mod functions;
mod parse;
mod projection;
mod query;
mod scope;
mod session;
mod statement;
pub(crate) mod trigger;
mod write;

use sea_orm::DbBackend;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use sqlparser::ast::Statement;
use sqlparser::tokenizer::Token;

pub(crate) use statement::{analyze, may_commit};

use crate::schema::{Name, Schema};

/// Which database's SQL a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl From<DbBackend> for Dialect {
    fn from(backend: DbBackend) -> Self {
        match backend {
            DbBackend::Postgres => Self::Postgres,
            DbBackend::MySql => Self::MySql,
            _ => Self::Sqlite,
        }
    }
}

impl Dialect {
    /// The form in which the database compares an identifier.
    pub(crate) fn fold(self, ident: &Ident) -> Name {
        match self {
            // Quoted or not, SQLite ignores the case of ASCII letters and of no others.
            Self::Sqlite | Self::MySql => ident.value.to_ascii_lowercase().into(),
            Self::Postgres if ident.quote_style.is_some() => ident.value.as_str().into(),
            Self::Postgres => ident.value.to_ascii_lowercase().into(),
        }
    }

    /// The table that a possibly qualified name means; `None` if the catalog does not say.
    pub(crate) fn table_name(self, name: &ObjectName, schema: &Schema) -> Option<Name> {
        match (self, name.0.as_slice()) {
            // A dot of its own: such tables are not listed, and look like others that are.
            (Self::Postgres | Self::MySql, [ObjectNamePart::Identifier(table)])
                if table.value.contains('.') =>
            {
                None
            }
            (_, [ObjectNamePart::Identifier(table)]) => {
                let bare = self.fold(table);
                Some(schema.visible.get(&bare).cloned().unwrap_or(bare))
            }
            (_, [ObjectNamePart::Identifier(outer), ObjectNamePart::Identifier(table)]) => {
                if self == Self::Sqlite {
                    return outer.value.eq_ignore_ascii_case("main").then(|| self.fold(table));
                }
                let pair = qualified(&self.fold(outer), &self.fold(table));
                schema.qualified.get(&pair).cloned()
            }
            _ => None,
        }
    }

    /// The table or view of an entity, whose names SeaORM writes in quotes.
    pub(crate) fn entity_table(
        self,
        of: Option<&str>,
        table: &str,
        schema: &Schema,
    ) -> Option<Name> {
        let quoted = |name: &str| ObjectNamePart::Identifier(Ident::with_quote('"', name));
        let name = of.into_iter().chain([table]).map(quoted).collect();
        self.table_name(&ObjectName(name), schema)
    }

    /// A name as SQL of this dialect spells it in quotes.
    pub(crate) fn quote(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{}`", name.replace('`', "``")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

/// The name of a table that needs its schema's name before it. Names with dots of their own are
/// left out of the catalog, so two pairs never share one.
pub(crate) fn qualified(schema: &str, table: &str) -> Name {
    format!("{schema}.{table}").into()
}

/// A text's tokens, for readers of the catalog.
pub(crate) fn sql_tokens(sql: &str, dialect: Dialect) -> Option<Vec<Token>> {
    parse::tokens(sql, dialect).ok()
}

/// The syntax tree of a `CREATE TABLE` from a catalog.
pub(crate) fn create_table_statement(sql: &str, dialect: Dialect) -> Option<Statement> {
    parse::statements(sql_tokens(sql, dialect)?, dialect).ok()?.pop()
}
