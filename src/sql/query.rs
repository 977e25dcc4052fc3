//! Queries: set operations, CTEs, SELECT blocks. Columns that decide which rows are shown, and in
//! what order, are marked as *membership*; those that are only shown are left to whoever uses the
//! query's outputs.

use std::collections::{BTreeSet, HashSet};

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Select, SelectFlavor,
    SetExpr, With,
};

use crate::event::Reason;
use crate::schema::{Name, Schema};
use crate::sql::Dialect;
use crate::sql::equality::operand;
use crate::sql::facts::{Occurrence, Operand, OutputColumn};
use crate::sql::scope::{ColumnRef, Columns, Output, Scope, Source};

/// Collects what a query depends on.
pub(crate) struct Walker<'a> {
    pub(super) schema: &'a Schema,
    pub(super) dialect: Dialect,
    pub(super) occurrences: Vec<Occurrence>,
    /// The first thing that makes the result uncacheable.
    pub(super) failure: Option<Reason>,
    /// Some name could not be resolved.
    pub(super) coarse: bool,
    /// An aggregate or window function was seen in the SELECT block that is being walked.
    pub(super) grouping: bool,
    pub(super) ctes: Vec<Cte>,
    /// Views that are being expanded.
    pub(super) views: Vec<String>,
    /// An aggregate in a subquery was over columns of an outer query, which groups that one.
    pub(super) outer_aggregate: bool,
    /// A table under row-level security.
    pub(super) row_security: Option<String>,
    /// As in the facts.
    pub(super) no_cache: Option<Name>,
    pub(super) tags: BTreeSet<Name>,
    /// What is walked is a policy: it may ask who asks, since each scope has its own entries.
    pub(super) in_policy: bool,
    /// A function that may write.
    pub(super) writer: Option<String>,
    /// Every table name met, to check that none was passed over.
    pub(super) seen: HashSet<String>,
}

#[derive(Debug)]
pub(crate) struct Cte {
    pub(crate) name: Name,
    /// `None` until the CTE that defines it was walked.
    pub(crate) columns: Option<Columns>,
}

