//! Names in scope: which table and column an identifier means.

use std::collections::HashMap;

use crate::schema::{Name, Schema};
use crate::sql::facts::Occurrence;

/// A column of one table occurrence.
pub(crate) type ColumnRef = (usize, Name);

/// One result column of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output {
    /// The name that an outer query can use; `None` if it has none worth relying on.
    pub(crate) name: Option<Name>,
    /// The columns that its value is made of.
    pub(crate) refs: Vec<ColumnRef>,
    /// Set if the value is exactly this column.
    pub(crate) bare: Option<ColumnRef>,
}

/// One table, subquery or function in FROM.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) alias: Option<Name>,
    pub(crate) columns: Columns,
}

#[derive(Debug, Clone)]
pub(crate) enum Columns {
    /// A table of the catalog.
    Table(usize),
    /// A subquery, view or CTE.
    Derived(Vec<Output>),
    /// Any name may be a column, and whatever it depends on is already marked.
    Free,
}

#[derive(Debug, Default)]
pub(crate) struct Scope<'p> {
    pub(crate) sources: Vec<Source>,
    /// Names given in the SELECT list. Databases differ in where these may be used, so they are
    /// looked at wherever a column is.
    pub(crate) aliases: HashMap<Name, Vec<ColumnRef>>,
    pub(crate) parent: Option<&'p Scope<'p>>,
}

impl<'p> Scope<'p> {
    pub(crate) fn inside(parent: Option<&'p Scope<'p>>) -> Self {
        Self { parent, ..Self::default() }
    }

    /// What `qualifier.name` may mean: the columns of every source that has it, innermost scope
    /// first. `None`: nothing in sight has that name.
    pub(crate) fn resolve(
        &self,
        qualifier: Option<&str>,
        name: &str,
        schema: &Schema,
        occurrences: &[Occurrence],
    ) -> Option<Vec<ColumnRef>> {
        let outer = || self.parent?.resolve(qualifier, name, schema, occurrences);
        let mut own = self.own(qualifier, name, schema, occurrences);
        // A source whose columns are unknown may have this one, or may not.
        let unsure = |source: &Source| matches!(source.columns, Columns::Free);
        if qualifier.is_none() && own.is_some() && self.sources.iter().any(unsure) {
            own.get_or_insert_default().extend(outer().unwrap_or_default());
        }
        match self.aliases.get(name).filter(|_| qualifier.is_none()) {
            None => own.or_else(outer),
            // Where an alias does not count, the name means a column: here, or further out.
            Some(alias) => {
                let mut found = own.or_else(outer).unwrap_or_default();
                found.extend(alias.iter().cloned());
                Some(found)
            }
        }
    }

    /// The same in this scope's own sources only.
    pub(crate) fn own(
        &self,
        qualifier: Option<&str>,
        name: &str,
        schema: &Schema,
        occurrences: &[Occurrence],
    ) -> Option<Vec<ColumnRef>> {
        let mut found: Option<Vec<ColumnRef>> = None;
        for source in &self.sources {
            if qualifier.is_some() && source.alias.as_deref() != qualifier {
                continue;
            }
            match &source.columns {
                Columns::Table(index) => {
                    let column = occurrences
                        .get(*index)
                        .and_then(|occurrence| schema.table(&occurrence.table))
                        .and_then(|table| table.column(name));
                    if let Some(column) = column {
                        found.get_or_insert_default().push((*index, column.name.clone()));
                    }
                }
                Columns::Derived(outputs) => {
                    for output in outputs.iter().filter(|o| o.name.as_deref() == Some(name)) {
                        found.get_or_insert_default().extend(output.refs.iter().cloned());
                    }
                }
                Columns::Free => {
                    found.get_or_insert_default();
                }
            }
        }
        found
    }
}
