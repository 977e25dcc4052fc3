//! Which rules a commit fires, and what they bump.

use std::sync::Arc;

use sea_orm::{Identity, RelationDef};

use super::commit::concerns;
use super::run::{Fired, Work, later};
use super::{Commit, Effect, Relation, Rule};
use crate::cache::Engine;
use crate::change::{Bump, Change, Changes, Image};
use crate::change::{Effect as Changed, Row};
use crate::invalidate::any_change;
use crate::schema::{Schema, Table};
use crate::shared::Under;

impl Engine {
    /// Notes what the rules do about what was committed.
    pub(crate) fn fire(self: &Arc<Self>, changes: &Changes, schema: &Schema, under: Under) {
        later(self, self.fired(changes, schema, under));
    }

    /// The same for what other programs committed, as the outbox tells. What is to be invalidated is
    /// so at once: the notes are kept until then, and no write waits.
    pub(crate) fn fire_foreign(self: &Arc<Self>, changes: &Changes, schema: &Schema, under: Under) {
        let mut calls = Vec::new();
        for mut one in self.fired(changes, schema, under) {
            match &mut one.work {
                Work::Bump(bump, under) => self.bump_by(&one.rule, bump, *under),
                Work::Call(commit) if one.rule.foreign => {
                    commit.foreign = true;
                    calls.push(one);
                }
                Work::Call(_) => {}
            }
        }
        later(self, calls);
    }

    fn fired(&self, changes: &Changes, schema: &Schema, under: Under) -> Vec<Fired> {
        let mut fired = Vec::new();
        for rule in self.rules.all() {
            // A change of a whole may be one of a part of it.
            let part_of = |whole: &str| {
                let part = |table: &&Table| table.part_of.as_deref() == Some(whole);
                schema.tables.values().filter(part).any(|table| rule.table.may_be(&table.name))
            };
            let of_part = changes.of(part_of).next().is_some();
            let of_table: Vec<_> = changes
                .of(|table| rule.table.may_be(table))
                .filter(|change| concerns(change, &rule.operations, &rule.columns))
                .collect();
            let more = changes.more || of_part;
            if !of_table.is_empty() || more {
                let work = self.work(&rule, &of_table, more, schema, under);
                fired.push(Fired { rule, work });
            }
        }
        fired
    }

    fn work(
        &self,
        rule: &Rule,
        changes: &[&Change],
        more: bool,
        schema: &Schema,
        under: Under,
    ) -> Work {
        let (bump, under) = match &rule.effect {
            Effect::Invalidate(what) => what.bump(self),
            Effect::Related(relation) => match relation.rows(changes, more, schema) {
                Some(bump) => (bump, under),
                None => relation.to.entity.bump(self),
            },
            Effect::Call(_) => return Work::Call(Commit::new(changes, more)),
        };
        Work::Bump(bump, under)
    }
}

impl Relation {
    /// What a change of the related rows bumps; `None` if it is not known which they are.
    fn rows(&self, changes: &[&Change], more: bool, schema: &Schema) -> Option<Bump> {
        let def = self.to.def.as_ref().filter(|_| self.direct && !more)?;
        // There may be one of that name in several schemas.
        let tables: Vec<_> =
            schema.tables.values().filter(|table| self.to.may_be(&table.name)).collect();
        let by_key = |table: &&Table| is_key(&columns(&def.to_col), table);
        if tables.is_empty() || !tables.iter().all(by_key) {
            return None;
        }
        let mut bump = Bump::default();
        for change in changes {
            for image in images(change)? {
                for table in &tables {
                    let before = key(def, image, table)?;
                    let effect = Changed::Delete(vec![Row { before, after: Image::default() }]);
                    let change = Change { table: table.name.clone(), effect };
                    any_change(&change, schema).iter().for_each(|one| bump.add(one, schema));
                }
            }
        }
        Some(bump)
    }
}

/// Do these make up the table's primary key?
fn is_key(columns: &[String], table: &Table) -> bool {
    let is_in = |name: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    !columns.is_empty()
        && columns.len() == table.primary_key().count()
        && table.primary_key().all(|column| is_in(&column.name))
}

/// The key of the row that this one is related to.
fn key(def: &RelationDef, image: &Image, table: &Table) -> Option<Image> {
    let (from, to) = (columns(&def.from_col), columns(&def.to_col));
    let mut key = Image::default();
    for (from, to) in from.iter().zip(&to) {
        let mut columns = table.columns.iter();
        let column = columns.find(|column| column.name.eq_ignore_ascii_case(to))?;
        key.set(&column.name, Some(image.find(from)?.clone()));
    }
    Some(key)
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
fn columns(identity: &Identity) -> Vec<String> {
    identity.iter().map(ToString::to_string).collect()
}
