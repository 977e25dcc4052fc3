//! Models that belong to others, loaded in one query for all of these.

use std::any::{TypeId, type_name};
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbErr, EntityOrSelect, EntityTrait, Identity, Iterable, LoaderTrait,
    ModelTrait, QueryTrait, Related, RelatedSelfVia, RelationDef, RelationTrait, Select,
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

/// One of SeaORM's loads and its twin that shares the result. The words and the columns make the
/// key, together with the select and the models' values.
macro_rules! load {
    (
        $(#[$doc:meta])*
        $name:ident, $shared:ident<$($generic:ident),+>($($arg:ident: $type:ty),+) -> $item:ty
        where { $($bounds:tt)+ }
        of $entity:ty, by $codec:ty;
        words: $words:expr;
        columns: $columns:expr;
        select: |$select:ident| $selected:expr;
        load: |$models:ident, $read:ident| $load:expr;
    ) => {
        $(#[$doc])*
        pub async fn $name<$($generic,)+ D>(
            self,
            $($arg: $type,)+
            db: &D,
        ) -> Result<Vec<$item>, DbErr>
        where
            D: CacheSource,
            $($bounds)+
        {
            self.$shared($($arg,)+ db).await.map(owned)
        }

        /// The same, shared with the cache: a hit copies a pointer.
        ///
        /// # Errors
        ///
        /// The same.
        pub async fn $shared<$($generic,)+ D>(
            mut self,
            $($arg: $type,)+
            db: &D,
        ) -> Result<Arc<Vec<$item>>, DbErr>
        where
            D: CacheSource,
            $($bounds)+
        {
            self.options = self.options.of::<$entity>();
            let decide = self.decide.of_others();
            let $read = self.read::<$codec, $entity, D>(db, $words, &decide);
            let columns = $columns;
            let $select = $selected;
            if let Some(found) = self.seek(&$read, &$select, &columns).await {
                return Ok(found);
            }
            let $models = self.query.0;
            $read.keep($load.await).await
        }
    };
}

impl<M> Cached<Models<'_, M>>
where
    M: ModelTrait + Sync,
{
    load! {
        /// The related model of each, or `None`; see SeaORM's
        /// `LoaderTrait::load_one`.
        ///
        /// # Errors
        ///
        /// SeaORM's if the relation is to many, or the database's.
        load_one, load_one_shared<R, S>(stmt: S) -> Option<R::Model>
        where { R: StorableEntity, S: EntityOrSelect<R>, EntityOf<M>: Related<R> }
        of R, by Maybe<Columns<R>>;
        words: "load_one";
        columns: related::<M, R>();
        select: |select| stmt.select();
        load: |models, read| models.load_one(select, &read);
    }

    load! {
        /// The related models of each; see SeaORM's
        /// `LoaderTrait::load_many`.
        ///
        /// # Errors
        ///
        /// The database's; the cache adds none.
        load_many, load_many_shared<R, S>(stmt: S) -> Vec<R::Model>
        where { R: StorableEntity, S: EntityOrSelect<R>, EntityOf<M>: Related<R> }
        of R, by Listed<Columns<R>>;
        words: "load_many";
        columns: related::<M, R>();
        select: |select| stmt.select();
        load: |models, read| models.load_many(select, &read);
    }

    load! {
        /// The related models of each, through a junction; see SeaORM's
        /// `LoaderTrait::load_many_to_many`.
        ///
        /// # Errors
        ///
        /// SeaORM's if the relation has no such junction, or the database's.
        load_many_to_many, load_many_to_many_shared<R, S, V>(stmt: S, via: V) -> Vec<R::Model>
        where { R: StorableEntity, S: EntityOrSelect<R>, V: EntityTrait<Model: Send + Sync>, EntityOf<M>: Related<R> }
        of R, by Listed<Columns<R>>;
        words: &format!("load_many_to_many {}", type_name::<V>());
        columns: related::<M, R>();
        select: |select| stmt.select();
        load: |models, read| models.load_many_to_many(select, via, &read);
    }

    load! {
        /// The model of the same entity that each one refers to; see SeaORM's
        /// `LoaderTrait::load_self`.
        ///
        /// # Errors
        ///
        /// SeaORM's if the relation is not to the entity itself, or the database's.
        load_self, load_self_shared<S>(stmt: S, relation: RelationOf<M>) -> Option<ModelOf<M>>
        where { EntityOf<M>: StorableEntity, RelationOf<M>: Send, S: EntityOrSelect<EntityOf<M>> }
        of EntityOf<M>, by Maybe<Columns<EntityOf<M>>>;
        words: &format!("load_self {relation:?}");
        columns: relation.def().from_col;
        select: |select| stmt.select();
        load: |models, read| models.load_self(select, relation, &read);
    }

    load! {
        /// The models of the same entity that refer to each one; see SeaORM's
        /// `LoaderTrait::load_self_many`.
        ///
        /// # Errors
        ///
        /// SeaORM's if the relation is not to the entity itself, or the database's.
        load_self_many, load_self_many_shared<S>(stmt: S, relation: RelationOf<M>) -> Vec<ModelOf<M>>
        where { EntityOf<M>: StorableEntity, RelationOf<M>: Send, S: EntityOrSelect<EntityOf<M>> }
        of EntityOf<M>, by Listed<Columns<EntityOf<M>>>;
        words: &format!("load_self_many {relation:?}");
        columns: referred_to(&relation.def());
        select: |select| stmt.select();
        load: |models, read| models.load_self_many(select, relation, &read);
    }

    load! {
        /// The models of the same entity that each one refers to through a junction; see SeaORM's
        /// `LoaderTrait::load_self_via`.
        ///
        /// # Errors
        ///
        /// The database's; the cache adds none.
        load_self_via, load_self_via_shared<V>(via: V) -> Vec<ModelOf<M>>
        where { V: EntityTrait, EntityOf<M>: StorableEntity + RelatedSelfVia<V> }
        of EntityOf<M>, by Listed<Columns<EntityOf<M>>>;
        words: &format!("load_self_via {}", type_name::<V>());
        columns: <EntityOf<M> as RelatedSelfVia<V>>::via().from_col;
        select: |select| EntityOrSelect::select(EntityOf::<M>::default());
        load: |models, read| models.load_self_via(via, &read);
    }

    load! {
        /// The models of the same entity that refer to each one through a junction; see SeaORM's
        /// `LoaderTrait::load_self_via_rev`.
        ///
        /// # Errors
        ///
        /// The database's; the cache adds none.
        load_self_via_rev, load_self_via_rev_shared<V>(via: V) -> Vec<ModelOf<M>>
        where { V: EntityTrait, EntityOf<M>: StorableEntity + RelatedSelfVia<V> }
        of EntityOf<M>, by Listed<Columns<EntityOf<M>>>;
        words: &format!("load_self_via_rev {}", type_name::<V>());
        columns: <EntityOf<M> as RelatedSelfVia<V>>::to().to_col;
        select: |select| EntityOrSelect::select(EntityOf::<M>::default());
        load: |models, read| models.load_self_via_rev(via, &read);
    }

    fn read<'r, K: Codec, R: EntityTrait, D: CacheSource>(
        &'r self,
        db: &'r D,
        name: &str,
        decide: &'r Decide<K::Value>,
    ) -> Seekers<'r, D, K> {
        let words = format!("{name} {}", type_name::<EntityOf<M>>());
        let (table, of) = (Some(table_of::<R>()), Some(TypeId::of::<EntityOf<M>>()));
        let form = Form { family: Family::Related, table, of, words, name: None };
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

/// SeaORM goes a "belongs to" the other way round.
fn referred_to(relation: &RelationDef) -> Identity {
    if relation.is_owner { relation.from_col.clone() } else { relation.to_col.clone() }
}

/// These columns, or all if one of them is not the entity's.
fn columns_of<E: EntityTrait>(identity: &Identity) -> Vec<E::Column> {
    let named = identity.iter().map(|name| E::Column::from_str(&name.to_string()).ok());
    named.collect::<Option<_>>().unwrap_or_else(|| E::Column::iter().collect())
}
