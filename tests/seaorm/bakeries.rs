//! The tables of most tests: bakeries with their cakes and bakers.

use sea_orm::Set;

use crate::world::Tables;

pub fn tables(tables: Tables) -> Tables {
    tables.add(bakery::Entity).add(cake::Entity).add(baker::Entity).add(shift::Entity)
}

pub mod bakery {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "bakery")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(unique)]
        pub name: String,
        pub margin: f64,
        pub city: Option<String>,
        #[sea_orm(has_many)]
        pub cakes: HasMany<super::cake::Entity>,
        #[sea_orm(has_many)]
        pub bakers: HasMany<super::baker::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod cake {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cake")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub price: i32,
        pub vegan: bool,
        #[sea_orm(indexed)]
        pub bakery_id: Option<i32>,
        #[sea_orm(belongs_to, from = "bakery_id", to = "id", on_delete = "Cascade")]
        pub bakery: BelongsTo<Option<super::bakery::Entity>>,
        #[sea_orm(has_many, via = "shift")]
        pub bakers: HasMany<super::baker::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod baker {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "baker")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub bakery_id: Option<i32>,
        #[sea_orm(belongs_to, from = "bakery_id", to = "id", on_delete = "SetNull")]
        pub bakery: BelongsTo<Option<super::bakery::Entity>>,
        #[sea_orm(has_many, via = "shift")]
        pub cakes: HasMany<super::cake::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    /// The bakeries whose cakes a baker bakes.
    pub struct WhereTheCakesAreSold;

    impl Linked for WhereTheCakesAreSold {
        type FromEntity = Entity;
        type ToEntity = super::bakery::Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![
                super::shift::Relation::Baker.def().rev(),
                super::shift::Relation::Cake.def(),
                super::cake::Relation::Bakery.def(),
            ]
        }
    }
}

/// Who bakes what.
pub mod shift {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shift")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub cake_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub baker_id: i32,
        #[sea_orm(default_value = 1)]
        pub hours: i32,
        #[sea_orm(belongs_to, from = "cake_id", to = "id", on_delete = "Cascade")]
        pub cake: BelongsTo<super::cake::Entity>,
        // A baker with shifts can't be deleted.
        #[sea_orm(belongs_to, from = "baker_id", to = "id")]
        pub baker: BelongsTo<super::baker::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub fn bakery(name: &str, margin: f64) -> bakery::ActiveModel {
    bakery::ActiveModel { name: Set(name.into()), margin: Set(margin), ..Default::default() }
}

pub fn cake(name: &str, price: i32, bakery_id: Option<i32>) -> cake::ActiveModel {
    cake::ActiveModel {
        name: Set(name.into()),
        price: Set(price),
        vegan: Set(price % 2 == 1),
        bakery_id: Set(bakery_id),
        ..Default::default()
    }
}

pub fn baker(name: &str, bakery_id: Option<i32>) -> baker::ActiveModel {
    baker::ActiveModel { name: Set(name.into()), bakery_id: Set(bakery_id), ..Default::default() }
}

pub fn shift(cake_id: i32, baker_id: i32, hours: i32) -> shift::ActiveModel {
    shift::ActiveModel { cake_id: Set(cake_id), baker_id: Set(baker_id), hours: Set(hours) }
}
