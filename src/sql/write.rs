//! INSERT, UPDATE, DELETE: which table, which columns, and what bounds the rows.

use sqlparser::ast::{
    Assignment, AssignmentTarget, CascadeOption, ConflictTarget, Delete, Expr, FromTable, Insert,
    ObjectName, ObjectNamePart, OnConflictAction, OnInsert, Query, SelectItem, SetExpr,
    SqliteOnConflict, Statement, TableFactor, TableObject, TableWithJoins, Truncate, Update,
};

use crate::schema::{Column, Name, Schema, Table};
use crate::sql::capture::Lock;
use crate::sql::equality::{conjuncts, equality, operand};
use crate::sql::facts::{Conflict, Equality, Operand, OutputColumn, WriteAction, WriteFacts};
use crate::sql::statement::{ANY_TABLE, tables_of};
use crate::sql::{Dialect, parse};

/// More rows than this in one INSERT are not told apart, like a capture's.
const MAX_ROWS: usize = 256;

/// Why a statement is not understood, in words for an event.
type Opaque = String;

pub(super) struct Writer<'a> {
    pub(super) dialect: Dialect,
    pub(super) schema: &'a Schema,
}

/// The written table: in the catalog, or a view.
pub(super) struct Target<'a> {
    name: Name,
    /// As the statement spells it.
    path: ObjectName,
    pub(super) table: Option<&'a Table>,
}

impl<'a> Writer<'a> {
    /// Does a query change data, itself or in a CTE?
    pub(super) fn writes(query: &Query) -> bool {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        ctes.into_iter().any(|cte| Self::writes(&cte.query)) || Self::body_writes(&query.body)
    }

