//! What must hold, and what must be possible.

use crate::protocol::Protocol;
use crate::rules::Nodes;
use crate::state::{Phase, Reader, State};
use stateright::Property;

/// The promise.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged writes are seen";
const ANSWERED: &str = "every read ends with a value";

// What must be possible, or the run would prove nothing: a step that is about to be taken.
const MEMORY_HITS: &str = "memory answers by itself";
const STORE_HITS: &str = "the store answers";
const CONFIRMED: &str = "the store confirms what memory has";
const PROMOTED: &str = "memory takes over what the store had";
const STORED: &str = "a load is stored";
const REFUSED: &str = "a load is refused";
const NEW_HITS: &str = "the new value is cached, too";

/// The property that some reader is somewhere.
macro_rules! reached {
    ($name:expr, $condition:ident) => {
        Property::sometimes($name, |m: &Protocol, s: &State| {
            s.readers.iter().any(|r| m.$condition(s, r))
        })
    };
}

impl Protocol {
    pub(crate) fn promises(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ACKNOWLEDGED, |_, s: &State| !s.stale),
            Property::always(ANSWERED, Self::all_go_on),
            reached!(STORE_HITS, store_hits),
            reached!(STORED, is_stored),
            reached!(REFUSED, is_refused),
            reached!(NEW_HITS, new_hits),
        ];
        if self.is_strong() && self.world.nodes == Nodes::Together {
            properties.push(reached!(CONFIRMED, is_confirmed));
        }
        if !self.is_strong() {
            properties.push(reached!(MEMORY_HITS, memory_hits));
            properties.push(reached!(PROMOTED, is_promoted));
        }
        properties
    }

    /// A read that is under way can take a step, or waits for one that is.
    fn all_go_on(&self, s: &State) -> bool {
        let joined = s.readers.iter().filter(|r| r.phase == Phase::Join);
        let mut waits = joined.map(|r| self.may_join(s, r.process));
        !s.unanswered && waits.all(|leader| leader)
    }

    fn store_hits(&self, s: &State, r: &Reader) -> bool {
        let entry = match r.phase {
            Phase::Get => s.store.entry,
            Phase::Confirm => Some(r.copy),
            _ => None,
        };
        entry.is_some_and(|entry| self.is_valid(s, &entry)) && !self.is_away(s, r.process)
    }

    fn is_confirmed(&self, s: &State, r: &Reader) -> bool {
        let stored = s.store.entry.map(|entry| entry.fill);
        r.phase == Phase::Get && stored == Some(r.copy.fill) && self.store_hits(s, r)
    }

    fn is_stored(&self, s: &State, r: &Reader) -> bool {
        let accepted = |epoch| self.accepts(s, epoch, &r.copy);
        r.phase == Phase::Put && r.epoch.is_some_and(accepted)
    }

    fn is_refused(&self, s: &State, r: &Reader) -> bool {
        let refused = |epoch| !self.accepts(s, epoch, &r.copy);
        r.phase == Phase::Put && r.epoch.is_some_and(refused)
    }

    fn is_promoted(&self, _: &State, r: &Reader) -> bool {
        r.phase == Phase::Promote && r.clean
    }

    fn memory_hits(&self, s: &State, r: &Reader) -> bool {
        r.phase == Phase::Check && self.passes(s, r.process, r.stamps, 1)
    }

    fn new_hits(&self, s: &State, r: &Reader) -> bool {
        let new = |value: Option<u8>| value.is_some_and(|value| value > 0);
        let stored = s.store.entry.is_some_and(|entry| new(entry.value));
        self.memory_hits(s, r) && new(r.copy.value) || self.store_hits(s, r) && stored
    }
}
