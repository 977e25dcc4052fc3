mod author {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, CachedEntity)]
    #[cached(ttl = "5m", related(books, mentor))]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub mentor_id: Option<i32>,
        #[sea_orm(self_ref, relation_enum = "Mentor", from = "mentor_id", to = "id")]
        pub mentor: BelongsTo<Option<Entity>>,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    // In a derive of its own, too.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[derive(CachedEntity)]
    #[sea_orm(table_name = "book")]
    #[cached(key(author_id), case_insensitive(isbn), related(written_by))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub isbn: String,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub written_by: BelongsTo<super::author::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A field that is no relation of this entity, and a variant that is.
mod shelf {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "shelf")]
    #[cached(related(Bigger))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub within: Option<i32>,
        #[sea_orm(self_ref, relation_enum = "Bigger", from = "within", to = "id")]
        pub shelf: BelongsTo<Option<Entity>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use std::time::Duration;

use sea_orm_cache::{CachedEntity, EntityPolicy};

fn main() {
    let author = EntityPolicy::new().ttl(Duration::from_secs(300));
    let author = author.related::<book::Entity>().related::<author::Entity>();
    assert_eq!(author::Entity::policy(), author);
    let book = EntityPolicy::new()
        .key(book::Column::AuthorId)
        .case_insensitive(book::Column::Isbn)
        .related::<author::Entity>();
    assert_eq!(book::Entity::policy(), book);
    assert_eq!(shelf::Entity::policy(), EntityPolicy::new().related::<shelf::Entity>());
}
