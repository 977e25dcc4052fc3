//! Models that belong to others, loaded in one query for all of these.

use std::any::type_name;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbErr, EntityOrSelect, EntityTrait, Identity, Iterable, LoaderTrait,
    ModelTrait, QueryTrait, Related, RelatedSelfVia, RelationTrait, Select,
};

use super::options::Decide;
use super::{
    CacheSource, Cacheable, Cached, CachedExt, Form, Options, ReadThrough, owned, sealed, table_of,
};
use crate::codec::{Codec, Columns, Listed, Maybe, StorableEntity};
use crate::key::Family;

/// Models whose related ones are loaded.
#[derive(Debug, Clone)]
pub struct Models<'m, M>(&'m [M]);

/// What is loaded has several types, so [`cache_if`](Cached::cache_if) and
/// [`ttl_with`](Cached::ttl_with) can't be asked: with one of them nothing is stored.
impl<M> Cacheable for Models<'_, M> {
    type Item = Infallible;
}

impl<M: ModelTrait> sealed::Sealed for &[M] {}
impl<M: ModelTrait> sealed::Sealed for &Vec<M> {}

impl<'m, M: ModelTrait> CachedExt for &'m [M] {
    type Cached = Cached<Models<'m, M>>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached {
        Cached::new(Models(self), options)
    }
}

impl<'m, M: ModelTrait> CachedExt for &'m Vec<M> {
    type Cached = Cached<Models<'m, M>>;

    #[allow(private_interfaces)]
    fn with_options(self, options: Options) -> Self::Cached {
        Cached::new(Models(self), options)
    }
}

type EntityOf<M> = <M as ModelTrait>::Entity;
type ModelOf<M> = <EntityOf<M> as EntityTrait>::Model;
type RelationOf<M> = <EntityOf<M> as EntityTrait>::Relation;
type Seekers<'r, D, K> = ReadThrough<'r, D, Listed<K>>;

