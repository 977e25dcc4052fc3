//! What the policies of entities add to what the catalog told.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlparser::ast::Ident;

use crate::entity::{EntityName, EntityPolicy};
use crate::fault::{Fault, broken};
use crate::schema::{Column, KeyClass, Name, Schema, Table};
use crate::sql::Dialect;

pub(crate) type Policies = BTreeMap<EntityName, EntityPolicy>;

/// A key column that was declared and can't be one.
pub(crate) struct KeyIgnored {
    pub(crate) table: Name,
    pub(crate) column: Name,
    pub(crate) why: &'static str,
}

/// Completes a schema, and says which keys could not be used. `alone`: no other process writes the
/// same tables through a cache.
pub(crate) fn apply(
    policies: &Policies,
    schema: &mut Schema,
    dialect: Dialect,
    alone: bool,
) -> Vec<KeyIgnored> {
    let mut ignored = Vec::new();
    for (entity, policy) in policies {
        let name = dialect.entity_table(entity.schema.as_deref(), entity.table, schema);
        let Some(name) = name else { continue };
        rule(policy, &name, schema);
        let Some(table) = schema.tables.get_mut(&name) else { continue };
        for (column, folded) in policy.key_columns() {
            let column = dialect.fold(&Ident::with_quote('"', column));
            if let Err(why) = make_key(table, &column, folded, alone) {
                ignored.push(KeyIgnored { table: name.clone(), column, why });
            }
        }
    }
    ignored
}

/// What of the policies decides on what an entry rests: caches that differ in it share none.
/// Zero: nothing.
pub(crate) fn rulings(policies: &Policies) -> u64 {
    let ruled = policies.iter().filter(|(_, policy)| policy.rules());
    let ruled: Vec<_> = ruled.map(|(name, policy)| (name, policy.no_cache, &policy.tags)).collect();
    if ruled.is_empty() {
        return 0;
    }
    let digest = Sha256::digest(format!("{ruled:?}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Notes what counts for each query that reads this table, or the one that it is a part of.
fn rule(policy: &EntityPolicy, name: &Name, schema: &mut Schema) {
    if !policy.rules() {
        return;
    }
    let whole = schema.table(name).and_then(|table| table.part_of.clone());
    for name in [name.clone()].into_iter().chain(whole) {
        let ruling = schema.rulings.entry(name).or_default();
        ruling.no_cache |= policy.no_cache;
        ruling.tags.extend(policy.tags.iter().cloned());
    }
}

/// Makes a column a key of its table. One that the table lacks is passed over.
///
/// # Errors
///
/// Why it can't be one.
fn make_key(
    table: &mut Table,
    column: &Name,
    folded: bool,
    alone: bool,
) -> Result<(), &'static str> {
    let primary = table.primary_key().any(|key| key.name == *column);
    let Some(column) = table.columns.iter_mut().find(|known| known.name == *column) else {
        return Ok(());
    };
    if !alone {
        // It would not bump the slices.
        return Err("another process that shares the store may not know of it");
    }
    if folded && column.class == KeyClass::None {
        fold(column, primary)?;
    }
    if column.class == KeyClass::None {
        return Err("how it compares values is not known");
    }
    column.is_key = true;
    Ok(())
}

/// Lets a column's values be told apart by their folded forms, if its collation is known.
fn fold(column: &mut Column, primary: bool) -> Result<(), &'static str> {
    if primary && !broken(Fault::FoldedPrimaryKeys) {
        // Rows whose keys differ in no more than that would be taken for one.
        return Err("it is of the primary key");
    }
    if let Some(folds) = column.folds {
        column.class = KeyClass::Folded(folds);
    }
    Ok(())
}
