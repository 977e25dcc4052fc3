//! The bookshop's tables, as ordinary SeaORM entities: nothing in them is there for the cache.

/// Indexes matter to the cache, too: a query that filters by an indexed column is invalidated only
/// by changes to rows with that column's value.
pub const SCHEMA: &str = "
    CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
    CREATE TABLE book (
        id INTEGER PRIMARY KEY,
        title TEXT NOT NULL,
        author_id INTEGER NOT NULL REFERENCES author (id),
        genre TEXT NOT NULL,
        price INTEGER NOT NULL,
        stock INTEGER NOT NULL
    );
    CREATE INDEX book_author ON book (author_id);
    CREATE INDEX book_genre ON book (genre, price);
    CREATE INDEX book_title ON book (title);
    CREATE TABLE review (
        id INTEGER PRIMARY KEY,
        book_id INTEGER NOT NULL REFERENCES book (id) ON DELETE CASCADE,
        rating INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX review_book ON review (book_id);
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL);
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY,
        customer_id INTEGER NOT NULL REFERENCES customer (id),
        placed_on TEXT NOT NULL
    );
    CREATE INDEX purchase_customer ON purchase (customer_id);
    CREATE TABLE purchase_line (
        id INTEGER PRIMARY KEY,
        purchase_id INTEGER NOT NULL REFERENCES purchase (id) ON DELETE CASCADE,
        book_id INTEGER NOT NULL REFERENCES book (id),
        quantity INTEGER NOT NULL
    );
    CREATE INDEX purchase_line_purchase ON purchase_line (purchase_id);
    CREATE INDEX purchase_line_book ON purchase_line (book_id);
";

pub mod author {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub country: String,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod book {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub author_id: i32,
        pub genre: String,
        /// In cents.
        pub price: i32,
        pub stock: i32,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: HasOne<super::author::Entity>,
        #[sea_orm(has_many)]
        pub reviews: HasMany<super::review::Entity>,
        #[sea_orm(has_many)]
        pub lines: HasMany<super::purchase_line::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod review {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "review")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub book_id: i32,
        pub rating: i32,
        pub body: String,
        #[sea_orm(belongs_to, from = "book_id", to = "id")]
        pub book: HasOne<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod customer {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "customer")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub email: String,
        #[sea_orm(has_many)]
        pub purchases: HasMany<super::purchase::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod purchase {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "purchase")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub customer_id: i32,
        pub placed_on: String,
        #[sea_orm(belongs_to, from = "customer_id", to = "id")]
        pub customer: HasOne<super::customer::Entity>,
        #[sea_orm(has_many)]
        pub lines: HasMany<super::purchase_line::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod purchase_line {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "purchase_line")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub purchase_id: i32,
        pub book_id: i32,
        pub quantity: i32,
        #[sea_orm(belongs_to, from = "purchase_id", to = "id")]
        pub purchase: HasOne<super::purchase::Entity>,
        #[sea_orm(belongs_to, from = "book_id", to = "id")]
        pub book: HasOne<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
