//! Which equalities bound the occurrences of a SELECT block.

use sqlparser::ast::Expr;

use crate::fault::{Fault, broken};
use crate::sql::equality::{conjuncts, equality};
use crate::sql::from::{Bounds, Joined};
use crate::sql::query::Walker;
use crate::sql::scope::{ColumnRef, Columns, Scope};

impl Walker<'_> {
    /// Notes the equalities on key columns that bound the occurrences of this FROM.
    pub(super) fn bound(
        &mut self,
        selection: Option<&Expr>,
        scope: &Scope<'_>,
        joined: &Joined<'_>,
    ) {
        if joined.unbounded {
            return;
        }
        let filter = selection.map(|condition| (condition, Bounds::All));
        let conditions = joined.conditions.iter().cloned().chain(filter);
        for (condition, bounds) in conditions {
            let mut parts = Vec::new();
            conjuncts(condition, &mut parts);
            for part in parts {
                let mut of = None;
                let found = equality(part, |expr| {
                    let (index, column) = self.own_key(expr, scope)?;
                    of = Some(index);
                    Some(column)
                });
                let (Some(found), Some(index)) = (found, of) else {
                    continue;
                };
                let occurrence = &mut self.occurrences[index];
                let blind = broken(Fault::NullableIsNull);
                let holds = match &bounds {
                    Bounds::All => {
                        joined.occurrences.contains(&index)
                            && (blind || !(occurrence.nullable && found.admits_null()))
                    }
                    Bounds::Only(right) => right.contains(&index),
                };
                if holds {
                    occurrence.slices.push(found);
                }
            }
        }
    }

    /// The occurrence and key column that an expression is, in this scope alone.
    fn own_key(&self, expr: &Expr, scope: &Scope<'_>) -> Option<ColumnRef> {
        let (table, name) = match expr {
            Expr::Identifier(name) => (None, name),
            Expr::CompoundIdentifier(path) => match path.as_slice() {
                [table, name] => (Some(self.dialect.fold(table)), name),
                _ => return None,
            },
            _ => return None,
        };
        let name = self.dialect.fold(name);
        let found = scope.own(table.as_deref(), &name, self.schema, &self.occurrences)?;
        let [(index, column)] = found.as_slice() else {
            return None;
        };
        let source =
            scope.sources.iter().any(|s| matches!(s.columns, Columns::Table(i) if i == *index));
        let table = self.schema.table(&self.occurrences[*index].table)?;
        (source && table.column(column)?.is_key).then(|| (*index, column.clone()))
    }
}
