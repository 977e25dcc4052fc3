//! What else happens when something was written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{ActiveModelTrait, ColumnTrait, QueryFilter, QueryOrder};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Invalidate, deps};

use crate::places::{Place, places};
use crate::support::{TTL, book, review};

/// Is the value of this name, which depends on nothing but the tag of that name, still there?
async fn is_there(place: &Place, name: &'static str) -> bool {
    let hits = place.hits();
    let value = place.cache.cached_as(name, TTL, deps![name], || async { Ok::<_, DbErr>(1) });
    value.await.expect("a number");
    place.hits() > hits
}

#[tokio::test]
async fn a_rule_is_for_its_operations_and_columns_alone() {
    for place in places().await {
        let on = || place.cache.rules().on::<book::Entity>();
        on().invalidates(Invalidate::tag("any"));
        on().inserts().invalidates(Invalidate::tag("inserts"));
        on().updates().invalidates(Invalidate::tag("updates"));
        on().updates_of([book::Column::Price]).invalidates(Invalidate::tag("prices"));
        on().deletes().inserts().invalidates(Invalidate::tag("moves"));
        place.cache.rules().on::<review::Entity>().invalidates(Invalidate::tag("reviews"));
        const NAMES: [&str; 6] = ["any", "inserts", "updates", "prices", "moves", "reviews"];
        for (sql, fired) in [
            ("INSERT INTO book VALUES (80, 'a', 1, 1, 1, 1)", vec!["any", "inserts", "moves"]),
            ("UPDATE book SET stock = 2 WHERE id = 80", vec!["any", "updates"]),
            ("UPDATE book SET price = 2 WHERE id = 80", vec!["any", "updates", "prices"]),
            ("UPDATE review SET rating = 1 WHERE id = 1", vec!["reviews"]),
            ("UPDATE author SET name = 'x'", vec![]),
            ("DELETE FROM book WHERE id = 80", vec!["any", "moves", "reviews"]),
            // A cascade deletes books, and their reviews.
            ("DELETE FROM author WHERE id = 2", vec!["any", "moves", "reviews"]),
            // Nobody knows.
            ("VACUUM", NAMES.to_vec()),
        ] {
            for name in NAMES {
                is_there(&place, name).await;
                assert!(is_there(&place, name).await, "{} {:?}", place.name, place.log.take());
            }
            place.write_here(sql).await;
            let mut dead = Vec::new();
            for name in NAMES {
                if !is_there(&place, name).await {
                    dead.push(name);
                }
            }
            assert_eq!(dead, fired, "{}: {sql}: {:?}", place.name, place.log.take());
        }
    }
}

#[tokio::test]
async fn related_rows_end_where_their_key_is_known_and_otherwise_all_of_the_entity() {
    for place in places().await {
        place.cache.rules().on::<review::Entity>().invalidates_related::<book::Entity>();
        place
            .cache
            .rules()
            .on::<crate::support::author::Entity>()
            .invalidates_related::<book::Entity>();
        let summary = async |book: i32| {
            let hits = place.hits();
            let of_book = place.cache.value("summary").argument(&book).ttl(TTL);
            let dependencies = deps![book::Entity => book];
            let value = of_book.depending_on(dependencies, || async { Ok::<_, DbErr>(book) });
            value.await.expect("a number");
            place.hits() > hits
        };
        let both = async || (summary(1).await, summary(2).await);
        for (sql, stay) in [
            // Of book 1.
            ("UPDATE review SET rating = 2 WHERE id = 1", (false, true)),
            ("INSERT INTO review VALUES (50, 1, 3)", (false, true)),
            ("DELETE FROM review WHERE id = 50", (false, true)),
            // From one to the other.
            ("UPDATE review SET book_id = 2 WHERE id = 1", (false, false)),
            ("UPDATE review SET rating = rating + 1", (false, false)),
            // An author does not say which books are theirs.
            ("UPDATE author SET name = 'n' WHERE id = 3", (false, false)),
        ] {
            both().await;
            // Which rows a write touches is asked for where that spares somebody's entry.
            let best = review::Entity::find().filter(review::Column::BookId.eq(3));
            let best = best.order_by_desc(review::Column::Rating).cached(TTL);
            best.clone().all(&place.db).await.expect("reviews");
            best.count(&place.db).await.expect("a number");
            assert_eq!(both().await, (true, true), "{}", place.name);
            place.write_here(sql).await;
            assert_eq!(both().await, stay, "{}: {sql}: {:?}", place.name, place.log.take());
        }
    }
}