    fn body_writes(body: &SetExpr) -> bool {
        match body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                true
            }
            SetExpr::Query(query) => Self::writes(query),
            SetExpr::SetOperation { left, right, .. } => {
                Self::body_writes(left) || Self::body_writes(right)
            }
            _ => false,
        }
    }

    pub(super) fn statement(&self, statement: &Statement) -> Result<Vec<WriteFacts>, Opaque> {
        if !self.schema.known {
            return Err("nothing is known of the schema".into());
        }
        if let Some(why) = &self.schema.partly_hidden {
            return Err(why.to_string());
        }
        if self.schema.shadowed.contains(ANY_TABLE) {
            return Err("a temporary trigger may fire".into());
        }
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Query(query) => self.query(query),
            Statement::Truncate(truncate) => self.truncate(truncate),
            Statement::Merge(merge) => match &merge.table {
                TableFactor::Table { name, .. } => self.wholly(name),
                _ => Err("MERGE into something that is not a table".into()),
            },
            other => {
                let words = other.to_string();
                let first = words.split_whitespace().next().unwrap_or_default();
                Err(format!("{first} is not understood"))
            }
        }
    }

    /// `WITH … INSERT`, and CTEs that change data.
    fn query(&self, query: &Query) -> Result<Vec<WriteFacts>, Opaque> {
        let mut facts = Vec::new();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            if Self::writes(&cte.query) {
                let mut inner = self.query(&cte.query)?;
                // The rows that come back are those of the outer query.
                inner.iter_mut().for_each(|facts| facts.returning.clear());
                facts.extend(inner);
            }
        }
        match &*query.body {
            SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => {
                let mut inner = self.statement(inner)?;
                // A capture would lack the CTEs.
                inner.iter_mut().for_each(WriteFacts::forget_capture);
                facts.extend(inner);
            }
            body if Self::body_writes(body) => return Err("a nested write".into()),
            _ => {}
        }
        Ok(facts)
    }

    /// Everything about the table may change.
    fn wholly(&self, name: &ObjectName) -> Result<Vec<WriteFacts>, Opaque> {
        let target = self.target(name)?;
        self.finish(&target, WriteFacts::unknown(target.name.clone()))
    }

    fn truncate(&self, truncate: &Truncate) -> Result<Vec<WriteFacts>, Opaque> {
        let mut facts = Vec::new();
        for table in &truncate.table_names {
            facts.extend(self.wholly(&table.name)?);
        }
        if truncate.cascade == Some(CascadeOption::Cascade) {
            // The tables that refer to these, whatever their keys' actions are.
            let mut at = 0;
            while let Some(parent) = facts.get(at).map(|facts| facts.table.clone()) {
                let keys = self.schema.foreign_keys.iter().filter(|key| key.parent == parent);
                for key in keys {
                    if !facts.iter().any(|known| known.table == key.child) {
                        facts.push(WriteFacts::unknown(key.child.clone()));
                    }
                }
                at += 1;
            }
        }
        Ok(facts)
    }

    fn target(&self, name: &ObjectName) -> Result<Target<'a>, Opaque> {
        let unknown = || format!("table {name} is not in the catalog");
        let folded = self.dialect.table_name(name, self.schema).ok_or_else(unknown)?;
        let table = self.schema.table(&folded);
        if table.is_none() && !self.schema.views.contains_key(&folded) {
            return Err(unknown());
        }
        if let Some(whole) = table.and_then(|table| table.part_of.as_ref()) {
            return Err(format!("{name} is a part of {whole}"));
        }
        Ok(Target { name: folded, path: name.clone(), table })
    }

    /// A write to a view goes to its triggers, or to the tables below it.
    fn finish(&self, target: &Target<'_>, facts: WriteFacts) -> Result<Vec<WriteFacts>, Opaque> {
        if target.table.is_some() {
            return Ok(vec![facts]);
        }
        let sql = format!("SELECT * FROM {}", target.path);
        let parsed = parse::tokens(&sql, self.dialect)
            .and_then(|tokens| parse::statements(tokens, self.dialect))
            .map_err(|reason| reason.to_string())?;
        let Some(Statement::Query(query)) = parsed.first() else {
            return Err("a view that is not understood".into());
        };
        let mut all =
            tables_of(query, self.dialect, self.schema).map_err(|reason| reason.to_string())?;
        all.push(facts);
        Ok(all)
    }

    fn insert(&self, insert: &Insert) -> Result<Vec<WriteFacts>, Opaque> {
        let TableObject::TableName(name) = &insert.table else {
            return Err("INSERT into something that is not a table".into());
        };
        if insert.overwrite
            || insert.partitioned.is_some()
            || insert.output.is_some()
            || insert.multi_table_insert_type.is_some()
        {
            return Err("an unusual INSERT".into());
        }
        let target = self.target(name)?;
        if target.table.is_some_and(|table| table.replaces) {
            return self.finish(&target, WriteFacts::unknown(target.name.clone()));
        }
        let columns = self.insert_columns(insert, &target)?;
        let mut rows = self.insert_rows(insert, &columns);
        let conflict = self.conflict(insert)?;
        if let (Conflict::Replace, Some(table)) = (&conflict, target.table) {
            rows.iter_mut().flatten().for_each(|row| hide_replaced_nulls(row, table));
        }
        let alias = insert.table_alias.as_ref().map(|alias| self.dialect.fold(&alias.alias));
        let returning = self.returning(insert.returning.as_deref(), &target, alias.as_ref(), true);
        let mut action = WriteAction::Insert { rows, conflict };
        if insert.ignore || self.stores_otherwise(&target) {
            action.forget_values();
        }
        self.add_rewritten(&target, &mut action);
        self.finish(&target, WriteFacts { table: target.name.clone(), action, returning })
    }

    /// May the table hold other values than those that a statement gives?
    fn stores_otherwise(&self, target: &Target<'_>) -> bool {
        self.schema.lenient || target.table.is_some_and(|table| table.rewritten)
    }

    /// A BEFORE trigger may set any column.
    fn add_rewritten(&self, target: &Target<'_>, action: &mut WriteAction) {
        let Some(table) = target.table.filter(|table| table.rewritten) else { return };
        if let WriteAction::Update { set, .. }
        | WriteAction::Insert { conflict: Conflict::Update { set, .. }, .. } = action
        {
            let all = table.columns.iter().map(|column| (column.name.clone(), Operand::Unknown));
            *set = all.collect();
        }
    }

    fn insert_columns(&self, insert: &Insert, target: &Target<'_>) -> Result<Vec<Name>, Opaque> {
        if insert.columns.is_empty() {
            let columns = target.table.into_iter().flat_map(|table| &table.columns);
            // SQLite passes over generated columns, servers take DEFAULT for them.
            let passed_over = |c: &Column| c.generated && self.dialect == Dialect::Sqlite;
            let counts = |c: &&Column| !c.hidden && !passed_over(c);
            return Ok(columns.filter(counts).map(|c| c.name.clone()).collect());
        }
        let bare = |name: &ObjectName| match name.0.as_slice() {
            [ObjectNamePart::Identifier(column)] => Some(self.dialect.fold(column)),
            _ => None,
        };
        let names = insert.columns.iter().map(bare);
        let names = names.collect::<Option<Vec<_>>>().ok_or("a qualified column")?;
        // A name that is no column may be the row id.
        match target.table {
            Some(table) if names.iter().any(|name| table.column(name).is_none()) => {
                Err("INSERT into a column that is not in the catalog".into())
            }
            _ => Ok(names),
        }
    }

    fn insert_rows(&self, insert: &Insert, columns: &[Name]) -> Option<Vec<Vec<(Name, Operand)>>> {
        if !insert.assignments.is_empty() {
            return Some(vec![self.assignments(&insert.assignments)?]);
        }
        let Some(source) = &insert.source else {
            return Some(vec![Vec::new()]);
        };
        let SetExpr::Values(values) = &*source.body else {
            return None;
        };
        if source.with.is_some() || values.rows.len() > MAX_ROWS {
            return None;
        }
        if columns.iter().enumerate().any(|(index, name)| columns[..index].contains(name)) {
            return None;
        }
        let row = |row: &[Expr]| {
            let values = row.iter().map(operand);
            (row.len() == columns.len()).then(|| columns.iter().cloned().zip(values).collect())
        };
        values.rows.iter().map(|values| row(&values.content)).collect()
    }

    fn conflict(&self, insert: &Insert) -> Result<Conflict, Opaque> {
        let replace = insert.replace_into || insert.or == Some(SqliteOnConflict::Replace);
        match &insert.on {
            None if replace => Ok(Conflict::Replace),
            None => Ok(Conflict::None),
            Some(_) if replace => Err("REPLACE with a conflict clause".into()),
            Some(OnInsert::DuplicateKeyUpdate(set)) => {
                Ok(Conflict::Update { target: Vec::new(), set: self.set(set)? })
            }
            Some(OnInsert::OnConflict(on)) => match &on.action {
                OnConflictAction::DoNothing => Ok(Conflict::None),
                OnConflictAction::DoUpdate(update) => {
                    let target = match &on.conflict_target {
                        Some(ConflictTarget::Columns(columns)) => {
                            columns.iter().map(|column| self.dialect.fold(column)).collect()
                        }
                        _ => Vec::new(),
                    };
                    Ok(Conflict::Update { target, set: self.set(&update.assignments)? })
                }
            },
            Some(_) => Err("an unusual conflict clause".into()),
        }
    }

    fn set(&self, assignments: &[Assignment]) -> Result<Vec<(Name, Operand)>, Opaque> {
        self.assignments(assignments).ok_or_else(|| "a qualified column".into())
    }

    fn assignments(&self, assignments: &[Assignment]) -> Option<Vec<(Name, Operand)>> {
        let last = |name: &ObjectName| match name.0.as_slice() {
            // To PostgreSQL, `a.b` is a field of column `a`.
            [_, _, ..] if self.dialect == Dialect::Postgres => None,
            parts => Some(self.dialect.fold(parts.last()?.as_ident()?)),
        };
        let mut set = Vec::new();
        for assignment in assignments {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    set.push((last(name)?, operand(&assignment.value)));
                }
                AssignmentTarget::Tuple(names) => {
                    for name in names {
                        set.push((last(name)?, Operand::Unknown));
                    }
                }
            }
        }
        // `SET a = 1, a = 2`: which one wins differs by database.
        let mut doubled = Vec::new();
        for (index, (name, _)) in set.iter().enumerate() {
            if set[..index].iter().any(|(earlier, _)| earlier == name) {
                doubled.push(name.clone());
            }
        }
        for (name, value) in &mut set {
            if doubled.contains(name) {
                *value = Operand::Unknown;
            }
        }
        Some(set)
    }

    fn update(&self, update: &Update) -> Result<Vec<WriteFacts>, Opaque> {
        if update.output.is_some() {
            return Err("an unusual UPDATE".into());
        }
        let (name, alias) = match &update.table {
            TableWithJoins { relation: TableFactor::Table { name, alias, .. }, joins }
                if joins.is_empty() =>
            {
                (name, alias.as_ref().map(|alias| self.dialect.fold(&alias.name)))
            }
            tree => return self.several_tables([tree]),
        };
        let target = self.target(name)?;
        let set = self.set(&update.assignments)?;
        let in_catalog =
            |column: &Name| target.table.is_none_or(|t| !t.replaces && t.column(column).is_some());
        if !set.iter().all(|(column, _)| in_catalog(column)) {
            return self.finish(&target, WriteFacts::unknown(target.name.clone()));
        }
        let alone = update.from.is_none();
        let selection = update.selection.as_ref();
        let filter = self.filter(selection, &target, alias.as_ref(), alone);
        let plain = alone && update.or.is_none() && update.limit.is_none();
        let capture = plain
            .then(|| {
                let relation = &update.table.relation;
                self.capture(relation, selection, &target, alias.as_ref(), Lock::Update)
            })
            .flatten();
        let replaces = update.or == Some(SqliteOnConflict::Replace);
        let returning = self.returning(update.returning.as_deref(), &target, alias.as_ref(), alone);
        let mut action = WriteAction::Update { set, filter, replaces, capture };
        if self.stores_otherwise(&target) {
            action.forget_values();
        }
        self.add_rewritten(&target, &mut action);
        self.finish(&target, WriteFacts { table: target.name.clone(), action, returning })
    }

    fn delete(&self, delete: &Delete) -> Result<Vec<WriteFacts>, Opaque> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        if delete.output.is_some() {
            return Err("an unusual DELETE".into());
        }
        let (relation, name, alias) = match from.as_slice() {
            [TableWithJoins { relation, joins }]
                if joins.is_empty() && delete.tables.is_empty() =>
            {
                match relation {
                    TableFactor::Table { name, alias, .. } => {
                        (relation, name, alias.as_ref().map(|a| self.dialect.fold(&a.name)))
                    }
                    _ => return Err("DELETE from something that is not a table".into()),
                }
            }
            trees => return self.several_tables(trees),
        };
        if let Some(using) = delete.using.as_ref().filter(|_| self.dialect == Dialect::MySql) {
            // What stands before USING are aliases of what stands after it.
            return self.several_tables(using);
        }
        let target = self.target(name)?;
        let alone = delete.using.is_none();
        let selection = delete.selection.as_ref();
        let filter = self.filter(selection, &target, alias.as_ref(), alone);
        let capture = (alone && delete.limit.is_none())
            .then(|| self.capture(relation, selection, &target, alias.as_ref(), Lock::Delete))
            .flatten();
        let returning = self.returning(delete.returning.as_deref(), &target, alias.as_ref(), alone);
        let action = WriteAction::Delete { filter, capture };
        self.finish(&target, WriteFacts { table: target.name.clone(), action, returning })
    }

    /// Forms that write several tables: whichever they name, wholly.
    fn several_tables<'t>(
        &self,
        trees: impl IntoIterator<Item = &'t TableWithJoins>,
    ) -> Result<Vec<WriteFacts>, Opaque> {
        let mut facts = Vec::new();
        for tree in trees {
            for factor in
                std::iter::once(&tree.relation).chain(tree.joins.iter().map(|j| &j.relation))
            {
                match factor {
                    TableFactor::Table { name, .. } => facts.extend(self.wholly(name)?),
                    TableFactor::NestedJoin { table_with_joins, .. } => {
                        facts.extend(self.several_tables([&**table_with_joins])?);
                    }
                    // What a subquery shows can't be written.
                    TableFactor::Derived { .. } => {}
                    other => return Err(format!("a write to {other}")),
                }
            }
        }
        Ok(facts)
    }

    /// The equalities on key columns that every written row satisfied before the write.
    fn filter(
        &self,
        selection: Option<&Expr>,
        target: &Target<'_>,
        alias: Option<&Name>,
        alone: bool,
    ) -> Vec<Equality> {
        let (Some(selection), Some(table)) = (selection, target.table) else {
            return Vec::new();
        };
        let bare = target.bare(self.dialect);
        let shown = alias.unwrap_or(&bare);
        let key = |expr: &Expr| {
            let name = match expr {
                // With other tables about, a bare name could be theirs.
                Expr::Identifier(name) if alone => name,
                Expr::CompoundIdentifier(path) => match path.as_slice() {
                    [qualifier, name] if self.dialect.fold(qualifier) == *shown => name,
                    _ => return None,
                },
                _ => return None,
            };
            let name = self.dialect.fold(name);
            table.column(&name).filter(|column| column.is_key).map(|column| column.name.clone())
        };
        let mut parts = Vec::new();
        conjuncts(selection, &mut parts);
        parts.into_iter().filter_map(|part| equality(part, key)).collect()
    }

    /// Where RETURNING brings back the written table's columns.
    fn returning(
        &self,
        items: Option<&[SelectItem]>,
        target: &Target<'_>,
        alias: Option<&Name>,
        alone: bool,
    ) -> Vec<OutputColumn> {
        let (Some(items), Some(table)) = (items, target.table) else {
            return Vec::new();
        };
        let bare = target.bare(self.dialect);
        let shown = alias.unwrap_or(&bare);
        let (mut found, mut index) = (Vec::new(), 0);
        for item in items {
            let (expr, alias) = match item {
                SelectItem::Wildcard(options) if options.to_string().is_empty() && alone => {
                    for column in table.shown() {
                        let label = column.name.to_string();
                        found.push(OutputColumn { column: column.name.clone(), index, label });
                        index += 1;
                    }
                    continue;
                }
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
                _ => return Vec::new(),
            };
            let name = match expr {
                Expr::Identifier(name) if alone => Some(name),
                Expr::CompoundIdentifier(path) => match path.as_slice() {
                    // Other tables of the statement may have the column, too.
                    [of, name] if self.dialect.fold(of) == *shown => Some(name),
                    _ => None,
                },
                _ => None,
            };
            let column = name.and_then(|name| table.column(&self.dialect.fold(name)));
            if let (Some(column), Some(name)) = (column, name) {
                let label = self.dialect.fold(alias.unwrap_or(name)).to_string();
                found.push(OutputColumn { column: column.name.clone(), index, label });
            }
            index += 1;
        }
        found
    }
}

