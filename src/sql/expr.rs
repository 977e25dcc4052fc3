//! Expressions: which columns they use, and whether they always give the same value.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectNamePart, OrderByExpr, Query, Value, WindowSpec, WindowType,
};

use crate::event::Reason;
use crate::sql::functions::{self, Class};
use crate::sql::query::Walker;
use crate::sql::scope::{ColumnRef, Columns, Scope, Source};

impl Walker<'_> {
    /// Walks `expr` and adds the columns that its value depends on to `refs`. Subqueries are
    /// walked whole.
    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>, refs: &mut Vec<ColumnRef>) {
        match expr {
            Expr::Identifier(name) => self.column(None, name, scope, refs),
            Expr::CompoundIdentifier(path) => match path.as_slice() {
                [table, name] => self.column(Some(table), name, scope, refs),
                [schema, table, name] if schema.value.eq_ignore_ascii_case("main") => {
                    self.column(Some(table), name, scope, refs);
                }
                _ => self.not_understood("a name of many parts"),
            },
            Expr::Value(value) => {
                match &value.value {
                    Value::DoubleQuotedString(_) => self.coarse = true,
                    // To SQLite TRUE is a column, if there is one of that name.
                    Value::Boolean(truth) => {
                        let name = truth.to_string();
                        let found = scope.resolve(None, &name, self.schema, &self.occurrences);
                        refs.extend(found.unwrap_or_default());
                    }
                    _ => {}
                }
            }
            Expr::Nested(e)
            | Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::UnaryOp { expr: e, .. }
            | Expr::Cast { expr: e, format: None, .. }
            | Expr::Collate { expr: e, .. }
            | Expr::Ceil { expr: e, .. }
            | Expr::Floor { expr: e, .. } => self.expr(e, scope, refs),
            Expr::IsDistinctFrom(a, b)
            | Expr::IsNotDistinctFrom(a, b)
            | Expr::BinaryOp { left: a, right: b, .. }
            | Expr::Position { expr: a, r#in: b }
            | Expr::SimilarTo { expr: a, pattern: b, escape_char: None, .. }
            | Expr::RLike { expr: a, pattern: b, .. } => self.exprs([&**a, &**b], scope, refs),
            Expr::Like { expr: a, pattern: b, escape_char, .. }
            | Expr::ILike { expr: a, pattern: b, escape_char, .. } => {
                self.exprs([&**a, &**b].into_iter().chain(escape_char.as_deref()), scope, refs);
            }
            Expr::Between { expr, low, high, .. } => {
                self.exprs([&**expr, &**low, &**high], scope, refs);
            }
            Expr::InList { expr, list, .. } => {
                self.exprs(std::iter::once(&**expr).chain(list), scope, refs);
            }
            Expr::InSubquery { expr, subquery, .. } => {
                self.expr(expr, scope, refs);
                self.subquery(subquery, scope, true);
            }
            Expr::Subquery(subquery) => self.subquery(subquery, scope, true),
            Expr::Exists { subquery, .. } => self.subquery(subquery, scope, false),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let rest = [substring_from.as_deref(), substring_for.as_deref()];
                let rest = rest.into_iter().flatten();
                self.exprs(std::iter::once(&**expr).chain(rest), scope, refs);
            }
            Expr::Trim { expr, trim_what, trim_characters, .. } => {
                let rest = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                self.exprs(std::iter::once(&**expr).chain(rest), scope, refs);
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let ends = operand.as_deref().into_iter().chain(else_result.as_deref());
                let arms = conditions.iter().flat_map(|arm| [&arm.condition, &arm.result]);
                self.exprs(ends.chain(arms), scope, refs);
            }
            Expr::Tuple(list) => self.exprs(list, scope, refs),
            Expr::Function(function) => self.function(function, scope, refs),
            other => self.not_understood(&format!("the expression {other}")),
        }
    }

    pub(super) fn exprs<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        for expr in exprs {
            self.expr(expr, scope, refs);
        }
    }

    /// A name that nothing in sight has may be a row id, or (SQLite) text in the wrong quotes.
    fn column(
        &mut self,
        table: Option<&Ident>,
        name: &Ident,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        let table = table.map(|table| self.dialect.fold(table));
        let name = self.dialect.fold(name);
        let found = scope.resolve(table.as_deref(), &name, self.schema, &self.occurrences);
        match found {
            Some(found) => refs.extend(found),
            None => self.coarse = true,
        }
    }

    /// A subquery inside an expression; `by_value` if more than the number of its rows counts.
    fn subquery(&mut self, query: &Query, scope: &Scope<'_>, by_value: bool) {
        let outer = std::mem::take(&mut self.grouping);
        let outputs = self.query(query, Some(scope));
        self.grouping = outer;
        if by_value {
            outputs.iter().for_each(|output| self.mark(&output.refs));
        }
    }

    fn function(&mut self, function: &Function, scope: &Scope<'_>, refs: &mut Vec<ColumnRef>) {
        let name = match function.name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => name.value.to_ascii_lowercase(),
            _ => function.name.to_string(),
        };
        let class = functions::classify(&name);
        match class {
            None => return self.fail(Reason::UnknownFunction(name)),
            // SQLite's min and max of several arguments are plain functions of one row. Taking
            // them for aggregates is only coarser.
            Some(Class::Aggregate | Class::Window) => self.grouping = true,
            Some(Class::Scalar) => {}
        }
        if !matches!(function.parameters, FunctionArguments::None) {
            self.not_understood("a parametrised function");
        }
        let before = refs.len();
        self.arguments(&function.args, scope, refs);
        let own = |(index, _): &ColumnRef| {
            let is_it = |source: &Source| match &source.columns {
                Columns::Table(own) => own == index,
                Columns::Derived(_) | Columns::Free => true,
            };
            scope.sources.iter().any(is_it)
        };
        self.outer_aggregate |= class == Some(Class::Aggregate)
            && scope.parent.is_some()
            && !refs[before..].iter().all(own);
        self.order_exprs(&function.within_group, scope, refs);
        if let Some(filter) = &function.filter {
            self.expr(filter, scope, refs);
        }
        match &function.over {
            Some(WindowType::WindowSpec(window)) => {
                self.grouping = true;
                self.window(window, scope, refs);
            }
            Some(WindowType::NamedWindow(_)) => self.grouping = true,
            None => {}
        }
    }

    fn arguments(
        &mut self,
        arguments: &FunctionArguments,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        match arguments {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) => self.subquery(query, scope, true),
            FunctionArguments::List(list) => {
                list.args.iter().for_each(|argument| self.argument(argument, scope, refs));
                for clause in &list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(order) => {
                            self.order_exprs(order, scope, refs);
                        }
                        FunctionArgumentClause::Separator(_)
                        | FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
                        other => self.not_understood(&format!("the clause {other}")),
                    }
                }
            }
        }
    }

    pub(super) fn argument(
        &mut self,
        argument: &FunctionArg,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr, scope, refs),
            // COUNT(*) depends on the rows alone, and these on what selects them.
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {}
            other => self.not_understood(&format!("the argument {other}")),
        }
    }

    pub(super) fn window(
        &mut self,
        window: &WindowSpec,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        self.exprs(&window.partition_by, scope, refs);
        self.order_exprs(&window.order_by, scope, refs);
        // Frame bounds are constants in every dialect that we know.
    }

    pub(super) fn order_exprs(
        &mut self,
        order: &[OrderByExpr],
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        for item in order {
            self.expr(&item.expr, scope, refs);
            if item.with_fill.is_some() {
                self.not_understood("WITH FILL");
            }
        }
    }
}
