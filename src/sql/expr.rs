//! Expressions: which columns they use, and whether they always give the same value.

use sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, ObjectNamePart, OrderByExpr, Query, Value, WindowSpec, WindowType,
};

use crate::event::Reason;
use crate::sql::Dialect;
use crate::sql::functions::{self, Class};
use crate::sql::query::Walker;
use crate::sql::scope::{ColumnRef, Columns, Scope, Source};

/// Functions that are called without parentheses. Sorted by what they tell: the time, who asks.
const NILADIC: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "sysdate",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "current_catalog",
    "current_role",
    "current_schema",
    "current_user",
    "session_user",
    "system_user",
    "user",
];

/// PostgreSQL's own columns of every table.
const SYSTEM: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// What a policy may ask: the answer is the same for all sessions of a scope.
const ASKS_WHO: &[&str] =
    &["current_setting", "current_user", "current_role", "session_user", "user"];

/// Is this text the present to PostgreSQL, where it is read as a time?
fn tells_the_time(text: &str) -> bool {
    const WORDS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];
    let mut words = text.split(|c: char| !c.is_alphabetic());
    words.any(|word| WORDS.contains(&&*word.to_ascii_lowercase()))
}

fn is_time(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_lowercase();
    ["date", "time"].iter().any(|part| name.contains(part))
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)))
}

impl Walker<'_> {
    /// Walks `expr` and adds the columns that its value depends on to `refs`. Subqueries are
    /// walked whole.
    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>, refs: &mut Vec<ColumnRef>) {
        match expr {
            Expr::Identifier(name) if self.is_variable(name) => {
                self.not_understood(&format!("the variable {name}"));
            }
            Expr::CompoundIdentifier(path) if path.first().is_some_and(|n| self.is_variable(n)) => {
                self.not_understood("a variable");
            }
            Expr::Identifier(name) => self.column(None, name, scope, refs),
            Expr::CompoundIdentifier(path) => match path.as_slice() {
                [table, name] => self.column(Some(table), name, scope, refs),
                // A table that FROM names without an alias; `main` or the only schema in sight.
                [_, table, name] if !self.is_renamed(table, scope) => {
                    self.column(Some(table), name, scope, refs);
                }
                _ => self.not_understood("a name of many parts"),
            },
            Expr::Value(value) => {
                match &value.value {
                    // SQLite takes it for a column, if there is one.
                    Value::DoubleQuotedString(_) if self.dialect != Dialect::MySql => {
                        self.coarse = true;
                    }
                    Value::SingleQuotedString(text)
                    | Value::EscapedStringLiteral(text)
                    | Value::NationalStringLiteral(text)
                    | Value::UnicodeStringLiteral(text)
                        if self.dialect == Dialect::Postgres && tells_the_time(text) =>
                    {
                        self.fail(Reason::UnknownFunction(text.clone()));
                    }
                    Value::DollarQuotedString(_) => self.not_understood("a dollar-quoted text"),
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
            | Expr::Collate { expr: e, .. }
            | Expr::Ceil { expr: e, .. }
            | Expr::Floor { expr: e, .. } => self.expr(e, scope, refs),
            Expr::Cast { expr: e, data_type, format: None, .. } => {
                if self.dialect == Dialect::Postgres && is_time(data_type) && !is_literal(e) {
                    // The text `now` becomes the present.
                    self.not_understood("a cast to a time");
                }
                self.expr(e, scope, refs);
            }
            Expr::Extract { expr: e, .. } if self.dialect != Dialect::Sqlite => {
                self.expr(e, scope, refs);
            }
            Expr::AtTimeZone { timestamp: a, time_zone: b } => {
                self.exprs([&**a, &**b], scope, refs);
            }
            Expr::Interval(interval) => self.expr(&interval.value, scope, refs),
            Expr::TypedString(typed) => match &typed.value.value {
                Value::SingleQuotedString(text) if !tells_the_time(text) => {}
                other => self.not_understood(&format!("the value {other}")),
            },
            Expr::Array(array) => self.exprs(&array.elem, scope, refs),
            Expr::AnyOp { left: a, right: b, .. } | Expr::AllOp { left: a, right: b, .. } => {
                self.exprs([&**a, &**b], scope, refs);
            }
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
        if self.in_policy && table.is_none() && ASKS_WHO.contains(&&*name) {
            return;
        }
        match found {
            Some(found) => refs.extend(found),
            None if table.is_none() && NILADIC.contains(&&*name) => {
                self.fail(Reason::UnknownFunction(name.to_string()));
            }
            // `t.f` may be a call of f; and what the system keeps changes by itself.
            None if self.schema.routines.contains_key(&name) => {
                if self.schema.may_write(&name) {
                    self.writer.get_or_insert_with(|| name.to_string());
                }
                self.fail(Reason::UnknownFunction(name.to_string()));
            }
            None if self.dialect == Dialect::Postgres && SYSTEM.contains(&&*name) => {
                self.not_understood(&format!("the system column {name}"));
            }
            None => self.coarse = true,
        }
        // A server may prefer its function of that name, or not: either way it is not a column.
        if table.is_none() && self.dialect != Dialect::Sqlite && NILADIC.contains(&&*name) {
            self.fail(Reason::UnknownFunction(name.to_string()));
        }
    }

    /// MySQL's `@x` and `@@x`.
    fn is_variable(&self, name: &Ident) -> bool {
        self.dialect == Dialect::MySql && name.quote_style.is_none() && name.value.starts_with('@')
    }

    /// Does this name stand for more than one source, so that the part before it would count?
    fn is_renamed(&self, table: &Ident, scope: &Scope<'_>) -> bool {
        let name = self.dialect.fold(table);
        scope.sources.iter().filter(|source| source.alias.as_ref() == Some(&name)).count() > 1
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
        if let Some(routine) = self.schema.routines.get(&*name) {
            if routine.may_write {
                self.writer.get_or_insert_with(|| name.clone());
            }
            return self.declared(&name, function, scope, refs);
        }
        match class {
            None if self.in_policy && ASKS_WHO.contains(&&*name) => {}
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

    /// A function that users made: its value is its arguments', and that of what it reads.
    fn declared(
        &mut self,
        name: &str,
        function: &Function,
        scope: &Scope<'_>,
        refs: &mut Vec<ColumnRef>,
    ) {
        let reads = self.schema.routines.get(name).and_then(|routine| routine.reads.as_ref());
        let Some(reads) = reads else {
            return self.fail(Reason::UnknownFunction(name.to_owned()));
        };
        for table in reads {
            if let Some(index) = self.occurrence(table) {
                self.occurrences[index].whole = true;
            }
        }
        // It may be an aggregate.
        self.grouping = true;
        self.arguments(&function.args, scope, refs);
        if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty()
        {
            self.not_understood("a clause after a declared function");
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
