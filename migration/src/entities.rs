//! Several entities at once.

use sea_orm_migration::sea_orm::EntityTrait;

/// A tuple of up to twelve entities: of it only the tables' names are wanted.
///
/// ```
/// # mod book {
/// #     use sea_orm_migration::sea_orm;
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "book")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use sea_orm_cache_migration::Entities;
/// assert_eq!((book::Entity,).tables(), ["book"]);
/// ```
pub trait Entities {
    /// The tables, with their schemas where the entities name one.
    fn tables(self) -> Vec<String>;
}

fn table<E: EntityTrait>(entity: E) -> String {
    match entity.schema_name() {
        Some(schema) => format!("{schema}.{}", entity.table_name()),
        None => entity.table_name().to_owned(),
    }
}

macro_rules! entities {
    ($($entity:ident)+) => {
        impl<$($entity: EntityTrait),+> Entities for ($($entity,)+) {
            fn tables(self) -> Vec<String> {
                #[allow(non_snake_case)]
                let ($($entity,)+) = self;
                vec![$(table($entity)),+]
            }
        }
    };
}

entities!(A);
entities!(A B);
entities!(A B C);
entities!(A B C D);
entities!(A B C D E);
entities!(A B C D E F);
entities!(A B C D E F G);
entities!(A B C D E F G H);
entities!(A B C D E F G H I);
entities!(A B C D E F G H I J);
entities!(A B C D E F G H I J K);
entities!(A B C D E F G H I J K L);

impl Entities for Vec<String> {
    fn tables(self) -> Vec<String> {
        self
    }
}
