//! Bodies of any bytes behind a head that is right: the first byte chooses the compression, the
//! next two the announced length, and the rest is the body.
#![no_main]

mod kinds;

use kinds::{Models, Values, forge, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(([method, low, high], body)) = bytes.split_first_chunk() else { return };
    let len = match method >> 2 & 1 {
        // Mostly the truth, or nothing would get far.
        0 => body.len() as u32,
        _ => u32::from(*low) << 8 | u32::from(*high) << 13,
    };
    read::<Models>(&forge::<Models>(method & 3, len, body));
    read::<Values>(&forge::<Values>(method & 3, len, body));
});