#[tokio::test]
async fn a_callback_runs_once_a_commit_in_order_and_before_the_write_returns() {
    for place in places().await {
        let told = Arc::new(Mutex::new(Vec::new()));
        for name in ["first", "second"] {
            let told = told.clone();
            place.cache.rules().on::<book::Entity>().calls(move |commit| {
                let told = told.clone();
                async move {
                    tokio::task::yield_now().await;
                    told.lock().expect("it").push(format!("{name}: {commit}"));
                    Ok(())
                }
            });
        }
        let taken = || std::mem::take(&mut *told.lock().expect("it"));
        let model = book::ActiveModel { id: Set(1), stock: Set(3), ..Default::default() };
        model.update(&place.db).await.expect("a write");
        let all = taken();
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].starts_with("first: updated stock (") && all[0].contains("id=1"), "{all:?}");
        assert!(all[1].starts_with("second: "), "{all:?}");

        let transaction = place.db.begin().await.expect("begun");
        for sql in [
            "INSERT INTO book VALUES (81, 'a', 1, 1, 1, 1)",
            "DELETE FROM book WHERE id = 81",
            "UPDATE author SET name = 'x'",
        ] {
            transaction.execute_unprepared(sql).await.expect("a write");
        }
        assert_eq!(taken().len(), 0);
        transaction.commit().await.expect("committed");
        let all = taken();
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].contains("inserted") && all[0].contains(", deleted"), "{all:?}");

        let transaction = place.db.begin().await.expect("begun");
        transaction.execute_unprepared("DELETE FROM book").await.expect("a write");
        transaction.rollback().await.expect("rolled back");
        place.write_here("UPDATE author SET name = 'y'").await;
        for sql in ["INSERT INTO book (id) VALUES (1)", "FROB the books"] {
            place.db.execute_unprepared(sql).await.expect_err(sql);
        }
        assert_eq!(taken().len(), 0, "{}", place.name);
        place.write_here("VACUUM").await;
        assert_eq!(taken(), ["first: may have changed", "second: may have changed"]);
    }
}

#[tokio::test]
async fn a_callback_that_fails_panics_or_takes_too_long_is_told_and_stops_nobody() {
    for place in places().await {
        let on = |name| place.cache.rules().on::<book::Entity>().named(name);
        on("errs").calls(|_| async { Err("no way".into()) });
        on("panics").calls(|_| async { panic!("as told") });
        on("panics at once").calls(|commit| {
            assert!(commit.unknown, "as told");
            async { Ok(()) }
        });
        on("hangs").timeout(Duration::from_millis(1)).calls(|_| std::future::pending());
        on("works").invalidates(Invalidate::tag("works"));
        is_there(&place, "works").await;
        place.log.take();
        place.write_here("UPDATE book SET stock = 5 WHERE id = 1").await;
        assert!(!is_there(&place, "works").await);
        let told = place.log.take();
        for words in [
            "errs failed: no way",
            "panics failed: it panicked",
            "panics at once failed: it panicked",
            "hangs failed: it took longer than 1 ms",
        ] {
            assert!(told.iter().any(|line| line == words), "{}: {words}: {told:?}", place.name);
        }
    }
}

#[tokio::test]
async fn rules_that_write_in_a_circle_end() {
    for place in places().await {
        let runs = Arc::new(Mutex::new(0));
        let (db, counted) = (place.db.clone(), runs.clone());
        place.cache.rules().on::<book::Entity>().calls(move |_| {
            let (db, counted) = (db.clone(), counted.clone());
            async move {
                *counted.lock().expect("it") += 1;
                db.execute_unprepared("UPDATE book SET stock = stock + 1 WHERE id = 1").await?;
                Ok(())
            }
        });
        place.write_here("UPDATE book SET stock = 0 WHERE id = 1").await;
        assert_eq!(*runs.lock().expect("it"), 8, "{}", place.name);
        assert!(place.log.take().iter().any(|line| line.contains("circle")));
        let one = book::Entity::find_by_id(1).one(&place.db).await.expect("a book");
        assert_eq!(one.expect("a book").stock, 8);
        place.cache.rules().clear();
        place.write_here("UPDATE book SET stock = 0 WHERE id = 1").await;
        assert_eq!(*runs.lock().expect("it"), 8);
    }
}

#[tokio::test]
async fn a_storm_of_writes_with_many_rules_loses_none() {
    let writes = 2_000;
    for place in places().await.into_iter().take(1) {
        let calls = Arc::new(Mutex::new(0_u32));
        for number in 0..20 {
            let on = place.cache.rules().on::<book::Entity>();
            let calls = calls.clone();
            match number % 2 {
                0 => on.invalidates(Invalidate::tag("t")),
                _ => on.calls(move |_| {
                    *calls.lock().expect("it") += 1;
                    async { Ok(()) }
                }),
            }
        }
        for write in 0..writes {
            place.write_here(&format!("UPDATE book SET stock = {write} WHERE id = 1")).await;
        }
        assert_eq!(*calls.lock().expect("it"), writes * 10);
    }
}

