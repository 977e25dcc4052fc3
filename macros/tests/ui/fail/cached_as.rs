use sea_orm::DbErr;
use sea_orm_cache::{CachedConnection, QueryCache, cached_as};

#[cached_as(ttl = "10m", deps())]
fn not_async(cache: &QueryCache) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(ttl = "10 minutes", deps())]
async fn wrong_ttl(cache: &QueryCache) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(time = "10m", deps())]
async fn wrong_option(cache: &QueryCache) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(deps(), key = "{genre}")]
async fn wrong_argument(cache: &QueryCache, gender: &str) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(deps(), key = "{genre")]
async fn wrong_key(cache: &QueryCache, genre: &str) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(deps())]
async fn no_cache(genre: &str) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(ttl = "10m")]
async fn no_dependencies(cache: &QueryCache) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(deps(), deps("tag"))]
async fn twice(cache: &QueryCache) -> Result<u8, DbErr> {
    Ok(1)
}

#[cached_as(deps())]
async fn unnamed(cache: &QueryCache, (a, b): (u8, u8)) -> Result<u8, DbErr> {
    Ok(a + b)
}

struct Service;

impl Service {
    #[cached_as(ttl = "10m")]
    async fn of_self(&self, db: &CachedConnection) -> Result<u8, DbErr> {
        Ok(1)
    }
}

fn main() {}
