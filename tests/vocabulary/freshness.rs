//! Answers that may be old because somebody asked for that, and loads that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, TransactionTrait};
use sea_orm_cache::prelude::*;
use sea_orm_cache::{Cached, Outcome, Source, deps};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::places::{Place, places};
use crate::support::gate::Gate;
use crate::support::{TTL, author, book};

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_millis(1);

/// A place whose reader's connection tests can step in at.
struct Scene {
    place: Place,
    gate: Gate,
    db: CachedConnection<Gate>,
}

impl Scene {
    async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for place in places().await {
            let gate = Gate::new(place.db.inner().clone());
            let db = place.cache.connect(gate.clone()).await.expect("a connection");
            place.log.take();
            all.push(Self { place, gate, db });
        }
        all
    }

    /// What goes on without a caller has come to its end.
    async fn settled(&self) {
        let over = async {
            while self.place.cache.stats().background > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), over).await.expect("the background ends");
    }

    /// The next query waits until it is told to go on.
    fn hold(&self, text: &str) -> (Arc<Notify>, Arc<Notify>) {
        let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (at, on) = (reached.clone(), go.clone());
        self.gate.before(text, async move {
            at.notify_one();
            on.notified().await;
        });
        (reached, go)
    }

    fn told(&self) -> Vec<String> {
        self.place.log.take().into_iter().filter(|line| line.starts_with("stale")).collect()
    }

    async fn price(&self, read: Cached<sea_orm::Select<book::Entity>>) -> (Option<i32>, Source) {
        let outcome = read.fetch_one(&self.db).await.expect("a book");
        (outcome.value.map(|book| book.price), outcome.source)
    }
}

fn first() -> Cached<sea_orm::Select<book::Entity>> {
    book::Entity::find_by_id(1).cached(TTL)
}

const RISE: &str = "UPDATE book SET price = 111 WHERE id = 1";

#[tokio::test]
async fn with_swr_the_old_answers_at_once_while_one_task_loads_the_new() {
    for scene in Scene::all().await {
        let read = || first().swr(HOUR);
        assert_eq!(scene.price(read()).await, (Some(100), Source::Database));
        scene.place.write_here(RISE).await;
        let (reached, go) = scene.hold("\"book\".\"id\" = ");
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let db = scene.db.clone();
            tasks.spawn(async move { read().fetch_one(&db).await.expect("a book") });
        }
        for old in tasks.join_all().await {
            assert_eq!((old.value.expect("a book").price, old.source), (100, Source::Stale));
        }
        reached.notified().await;
        assert_eq!(scene.told().len(), 100);
        assert_eq!(scene.place.cache.stats().total.stale, 100);
        go.notify_one();
        scene.settled().await;
        let (price, source) = scene.price(read()).await;
        assert_eq!((price, source != Source::Stale), (Some(111), true), "{}", scene.place.name);
        assert_eq!(scene.place.cache.stats().total.fills, 2, "{}", scene.place.name);
    }
}

#[tokio::test]
async fn every_form_of_read_can_do_that() {
    for scene in Scene::all().await {
        let (db, ordered) = (&scene.db, || book::Entity::find().order_by_asc(book::Column::Id));
        let dear = || ordered().filter(book::Column::Price.gt(50)).cached(TTL).swr(HOUR);
        let both = || author::Entity::find().find_with_related(book::Entity).cached(TTL).swr(HOUR);
        let titles = || ordered().cached(TTL).swr(HOUR).into_tuple::<(i32, String)>();
        let all = async || -> Vec<String> {
            vec![
                format!("{:?}", dear().all(db).await.expect("books")),
                format!("{:?}", dear().one(db).await.expect("a book")),
                format!("{:?}", dear().count(db).await.expect("a number")),
                format!("{:?}", dear().exists(db).await.expect("an answer")),
                format!("{:?}", dear().paginate(db, 2).fetch_page(1).await.expect("a page")),
                format!("{:?}", dear().paginate(db, 2).num_items().await.expect("a number")),
                format!("{:?}", both().all(db).await.expect("authors")),
                format!("{:?}", titles().all(db).await.expect("titles")),
                format!(
                    "{:?}",
                    ordered().find_also_related(author::Entity).cached(TTL).swr(HOUR).all(db).await
                ),
            ]
        };
        let old = all().await;
        scene.place.write_here("UPDATE book SET price = 7, title = 'Seven'").await;
        scene.place.log.take();
        assert_eq!(all().await, old, "{}", scene.place.name);
        assert_eq!(scene.told().len(), old.len());
        scene.settled().await;
        scene.place.log.take();
        let new = all().await;
        assert_eq!(scene.told(), Vec::<String>::new());
        assert!(old.iter().zip(&new).all(|(old, new)| old != new), "{old:#?} {new:#?}");
    }
}

