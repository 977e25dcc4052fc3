//! What a read asks for beside a valid answer.

use std::time::Duration;

use super::ask::Repeatable;
use super::{Cacheable, Cached};
use crate::remember::{Detached, Valued};

/// When an answer may be old, and when it is loaded although there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// The greatest age that may answer while a task refreshes.
    pub(crate) while_refreshing: Option<Duration>,
    /// The same if the load fails.
    pub(crate) if_error: Option<Duration>,
    /// How long a load may take before what is of the second age at most answers.
    pub(crate) if_slow: Option<(Duration, Duration)>,
    /// How long a load may take at all.
    pub(crate) timeout: Option<Duration>,
    pub(crate) early: bool,
}

impl Freshness {
    pub(crate) fn is_asked_for(&self) -> bool {
        *self != Self::default()
    }

    /// How old an entry may get and still be of use, in milliseconds.
    pub(crate) fn keep_ms(&self) -> u64 {
        let if_slow = self.if_slow.map(|(_, max_age)| max_age);
        let ages = [self.while_refreshing, self.if_error, if_slow];
        ages.into_iter().flatten().max().map_or(0, whole_ms)
    }
}

pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

macro_rules! freshness_options {
    ($(#[$doc:meta])* impl [$($generics:tt)*] $of:ty => $given:ty) => {
        $(#[$doc])*
        impl<$($generics)*> $of {
            /// Answers at once with what is not valid any more, if it is at most `max_age` old, while
            /// one task loads it anew (stale-while-revalidate, after RFC 5861). **The answer may be
            /// from before a write that was acknowledged**: `max_age` is all that is promised of it,
            /// counted from when it was read from the database.
            ///
            /// What answers is in this process's memory. It is marked
            /// [`Source::Stale`](crate::Source::Stale) and told as
            /// [`Event::Stale`](crate::Event::Stale). In a transaction, and within the computation of
            /// a value, nothing old answers. A refresh is given up after a minute.
            pub fn swr(self, max_age: Duration) -> $given {
                self.with_freshness(|freshness| freshness.while_refreshing = Some(max_age))
            }

            /// Answers with what is not valid any more, if it is at most `max_age` old, when the
            /// load fails or takes longer than [`load_timeout`](Self::load_timeout). The rest is as
            /// with [`swr`](Self::swr).
            pub fn stale_if_error(self, max_age: Duration) -> $given {
                self.with_freshness(|freshness| freshness.if_error = Some(max_age))
            }

            /// Answers with what is not valid any more, if it is at most `max_age` old, when the
            /// load takes longer than `after` (a soft timeout). The load goes on, and is stored. The
            /// rest is as with [`swr`](Self::swr).
            pub fn stale_if_slow(self, after: Duration, max_age: Duration) -> $given {
                self.with_freshness(|freshness| freshness.if_slow = Some((after, max_age)))
            }

            /// Fails with [`DbErr::Custom`](sea_orm::DbErr::Custom) when the load takes longer than
            /// `after` (a hard timeout), unless [`stale_if_error`](Self::stale_if_error) has an
            /// answer. The load goes on, and is stored. It is for loads of what is to be cached:
            /// in a transaction, within [`remember`](crate::QueryCache::remember), with `bypass`,
            /// `refresh` or a TTL of zero there is no timeout.
            pub fn load_timeout(self, after: Duration) -> $given {
                self.with_freshness(|freshness| freshness.timeout = Some(after))
            }

            /// Sometimes loads anew what is still valid, in the background: the more likely the
            /// closer it is to its end and the longer a load takes, so that no reader has to wait
            /// and not all begin at once. Answers are as fresh as without it. This is XFetch with
            /// β = 1 (Vattani, Chierichetti, Lowenstein: *Optimal Probabilistic Cache Stampede
            /// Prevention*, VLDB 2015).
            pub fn refresh_early(self) -> $given {
                self.with_freshness(|freshness| freshness.early = true)
            }
        }
    };
}

freshness_options! {
    /// Answers that may be old, and loads that go on without their caller.
    impl [Q: Repeatable] Cached<Q> => Self
}
freshness_options! {
    /// Answers that may be old, and computations that go on without their caller: so these are run
    /// by a task, and must not borrow anything.
    impl ['c, W] Valued<'c, W> => Valued<'c, Detached>
}

impl<Q: Cacheable> Cached<Q> {
    fn with_freshness(mut self, change: impl FnOnce(&mut Freshness)) -> Self {
        change(&mut self.options.freshness);
        self
    }
}

impl<'c, W> Valued<'c, W> {
    fn with_freshness(self, change: impl FnOnce(&mut Freshness)) -> Valued<'c, Detached> {
        let mut given = self.detached();
        change(&mut given.named.options.freshness);
        given
    }
}
