//! Shows that a store in a database needs its second DELETE: without it something is stale.

#[path = "../database_store/scenario.rs"]
mod scenario;
#[path = "../database_store/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "../support/mod.rs"]
mod support;

use sea_orm_cache::fault::{Fault, set};

use support::servers::Backend;

#[tokio::test]
async fn the_second_delete_is_needed() {
    for backend in Backend::servers() {
        set(Fault::None);
        assert!(!scenario::late_beside_a_delete(backend).await, "{backend:?} is stale");
        set(Fault::DeleteOnce);
        let stale = scenario::late_beside_a_delete(backend).await;
        set(Fault::None);
        assert!(stale, "{backend:?}: it is not noticed");
    }
}