#[tokio::test]
async fn what_is_older_than_was_asked_for_never_answers() {
    let scenes = Scene::all().await;
    // The store has a clock of its own.
    let scene = &scenes[0];
    let read = || first().ttl(Duration::from_secs(10)).swr(Duration::from_secs(60));
    assert_eq!(scene.price(read()).await.1, Source::Database);
    scene.place.clock.advance(Duration::from_secs(10));
    let old = read().fetch_one(&scene.db).await.expect("a book");
    assert_eq!((old.source, old.age), (Source::Stale, Duration::from_secs(10)));
    scene.settled().await;
    assert_eq!(scene.price(read()).await.1, Source::Memory);
    scene.place.clock.advance(Duration::from_secs(60));
    let (reached, go) = scene.hold("\"book\".\"id\" = ");
    assert_eq!(scene.price(read()).await.1, Source::Stale);
    reached.notified().await;
    scene.place.clock.advance(Duration::from_millis(1));
    go.notify_one();
    scene.settled().await;
    scene.place.write_here(RISE).await;
    scene.place.clock.advance(Duration::from_millis(60_001));
    assert_eq!(scene.price(read()).await, (Some(111), Source::Database));
}

#[tokio::test]
async fn who_did_not_ask_for_it_gets_nothing_old() {
    for scene in Scene::all().await {
        assert_eq!(scene.price(first().swr(HOUR)).await.1, Source::Database);
        scene.place.write_here(RISE).await;
        let transaction = scene.db.begin().await.expect("a transaction");
        let within = first().swr(HOUR).fetch_one(&transaction).await.expect("a book");
        assert_eq!(within.value.expect("a book").price, 111);
        transaction.rollback().await.expect("an end");
        let inner = scene.place.cache.value("inner").ttl(TTL);
        let inner = inner.remember(&scene.db, |db| async move {
            first().swr(HOUR).one(&db).await.map(|book| book.map(|book| book.price))
        });
        assert_eq!(inner.await.expect("a price"), Some(111), "{}", scene.place.name);
        assert_eq!(scene.told(), Vec::<String>::new());
        scene.place.write_here("UPDATE book SET price = 112 WHERE id = 1").await;
        let refreshed = first().swr(HOUR).refresh();
        assert_eq!(scene.price(refreshed).await, (Some(112), Source::Database));
        scene.place.write_here("UPDATE book SET price = 113 WHERE id = 1").await;
        assert_eq!(scene.price(first()).await, (Some(113), Source::Database));
        scene.place.write_here("UPDATE book SET price = 114 WHERE id = 1").await;
        assert_eq!(scene.price(first().swr(HOUR).bypass()).await.0, Some(114));
    }
}

#[tokio::test]
async fn what_another_read_stored_may_answer_when_it_is_old_if_it_was_ever_asked_for() {
    for scene in Scene::all().await {
        scene.price(first()).await;
        assert_ne!(scene.price(first().swr(HOUR)).await.1, Source::Stale);
        scene.place.write_here(RISE).await;
        assert_eq!(scene.price(first().swr(HOUR)).await, (Some(100), Source::Stale));
        scene.settled().await;
    }
}

