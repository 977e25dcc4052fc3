//! FROM: tables, joins, views, CTEs and subqueries become the sources of a scope.

use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Statement, TableAlias,
    TableFactor, TableWithJoins,
};

use crate::event::Reason;
use crate::schema::Unfit;
use crate::sql::facts::Occurrence;
use crate::sql::query::{Cte, Walker};
use crate::sql::scope::{Columns, Output, Scope, Source};
use crate::sql::{functions, parse};

/// What a SELECT's FROM clause leaves behind beside its sources.
#[derive(Debug, Default)]
pub(super) struct Joined<'q> {
    /// Conditions and the occurrences that each one may bound.
    pub(super) conditions: Vec<(&'q Expr, Bounds)>,
    /// Occurrences directly in this FROM.
    pub(super) occurrences: Vec<usize>,
    /// `*` no longer lists the sources' columns one after the other.
    pub(super) merges_columns: bool,
    /// RIGHT or FULL joins: no condition bounds anything.
    pub(super) unbounded: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Bounds {
    /// WHERE and the ON of an inner join: every occurrence, the nullable ones only by a value.
    All,
    /// The ON of a LEFT JOIN: the occurrences of its right side.
    Only(Vec<usize>),
}

impl<'q> Walker<'_> {
    pub(super) fn from(&mut self, from: &'q [TableWithJoins], scope: &mut Scope<'_>) -> Joined<'q> {
        let mut joined = Joined::default();
        for tree in from {
            self.join_tree(tree, scope, &mut joined);
        }
        joined
    }

    fn join_tree(
        &mut self,
        tree: &'q TableWithJoins,
        scope: &mut Scope<'_>,
        joined: &mut Joined<'q>,
    ) {
        self.factor(&tree.relation, scope, joined);
        for join in &tree.joins {
            let left = joined.occurrences.len();
            let first_source = scope.sources.len();
            self.factor(&join.relation, scope, joined);
            self.join(join, left, first_source, scope, joined);
        }
    }

    fn join(
        &mut self,
        join: &'q Join,
        left: usize,
        first_source: usize,
        scope: &Scope<'_>,
        joined: &mut Joined<'q>,
    ) {
        let right: Vec<_> = joined.occurrences[left..].to_vec();
        let (constraint, bounds) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => {
                (c, Bounds::All)
            }
            JoinOperator::StraightJoin(c) => (c, Bounds::All),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => {
                self.make_nullable(&right);
                (c, Bounds::Only(right))
            }
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => {
                joined.unbounded = true;
                self.make_nullable(&joined.occurrences[..left]);
                (c, Bounds::Only(Vec::new()))
            }
            JoinOperator::FullOuter(c) => {
                joined.unbounded = true;
                self.make_nullable(&joined.occurrences);
                (c, Bounds::Only(Vec::new()))
            }
            _ => return self.not_understood("this kind of join"),
        };
        match constraint {
            JoinConstraint::On(condition) => joined.conditions.push((condition, bounds)),
            JoinConstraint::None => {}
            JoinConstraint::Using(columns) => {
                joined.merges_columns = true;
                for column in columns {
                    self.merged_column(column, scope);
                }
            }
            JoinConstraint::Natural => {
                joined.merges_columns = true;
                self.natural(first_source, scope);
            }
        }
    }

    fn make_nullable(&mut self, occurrences: &[usize]) {
        for index in occurrences {
            self.occurrences[*index].nullable = true;
        }
    }

    /// A column of USING: all sources' columns of that name decide which rows match.
    fn merged_column(&mut self, column: &ObjectName, scope: &Scope<'_>) {
        let [ObjectNamePart::Identifier(name)] = column.0.as_slice() else {
            return self.not_understood("a qualified column in USING");
        };
        let name = self.dialect.fold(name);
        match scope.own(None, &name, self.schema, &self.occurrences) {
            Some(refs) => self.mark(&refs),
            None => self.coarse = true,
        }
    }

    /// NATURAL: any column of the new source may be shared with an earlier one.
    fn natural(&mut self, first_source: usize, scope: &Scope<'_>) {
        for source in &scope.sources[first_source..] {
            for name in self.column_names(&source.columns) {
                if let Some(refs) = scope.own(None, &name, self.schema, &self.occurrences) {
                    self.mark(&refs);
                }
            }
        }
    }

    fn factor(&mut self, factor: &'q TableFactor, scope: &mut Scope<'_>, joined: &mut Joined<'q>) {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                sample: None,
                with_ordinality: false,
                ..
            } => {
                let function = name.to_string().to_ascii_lowercase();
                self.seen.insert(function.clone());
                if !functions::is_table_function(&function) {
                    return self.fail(Reason::UnknownFunction(function));
                }
                let mut refs = Vec::new();
                for argument in &args.args {
                    self.argument(argument, scope, &mut refs);
                }
                self.mark(&refs);
                let alias = alias.as_ref().map(|a| self.dialect.fold(&a.name));
                let alias = alias.or_else(|| Some(function.into()));
                scope.sources.push(Source { alias, columns: Columns::Free });
            }
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                partitions,
                json_path: None,
                sample: None,
                with_ordinality: false,
                ..
            } if partitions.is_empty() => self.named(name, alias.as_ref(), scope, joined),
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let parent = if *lateral { Some(&*scope) } else { scope.parent };
                let outer = std::mem::take(&mut self.grouping);
                let outputs = self.query(subquery, parent);
                self.grouping = outer;
                let source = self.derived(alias.as_ref(), outputs);
                scope.sources.push(source);
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                ..
            } => {
                let mut refs = Vec::new();
                self.exprs(array_exprs, scope, &mut refs);
                self.mark(&refs);
                let alias = alias.as_ref().map(|a| self.dialect.fold(&a.name));
                scope.sources.push(Source { alias, columns: Columns::Free });
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let before = joined.conditions.len();
                self.join_tree(table_with_joins, scope, joined);
                // Its ONs hold inside the parentheses only, and what stands outside may undo them.
                for (_, bounds) in &mut joined.conditions[before..] {
                    *bounds = Bounds::Only(Vec::new());
                }
            }
            _ => self.not_understood("this kind of table expression"),
        }
    }

    /// A name in FROM: a CTE, a view or a table, looked for in that order.
    fn named(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
        joined: &mut Joined<'q>,
    ) {
        let Some(table) = self.dialect.table_name(name, self.schema) else {
            return self.fail(Reason::UnknownTable(name.to_string()));
        };
        self.seen.insert(table.to_string());
        let qualified = name.0.len() > 1;
        let bare = match name.0.last() {
            Some(ObjectNamePart::Identifier(name)) => self.dialect.fold(name),
            _ => table.clone(),
        };
        let shown = alias.map_or_else(|| bare.clone(), |a| self.dialect.fold(&a.name));
        let cte = self.ctes.iter().rev().find(|cte| !qualified && cte.name == bare);
        let columns = match cte {
            Some(Cte { columns: Some(columns), .. }) => columns.clone(),
            Some(_) => return self.not_understood("a CTE that refers to a later one"),
            None if !qualified && self.schema.shadowed.contains(&bare) => {
                return self.fail(Reason::TemporaryTable(table.to_string()));
            }
            None if self.schema.views.contains_key(&table) => self.view(&table),
            None => match self.occurrence(&table) {
                Some(index) => {
                    joined.occurrences.push(index);
                    Columns::Table(index)
                }
                None => return,
            },
        };
        if alias.is_some_and(|a| !a.columns.is_empty()) {
            return self.not_understood("renamed columns of a table");
        }
        scope.sources.push(Source { alias: Some(shown), columns });
    }

    /// A new occurrence of a table of the catalog.
    pub(super) fn occurrence(&mut self, name: &str) -> Option<usize> {
        let Some(table) = self.schema.table(name) else {
            self.fail(Reason::UnknownTable(name.to_owned()));
            return None;
        };
        match table.unfit {
            Some(Unfit::Elsewhere) => self.fail(Reason::VirtualTable(name.to_owned())),
            Some(Unfit::Unseen) => {
                self.not_understood(&format!("what cascades to {name} from another database"));
            }
            Some(Unfit::NotTransactional) => self.fail(Reason::NotTransactional(name.to_owned())),
            None => {}
        }
        if let Some(policies) = &table.row_security {
            // Which rows there are may hang on any of its columns, and on who asks.
            self.coarse = true;
            self.row_security.get_or_insert_with(|| name.to_owned());
            self.policies(name, policies);
        }
        self.ruled(name);
        if let Some(whole) = &table.part_of {
            self.ruled(whole);
        }
        self.occurrences.push(Occurrence {
            table: table.name.clone(),
            slices: Vec::new(),
            membership: Default::default(),
            output: Default::default(),
            exposed: None,
            whole: false,
            nullable: false,
        });
        Some(self.occurrences.len() - 1)
    }

    /// What an entity says about every query that reads its table or view.
    fn ruled(&mut self, name: &str) {
        if let Some((name, ruling)) = self.schema.rulings.get_key_value(name) {
            if ruling.no_cache {
                self.no_cache.get_or_insert_with(|| name.clone());
            }
            self.tags.extend(ruling.tags.iter().cloned());
        }
    }

    /// What row-level security makes a table's rows depend on beside their own columns.
    fn policies(&mut self, table: &str, policies: &[String]) {
        if self.views.iter().any(|open| open == table) {
            return self.not_understood(&format!("the policy of {table}, which reads itself,"));
        }
        let (ctes, grouping) = (std::mem::take(&mut self.ctes), self.grouping);
        self.views.push(table.to_owned());
        let outer = std::mem::replace(&mut self.in_policy, true);
        for policy in policies {
            let mut scope = Scope::default();
            scope.sources.push(Source { alias: Some(table.into()), columns: Columns::Free });
            match parse::expression(policy, self.dialect) {
                Ok(expr) => self.expr(&expr, &scope, &mut Vec::new()),
                Err(_) => self.not_understood(&format!("a policy of {table}")),
            }
        }
        self.in_policy = outer;
        self.views.pop();
        (self.ctes, self.grouping) = (ctes, grouping);
    }

    /// A view is the query that it stands for.
    fn view(&mut self, name: &str) -> Columns {
        let Some(view) = self.schema.views.get(name) else {
            return Columns::Free;
        };
        if self.views.iter().any(|open| open == name) {
            self.not_understood(&format!("view {name}, which contains itself,"));
            return Columns::Free;
        }
        let parsed = parse::tokens(&view.sql, self.dialect)
            .and_then(|tokens| parse::statements(tokens, self.dialect));
        let Some(Statement::CreateView(create)) = parsed.ok().and_then(|mut s| s.pop()) else {
            self.not_understood(&format!("the definition of view {name}"));
            return Columns::Free;
        };
        self.ruled(name);
        // A view sees neither the CTEs nor the scope of the query that names it.
        let (ctes, grouping) = (std::mem::take(&mut self.ctes), self.grouping);
        self.views.push(name.to_owned());
        let before = self.occurrences.len();
        let mut outputs = self.query(&create.query, None);
        self.views.pop();
        (self.ctes, self.grouping) = (ctes, grouping);
        if view.declared {
            self.occurrences[before..].iter_mut().for_each(|occurrence| occurrence.whole = true);
            return Columns::Free;
        }
        for (output, column) in outputs.iter_mut().zip(&create.columns) {
            output.name = Some(self.dialect.fold(&column.name));
        }
        self.mark_unnamed(&outputs);
        Columns::Derived(outputs)
    }

    /// A subquery's outputs under its alias.
    pub(super) fn derived(
        &mut self,
        alias: Option<&TableAlias>,
        mut outputs: Vec<Output>,
    ) -> Source {
        for (output, column) in outputs.iter_mut().zip(alias.iter().flat_map(|a| &a.columns)) {
            output.name = Some(self.dialect.fold(&column.name));
        }
        self.mark_unnamed(&outputs);
        let alias = alias.map(|alias| self.dialect.fold(&alias.name));
        Source { alias, columns: Columns::Derived(outputs) }
    }

    /// An expression without an alias has a name all the same, which each database makes up in
    /// its own way, and so has the second column of a name. Whoever uses it, it counts.
    fn mark_unnamed(&mut self, outputs: &[Output]) {
        for (index, output) in outputs.iter().enumerate() {
            let doubled = outputs[..index].iter().any(|earlier| earlier.name == output.name);
            if output.name.is_none() || doubled {
                self.mark(&output.refs);
            }
        }
    }
}
