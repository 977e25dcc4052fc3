//! Selects whose rows are gathered under the models that they belong to.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, SelectFourMany, SelectThreeMany, SelectTwoMany,
    TopologyChain, TopologyStar,
};

use super::ask::{Ask, asked_twice};
use super::fresh::read;
use super::{CacheSource, Cacheable, Cached, CachedExt, Form, Options, Repeatable, owned};
use super::{sealed, table_of};
use crate::codec::{Columns, Listed, StorableEntity};
use crate::key::Family;

struct Gathered<Q>(Option<Q>);

macro_rules! gathered {
    ($select:ty, <$($entity:ident),+>, $codec:ty, $item:ty) => {
        impl<$($entity: EntityTrait),+> Cacheable for $select {
            type Item = $item;
        }

        impl<$($entity: EntityTrait),+> sealed::Sealed for $select {}

        impl<$($entity: EntityTrait),+> Repeatable for $select {}

        impl<$($entity: StorableEntity),+> Ask for Gathered<$select> {
            type Results = Listed<$codec>;

            fn again(&self) -> Option<Self> {
                Some(Self(self.0.clone()))
            }

            async fn ask<C: ConnectionTrait>(&mut self, db: &C) -> Result<Vec<$item>, DbErr> {
                self.0.take().ok_or_else(asked_twice)?.all(db).await
            }
        }

        impl<$($entity: EntityTrait),+> CachedExt for $select {
            type Cached = Cached<Self>;

            #[allow(private_interfaces)]
            fn with_options(self, options: Options) -> Cached<Self> {
                Cached::new(self, options.of::<E>())
            }
        }

        impl<$($entity: StorableEntity),+> Cached<$select> {
            /// All models, with those that belong to them.
            ///
            /// # Errors
            ///
            /// The database's; the cache adds none.
            pub async fn all<D: CacheSource>(self, db: &D) -> Result<Vec<$item>, DbErr> {
                self.all_shared(db).await.map(owned)
            }

            /// The same, shared with the cache: a hit copies a pointer.
            ///
            /// # Errors
            ///
            /// The database's; the cache adds none.
            pub async fn all_shared<D: CacheSource>(
                self,
                db: &D,
            ) -> Result<Arc<Vec<$item>>, DbErr> {
                let Self { query, options, decide } = self;
                let table = Some(table_of::<E>());
                let form = Form { family: Family::List, table, ..Form::default() };
                Ok(read(db, form, &options, Some(&decide), Gathered(Some(query))).await?.value)
            }
        }
    };
}

gathered!(
    SelectTwoMany<E, F>, <E, F>,
    (Columns<E>, Listed<Columns<F>>),
    (E::Model, Vec<F::Model>)
);
gathered!(
    SelectThreeMany<E, F, G, TopologyStar>, <E, F, G>,
    (Columns<E>, Listed<Columns<F>>, Listed<Columns<G>>),
    (E::Model, Vec<F::Model>, Vec<G::Model>)
);
gathered!(
    SelectThreeMany<E, F, G, TopologyChain>, <E, F, G>,
    (Columns<E>, Listed<(Columns<F>, Listed<Columns<G>>)>),
    (E::Model, Vec<(F::Model, Vec<G::Model>)>)
);
gathered!(
    SelectFourMany<E, F, G, H, TopologyStar>, <E, F, G, H>,
    (Columns<E>, Listed<Columns<F>>, Listed<Columns<G>>, Listed<Columns<H>>),
    (E::Model, Vec<F::Model>, Vec<G::Model>, Vec<H::Model>)
);
