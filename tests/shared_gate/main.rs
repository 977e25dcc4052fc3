//! Breaks one safeguard of the shared store at a time, and shows that what it is for then goes
//! wrong: each has a scenario that is stale without it, and is not with it. What only shows in an
//! order that no test can bring about is in `protocol_model_shared`.
#![cfg(feature = "__mutation")]

mod hooked;
#[path = "../shared/processes.rs"]
#[allow(dead_code)]
mod processes;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;

use sea_orm_cache::fault::{Fault, set};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_safeguard_is_needed() {
    if !support::redis::is_there() {
        return;
    }
    let mut shown = 0;
    macro_rules! shows {
        ($($fault:ident $scenario:ident)*) => {$(
            set(Fault::None);
            assert!(!scenarios::$scenario().await, "{} is stale", stringify!($scenario));
            set(Fault::$fault);
            let stale = scenarios::$scenario().await;
            set(Fault::None);
            assert!(stale, "{} is not noticed", stringify!($fault));
            shown += 1;
        )*};
    }
    shows! {
        NoConfirmation overwritten_elsewhere
        IgnoreSilence overwritten_in_silence
        KeepAfterSilence overwritten_while_not_listening
        NoGuardInStore overwritten_during_the_query
        MessagesNotLogged heard_during_the_query
        PromoteUnchecked overwritten_on_the_way_into_memory
        OneLocalBump promoted_before_the_store_was_told
        TrustWhileAway overwritten_while_cut_off
    }
    assert_eq!(shown, 8);
}
