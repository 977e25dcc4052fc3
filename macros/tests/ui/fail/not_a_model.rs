use sea_orm_cache::CachedEntity;

#[derive(CachedEntity)]
#[cached(ttl = "5m")]
enum Model {
    One,
}

fn main() {}