#[tokio::test]
async fn a_refresh_that_fails_is_told_and_tried_again() {
    for scene in Scene::all().await {
        let read = || first().swr(HOUR);
        scene.price(read()).await;
        scene.place.write_here(RISE).await;
        scene.gate.fail_on("\"book\".\"id\" = ");
        for _ in 0..2 {
            scene.place.log.take();
            assert_eq!(scene.price(read()).await, (Some(100), Source::Stale));
            scene.settled().await;
            let told = scene.place.log.take();
            assert!(told.iter().any(|line| line.starts_with("refresh of")), "{told:?}");
        }
        scene.gate.fail_on("none");
        assert_eq!(scene.price(read()).await.1, Source::Stale);
        scene.settled().await;
        assert_eq!(scene.price(read()).await.0, Some(111), "{}", scene.place.name);
    }
}

#[tokio::test]
async fn a_refresh_that_panics_does_not_keep_others_from_it() {
    let scene = &Scene::all().await[0];
    scene.price(first().swr(HOUR)).await;
    scene.place.write_here(RISE).await;
    scene.gate.panic_on("\"book\".\"id\" = ");
    assert_eq!(scene.price(first().swr(HOUR)).await.1, Source::Stale);
    scene.settled().await;
    assert_eq!(scene.price(first().swr(HOUR)).await.1, Source::Stale);
    scene.settled().await;
    assert_eq!(scene.price(first().swr(HOUR)).await, (Some(111), Source::Memory));
}

#[tokio::test]
async fn when_the_database_fails_the_old_answers_if_that_was_asked_for() {
    for scene in Scene::all().await {
        let read = || first().stale_if_error(HOUR);
        scene.gate.fail_on("\"book\".\"id\" = ");
        read().one(&scene.db).await.expect_err("there is nothing old");
        scene.gate.fail_on("none");
        scene.price(read()).await;
        scene.place.write_here(RISE).await;
        scene.gate.fail_on("\"book\".\"id\" = ");
        let old = read().fetch_one(&scene.db).await.expect("a book");
        assert_eq!((old.value.expect("a book").price, old.source), (100, Source::Stale));
        let told = scene.told();
        assert!(told.len() == 1 && told[0].ends_with("the load failed"), "{told:?}");
        first().one(&scene.db).await.expect_err("that was not asked for");
        let transaction = scene.db.begin().await.expect("a transaction");
        read().one(&transaction).await.expect_err("a transaction that failed must say so");
        transaction.rollback().await.expect("an end");
        scene.gate.fail_on("none");
        assert_eq!(scene.price(read()).await, (Some(111), Source::Database));
    }
}

#[tokio::test]
async fn a_slow_load_is_answered_by_the_old_and_goes_on() {
    for scene in Scene::all().await {
        let read = || first().stale_if_slow(SOON, HOUR);
        scene.price(read()).await;
        scene.place.write_here(RISE).await;
        let (reached, go) = scene.hold("\"book\".\"id\" = ");
        assert_eq!(scene.price(read()).await, (Some(100), Source::Stale));
        reached.notified().await;
        assert!(scene.told()[0].ends_with("the load takes long"));
        go.notify_one();
        until(|| scene.place.cache.stats().total.fills == 2).await;
        assert_eq!(scene.price(first()).await, (Some(111), Source::Memory));
    }
}

async fn prices(db: CachedConnection<Gate>) -> Result<Vec<i32>, DbErr> {
    let books = book::Entity::find().order_by_asc(book::Column::Id).all(&db).await?;
    Ok(books.iter().map(|book| book.price).collect())
}

/// Waits until something holds that others bring about.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it comes about");
}

#[tokio::test]
async fn a_load_that_takes_too_long_fails_its_caller_and_goes_on() {
    for scene in Scene::all().await {
        let fills = || scene.place.cache.stats().total.fills;
        let (reached, go) = scene.hold("\"book\".\"id\" = ");
        let error = first().load_timeout(SOON).one(&scene.db).await.expect_err("too slow");
        assert!(error.to_string().contains("longer than 1 ms, the load_timeout"), "{error}");
        reached.notified().await;
        go.notify_one();
        until(|| fills() == 1).await;
        assert_eq!(scene.price(first()).await, (Some(100), Source::Memory));
    }
}

