//! Any bytes at all, as they might lie in a store.
#![no_main]

mod kinds;

use kinds::{Models, Values, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read::<Models>(bytes);
    read::<Values>(bytes);
});