mod staff {
    use sea_orm::entity::prelude::*;
    use sea_orm_cache::CachedEntity;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, CachedEntity)]
    #[sea_orm(table_name = "staff")]
    #[cached(related(boss, label))]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub boss_id: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(belongs_to = "Entity", from = "Column::BossId", to = "Column::Id")]
        Boss,
        #[sea_orm(belongs_to = "Entity", from = "Column::Id", to = "Column::BossId")]
        Team,
        #[sea_orm(
            belongs_to = "super::label::Entity",
            from = "Column::Id",
            to = "super::label::Column::Id"
        )]
        Label,
    }

    /// Through the junction.
    impl Related<super::label::Entity> for Entity {
        fn to() -> RelationDef {
            super::staff_label::Relation::Label.def()
        }

        fn via() -> Option<RelationDef> {
            Some(super::staff_label::Relation::Staff.def().rev())
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod label {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "label")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod staff_label {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "staff_label")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub staff_id: i32,
        #[sea_orm(primary_key)]
        pub label_id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::staff::Entity",
            from = "Column::StaffId",
            to = "super::staff::Column::Id"
        )]
        Staff,
        #[sea_orm(
            belongs_to = "super::label::Entity",
            from = "Column::LabelId",
            to = "super::label::Column::Id"
        )]
        Label,
    }

    impl Related<super::label::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Label.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Which values of staff 1, staff 2, label 1 and label 2 are still there.
async fn stay(place: &Place) -> [bool; 4] {
    let mut stay = [false; 4];
    for (position, id) in [1, 2, 1, 2].into_iter().enumerate() {
        let hits = place.hits();
        let value = place.cache.value("of").argument(&position).ttl(TTL);
        let dependencies = match position {
            0 | 1 => deps![staff::Entity => id],
            _ => deps![label::Entity => id],
        };
        let value = value.depending_on(dependencies, || async { Ok::<_, DbErr>(id) });
        value.await.expect("a number");
        stay[position] = place.hits() > hits;
    }
    stay
}

#[tokio::test]
async fn relations_to_itself_through_a_junction_and_declared_ones_end_what_they_name() {
    for place in places().await {
        place.write_here("CREATE TABLE staff (id INTEGER PRIMARY KEY, boss_id INTEGER)").await;
        // Of a changed row the columns of keys and indexes are known.
        place.write_here("CREATE INDEX staff_boss ON staff (boss_id)").await;
        place.write_here("CREATE TABLE label (id INTEGER PRIMARY KEY)").await;
        let junction = "CREATE TABLE staff_label
            (staff_id INTEGER, label_id INTEGER, PRIMARY KEY (staff_id, label_id))";
        place.write_here(junction).await;
        place.write_here("INSERT INTO staff VALUES (1, NULL), (2, NULL), (3, 1)").await;
        place.write_here("INSERT INTO label VALUES (1), (2)").await;
        let rules = place.cache.rules();
        let new = "INSERT INTO staff VALUES (@, 1)";
        let (mut id, all) = (10, [true; 4]);
        for (register, ended) in [
            // The boss alone, and all staff where it is the other way round.
            ("boss", [false, true, true, true]),
            ("team", [false, false, true, true]),
            // Through the junction nobody knows which.
            ("labels", [true, true, false, false]),
            // The boss alone, and labels, of which one has the number of the new one.
            ("declared", [false, true, true, true]),
        ] {
            rules.clear();
            let on = rules.on::<staff::Entity>();
            match register {
                "boss" => on.invalidates_relation(staff::Relation::Boss),
                "team" => on.invalidates_relation(staff::Relation::Team),
                "labels" => on.invalidates_related::<label::Entity>(),
                _ => on.invalidates_declared(),
            }
            stay(&place).await;
            assert_eq!(stay(&place).await, all, "{}", place.name);
            id += 1;
            place.write_here(&new.replace('@', &id.to_string())).await;
            assert_eq!(stay(&place).await, ended, "{}: {register}", place.name);
        }
        rules.clear();
        rules.on::<staff_label::Entity>().invalidates_related::<label::Entity>();
        stay(&place).await;
        place.write_here("INSERT INTO staff_label VALUES (1, 2)").await;
        assert_eq!(stay(&place).await, [true, true, true, false], "{}", place.name);
    }
}
