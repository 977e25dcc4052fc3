//! Many models by their primary keys, each an entry of its own.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::sea_query::{FromValueTuple, IntoValueTuple, ValueTuple};
use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter, QueryResult, QuerySelect, QueryTrait, Select,
    Value,
};

use super::options::Options;
use super::selection::form;
use super::{CacheSource, CachedExt, ReadThrough};
use crate::QueryCache;
use crate::call::{Call, Want};
use crate::codec::{Columns, Maybe, StorableEntity};
use crate::depend::Plan;
use crate::key::Family;
use crate::schema::Schema;
use crate::value::canonical;

/// What is asked for with one statement; every database takes that many parameters.
const MAX_VALUES: usize = 1000;

type Key<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A key that no entry answers.
struct Missing<'r, D, E: StorableEntity> {
    key: ValueTuple,
    read: ReadThrough<'r, D, Maybe<Columns<E>>>,
    plan: Option<Plan>,
}

impl QueryCache {
    /// The models with these primary keys, in their order; `None` for a key that no model has.
    ///
    /// Each key has an entry of its own, the same as that of
    /// `find_by_id(key).cached(ttl).one(..)`. Those that are missing are read with one statement
    /// (one for each thousand values), and each of them is stored, the absent ones too. A key that is
    /// not found is asked for by itself where the database may know it in another spelling, as text
    /// under a collation that ignores case.
    ///
    /// Rows of entries and rows that were read may be of different moments, as pages may be. It is
    /// the cache of the connection that is used.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub name: String }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sea_orm::{ConnectionTrait, Database};
    /// use sea_orm_cache::prelude::*;
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// let db = cache.connect(Database::connect("sqlite::memory:").await?).await?;
    /// db.execute_unprepared("CREATE TABLE cake (id INTEGER PRIMARY KEY, name TEXT)").await?;
    /// db.execute_unprepared("INSERT INTO cake VALUES (1, 'apple'), (2, 'cheese')").await?;
    ///
    /// let cakes = cache.find_many::<cake::Entity>(&db, [2, 7], Duration::from_secs(60)).await?;
    /// assert_eq!(cakes[0].as_ref().map(|cake| &*cake.name), Some("cheese"));
    /// assert_eq!(cakes[1], None);
    /// # Ok(()) }
    /// ```
    pub async fn find_many<E: StorableEntity>(
        &self,
        db: &impl CacheSource,
        keys: impl IntoIterator<Item = impl Into<Key<E>>>,
        ttl: Duration,
    ) -> Result<Vec<Option<E::Model>>, DbErr> {
        let keys: Vec<ValueTuple> =
            keys.into_iter().map(|key| key.into().into_value_tuple()).collect();
        let options = Options { ttl: Some(ttl), ..Options::default() };
        let mut found: HashMap<ValueTuple, Option<E::Model>> = HashMap::new();
        let mut missing = Vec::new();
        let distinct: HashSet<&ValueTuple> = keys.iter().collect();
        let options = &options;
        let prepared = distinct.into_iter().map(|key| async move {
            let read: ReadThrough<'_, _, Maybe<Columns<E>>> =
                ReadThrough::new(db, form::<Select<E>>(Family::Model), options, None);
            let statement = by_key::<E>(key).limit(1).build(db.get_database_backend());
            let prepared = read.prepare(&statement).await;
            (key.clone(), prepared.map_err(|plan| (read, plan)))
        });
        // A store that is asked for many is asked for all at once.
        for (key, prepared) in join_all(prepared).await {
            let model = prepared.map(|model| (*model).clone()).unwrap_or_else(|(read, plan)| {
                missing.push(Missing { key: key.clone(), read, plan });
                // Until it was read.
                None
            });
            found.insert(key, model);
        }
        let arity = E::PrimaryKey::iter().count();
        let mut absent = Vec::new();
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(MAX_VALUES / arity));
            let read = std::mem::replace(&mut missing, rest);
            absent.extend(fetch(db, read, &mut found).await?);
        }
        // One by one: only the database knows which keys are equal for it.
        for key in absent {
            let model = by_key::<E>(&key).cached(ttl).one(db).await?;
            found.insert(key, model);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned().flatten()).collect())
    }
}

/// `E::find_by_id`, whose statement must be the same to the letter.
fn by_key<E: EntityTrait>(key: &ValueTuple) -> Select<E> {
    E::find_by_id(Key::<E>::from_value_tuple(key.clone()))
}

/// Reads what is missing and stores it. Returns the keys that were not found but may be written in
/// another way in the database.
async fn fetch<D: CacheSource, E: StorableEntity>(
    db: &D,
    missing: Vec<Missing<'_, D, E>>,
    found: &mut HashMap<ValueTuple, Option<E::Model>>,
) -> Result<Vec<ValueTuple>, DbErr> {
    let select = E::find().filter(any_of::<E>(missing.iter().map(|missing| &missing.key)));
    let statement = select.build(db.get_database_backend());
    let call = Call::Typed(select.as_query(), statement);
    // If one of them is not cached, nothing tells which connection has seen what it must.
    let nearest = match &missing[0].plan {
        Some(plan) if missing.iter().all(|missing| missing.plan.is_some()) => {
            Some(db.nearest(&plan.tables))
        }
        _ => None,
    };
    let answer = match nearest {
        Some(conn) => call.send_read(conn, Want::Rows, db.database().typed_only).await?,
        None => call.send(db, Want::Rows).await?,
    };
    let mut rows: HashMap<ValueTuple, (QueryResult, E::Model)> = HashMap::new();
    for row in answer.rows()? {
        let model = E::Model::from_query_result(&row, "")?;
        rows.insert(model.get_primary_key_value(), (row, model));
    }
    let understanding = db.database().current();
    let (mut absent, mut kept) = (Vec::new(), Vec::new());
    for Missing { key, read, plan } in missing {
        let (row, model) = rows.remove(&key).unzip();
        if model.is_none() && !is_exact::<E>(&key, &understanding.schema) {
            // It is read, and recorded, again.
            read.is_over();
            absent.push(key);
            continue;
        }
        if let Some(plan) = &plan {
            read.saw(plan, row.as_slice());
        }
        kept.push(async move { (key, read.keep(Ok::<_, DbErr>(model)).await) });
    }
    for (key, model) in join_all(kept).await {
        found.insert(key, (*model?).clone());
    }
    Ok(absent)
}

fn any_of<'k, E: EntityTrait>(keys: impl Iterator<Item = &'k ValueTuple>) -> Condition {
    let columns: Vec<_> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let values = keys.map(|key| key.clone().into_iter().collect::<Vec<Value>>());
    match &columns[..] {
        [column] => Condition::all().add(column.is_in(values.flatten())),
        _ => values.fold(Condition::any(), |any, values| {
            let pairs = columns.iter().zip(values);
            any.add(pairs.fold(Condition::all(), |all, (column, value)| all.add(column.eq(value))))
        }),
    }
}

/// Is another key never equal to this one in the database? Text may be, in another case or with
/// spaces behind it, and so may numbers in a column that is not of numbers.
fn is_exact<E: EntityTrait>(key: &ValueTuple, schema: &Schema) -> bool {
    let Some(table) = schema.table(E::default().table_name()) else { return false };
    E::PrimaryKey::iter().zip(key.clone()).all(|(part, value)| {
        let column = table.column(part.into_column().as_str());
        column.is_some_and(|column| canonical(&value).is_some_and(|value| column.admits(&value)))
    })
}
