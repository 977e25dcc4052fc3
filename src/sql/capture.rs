//! How to find the rows that an UPDATE or DELETE is about to touch.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut};

use crate::schema::Name;
use crate::sql::Dialect;
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
        lock: Lock,
    ) -> Option<Capture> {
        let table =
            target.table.filter(|table| table.row_security.is_none() && table.unfit.is_none())?;
        let lock = match (self.dialect, lock) {
            // There the transaction holds the only lock.
            (Dialect::Sqlite, _) => "",
            (Dialect::Postgres, Lock::Update) => "FOR NO KEY UPDATE",
            _ => "FOR UPDATE",
        };
        let Some(selection) = selection else {
            let tail = format!("FROM {relation}");
            return Some(Capture { tail, lock, params: Vec::new() });
        };
        let mut walker = Walker::new(self.schema, self.dialect);
        let mut scope = Scope::default();
        let alias = Some(alias.cloned().unwrap_or_else(|| table.name.clone()));
        scope.sources.push(Source { alias, columns: Columns::Free });
        walker.expr(selection, &scope, &mut Vec::new());
        // What a subquery reads is not locked, so on a server it may find other rows by then.
        let alone = self.dialect == Dialect::Sqlite || walker.occurrences.is_empty();
        if walker.failure.is_some() || walker.coarse || walker.writer.is_some() || !alone {
            return None;
        }
        let mut selection = selection.clone();
        let mut renumber = Renumber { dialect: self.dialect, params: Vec::new() };
        match selection.visit(&mut renumber) {
            ControlFlow::Continue(()) => {
                let (mut tail, mut params) =
                    (format!("FROM {relation} WHERE {selection}"), renumber.params);
                if self.dialect == Dialect::MySql {
                    (tail, params) = unnumbered(&tail, &params)?;
                }
                Some(Capture { tail, lock, params })
            }
            ControlFlow::Break(()) => None,
        }
    }
}

/// What the statement will do to the captured rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    Update,
    Delete,
}

/// Numbers the placeholders of a part of a statement anew, from 1.
struct Renumber {
    dialect: Dialect,
    params: Vec<usize>,
}

impl VisitorMut for Renumber {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let name = match &mut value.value {
            Value::Placeholder(name) => name,
            // A backslash in it would be read once more.
            Value::SingleQuotedString(text) if text.contains(['\\', '?']) => {
                return ControlFlow::Break(());
            }
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
        let sign = if self.dialect == Dialect::Postgres { '$' } else { '?' };
        *name = format!("{sign}{}", self.params.len());
        ControlFlow::Continue(())
    }
}

/// The same with bare `?`, which are numbered by their place in the text.
fn unnumbered(sql: &str, params: &[usize]) -> Option<(String, Vec<usize>)> {
    let (mut text, mut in_order) = (String::new(), Vec::new());
    let mut parts = sql.split('?');
    text.push_str(parts.next()?);
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = part[..digits].parse().ok()?;
        in_order.push(*params.get(number.checked_sub(1)?)?);
        text.push('?');
        text.push_str(&part[digits..]);
    }
    Some((text, in_order))
}
