//! The ways in which a query is read, each on a plain connection and through the cache.

use fastrand::Rng;
use sea_orm::compound::EntityLoaderTrait;
use sea_orm::entity::prelude::*;
use sea_orm::{
    FromQueryResult, JsonValue, LoaderTrait, PaginatorTrait, QueryOrder, SelectExt, Statement,
};
use sea_orm_cache::prelude::*;

use super::dump;
use super::queries::Query;
use super::schemas::{IDS, Schema};
use super::tables::{Id, t, v};
use crate::support::TTL;
use crate::support::servers::Backend;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// The text, as models.
    All,
    /// The text as raw SQL: all of it, its first row, as JSON, how many rows, whether there are any.
    Raw,
    First,
    Json,
    Count,
    Exists,
    Page(u64),
    /// Typed selects of SeaORM's own, about rows from this key on.
    Two(i64),
    Gathered(i64),
    LoadOne(i64),
    LoadMany(i64),
    Load(i64),
    LoadPage(u64),
    After(i64),
    Last(u64),
    Many(i64),
}

impl Form {
    pub fn random(rng: &mut Rng, schema: &Schema, sql: &str, ordered: bool) -> Self {
        let from = rng.i64(0..=IDS);
        let number = rng.u64(0..4);
        let limited = sql.contains("LIMIT");
        // A derived table of MariaDB has no two columns of one name.
        let derived = schema.backend != Backend::MySql;
        match rng.u8(0..32) {
            0 | 1 => Self::Raw,
            2 if ordered => Self::First,
            3 | 4 => Self::Json,
            5 | 6 if derived => Self::Count,
            7 if derived => Self::Exists,
            8 | 9 if ordered && !limited => Self::Page(number),
            10 => Self::Two(from),
            11 => Self::Gathered(from),
            12 => Self::LoadOne(from),
            13 => Self::LoadMany(from),
            14 => Self::Load(from),
            15 => Self::LoadPage(number),
            16 => Self::After(from),
            17 => Self::Last(number + 1),
            // Their keys are of one column.
            18 if !schema.composite => Self::Many(from),
            _ => Self::All,
        }
    }
}

/// The same tokens on a plain connection, and with `.cached(TTL)` between them on a cached one.
macro_rules! read {
    ($arena:expr, $cached:expr, |$db:ident| [$($select:tt)+] [$($read:tt)+]) => {
        if $cached {
            let $db = &$arena.db;
            $($select)+ .cached(TTL) $($read)+ .await.map(|answer| format!("{answer:?}"))
        } else {
            let $db = &$arena.plain;
            $($select)+ $($read)+ .await.map(|answer| format!("{answer:?}"))
        }
    };
}

fn v_from(id: i64) -> Select<v::Entity> {
    v::Entity::find().filter(v::Column::Id.gte(id)).order_by_asc(v::Column::Id)
}

fn t_from(id: i64) -> Select<t::Entity> {
    t::Entity::find().filter(t::Column::Id.gte(id)).order_by_asc(t::Column::Id)
}

impl super::Arena {
    /// What the query's form gives. An error is an answer too: what can't be decoded here can't be
    /// decoded there.
    pub async fn answer(&self, query: &Query, cached: bool) -> Vec<String> {
        let raw = || {
            let sql = format!("SELECT {}", super::queries::numbered(&query.sql, query.numbered));
            Statement::from_sql_and_values(
                self.plain.get_database_backend(),
                sql,
                query.values.clone(),
            )
        };
        let rows = dump::Entity::find;
        let text = |model: dump::Model| model.id.0;
        let answer = match query.form {
            Form::All | Form::Raw => {
                let rows = match (query.form, cached) {
                    (Form::All, true) => query.select().cached(TTL).all(&self.db).await,
                    (Form::All, false) => query.select().all(&self.plain).await,
                    (_, true) => rows().cached(TTL).from_raw_sql(raw()).all(&self.db).await,
                    (_, false) => rows().from_raw_sql(raw()).all(&self.plain).await,
                };
                let rows = rows.unwrap_or_else(|error| panic!("{query:?}: {error}"));
                return query.normalise(rows.into_iter().map(text).collect());
            }
            Form::Json => {
                let rows = if cached {
                    JsonValue::find_by_statement(raw()).cached(TTL).all(&self.db).await
                } else {
                    JsonValue::find_by_statement(raw()).all(&self.plain).await
                };
                let lines = rows.map(|rows| rows.iter().map(ToString::to_string).collect());
                return lines.map_or(Vec::new(), |lines| query.normalise(lines));
            }
            Form::First => read!(self, cached, |db| [rows()] [.from_raw_sql(raw()).one(db)]),
            Form::Count => read!(self, cached, |db| [rows()] [.from_raw_sql(raw()).count(db)]),
            Form::Exists => read!(self, cached, |db| [rows()] [.from_raw_sql(raw()).exists(db)]),
            Form::Page(page) => {
                read!(self, cached, |db| [rows()] [.from_raw_sql(raw()).paginate(db, 2).fetch_page(page)])
            }
            Form::Two(id) => {
                read!(self, cached, |db| [v_from(id).find_also_related(t::Entity)
                    .order_by_asc(t::Column::A)] [.all(db)])
            }
            Form::Gathered(id) => {
                read!(self, cached, |db| [t_from(id).order_by_asc(t::Column::A)
                    .find_with_related(v::Entity).order_by_asc(v::Column::Id)] [.all(db)])
            }
            Form::LoadOne(id) => {
                let Ok(models) = v_from(id).all(&self.plain).await else { return Vec::new() };
                let all = t::Entity::find().order_by_asc(t::Column::Id).order_by_asc(t::Column::A);
                read!(self, cached, |db| [models] [.load_one(all, db)])
            }
            Form::LoadMany(id) => {
                let Ok(models) = t_from(id).all(&self.plain).await else { return Vec::new() };
                read!(self, cached, |db| [models] [.load_many(v::Entity, db)])
            }
            Form::Load(id) => {
                read!(self, cached, |db| [t::Entity::load().filter(t::Column::Id.gte(id))
                    .order_by_asc(t::Column::Id).order_by_asc(t::Column::A)
                    .with(v::Entity)] [.all(db)])
            }
            Form::LoadPage(page) => {
                read!(self, cached, |db| [t::Entity::load().order_by_asc(t::Column::Id)
                    .order_by_asc(t::Column::A).with(v::Entity)]
                    [.paginate(db, 3).fetch_page(page)])
            }
            Form::After(id) => {
                read!(self, cached, |db| [v::Entity::find()]
                    [.cursor_by(v::Column::Id).after(id).first(4).all(db)])
            }
            Form::Last(rows) => {
                read!(self, cached, |db| [v::Entity::find()]
                    [.cursor_by(v::Column::Id).last(rows).all(db)])
            }
            Form::Many(id) => {
                let ids = [id, id + 5, 1, id, 99].map(Id);
                if cached {
                    let found = self.cache.find_many::<t::Entity>(&self.db, ids, TTL).await;
                    found.map(|found| format!("{found:?}"))
                } else {
                    let mut found = Vec::new();
                    for id in ids {
                        match t::Entity::find_by_id(id).one(&self.plain).await {
                            Ok(model) => found.push(model),
                            Err(_) => return vec!["error".to_owned()],
                        }
                    }
                    Ok(format!("{found:?}"))
                }
            }
        };
        vec![answer.unwrap_or_else(|_| "error".to_owned())]
    }
}
