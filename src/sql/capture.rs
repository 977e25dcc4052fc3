//! How to find the rows that an UPDATE or DELETE is about to touch.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut};

use crate::schema::Name;
use crate::sql::facts::Capture;
use crate::sql::parse::placeholder_index;
use crate::sql::query::Walker;
use crate::sql::scope::{Columns, Scope, Source};
use crate::sql::write::{Target, Writer};

impl Writer<'_> {
    /// How to select the rows that the statement is about to touch, if the same condition gives
    /// the same rows a moment later.
    pub(super) fn capture(
        &self,
        relation: &TableFactor,
        selection: Option<&Expr>,
        target: &Target<'_>,
        alias: Option<&Name>,
    ) -> Option<Capture> {
        let table = target.table?;
        let Some(selection) = selection else {
            return Some(Capture { tail: format!("FROM {relation}"), params: Vec::new() });
        };
        let mut walker = Walker::new(self.schema, self.dialect);
        let mut scope = Scope::default();
        let alias = Some(alias.cloned().unwrap_or_else(|| table.name.clone()));
        scope.sources.push(Source { alias, columns: Columns::Free });
        walker.expr(selection, &scope, &mut Vec::new());
        if walker.failure.is_some() || walker.coarse {
            return None;
        }
        let mut selection = selection.clone();
        let mut renumber = Renumber { params: Vec::new() };
        match selection.visit(&mut renumber) {
            ControlFlow::Continue(()) => Some(Capture {
                tail: format!("FROM {relation} WHERE {selection}"),
                params: renumber.params,
            }),
            ControlFlow::Break(()) => None,
        }
    }
}

/// Numbers the placeholders of a part of a statement anew, from 1.
struct Renumber {
    params: Vec<usize>,
}

impl VisitorMut for Renumber {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let name = match &mut value.value {
            Value::Placeholder(name) => name,
            Value::Number(..) | Value::SingleQuotedString(_) | Value::Null => {
                return ControlFlow::Continue(());
            }
            // Others may not be written as they were read (`0x10`).
            _ => return ControlFlow::Break(()),
        };
        let Some(index) = placeholder_index(name) else {
            return ControlFlow::Break(());
        };
        self.params.push(index);
        *name = format!("?{}", self.params.len());
        ControlFlow::Continue(())
    }
}