impl Target<'_> {
    /// The name by which the statement's columns call it.
    fn bare(&self, dialect: Dialect) -> Name {
        match self.path.0.last() {
            Some(ObjectNamePart::Identifier(name)) => dialect.fold(name),
            _ => self.name.clone(),
        }
    }
}

impl WriteAction {
    /// The values that the statement gives are not those that are stored.
    fn forget_values(&mut self) {
        let forget = |set: &mut Vec<(Name, Operand)>| {
            set.iter_mut().for_each(|(_, value)| *value = Operand::Unknown);
        };
        match self {
            Self::Insert { rows, conflict } => {
                rows.iter_mut().flatten().for_each(forget);
                if let Conflict::Update { target, set } = conflict {
                    forget(set);
                    target.clear();
                }
            }
            Self::Update { set, .. } => forget(set),
            Self::Delete { .. } | Self::Unknown => {}
        }
    }
}

impl WriteFacts {
    pub(super) fn forget_capture(&mut self) {
        if let WriteAction::Update { capture, .. } | WriteAction::Delete { capture, .. } =
            &mut self.action
        {
            *capture = None;
        }
    }
}

/// REPLACE turns a NULL for a NOT NULL column into the column's default.
fn hide_replaced_nulls(row: &mut [(Name, Operand)], table: &Table) {
    for (name, value) in row {
        let may_be_null =
            matches!(value, Operand::Param(_) | Operand::Literal(crate::tag::KeyValue::Null));
        if may_be_null && table.column(name).is_some_and(|column| column.not_null) {
            *value = Operand::Unknown;
        }
    }
}
