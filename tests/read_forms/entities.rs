//! Books with everything that a select may join to them.

macro_rules! module {
    ($name:ident { $($model:item)* }) => {
        #[allow(dead_code)]
        pub mod $name {
            use sea_orm::entity::prelude::*;
            #[allow(unused_imports)]
            use serde::{Deserialize, Serialize};

            $($model)*

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

module!(publisher {
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "publisher")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub authors: HasMany<super::author::Entity>,
    }
});

module!(author {
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub publisher_id: Option<i32>,
        #[sea_orm(belongs_to, from = "publisher_id", to = "id")]
        pub publisher: BelongsTo<Option<super::publisher::Entity>>,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    /// The reviews of an author's books.
    pub struct Judged;

    impl Linked for Judged {
        type FromEntity = Entity;
        type ToEntity = super::review::Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![super::book::Relation::Author.def().rev(), super::review::Relation::Book.def().rev()]
        }
    }
});

module!(book {
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub author_id: i32,
        pub title: String,
        pub price: i32,
        pub note: Option<String>,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: BelongsTo<super::author::Entity>,
        #[sea_orm(has_many)]
        pub reviews: HasMany<super::review::Entity>,
        #[sea_orm(has_many)]
        pub editions: HasMany<super::edition::Entity>,
        #[sea_orm(has_many)]
        pub awards: HasMany<super::award::Entity>,
        #[sea_orm(has_many, via = "book_tag")]
        pub tags: HasMany<super::tag::Entity>,
    }
});

macro_rules! of_a_book {
    ($name:ident, $table:literal, $column:ident) => {
        module!($name {
            #[sea_orm::model]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                pub book_id: i32,
                pub $column: i32,
                #[sea_orm(belongs_to, from = "book_id", to = "id")]
                pub book: BelongsTo<super::book::Entity>,
            }
        });
    };
}

of_a_book!(review, "review", stars);
of_a_book!(edition, "edition", year);
of_a_book!(award, "award", year);

module!(tag {
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "tag")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "book_tag")]
        pub books: HasMany<super::book::Entity>,
    }
});

module!(book_tag {
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
    #[sea_orm(table_name = "book_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub book_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tag_id: i32,
        #[sea_orm(belongs_to, from = "book_id", to = "id")]
        pub book: BelongsTo<super::book::Entity>,
        #[sea_orm(belongs_to, from = "tag_id", to = "id")]
        pub tag: BelongsTo<super::tag::Entity>,
    }
});

/// In the older format.
pub mod person {
    use sea_orm::RelatedSelfVia;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub boss_id: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(belongs_to = "Entity", from = "Column::BossId", to = "Column::Id")]
        Boss,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl RelatedSelfVia<super::follow::Entity> for Entity {
        fn to() -> RelationDef {
            super::follow::Relation::Whom.def()
        }

        fn via() -> RelationDef {
            super::follow::Relation::Who.def().rev()
        }
    }
}

pub mod follow {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "follow")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub who: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub whom: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::person::Entity",
            from = "Column::Who",
            to = "super::person::Column::Id"
        )]
        Who,
        #[sea_orm(
            belongs_to = "super::person::Entity",
            from = "Column::Whom",
            to = "super::person::Column::Id"
        )]
        Whom,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