#[tokio::test]
async fn what_is_waited_for_too_long_is_answered_by_the_old_if_that_was_asked_for() {
    for scene in Scene::all().await {
        let read = || first().load_timeout(SOON).stale_if_error(HOUR);
        // Its first load may take longer than that.
        while read().one(&scene.db).await.is_err() {}
        scene.place.write_here(RISE).await;
        let (reached, go) = scene.hold("\"book\".\"id\" = ");
        assert_eq!(scene.price(read()).await, (Some(100), Source::Stale));
        reached.notified().await;
        go.notify_one();
        until(|| scene.place.cache.stats().total.fills == 2).await;
        assert_eq!(scene.price(first()).await, (Some(111), Source::Memory));
    }
}

#[tokio::test]
async fn a_panic_of_a_load_is_its_callers() {
    let scene = &Scene::all().await[0];
    scene.gate.panic_on("\"book\".\"id\" = ");
    let db = scene.db.clone();
    let read = async move { first().load_timeout(HOUR).one(&db).await };
    tokio::spawn(read).await.expect_err("a panic");
    assert_eq!(scene.price(first().load_timeout(HOUR)).await, (Some(100), Source::Database));
}

#[tokio::test]
async fn what_takes_long_to_load_is_loaded_before_its_time_is_over() {
    let scenes = Scene::all().await;
    let (place, clock) = (&scenes[0].place, scenes[0].place.clock.clone());
    let runs = Arc::new(AtomicUsize::new(0));
    let value = async |long: Duration| -> Outcome<usize> {
        let (runs, clock) = (runs.clone(), clock.clone());
        let value = place.cache.value("long").argument(&long).ttl(HOUR).refresh_early();
        let value = value.fetch_depending_on(deps!["tag"], move || async move {
            clock.advance(long);
            Ok::<_, DbErr>(runs.fetch_add(1, Ordering::SeqCst))
        });
        value.await.expect("a number")
    };
    for (long, early) in [(HOUR / 60, true), (Duration::ZERO, false)] {
        let first = value(long).await;
        assert_eq!(first.source, Source::Database);
        // One millisecond before its end: it would be luck of 1 in 60,000 not to begin.
        place.clock.advance(HOUR - long - Duration::from_millis(1));
        let before = value(long).await;
        assert_eq!((before.source, before.value), (Source::Memory, first.value));
        scenes[0].settled().await;
        let after = value(long).await;
        assert_eq!((after.source, after.value != first.value), (Source::Memory, early));
    }
}

#[tokio::test]
async fn computed_values_have_all_of_it_too() {
    for scene in Scene::all().await {
        let cache = &scene.place.cache;
        let recorded = async || {
            let value = cache.value("prices").ttl(TTL).swr(HOUR).stale_if_error(HOUR);
            value.fetch(&scene.db, prices).await
        };
        let said = async |soft: bool| {
            let value = cache.value("said").ttl(TTL).stale_if_error(HOUR);
            let value = if soft { value.stale_if_slow(SOON, HOUR) } else { value };
            let db = scene.db.clone();
            value.fetch_depending_on(deps![book::Entity], move || prices(db)).await
        };
        let old = recorded().await.expect("prices").value;
        assert_eq!(said(false).await.expect("prices").value, old);
        scene.place.write_here(RISE).await;
        // Fails, so that what is old answers.
        scene.gate.fail_on("FROM \"book\"");
        let one = recorded().await.expect("prices");
        assert_eq!((one.source, &one.value), (Source::Stale, &old));
        scene.settled().await;
        let two = said(false).await.expect("prices");
        assert_eq!((two.source, &two.value), (Source::Stale, &old), "{}", scene.place.name);
        // Takes long.
        scene.gate.fail_on("none");
        let (reached, go) = scene.hold("FROM \"book\"");
        assert_eq!(said(true).await.expect("prices").source, Source::Stale);
        reached.notified().await;
        go.notify_one();
        until(|| !scene.gate.passed() || cache.stats().total.fills >= 3).await;
        let new = said(false).await.expect("prices");
        assert_eq!((new.source == Source::Stale, new.value[0]), (false, 111));
        // Succeeds.
        assert_eq!(recorded().await.expect("prices").source, Source::Stale);
        scene.settled().await;
        let new = recorded().await.expect("prices");
        assert_eq!((new.source == Source::Stale, new.value[0]), (false, 111));
    }
}
