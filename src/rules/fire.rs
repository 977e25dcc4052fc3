//! Which rules a commit fires, and what they bump.

use std::sync::Arc;

use sea_orm::Identity;

use super::commit::concerns;
use super::run::{Fired, later};
use super::{Commit, Effect, Relation, Rule};
use crate::cache::Engine;
use crate::change::{Bump, Change, Changes, Image};
use crate::change::{Effect as Changed, Row};
use crate::event::Cause;
use crate::invalidate::any_change;
use crate::schema::{Schema, Table};
use crate::shared::Under;

impl Engine {
    /// Runs the rules for what was committed: invalidates, and notes what is to be called.
    pub(crate) fn fire(self: &Arc<Self>, changes: &Changes, schema: &Schema, under: Under) {
        for rule in self.rules.all() {
            let of_table: Vec<_> = changes
                .of(|table| rule.table.may_be(table))
                .filter(|change| concerns(change, &rule.operations, &rule.columns))
                .collect();
            if of_table.is_empty() && !changes.more {
                continue;
            }
            self.run_rule(&rule, &of_table, changes.more, schema, under);
        }
    }

    fn run_rule(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        changes: &[&Change],
        more: bool,
        schema: &Schema,
        under: Under,
    ) {
        let cause = || Cause::Rule { name: rule.name.clone() };
        match &rule.effect {
            Effect::Invalidate(what) => {
                let (bump, under) = what.bump(self);
                self.bump_under(&bump, under, cause);
            }
            Effect::Related(relation) => match relation.rows(changes, more, schema) {
                Some(bump) => self.bump_under(&bump, under, cause),
                None => {
                    let (bump, under) = relation.entity.bump(self);
                    self.bump_under(&bump, under, cause);
                }
            },
            Effect::Call(_) => {
                let commit = Commit::new(changes, more);
                later(self, Fired { rule: rule.clone(), commit });
            }
        }
    }
}

impl Relation {
    /// What a change of the related rows bumps; `None` if it is not known which they are.
    fn rows(&self, changes: &[&Change], more: bool, schema: &Schema) -> Option<Bump> {
        if !self.by_key || more {
            return None;
        }
        // There may be one of that name in several schemas.
        let tables: Vec<_> =
            schema.tables.values().filter(|table| self.to.may_be(&table.name)).collect();
        if tables.is_empty() {
            return None;
        }
        let mut bump = Bump::default();
        for change in changes {
            for image in images(change)? {
                for table in &tables {
                    let before = self.key(image, table)?;
                    let effect = Changed::Delete(vec![Row { before, after: Image::default() }]);
                    let change = Change { table: table.name.clone(), effect };
                    any_change(&change, schema).iter().for_each(|one| bump.add(one, schema));
                }
            }
        }
        Some(bump)
    }

    /// The key of the row that one of these is related to.
    fn key(&self, image: &Image, table: &Table) -> Option<Image> {
        let (from, to) = (columns(&self.def.from_col), columns(&self.def.to_col));
        let mut key = Image::default();
        for (from, to) in from.iter().zip(&to) {
            let mut columns = table.columns.iter();
            let column = columns.find(|column| column.name.eq_ignore_ascii_case(to))?;
            key.set(&column.name, Some(image.find(from)?.clone()));
        }
        Some(key)
    }
}

/// The rows of a change as they were and as they are; `None` if they are not known.
fn images(change: &Change) -> Option<Vec<&Image>> {
    Some(match &change.effect {
        Changed::Insert(rows) => rows.iter().map(|row| &row.after).collect(),
        Changed::Delete(rows) => rows.iter().map(|row| &row.before).collect(),
        Changed::Update { rows, .. } => {
            rows.iter().flat_map(|row| [&row.before, &row.after]).collect()
        }
        Changed::Unknown => return None,
    })
}

/// The columns of a relation's end.
pub(super) fn columns(identity: &Identity) -> Vec<String> {
    identity.iter().map(ToString::to_string).collect()
}