/// The outermost query's shape, if it is one SELECT block that shows rows as they are.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    pub(crate) occurrences: Vec<usize>,
    pub(crate) offset: Option<Operand>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(schema: &'a Schema, dialect: Dialect) -> Self {
        Self {
            schema,
            dialect,
            occurrences: Vec::new(),
            failure: None,
            coarse: false,
            grouping: false,
            ctes: Vec::new(),
            views: Vec::new(),
            outer_aggregate: false,
            row_security: None,
            no_cache: None,
            tags: BTreeSet::new(),
            in_policy: false,
            writer: None,
            seen: HashSet::new(),
        }
    }

    pub(super) fn fail(&mut self, reason: Reason) {
        self.failure.get_or_insert(reason);
    }

    pub(super) fn not_understood(&mut self, what: &str) {
        self.fail(Reason::NotUnderstood(what.to_owned()));
    }

    /// These columns decide which rows are shown.
    pub(super) fn mark(&mut self, refs: &[ColumnRef]) {
        for (index, column) in refs {
            self.occurrences[*index].membership.insert(column.clone());
        }
    }

    /// The outermost query: like [`query`](Self::query), and its outputs are shown.
    pub(crate) fn outermost(&mut self, query: &Query) -> Option<Shape> {
        let mut shape = Shape::default();
        let (outputs, positions) = self.query_shaped(query, None, Some(&mut shape))?;
        for (index, column) in outputs.iter().flat_map(|output| &output.refs) {
            self.occurrences[*index].output.insert(column.clone());
        }
        if positions && !self.outer_aggregate {
            shape.occurrences.iter().for_each(|index| self.expose(*index, &outputs));
        }
        Some(shape)
    }

    /// Notes where the result rows carry the primary key of an occurrence.
    fn expose(&mut self, index: usize, outputs: &[Output]) {
        let name = self.occurrences[index].table.clone();
        let once = self.occurrences.iter().filter(|o| o.table == name).count() == 1;
        let Some(table) = self.schema.table(&name).filter(|t| once && !t.primary_key.is_empty())
        else {
            return;
        };
        let position = |column: &Name| {
            let is_it = |output: &Output| {
                output.bare.as_ref().is_some_and(|(i, c)| *i == index && c == column)
            };
            let at = outputs.iter().position(is_it)?;
            let label = outputs[at].name.as_ref()?.to_string();
            Some(OutputColumn { column: column.clone(), index: at, label })
        };
        self.occurrences[index].exposed =
            table.primary_key().map(|column| position(&column.name)).collect();
    }

    /// Walks a query inside another one and returns its outputs, unmarked.
    pub(super) fn query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> Vec<Output> {
        self.query_shaped(query, parent, None).map_or_else(Vec::new, |(outputs, _)| outputs)
    }

    fn query_shaped(
        &mut self,
        query: &Query,
        parent: Option<&Scope<'_>>,
        shape: Option<&mut Shape>,
    ) -> Option<(Vec<Output>, bool)> {
        if !query.locks.is_empty() {
            self.fail(Reason::Locking);
        }
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            self.not_understood("a clause after the query");
        }
        let ctes = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with, parent);
        }
        let mut constant = Vec::new();
        let scope = Scope::inside(parent);
        let (limit, offset) = limits(query);
        if let Some(fetch) = &query.fetch {
            self.exprs(&fetch.quantity, &scope, &mut constant);
        }
        self.exprs(limit.into_iter().chain(offset), &scope, &mut constant);
        self.mark(&constant);
        let order = query.order_by.as_ref();
        let result = match (&*query.body, shape) {
            (SetExpr::Select(select), Some(shape)) => {
                shape.offset = offset.map(operand);
                self.select(select, order, parent, Some(shape))
            }
            (body, _) => self.body(body, order, parent),
        };
        self.ctes.truncate(ctes);
        (self.failure.is_none()).then_some(result)
    }

    fn body(
        &mut self,
        body: &SetExpr,
        order: Option<&OrderBy>,
        parent: Option<&Scope<'_>>,
    ) -> (Vec<Output>, bool) {
        match body {
            SetExpr::Select(select) => self.select(select, order, parent, None),
            SetExpr::Query(query) => {
                let outputs = self.query(query, parent);
                self.order_outputs(order, &outputs, parent);
                (outputs, false)
            }
            SetExpr::SetOperation { left, right, .. } => {
                let (mut outputs, _) = self.body(left, None, parent);
                let (right, _) = self.body(right, None, parent);
                for (output, other) in outputs.iter_mut().zip(&right) {
                    output.refs.extend(other.refs.iter().cloned());
                    output.bare = None;
                }
                // Whether a row is a duplicate depends on all of its columns.
                outputs.iter().chain(&right).for_each(|output| self.mark(&output.refs));
                self.order_outputs(order, &outputs, parent);
                (outputs, false)
            }
            SetExpr::Values(values) => {
                let (mut outputs, scope) = (Vec::<Output>::new(), Scope::inside(parent));
                for row in &values.rows {
                    for (position, value) in row.content.iter().enumerate() {
                        if outputs.len() <= position {
                            let name = format!("column{}", position + 1);
                            outputs.push(Output { name: Some(name.into()), ..Output::default() });
                        }
                        self.expr(value, &scope, &mut outputs[position].refs);
                    }
                }
                (outputs, false)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.fail(Reason::NotARead);
                (Vec::new(), false)
            }
            SetExpr::Table(_) => {
                self.not_understood("TABLE");
                (Vec::new(), false)
            }
        }
    }

    fn with(&mut self, with: &With, parent: Option<&Scope<'_>>) {
        let first = self.ctes.len();
        // SQLite lets a CTE refer to itself without RECURSIVE, and to later ones.
        let recursive = with.recursive || self.dialect == Dialect::Sqlite;
        let names = with.cte_tables.iter().map(|cte| self.dialect.fold(&cte.alias.name));
        let pending: Vec<_> = names.map(|name| Cte { name, columns: None }).collect();
        if recursive {
            self.ctes.extend(pending);
        }
        for (position, cte) in with.cte_tables.iter().enumerate() {
            if cte.from.is_some() {
                self.not_understood("this kind of CTE");
            }
            let outer = std::mem::take(&mut self.grouping);
            if recursive {
                // What a recursive CTE reads from itself was marked where it came from, since
                // recursion goes through a set operation.
                self.ctes[first + position].columns = Some(Columns::Free);
            }
            let outputs = self.query(&cte.query, parent);
            self.grouping = outer;
            let columns = self.derived(Some(&cte.alias), outputs).columns;
            if recursive {
                self.ctes[first + position].columns = Some(columns);
            } else {
                let name = self.dialect.fold(&cte.alias.name);
                self.ctes.push(Cte { name, columns: Some(columns) });
            }
        }
    }

    fn select(
        &mut self,
        select: &Select,
        order: Option<&OrderBy>,
        parent: Option<&Scope<'_>>,
        shape: Option<&mut Shape>,
    ) -> (Vec<Output>, bool) {
        self.refuse_rare_clauses(select);
        let outer = std::mem::take(&mut self.grouping);
        let mut scope = Scope::inside(parent);
        let joined = self.from(&select.from, &mut scope);
        let (outputs, positions) = self.projection(select, &mut scope, &joined);

        let mut members = Vec::new();
        for (condition, _) in &joined.conditions {
            self.expr(condition, &scope, &mut members);
        }
        if let Some(condition) = &select.selection {
            self.expr(condition, &scope, &mut members);
        }
        let grouped = self.grouping(select, &scope, &mut members);
        self.order(order, &scope, &outputs, &mut members);
        self.mark(&members);
        self.bound(select.selection.as_ref(), &scope, &joined);

        let distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => {
                outputs.iter().for_each(|output| self.mark(&output.refs));
                true
            }
            Some(Distinct::On(exprs)) => {
                let mut refs = Vec::new();
                self.exprs(exprs, &scope, &mut refs);
                self.mark(&refs);
                true
            }
        };
        if let Some(shape) = shape.filter(|_| !grouped && !distinct && !self.grouping) {
            shape.occurrences = joined.occurrences;
        }
        self.grouping = outer;
        (outputs, positions)
    }

    fn refuse_rare_clauses(&mut self, select: &Select) {
        if select.into.is_some() {
            self.fail(Reason::NotARead);
        }
        if select.top.is_some()
            || select.exclude.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.select_modifiers.is_some()
            || select.flavor != SelectFlavor::Standard
        {
            self.not_understood("a rare clause of SELECT");
        }
    }

    /// GROUP BY, HAVING and named windows. Returns whether rows are grouped.
    fn grouping(
        &mut self,
        select: &Select,
        scope: &Scope<'_>,
        members: &mut Vec<ColumnRef>,
    ) -> bool {
        let mut grouped = false;
        match &select.group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => {
                grouped = !exprs.is_empty();
                for expr in exprs {
                    // `GROUP BY 1` means the first output, and so may `(1)` and `1 COLLATE x`.
                    self.coarse |= is_constant(expr);
                    self.expr(expr, scope, members);
                }
            }
            _ => self.not_understood("this kind of GROUP BY"),
        }
        if let Some(having) = &select.having {
            self.expr(having, scope, members);
            grouped = true;
        }
        for window in &select.named_window {
            match &window.1 {
                sqlparser::ast::NamedWindowExpr::WindowSpec(spec) => {
                    self.window(spec, scope, members);
                }
                sqlparser::ast::NamedWindowExpr::NamedWindow(_) => {}
            }
        }
        grouped
    }

    fn order(
        &mut self,
        order: Option<&OrderBy>,
        scope: &Scope<'_>,
        outputs: &[Output],
        members: &mut Vec<ColumnRef>,
    ) {
        let Some(order) = order else { return };
        let OrderByKind::Expressions(exprs) = &order.kind else {
            return self.not_understood("ORDER BY ALL");
        };
        if order.interpolate.is_some() {
            self.not_understood("INTERPOLATE");
        }
        for item in exprs {
            self.order_exprs(std::slice::from_ref(item), scope, members);
            if !is_constant(&item.expr) {
                continue;
            }
            // The position of an output: `2`, and also `(2)` and `2 COLLATE x`.
            let position = item.expr.to_string().parse::<usize>().ok();
            match position.and_then(|p| outputs.get(p.checked_sub(1)?)) {
                Some(output) => members.extend(output.refs.iter().cloned()),
                None => self.coarse = true,
            }
        }
    }

    /// ORDER BY of a set operation: over outputs that are all marked already.
    fn order_outputs(
        &mut self,
        order: Option<&OrderBy>,
        outputs: &[Output],
        parent: Option<&Scope<'_>>,
    ) {
        let mut scope = Scope::inside(parent);
        let columns = Columns::Derived(outputs.to_vec());
        scope.sources.push(Source { alias: None, columns });
        let mut members = Vec::new();
        self.order(order, &scope, outputs, &mut members);
        self.mark(&members);
    }
}

/// The expressions of LIMIT and OFFSET.
fn limits(query: &Query) -> (Vec<&Expr>, Option<&Expr>) {
    match &query.limit_clause {
        None => (Vec::new(), None),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            let limit = limit.iter().chain(limit_by).collect();
            (limit, offset.as_ref().map(|offset| &offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (vec![limit], Some(offset)),
    }
}

/// `2`, `(2)`, `+2`, `2 COLLATE x`: in ORDER BY and GROUP BY they name outputs by position.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(e) | Expr::UnaryOp { expr: e, .. } | Expr::Collate { expr: e, .. } => {
            is_constant(e)
        }
        Expr::Value(_) => true,
        _ => false,
    }
}
