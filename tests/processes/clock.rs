//! One clock for all processes of a machine, and how far they may disagree about it.
//!
//! What `Instant` shows is the same in all of them, but it can't be sent. The time of day can, and
//! all processes have the same; only it may be set. So each process takes the time of day once and
//! goes on from there by its `Instant`; at its end it looks whether the two still agree.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970.
pub type Moment = u64;

/// Later than anything that happens.
pub const NEVER: Moment = u64::MAX;

pub const MS: u64 = 1_000_000;

struct Anchor {
    instant: Instant,
    moment: Moment,
    /// Between looking at the one clock and at the other.
    width: u64,
}

impl Anchor {
    /// The narrowest of some.
    fn new() -> Self {
        let one = |_| {
            let before = Instant::now();
            let day = SystemTime::now().duration_since(UNIX_EPOCH).expect("a day after 1970");
            let width = before.elapsed().as_nanos() as u64;
            Self { instant: before, moment: day.as_nanos() as u64, width }
        };
        (0..50).map(one).min_by_key(|anchor| anchor.width).expect("fifty")
    }

    fn at(&self, instant: Instant) -> Moment {
        self.moment + instant.duration_since(self.instant).as_nanos() as u64
    }
}

fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(Anchor::new)
}

pub fn now() -> Moment {
    anchor().at(Instant::now())
}

/// How far this process's moments may be from the true ones, in nanoseconds. At its end.
pub fn error() -> u64 {
    let (first, last) = (anchor(), Anchor::new());
    first.width + last.width + first.at(last.instant).abs_diff(last.moment)
}
