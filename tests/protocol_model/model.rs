//! The protocol as a state machine for `stateright`: who may do what, and what must hold.

use crate::programs::{LoadStep, WriteStep};
use crate::protocol::Protocol;
use crate::state::{Bits, MISSING, Phase, Reader, STRANGE_ROW, State, Writer};
use stateright::{Model, Property};

/// The promise.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged writes are seen";
/// Stronger than the promise, which is silent about a write that is never acknowledged: once its
/// caller knows that it is lost, a read shows it from the moment it lands. This is what doubt buys.
pub(crate) const REPORTED: &str = "lost and landed writes are seen";
/// While no writer is under way, an entry whose tags are all valid equals the database.
pub(crate) const SETTLED: &str = "no entry stays stale";

// What must be possible, or the run would prove nothing: a step that is about to be taken.
const HIT: &str = "a read hits";
const KEPT: &str = "a guard move is tolerated";
const REFUSED: &str = "a load is refused";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Write(usize, WriteStep),
    /// The connection breaks during COMMIT.
    Lose(usize),
    /// A lost COMMIT takes effect after all.
    Land(usize),
    /// The writer's caller goes away.
    Drop(usize),
    /// A write to a row that the entry does not show.
    Stranger,
    /// Starts a read that finds the entry.
    Look(usize),
    /// Compares one version.
    Validate(usize),
    /// Starts a read that finds nothing, or goes on with its load.
    Load(usize, LoadStep),
    /// Starts a read that waits for the other reader's load.
    Join(usize),
    /// The loading reader goes away.
    Abandon(usize),
    EvictEntry,
    EvictTag(usize),
}

impl Protocol {
    fn writer_actions(&self, s: &State, w: usize, out: &mut Vec<Action>) {
        out.extend(self.rest(s, w).first().map(|step| Action::Write(w, *step)));
        if self.world.may_lose[w] && s.writers[w] == Writer::default() {
            out.push(Action::Lose(w));
        }
        if self.may_land(s, w) {
            out.push(Action::Land(w));
        }
        if self.may_drop(s, w) {
            out.push(Action::Drop(w));
        }
    }

    fn reader_actions(&self, s: &State, r: usize, out: &mut Vec<Action>) {
        let (me, other) = (&s.readers[r], &s.readers[1 - r]);
        match me.phase {
            Phase::Idle => {
                // A look-up may always find nothing (TTL, eviction), so a load may start anyway.
                out.push(Action::Load(r, self.load[0]));
                if s.entry.is_some() {
                    out.push(Action::Look(r));
                }
                if self.world.joins && other.phase == Phase::Load {
                    out.push(Action::Join(r));
                }
            }
            Phase::Validate => out.push(Action::Validate(r)),
            Phase::Load => {
                out.push(Action::Load(r, self.load[usize::from(me.next)]));
                out.push(Action::Abandon(r));
            }
            Phase::Join => (),
        }
    }

    fn environment_actions(&self, s: &State, out: &mut Vec<Action>) {
        if self.world.evictions {
            out.extend(s.entry.map(|_| Action::EvictEntry));
            let present = (0..self.tags).filter(|tag| s.tags[*tag] != MISSING);
            out.extend(present.map(Action::EvictTag));
        }
        // A record matters only to a load that remembers an older one.
        if self.world.strangers && s.readers.iter().any(|reader| reader.seq > 0) {
            out.push(Action::Stranger);
        }
    }

    /// What a read must show that starts now, when it looks at the entry or joins a load. Had it
    /// started earlier it would have to show less, so that need not be explored.
    fn must_show(s: &State) -> Bits {
        s.told & s.db
    }

    /// Whether the read that has just ended showed all it had to, of the given kind of writer.
    fn kept_its_word(s: &State, lost: bool) -> bool {
        let broken = |r: &Reader, w: usize| r.phase == Phase::Idle && r.owed & (1 << w) != 0;
        let writers = (0..2).filter(|w| s.writers[*w].lost == lost);
        !writers.into_iter().any(|w| s.readers.iter().any(|r| broken(r, w)))
    }

    fn entry_is_settled(&self, s: &State) -> bool {
        let Some(entry) = s.entry else { return true };
        entry.shows == s.db
            || (0..2).any(|w| self.under_way(s, w))
            || !(0..self.tags).all(|tag| self.is_valid(s, &entry, tag))
    }

    fn hits(&self, s: &State, r: &Reader) -> bool {
        let last = self.tags - 1;
        let at_last = r.phase == Phase::Validate && usize::from(r.next) == last;
        at_last && self.is_valid(s, &r.copy, last)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        // 0 would read as "not remembered".
        let mut first = State { seq: 1, ..State::default() };
        if self.reduced {
            self.reduce(&mut first);
        }
        vec![first]
    }

    fn actions(&self, s: &State, out: &mut Vec<Action>) {
        for i in 0..2 {
            self.writer_actions(s, i, out);
            self.reader_actions(s, i, out);
        }
        self.environment_actions(s, out);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Write(w, step) => self.write_step(&mut s, w, step),
            Action::Lose(w) => s.writers[w].lost = true,
            Action::Land(w) => s.db |= 1 << w,
            Action::Drop(w) => s.writers[w].next += self.rest(last, w).len() as u8,
            Action::Stranger => s.append(1 << STRANGE_ROW),
            Action::Look(r) => s.readers[r] = Self::has(s.entry?, Self::must_show(&s)),
            Action::Validate(r) => self.validate(&mut s, r),
            Action::Load(r, step) => self.load_step(&mut s, r, step),
            Action::Join(r) => {
                let owed = Self::must_show(&s);
                s.readers[r] = Reader { phase: Phase::Join, owed, ..Reader::default() };
            }
            Action::Abandon(r) => self.end_load(&mut s, r, false),
            Action::EvictEntry => s.entry = None,
            Action::EvictTag(tag) => s.tags[tag] = MISSING,
        }
        if self.reduced {
            self.reduce(&mut s);
        }
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ACKNOWLEDGED, |_, s| Self::kept_its_word(s, false)),
            Property::always(REPORTED, |_, s| Self::kept_its_word(s, true)),
            Property::always(SETTLED, Self::entry_is_settled),
            Property::sometimes(HIT, |m, s: &State| s.readers.iter().any(|r| m.hits(s, r))),
            Property::sometimes(REFUSED, |m, s: &State| {
                s.readers.iter().any(|r| m.at_check(r) && m.refuses(s, r))
            }),
        ];
        if self.world.strangers && !self.world.plain_guard {
            properties.push(Property::sometimes(KEPT, |m, s: &State| {
                s.readers.iter().any(|r| m.at_check(r) && r.seq < s.seq && !m.refuses(s, r))
            }));
        }
        properties
    }
}
