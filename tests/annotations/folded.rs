//! Declared keys under a collation that ignores case, on SQLite: the referee is the database, after
//! each of many random writes.

use std::time::Duration;

use fastrand::Rng;
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, QuerySelect, Statement, TransactionTrait, Value};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{CacheSource, Capture};

use crate::support::servers::{Backend, TestDb};
use crate::support::{File, TTL, checked};

pub mod person {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "person")]
    #[cached(case_insensitive(email), key(team))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub email: Option<String>,
        pub team: i32,
        pub age: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What refers to an account by its name, byte by byte.
mod letter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "letter")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub account: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod account {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "account")]
    #[cached(case_insensitive(name))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A text as primary key.
pub mod word {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "word")]
    #[cached(case_insensitive(spelling), key(uses))]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub spelling: String,
        pub uses: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub const SCHEMA: &str = "
    CREATE TABLE person (
        id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, team INTEGER NOT NULL, age INTEGER NOT NULL
    );
    CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE NOT NULL UNIQUE);
    CREATE TABLE letter (
        id INTEGER PRIMARY KEY,
        account TEXT REFERENCES account (name) ON DELETE CASCADE ON UPDATE CASCADE
    );
    CREATE INDEX letter_account ON letter (account);
    CREATE TABLE word (spelling TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, uses INTEGER NOT NULL);
";

