mod nameless {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[sea_orm_cache::reports_to("")]
    impl ActiveModelBehavior for ActiveModel {}
}

mod elsewhere {
    pub struct Other;

    #[sea_orm_cache::reports_to("main")]
    impl Default for Other {
        fn default() -> Self {
            Self
        }
    }
}

mod below {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    #[sea_orm_cache::reports_to("main")]
    impl ActiveModelBehavior for ActiveModel {
        async fn after_delete<C>(self, db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            Ok(self)
        }
    }
}

fn main() {}
