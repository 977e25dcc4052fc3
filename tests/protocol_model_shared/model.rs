//! The protocol as a state machine for `stateright`: who may do what, and what must hold.

use crate::protocol::{Protocol, WriteStep};
use crate::rules::Fault;
use crate::state::{GUARD, Link, MISSING, Phase, Reader, State, TAGS};
use stateright::{Model, Property};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Write(usize, WriteStep),
    /// The writer waits for the store no longer.
    GiveUp(usize),
    /// Starts a read that finds something in memory.
    Look(usize),
    /// Starts a read that finds nothing there: it never was, or was evicted.
    Miss(usize),
    /// Starts a read that waits for another one's load.
    Join(usize),
    /// The step that the reader is at.
    Read(usize, Phase),
    Beat(usize),
    Receive(usize),
    Reconnect(usize),
    Fault(usize, Fault),
    EvictVersion(usize),
    Tick,
}

impl Protocol {
    fn writer_actions(&self, s: &State, w: usize, out: &mut Vec<Action>) {
        match self.next_write(s, w) {
            Some(step) if step.needs_store() => {
                let away = self.is_away(s, 0);
                let fails = away || self.world.faults.contains(&Fault::Timeout);
                out.extend((fails && !s.writers[w].gave_up).then_some(Action::GiveUp(w)));
                out.extend((!away).then_some(Action::Write(w, step)));
            }
            step => out.extend(step.map(|step| Action::Write(w, step))),
        }
    }

    fn reader_actions(&self, s: &State, r: usize, out: &mut Vec<Action>) {
        let Reader { process, left, phase, .. } = s.readers[r];
        match phase {
            Phase::Idle if left == 0 => (),
            Phase::Idle => {
                out.push(Action::Miss(r));
                let found = match self.is_strong() {
                    true => s.processes[process].kept,
                    // One that can't answer is as good as none.
                    false => self.found(s, process),
                };
                out.extend(found.map(|_| Action::Look(r)));
                if self.may_join(s, process) {
                    out.push(Action::Join(r));
                }
            }
            Phase::Join => (),
            _ => out.push(Action::Read(r, phase)),
        }
    }

    fn environment_actions(&self, s: &State, out: &mut Vec<Action>) {
        for p in 0..s.processes.len() {
            let process = &s.processes[p];
            out.extend(process.under_way.first().map(|_| Action::Receive(p)));
            if process.link != Link::Up {
                out.push(Action::Reconnect(p));
            }
            if !self.is_strong() && self.may_beat(s, p) {
                out.push(Action::Beat(p));
            }
        }
        for (f, fault) in self.world.faults.iter().enumerate() {
            match (fault, s.faults[f]) {
                (Fault::Evict, 0) => {
                    let present = (GUARD..TAGS).filter(|t| s.store.versions[*t] != MISSING);
                    out.extend(present.map(Action::EvictVersion));
                }
                _ => out.push(Action::Fault(f, *fault)),
            }
        }
        if s.now < self.world.end {
            out.push(Action::Tick);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut states = self.beginnings();
        states.iter_mut().for_each(|s| self.reduce(s));
        states
    }

    fn actions(&self, s: &State, out: &mut Vec<Action>) {
        if Self::is_over(s) {
            return;
        }
        (0..s.writers.len()).for_each(|w| self.writer_actions(s, w, out));
        (0..s.readers.len()).for_each(|r| self.reader_actions(s, r, out));
        self.environment_actions(s, out);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Write(w, step) => self.write_step(&mut s, w, step),
            Action::GiveUp(w) => (s.writers[w].gave_up, s.writers[w].next) = (true, 0),
            Action::Look(r) => {
                s.readers[r].must = self.must_show(&s, s.readers[r].process);
                let kept = s.processes[s.readers[r].process].kept?;
                self.hit(&mut s, r, kept);
            }
            Action::Miss(r) => {
                s.readers[r].must = self.must_show(&s, s.readers[r].process);
                self.miss(&mut s, r);
            }
            Action::Join(r) => {
                s.readers[r].must = self.must_show(&s, s.readers[r].process);
                s.readers[r].phase = Phase::Join;
            }
            Action::Read(r, _) => self.read_step(&mut s, r),
            Action::Beat(p) => self.beat(&mut s, p),
            Action::Receive(p) => self.receive(&mut s, p),
            Action::Reconnect(p) => self.reconnect(&mut s, p),
            Action::Fault(f, fault) => {
                self.fault(&mut s, fault, last.faults[f])?;
                s.faults[f] += 1;
            }
            Action::EvictVersion(tag) => {
                s.store.versions[tag] = MISSING;
                let f = self.world.faults.iter().position(|fault| *fault == Fault::Evict)?;
                s.faults[f] += 1;
            }
            Action::Tick => s.now += 1,
        }
        self.reduce(&mut s);
        Some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.promises()
    }
}
