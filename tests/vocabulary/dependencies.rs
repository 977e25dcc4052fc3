//! What a value is said to depend on, and what not.

use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use sea_orm_cache::{Dependencies, deps};

use crate::places::places;
use crate::support::{TTL, author, book, review};

/// What is said, what ends it, what does not.
fn cases() -> Vec<(&'static str, Dependencies, Vec<&'static str>, Vec<&'static str>)> {
    let cheap = book::Entity::find().filter(book::Column::AuthorId.eq(1));
    vec![
        (
            "entity",
            deps![book::Entity],
            vec![
                "UPDATE book SET stock = 3 WHERE id = 2",
                "DELETE FROM book WHERE id = 5",
                "INSERT INTO book VALUES (91, 'x', 1, 1, 1, 1)",
                "DELETE FROM author WHERE id = 3",
            ],
            vec!["UPDATE author SET name = 'y'", "DELETE FROM review"],
        ),
        (
            "row",
            deps![book::Entity => 2],
            vec![
                "UPDATE book SET stock = 3 WHERE id = 2",
                "DELETE FROM book WHERE id = 2",
                "INSERT INTO book VALUES (2, 'x', 1, 1, 1, 1)",
                "UPDATE book SET price = 1",
            ],
            vec!["UPDATE book SET stock = 3 WHERE id = 1", "DELETE FROM book WHERE id = 4"],
        ),
        (
            "select",
            deps![cheap],
            vec![
                "UPDATE book SET title = 'z' WHERE id = 1",
                "INSERT INTO book VALUES (92, 'x', 1, 1, 1, 1)",
                "UPDATE book SET author_id = 1 WHERE id = 3",
            ],
            vec!["UPDATE book SET title = 'z' WHERE id = 4", "UPDATE author SET name = 'q'"],
        ),
        (
            "several",
            deps![author::Entity, review::Entity => 1],
            vec!["UPDATE author SET name = 'w' WHERE id = 1", "DELETE FROM review WHERE id = 1"],
            vec!["UPDATE review SET rating = 1 WHERE id = 2"],
        ),
    ]
}

#[tokio::test]
async fn a_value_ends_with_what_it_is_said_to_depend_on_and_with_nothing_else() {
    for place in places().await {
        for (name, dependencies, ends, stays) in cases() {
            let runs = AtomicUsize::new(0);
            let run = async || {
                let (runs, dependencies) = (&runs, dependencies.clone());
                let value = place.cache.cached_as(name, TTL, dependencies, || async move {
                    Ok::<_, DbErr>(runs.fetch_add(1, Ordering::SeqCst))
                });
                value.await.expect("a number")
            };
            run().await;
            let mut wanted = 0;
            for sql in stays {
                place.write_here(sql).await;
                place.sees(wanted, run).await;
            }
            for sql in ends {
                place.write(sql).await;
                wanted += 1;
                place.sees(wanted, run).await;
            }
        }
    }
}

#[tokio::test]
async fn a_tag_ends_a_value_and_nothing_else_does_where_nothing_is_said() {
    for place in places().await {
        let runs = AtomicUsize::new(0);
        let run = async |dependencies: Dependencies| {
            let runs = &runs;
            let value = place.cache.cached_as("tagged", TTL, dependencies, || async move {
                Ok::<_, DbErr>(runs.fetch_add(1, Ordering::SeqCst))
            });
            value.await.expect("a number")
        };
        run(deps!["homepage"]).await;
        place.write("UPDATE book SET stock = 3").await;
        assert_eq!(run(deps!["homepage"]).await, 0, "{}: {:?}", place.name, place.log.take());
        place.cache.invalidate_tag("homepage").await;
        assert_eq!(run(deps!["homepage"]).await, 1);
        place.cache.invalidate_all().await;
        assert_eq!(run(deps![]).await, 2);
        assert_eq!(run(deps![]).await, 2);
    }
}

#[tokio::test]
async fn a_dependency_that_is_not_known_is_not_trusted() {
    for place in places().await {
        place.log.take();
        let odd = book::Entity::find().filter(sea_orm::sea_query::Expr::cust("price < random()"));
        for run in 0..2 {
            let value = place
                .cache
                .cached_as("odd", TTL, deps![odd.clone()], || async move { Ok::<_, DbErr>(run) });
            assert_eq!(value.await, Ok(run), "{}", place.name);
        }
        let told = place.log.take().join("\n");
        assert!(told.contains("not stored") && told.contains("random()"), "{told}");
    }
}
