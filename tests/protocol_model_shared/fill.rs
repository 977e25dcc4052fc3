//! The end of a load: what becomes of its result.

use crate::protocol::Protocol;
use crate::rules::{Break, Nodes};
use crate::state::{KNOWN, Kept, Phase, ROW, Reader, Stamps, State};

impl Protocol {
    pub(crate) fn known_stamps(&self) -> Stamps {
        self.tag_stamps() & 1 << KNOWN
    }

    /// Memory asks the local log and nobody else.
    pub(crate) fn keep_own(&self, s: &mut State, r: usize) {
        let me = &mut s.readers[r];
        me.stamps |= self.tag_stamps() & 1 << ROW;
        let Reader { clean, copy, stamps, .. } = *me;
        me.phase = Phase::Put;
        let kept = match clean || self.breaks(Break::KeepWithoutLogCheck) {
            true => Some(self.keep(s, r)),
            false => None,
        };
        let handed = Some(Kept { value: copy.value, fill: copy.fill, stamps });
        let refused = handed.filter(|_| self.breaks(Break::JoinOfRefusedLoad));
        self.land(s, r, kept.or(refused));
    }

    /// `marked`: the epoch of the mark, if there was a mark and the store is in reach.
    pub(crate) fn put(&self, s: &mut State, r: usize, marked: Option<u8>) {
        let copy = s.readers[r].copy;
        if !marked.is_some_and(|epoch| self.accepts(s, epoch, &copy)) {
            return self.end_put(s, r, false);
        }
        if self.breaks(Break::GuardComparedBeforeRow) {
            s.readers[r].phase = Phase::Write;
            return;
        }
        s.readers[r].copy = self.made_entry(s, copy);
        match self.world.nodes {
            Nodes::Together => self.write(s, r),
            _ => s.readers[r].phase = Phase::Write,
        }
    }

    pub(crate) fn write(&self, s: &mut State, r: usize) {
        let mut copy = s.readers[r].copy;
        if self.breaks(Break::GuardComparedBeforeRow) {
            copy = self.made_entry(s, copy);
        }
        s.readers[r].copy = self.write_entry(s, copy);
        self.end_put(s, r, true);
    }

    /// `Strong` memory keeps only what the store can confirm.
    pub(crate) fn end_put(&self, s: &mut State, r: usize, stored: bool) {
        if self.is_strong() && stored {
            s.readers[r].phase = Phase::Hear;
            return;
        }
        if self.is_strong() {
            self.land(s, r, None);
        }
        self.answer(s, r);
    }
}
