//! What other processes bump, applied to this one's memory tier; and the proof that nothing is
//! missing.
//!
//! The store tells of every bump before it is acknowledged, in order, and answers our question
//! *after* all that it told before: so with the answer we know every bump that was acknowledged
//! before the question was *sent*. As long as that is no older than the bound, memory may answer.
//! Nothing else is needed to be right: neither the clocks of others nor that messages arrive.
//!
//! One that may have missed something forgets everything, after it has begun to listen anew.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::alive;
use crate::cache::Engine;
use crate::event::Event;
use crate::fault::{Fault, broken};
use crate::store::{Listener, Unique};
use crate::tag::TagId;

/// Between two attempts to listen; each one doubles it.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Mirror {
    bound_ms: u64,
    /// When the last question that was answered was sent, plus one; 0: nothing is proven.
    proven: AtomicU64,
    /// Was anything ever?
    begun: watch::Sender<bool>,
}

impl Mirror {
    pub(super) fn new(bound: Option<Duration>) -> Self {
        let bound_ms = bound.map_or(0, |bound| bound.as_millis() as u64);
        Self { bound_ms, proven: AtomicU64::new(0), begun: watch::Sender::new(false) }
    }

    /// Is every bump known that was acknowledged longer ago than the bound?
    #[inline]
    pub(crate) fn is_proven(&self, now_ms: u64) -> bool {
        let proven = self.proven.load(Ordering::SeqCst);
        proven > 0
            && (now_ms.saturating_sub(proven - 1) < self.bound_ms || broken(Fault::IgnoreSilence))
    }

    /// How far what is known may be behind, in milliseconds; `None`: nothing is known.
    pub(crate) fn behind_ms(&self, now_ms: u64) -> Option<u64> {
        let proven = self.proven.load(Ordering::SeqCst);
        (proven > 0).then(|| now_ms.saturating_sub(proven - 1))
    }

    /// Waits a little until memory may answer for the first time.
    pub(super) async fn begins(&self) {
        let mut begun = self.begun.subscribe();
        let _ = timeout(LONGEST_PAUSE, begun.wait_for(|begun| *begun)).await;
    }

    fn lost(&self) {
        self.proven.store(0, Ordering::SeqCst);
    }

    fn prove(&self, sent_ms: u64) {
        self.proven.store(sent_ms + 1, Ordering::SeqCst);
        if !*self.begun.borrow() {
            self.begun.send_replace(true);
        }
    }
}

/// A message that tells of bumps.
pub(super) fn bumped(own: &Unique, ids: &[TagId]) -> Vec<u8> {
    let ids = ids.iter().flat_map(|id| id.0.to_le_bytes());
    own.iter().copied().chain(ids).collect()
}

/// Somebody's message; anything else on our channel is passed over.
fn hear(engine: &Engine, message: &[u8]) {
    let Some(shared) = &engine.shared else { return };
    let Some((from, ids)) = message.split_at_checked(shared.own.len()) else { return };
    if from == shared.own || !ids.len().is_multiple_of(8) {
        return;
    }
    let id = |bytes: &[u8]| Some(TagId(u64::from_le_bytes(bytes.try_into().ok()?)));
    let ids: Vec<_> = ids.chunks(8).filter_map(id).collect();
    engine.heard(&ids);
}

/// Listens, until nobody uses the cache any more.
pub(super) async fn listen(engine: Weak<Engine>) {
    let mut pause = PAUSE;
    loop {
        let Some(living) = alive(&engine) else { return };
        let Some(shared) = &living.shared else { return };
        match shared.store.listen().await {
            Ok(listener) => {
                pause = PAUSE;
                if !broken(Fault::KeepAfterSilence) {
                    // What was told before is not known.
                    living.forget_entries();
                }
                drop(living);
                follow(&engine, listener).await;
                let Some(living) = alive(&engine) else { return };
                if let Some(shared) = &living.shared {
                    shared.mirror.lost();
                }
                living.tell(|| Event::ChannelLost);
            }
            Err(error) => {
                let text = error.to_string();
                living.tell(|| Event::StoreError { error: &text });
                if error.is_unsupported() {
                    return;
                }
                drop(living);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Hears and asks until something may have been missed.
async fn follow(engine: &Weak<Engine>, mut listener: Box<dyn Listener>) {
    loop {
        let Some(living) = alive(engine) else { return };
        let Some(shared) = &living.shared else { return };
        let sent_ms = living.clock.now_ms();
        let Some(messages) = listener.catch_up().await else { return };
        messages.iter().for_each(|message| hear(&living, message));
        shared.mirror.prove(sent_ms);
        let pause = Duration::from_millis(shared.mirror.bound_ms) / 4;
        drop(living);
        let next_question = Instant::now() + pause;
        while let Ok(message) = timeout_at(next_question, listener.next()).await {
            let (Some(message), Some(living)) = (message, alive(engine)) else { return };
            hear(&living, &message);
        }
    }
}