impl<M> Cached<Models<'_, M>>
where
    M: ModelTrait + Sync,
{
    /// The related model of each, or `None`; see SeaORM's
    /// `LoaderTrait::load_one`.
    ///
    /// # Errors
    ///
    /// SeaORM's if the relation is to many, or the database's.
    pub async fn load_one<R, S, D>(self, stmt: S, db: &D) -> Result<Vec<Option<R::Model>>, DbErr>
    where
        R: StorableEntity,
        S: EntityOrSelect<R>,
        EntityOf<M>: Related<R>,
        D: CacheSource,
    {
        let columns = related::<M, R>();
        let select = stmt.select();
        let decide = self.decide.of_others();
        let read = self.read::<Maybe<Columns<R>>, R, D>(db, "load_one", &decide);
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_one(select, &read).await).map(owned)
    }

    /// The related models of each; see SeaORM's
    /// `LoaderTrait::load_many`.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn load_many<R, S, D>(self, stmt: S, db: &D) -> Result<Vec<Vec<R::Model>>, DbErr>
    where
        R: StorableEntity,
        S: EntityOrSelect<R>,
        EntityOf<M>: Related<R>,
        D: CacheSource,
    {
        let columns = related::<M, R>();
        let select = stmt.select();
        let decide = self.decide.of_others();
        let read = self.read::<Listed<Columns<R>>, R, D>(db, "load_many", &decide);
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_many(select, &read).await).map(owned)
    }

    /// The related models of each, through a junction; see SeaORM's
    /// `LoaderTrait::load_many_to_many`.
    ///
    /// # Errors
    ///
    /// SeaORM's if the relation has no such junction, or the database's.
    pub async fn load_many_to_many<R, S, V, D>(
        self,
        stmt: S,
        via: V,
        db: &D,
    ) -> Result<Vec<Vec<R::Model>>, DbErr>
    where
        R: StorableEntity,
        S: EntityOrSelect<R>,
        V: EntityTrait,
        V::Model: Send + Sync,
        EntityOf<M>: Related<R>,
        D: CacheSource,
    {
        let columns = related::<M, R>();
        let select = stmt.select();
        let decide = self.decide.of_others();
        let read = self.read::<Listed<Columns<R>>, R, D>(
            db,
            &format!("load_many_to_many {}", type_name::<V>()),
            &decide,
        );
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_many_to_many(select, via, &read).await).map(owned)
    }

    /// The model of the same entity that each one refers to; see SeaORM's
    /// `LoaderTrait::load_self`.
    ///
    /// # Errors
    ///
    /// SeaORM's if the relation is not to the entity itself, or the database's.
    pub async fn load_self<S, D>(
        self,
        stmt: S,
        relation: RelationOf<M>,
        db: &D,
    ) -> Result<Vec<Option<ModelOf<M>>>, DbErr>
    where
        EntityOf<M>: StorableEntity,
        RelationOf<M>: Send,
        S: EntityOrSelect<EntityOf<M>>,
        D: CacheSource,
    {
        let columns = relation.def().from_col;
        let select = stmt.select();
        let decide = self.decide.of_others();
        let read = self.read::<Maybe<Columns<EntityOf<M>>>, EntityOf<M>, D>(
            db,
            &format!("load_self {relation:?}"),
            &decide,
        );
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_self(select, relation, &read).await).map(owned)
    }

    /// The models of the same entity that refer to each one; see SeaORM's
    /// `LoaderTrait::load_self_many`.
    ///
    /// # Errors
    ///
    /// SeaORM's if the relation is not to the entity itself, or the database's.
    pub async fn load_self_many<S, D>(
        self,
        stmt: S,
        relation: RelationOf<M>,
        db: &D,
    ) -> Result<Vec<Vec<ModelOf<M>>>, DbErr>
    where
        EntityOf<M>: StorableEntity,
        RelationOf<M>: Send,
        S: EntityOrSelect<EntityOf<M>>,
        D: CacheSource,
    {
        let def = relation.def();
        // SeaORM goes a "belongs to" the other way round.
        let columns = if def.is_owner { def.from_col } else { def.to_col };
        let select = stmt.select();
        let decide = self.decide.of_others();
        let read = self.read::<Listed<Columns<EntityOf<M>>>, EntityOf<M>, D>(
            db,
            &format!("load_self_many {relation:?}"),
            &decide,
        );
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_self_many(select, relation, &read).await).map(owned)
    }

    /// The models of the same entity that each one refers to through a junction; see SeaORM's
    /// `LoaderTrait::load_self_via`.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn load_self_via<V, D>(self, via: V, db: &D) -> Result<Vec<Vec<ModelOf<M>>>, DbErr>
    where
        V: EntityTrait,
        EntityOf<M>: StorableEntity + RelatedSelfVia<V>,
        D: CacheSource,
    {
        let columns = <EntityOf<M> as RelatedSelfVia<V>>::via().from_col;
        let select = EntityOrSelect::select(EntityOf::<M>::default());
        let decide = self.decide.of_others();
        let read = self.read::<Listed<Columns<EntityOf<M>>>, EntityOf<M>, D>(
            db,
            &format!("load_self_via {}", type_name::<V>()),
            &decide,
        );
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_self_via(via, &read).await).map(owned)
    }

    /// The models of the same entity that refer to each one through a junction; see SeaORM's
    /// `LoaderTrait::load_self_via_rev`.
    ///
    /// # Errors
    ///
    /// The database's; the cache adds none.
    pub async fn load_self_via_rev<V, D>(
        self,
        via: V,
        db: &D,
    ) -> Result<Vec<Vec<ModelOf<M>>>, DbErr>
    where
        V: EntityTrait,
        EntityOf<M>: StorableEntity + RelatedSelfVia<V>,
        D: CacheSource,
    {
        let columns = <EntityOf<M> as RelatedSelfVia<V>>::to().to_col;
        let select = EntityOrSelect::select(EntityOf::<M>::default());
        let decide = self.decide.of_others();
        let read = self.read::<Listed<Columns<EntityOf<M>>>, EntityOf<M>, D>(
            db,
            &format!("load_self_via_rev {}", type_name::<V>()),
            &decide,
        );
        if let Some(found) = self.seek(&read, &select, &columns).await {
            return Ok(owned(found));
        }
        read.keep(self.query.0.load_self_via_rev(via, &read).await).map(owned)
    }

    fn read<'r, K: Codec, R: EntityTrait, D: CacheSource>(
        &'r self,
        db: &'r D,
        name: &str,
        decide: &'r Decide<K::Value>,
    ) -> Seekers<'r, D, K> {
        let words = format!("{name} {}", type_name::<EntityOf<M>>());
        let form = Form { family: Family::Related, table: Some(table_of::<R>()), words };
        ReadThrough::new(db, form, &self.options, Some(decide))
    }

    /// Looks for an entry: its key is the select, and the models' values in these columns, in
    /// their order.
    async fn seek<R: EntityTrait, K: Codec, D: CacheSource>(
        &self,
        read: &Seekers<'_, D, K>,
        select: &Select<R>,
        columns: &Identity,
    ) -> Option<Arc<Vec<K::Value>>> {
        let models = self.query.0;
        if models.is_empty() {
            // SeaORM asks nothing.
            return None;
        }
        let columns = columns_of::<EntityOf<M>>(columns);
        let keys = models.iter().flat_map(|model| columns.iter().map(|column| model.get(*column)));
        let mut statement = select.build(read.get_database_backend());
        statement.values.get_or_insert_with(|| sea_orm::Values(Vec::new())).0.extend(keys);
        read.seek(&statement).await
    }
}

/// The columns of `M` by which its relation to `R` goes.
fn related<M, R>() -> Identity
where
    M: ModelTrait,
    R: EntityTrait,
    EntityOf<M>: Related<R>,
{
    let through = <EntityOf<M> as Related<R>>::via();
    through.unwrap_or_else(<EntityOf<M> as Related<R>>::to).from_col
}

/// These columns, or all if one of them is not the entity's.
fn columns_of<E: EntityTrait>(identity: &Identity) -> Vec<E::Column> {
    let named = identity.iter().map(|name| E::Column::from_str(&name.to_string()).ok());
    named.collect::<Option<_>>().unwrap_or_else(|| E::Column::iter().collect())
}
