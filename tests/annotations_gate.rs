//! Breaks one rule at a time of what keys that ignore case rest on, and shows that the tests notice.
#![cfg(feature = "__mutation")]

#[path = "annotations/folded.rs"]
#[allow(dead_code)]
mod folded;
mod support;

use sea_orm_cache::fault::{Fault, set};
use support::servers::Backend;

#[tokio::test]
async fn each_rule_of_folded_keys_is_needed() {
    for fault in [Fault::FoldedStays, Fault::FoldedCascades] {
        let mut noticed = false;
        for seed in 0..100 {
            set(fault);
            noticed = folded::first_stale(Backend::Sqlite, seed, 60).await.0.is_some();
            set(Fault::None);
            if noticed {
                break;
            }
        }
        assert!(noticed, "{fault:?} is not noticed");
    }
    set(Fault::FoldedPrimaryKeys);
    let noticed = folded::words_of_one_form().await;
    set(Fault::None);
    assert!(noticed, "{:?} is not noticed", Fault::FoldedPrimaryKeys);
}
