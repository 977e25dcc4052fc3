//! Breaks one of the listener's rules at a time and shows that the scenes notice. What a process
//! owes is broken in `outbox/kill.rs`, in that process alone.

#[path = "outbox/scenes.rs"]
mod scenes;
mod support;
#[allow(dead_code)]
#[path = "outbox/world.rs"]
mod world;

use sea_orm_cache::fault::{Fault, set};
use support::servers::Backend;

#[tokio::test]
async fn every_broken_rule_of_the_listener_is_noticed() {
    macro_rules! noticed {
        ($backend:ident, $($fault:ident => $scene:ident),* $(,)?) => {$(
            let (cached, fresh) = scenes::$scene($backend).await;
            assert_eq!(cached, fresh, "{:?}: {}", $backend, stringify!($scene));
            set(Fault::$fault);
            let (cached, fresh) = scenes::$scene($backend).await;
            set(Fault::None);
            assert_ne!(cached, fresh, "{:?}: {:?} is not noticed", $backend, Fault::$fault);
        )*};
    }
    let sqlite = Backend::Sqlite;
    for backend in Backend::reachable() {
        noticed!(backend,
            OutboxForgets => another_program_writes,
            OutboxUnproven => nobody_listens_for_longer_than_the_bound,
            OutboxKeepsEntries => somebody_else_listened_meanwhile,
            OutboxSettlesUnheard => another_process_without_a_store_writes,
        );
        if backend == Backend::Postgres {
            noticed!(backend, OutboxAssumesLease => held_up_while_another_one_listened);
        }
    }
    if std::env::var("REDIS_URL").is_ok() {
        noticed!(sqlite, OutboxTrustsStrangers => one_of_another_prefix_listens);
    }
}
