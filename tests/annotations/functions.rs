//! Functions whose results are cached.

use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};
use sea_orm_cache::cached_as;
use sea_orm_cache::prelude::*;

use crate::support::{Shop, author, book};

static RUNS: AtomicUsize = AtomicUsize::new(0);

fn ran() -> usize {
    RUNS.swap(0, Ordering::SeqCst)
}

#[cached_as(ttl = "10m")]
async fn dearer_than(db: &CachedConnection, price: i32) -> Result<u64, DbErr> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    let few = book::Entity::find().filter(book::Column::Price.gt(price)).count(db).await?;
    if few == 0 {
        return Err(DbErr::Custom("none".into()));
    }
    Ok(few)
}

#[cached_as(deps(author::Entity, "page"), key = "{name} of {year}", tags("all"))]
async fn page(
    cache: &QueryCache,
    name: String,
    year: u16,
    verbose: bool,
) -> Result<String, std::convert::Infallible> {
    let _ = cache;
    RUNS.fetch_add(1, Ordering::SeqCst);
    Ok(format!("{name} {year} {verbose}"))
}

struct Service {
    cache: QueryCache,
    tenant: String,
}

impl Service {
    #[cached_as(
        ttl = "1h",
        name = "motto",
        key = "{of}",
        deps(),
        scope = &self.tenant,
        cache = self.cache
    )]
    async fn motto(&self, of: &str) -> Result<String, DbErr> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{} of {of}", self.tenant))
    }
}

#[tokio::test]
async fn a_function_is_computed_once_for_its_arguments_and_ends_with_what_it_read() {
    let shop = Shop::new().await;
    for _ in 0..2 {
        assert_eq!(dearer_than(&shop.db, 250).await, Ok(3));
        assert_eq!(dearer_than(&shop.db, 850).await, Ok(2));
        dearer_than(&shop.db, 5_000).await.expect_err("none");
    }
    assert_eq!(ran(), 4, "an error is not kept");
    shop.sql("UPDATE author SET name = 'x'").await.expect("authors");
    assert_eq!((dearer_than(&shop.db, 250).await, ran()), (Ok(3), 0));
    shop.sql("UPDATE book SET price = 1 WHERE id = 5").await.expect("a book");
    assert_eq!((dearer_than(&shop.db, 250).await, ran()), (Ok(2), 1));

    let read = async |name: &str, year, verbose| {
        page(&shop.cache, name.to_owned(), year, verbose).await.expect("a page")
    };
    assert_eq!(read("a", 1, true).await, "a 1 true");
    assert_eq!(read("a", 1, false).await, "a 1 true", "it is not in the key");
    assert_eq!(read("a of 1", 1, false).await, "a of 1 1 false");
    assert_eq!(ran(), 2);
    for ends in ["page", "all"] {
        shop.cache.invalidate_tag(ends).await;
        read("a", 1, true).await;
        assert_eq!(ran(), 1, "{ends}");
    }
    shop.sql("UPDATE author SET name = 'y'").await.expect("authors");
    read("a", 1, true).await;
    assert_eq!(ran(), 1);

    let service = |tenant: &str| Service { cache: shop.cache.clone(), tenant: tenant.to_owned() };
    for _ in 0..2 {
        assert_eq!(service("x").motto("a").await.expect("it"), "x of a");
        assert_eq!(service("y").motto("a").await.expect("it"), "y of a");
    }
    assert_eq!(ran(), 2);
    shop.cache.invalidate_value("motto").await;
    service("x").motto("a").await.expect("it");
    assert_eq!(ran(), 1);
}
