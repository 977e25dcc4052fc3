mod author {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(schema_name = "people", table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "book")]
    #[cached(
        ttl = "5m",
        family_ttl(model = "250ms", list = "1m", count = "30s", page = "2h", related = "1d"),
        key(author_id, Isbn, r#type),
        case_insensitive(contact),
        related(author),
        tags("catalog", "homepage"),
    )]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        #[sea_orm(column_name = "number")]
        pub isbn: String,
        pub r#type: i32,
        pub contact: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::author::Entity",
            from = "Column::AuthorId",
            to = "super::author::Column::Id"
        )]
        Author,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod secret {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "secret")]
    #[cached(no_cache, key(id))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod bare {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, sea_orm_cache::CachedEntity)]
    #[sea_orm(table_name = "bare")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use std::time::Duration;

use sea_orm_cache::{CachedEntity, EntityPolicy, Family};

fn main() {
    let policy = book::Entity::policy();
    let ttls = [Family::Model, Family::List, Family::Count, Family::Page, Family::Related]
        .map(|family| policy.ttl_of(family).map(|ttl| ttl.as_millis()));
    assert_eq!(ttls, [250, 60_000, 30_000, 7_200_000, 86_400_000].map(Some));
    assert_eq!(policy.related_tables().collect::<Vec<_>>(), ["people.author"]);
    let by_hand = EntityPolicy::new()
        .ttl(Duration::from_secs(300))
        .family_ttl(Family::Model, Duration::from_millis(250))
        .family_ttl(Family::List, Duration::from_secs(60))
        .family_ttl(Family::Count, Duration::from_secs(30))
        .family_ttl(Family::Page, Duration::from_secs(7200))
        .family_ttl(Family::Related, Duration::from_secs(86_400))
        .key(book::Column::AuthorId)
        .key(book::Column::Isbn)
        .key(book::Column::Type)
        .case_insensitive(book::Column::Contact)
        .related::<author::Entity>()
        .tag("catalog")
        .tag("homepage");
    assert_eq!(policy, by_hand);
    assert_eq!(secret::Entity::policy(), EntityPolicy::new().no_cache().key(secret::Column::Id));
    assert_eq!(bare::Entity::policy(), EntityPolicy::new());
}
