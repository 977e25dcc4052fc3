//! SELECT lists: what a query's result columns are made of.

use sqlparser::ast::{Expr, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind};

use crate::schema::Name;
use crate::sql::from::Joined;
use crate::sql::query::Walker;
use crate::sql::scope::{Columns, Output, Scope, Source};

impl Walker<'_> {
    /// The SELECT list. The second value tells whether the outputs' positions are the result's.
    pub(super) fn projection(
        &mut self,
        select: &Select,
        scope: &mut Scope<'_>,
        joined: &Joined<'_>,
    ) -> (Vec<Output>, bool) {
        let (mut outputs, mut positions) = (Vec::new(), true);
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => outputs.push(self.output(expr, None, scope)),
                SelectItem::ExprWithAlias { expr, alias } => {
                    let alias = self.dialect.fold(alias);
                    outputs.push(self.output(expr, Some(alias), scope));
                }
                SelectItem::Wildcard(options) if options.to_string().is_empty() => {
                    positions &= !joined.merges_columns;
                    for source in &scope.sources {
                        self.expand_known(&source.columns, &mut outputs);
                    }
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) if options.to_string().is_empty() => {
                    // The name by which FROM calls it.
                    let table = match name.0.last() {
                        Some(ObjectNamePart::Identifier(name)) => Some(self.dialect.fold(name)),
                        _ => None,
                    };
                    let named = |source: &&Source| table.is_some() && source.alias == table;
                    match scope.sources.iter().filter(named).collect::<Vec<_>>().as_slice() {
                        [only] => self.expand_known(&only.columns, &mut outputs),
                        _ => self.not_understood("a wildcard"),
                    }
                }
                _ => self.not_understood("an item of the SELECT list"),
            }
        }
        for output in &outputs {
            if let Some(name) = &output.name {
                let refs = scope.aliases.entry(name.clone()).or_default();
                refs.extend(output.refs.iter().cloned());
            }
        }
        (outputs, positions)
    }

    fn output(&mut self, expr: &Expr, alias: Option<Name>, scope: &Scope<'_>) -> Output {
        let mut refs = Vec::new();
        self.expr(expr, scope, &mut refs);
        let column = match expr {
            Expr::Identifier(name) => Some(self.dialect.fold(name)),
            Expr::CompoundIdentifier(path) => path.last().map(|name| self.dialect.fold(name)),
            _ => None,
        };
        let bare = match refs.as_slice() {
            [only] if column.is_some() => Some(only.clone()),
            _ => None,
        };
        Output { name: alias.or(column), refs, bare }
    }

    /// Adds the columns of a source, whose number must be known: what comes after them is named
    /// by position.
    fn expand_known(&mut self, columns: &Columns, outputs: &mut Vec<Output>) {
        if !self.expand(columns, outputs) {
            self.not_understood("a wildcard over unknown columns");
        }
    }

    /// Adds the columns of a source; `false` if their number is unknown.
    fn expand(&self, columns: &Columns, outputs: &mut Vec<Output>) -> bool {
        match columns {
            Columns::Table(index) => {
                let table = self.schema.table(&self.occurrences[*index].table);
                for column in table.into_iter().flat_map(|table| table.shown()) {
                    let reference = (*index, column.name.clone());
                    outputs.push(Output {
                        name: Some(column.name.clone()),
                        refs: vec![reference.clone()],
                        bare: Some(reference),
                    });
                }
                true
            }
            Columns::Derived(inner) => {
                outputs.extend(inner.iter().cloned());
                true
            }
            Columns::Free => false,
        }
    }

    pub(super) fn column_names(&self, columns: &Columns) -> Vec<Name> {
        let mut outputs = Vec::new();
        self.expand(columns, &mut outputs);
        outputs.into_iter().filter_map(|output| output.name).collect()
    }
}
