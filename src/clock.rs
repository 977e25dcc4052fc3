//! Time, behind one seam: entries expire by it, and no test has to wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Tells how much time has passed.
///
/// ```
/// use std::time::Duration;
/// use sea_orm_cache::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now_ms(), 2_000);
/// ```
pub trait Clock: Send + Sync {
    /// Milliseconds since some fixed moment. Must never go backwards.
    fn now_ms(&self) -> u64;
}

/// The machine's monotonic clock.
///
/// ```
/// use sea_orm_cache::{Clock, SystemClock};
/// let clock = SystemClock::default();
/// assert!(clock.now_ms() <= clock.now_ms());
/// ```
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // 584 million years fit.
        self.0.elapsed().as_millis() as u64
    }
}

/// A clock that stands still until it is told to move, for tests.
///
/// ```
/// use sea_orm_cache::{Clock, ManualClock};
/// assert_eq!(ManualClock::default().now_ms(), 0);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Moves time forward.
    ///
    /// ```
    /// # use sea_orm_cache::ManualClock;
    /// ManualClock::default().advance(std::time::Duration::from_secs(60));
    /// ```
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