/// The same as MariaDB spells it: what its usual collation takes for equal is even more.
fn schema(backend: Backend) -> String {
    match backend {
        Backend::MySql => SCHEMA
            .replace("INTEGER PRIMARY KEY", "INTEGER AUTO_INCREMENT PRIMARY KEY")
            .replace("TEXT COLLATE NOCASE", "TEXT")
            .replace("TEXT", "VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
        _ => SCHEMA.to_owned(),
    }
}

const TEXTS: [&str; 6] = ["a", "A", "a ", "b", "é", ""];

pub struct World {
    /// It goes with the world.
    _place: (Option<File>, Option<TestDb>),
    pub cache: QueryCache,
    pub db: CachedConnection,
}

pub async fn world(backend: Backend, capture: Capture) -> World {
    let (place, plain) = match backend {
        Backend::Sqlite => {
            let file = File::new();
            let plain = file.pool(4).await;
            ((Some(file), None), plain)
        }
        server => {
            let db = TestDb::new(server).await;
            let plain = db.pool(4).await;
            ((None, Some(db)), plain)
        }
    };
    plain.execute_unprepared(&schema(backend)).await.expect("the schema");
    let cache = checked().capture(capture).build().await.expect("a cache");
    cache.register::<person::Entity>().register::<account::Entity>().register::<word::Entity>();
    let db = cache.connect(plain).await.expect("a connection");
    World { _place: place, cache, db }
}

/// All that is asked for one text. A TTL of zero asks the database.
async fn answers(db: &impl CacheSource, text: &str, ttl: Duration) -> Vec<String> {
    let is = |of: person::Column| person::Entity::find().filter(of.eq(text));
    let people = || is(person::Column::Email);
    let either = person::Entity::find().filter(person::Column::Email.is_in([text, "b"]));
    let ages = people().select_only().column(person::Column::Age).into_tuple::<i32>();
    let emails = people().select_only().column(person::Column::Email);
    let emails = emails.into_tuple::<Option<String>>();
    let nobody = person::Entity::find().filter(person::Column::Email.is_null());
    let letters = letter::Entity::find().filter(letter::Column::Account.eq(text));
    let uses = word::Entity::find().filter(word::Column::Uses.eq(text.len() as i32));
    let word = word::Entity::find_by_id(text);
    macro_rules! ask {
        ($($query:expr),*) => { vec![$(format!("{:?}", $query.await.expect("an answer"))),*] };
    }
    ask![
        people().cached(ttl).all(db),
        people().cached(ttl).count(db),
        either.cached(ttl).all(db),
        ages.cached(ttl).all(db),
        emails.cached(ttl).all(db),
        nobody.cached(ttl).count(db),
        letters.clone().cached(ttl).all(db),
        letters.cached(ttl).count(db),
        uses.cached(ttl).all(db),
        word.cached(ttl).one(db)
    ]
}

/// A random write, which may fail; and its text.
fn write(rng: &mut Rng) -> (String, Vec<Value>) {
    let text = |rng: &mut Rng| {
        let text = TEXTS[rng.usize(..TEXTS.len())];
        if rng.u8(..12) == 0 { Value::String(None) } else { text.into() }
    };
    let (one, two) = (text(rng), text(rng));
    let (id, team) = (rng.i32(1..7), rng.i32(1..3));
    let (sql, values): (&str, Vec<Value>) = match rng.u8(..21) {
        0 | 1 => {
            let sql = "INSERT INTO person (email, team, age) VALUES (?, ?, ?)";
            (sql, vec![one, team.into(), id.into()])
        }
        2 => ("UPDATE person SET email = ? WHERE id = ?", vec![one, id.into()]),
        3 => ("UPDATE person SET email = ? WHERE email = ?", vec![one, two]),
        4 => ("UPDATE person SET email = ? WHERE age > ? RETURNING *", vec![one, id.into()]),
        5 => ("UPDATE person SET email = upper(email) WHERE team = ?", vec![team.into()]),
        6 => ("UPDATE person SET age = age + 1 WHERE email = ?", vec![one]),
        7 => ("UPDATE person SET team = ? WHERE email = ?", vec![team.into(), one]),
        8 => ("DELETE FROM person WHERE email = ?", vec![one]),
        9 => ("DELETE FROM person WHERE id = ?", vec![id.into()]),
        10 => ("INSERT INTO account (name) VALUES (?)", vec![one]),
        11 => ("UPDATE account SET name = ? WHERE name = ?", vec![one, two]),
        12 => ("DELETE FROM account WHERE name = ?", vec![one]),
        13 | 14 => ("INSERT INTO letter (account) VALUES (?)", vec![one]),
        15..=17 => ("REPLACE INTO word VALUES (?, ?)", vec![one, team.into()]),
        18 | 19 => ("UPDATE word SET uses = (uses + 1) % 4 RETURNING *", vec![]),
        _ => ("UPDATE word SET spelling = ? WHERE spelling = ?", vec![one, two]),
    };
    (sql.to_owned(), values)
}

/// The first stale answer among so many writes, if any; and how many hits there were.
pub async fn first_stale(backend: Backend, seed: u64, writes: usize) -> (Option<String>, u64) {
    let mut rng = Rng::with_seed(seed);
    let capture = [Capture::Never, Capture::Auto, Capture::Always][seed as usize % 3];
    let world = world(backend, capture).await;
    let mut done = Vec::new();
    for _ in 0..writes {
        let text = TEXTS[rng.usize(..TEXTS.len())];
        answers(&world.db, text, TTL).await;
        let (sql, values) = write(&mut rng);
        done.push(format!("{sql} {values:?}"));
        let statement =
            Statement::from_sql_and_values(world.db.get_database_backend(), sql, values);
        if rng.bool() {
            drop(world.db.query_all_raw(statement).await);
        } else {
            let transaction = world.db.begin().await.expect("a transaction");
            drop(transaction.execute_raw(statement).await);
            transaction.commit().await.expect("a commit");
        }
        for text in TEXTS {
            let cached = answers(&world.db, text, TTL).await;
            let fresh = answers(&world.db, text, Duration::ZERO).await;
            if cached != fresh {
                let stale = format!("{text:?}: {cached:?}\n{fresh:?}\n{done:#?}");
                return (Some(stale), world.cache.stats().total.hits);
            }
        }
    }
    (None, world.cache.stats().total.hits)
}

/// Two words that differ in a space at their end change together: is either look-up stale?
pub async fn words_of_one_form() -> bool {
    let world = world(Backend::Sqlite, Capture::Always).await;
    let ask = async |ttl| {
        let mut found = Vec::new();
        for uses in 0..5 {
            let words = word::Entity::find().filter(word::Column::Uses.eq(uses));
            found.push(words.cached(ttl).count(&world.db).await.expect("a number"));
        }
        found
    };
    let sql = |sql| Statement::from_string(DbBackend::Sqlite, sql);
    let insert = "INSERT INTO word VALUES ('a', 1), ('a ', 2)";
    world.db.execute_raw(sql(insert)).await.expect("two words");
    ask(TTL).await;
    let update = "UPDATE word SET uses = uses + 1 RETURNING *";
    world.db.query_all_raw(sql(update)).await.expect("two words");
    ask(TTL).await != ask(Duration::ZERO).await
}
