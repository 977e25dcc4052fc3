//! A read, one step at a time.

use crate::protocol::Protocol;
use crate::rules::{Break, Fault};
use crate::state::{ALL, Entry, Kept, Phase, Reader, State};

impl Protocol {
    /// Where a read goes on when memory alone has no answer. If the store is always in reach,
    /// nothing is ever overdue.
    fn second_phase(&self) -> Phase {
        let overdue = [Fault::Away, Fault::Timeout];
        match overdue.iter().any(|fault| self.world.faults.contains(fault)) {
            true => Phase::Trust,
            false => Phase::Get,
        }
    }

    /// Memory has nothing. The mark, and the stamp of `*`, come before all that follows.
    pub(crate) fn miss(&self, s: &mut State, r: usize) {
        let Reader { process, left, must, .. } = s.readers[r];
        let (phase, clean, stamps) = (self.second_phase(), true, ALL);
        s.readers[r] = Reader { process, left, must, phase, clean, stamps, ..Reader::default() };
    }

    /// Memory has something.
    pub(crate) fn hit(&self, s: &mut State, r: usize, kept: Kept) {
        self.miss(s, r);
        self.hand(s, r, kept);
        if !self.is_strong() {
            s.readers[r].phase = Phase::Check;
        }
        if self.breaks(Break::StrongHitWithoutConfirmation) {
            self.answer(s, r);
        }
    }

    fn hand(&self, s: &mut State, r: usize, kept: Kept) {
        let me = &mut s.readers[r];
        me.copy = Entry { value: kept.value, fill: kept.fill, ..Entry::default() };
        me.stamps = kept.stamps;
    }

    pub(crate) fn answer(&self, s: &mut State, r: usize) {
        let Reader { process, left, must, copy, .. } = s.readers[r];
        s.unanswered |= copy.value.is_none();
        s.stale |= copy.value.is_some_and(|value| value < must);
        s.readers[r] = Reader { process, left: left - 1, ..Reader::default() };
    }

    /// The load of this reader ends, as far as those who wait for it care.
    pub(crate) fn land(&self, s: &mut State, r: usize, kept: Option<Kept>) {
        for j in 0..s.readers.len() {
            let joined = s.readers[j].phase == Phase::Join;
            if !joined || s.readers[j].process != s.readers[r].process {
                continue;
            }
            let Some(kept) = kept else {
                self.miss(s, j);
                continue;
            };
            self.hand(s, j, kept);
            s.readers[j].phase = match self.is_strong() {
                true => self.second_phase(),
                false if self.breaks(Break::JoinerIgnoresSilence) => Phase::Check,
                false => Phase::Prove,
            };
            if self.breaks(Break::StrongJoinerWithoutConfirmation) {
                self.answer(s, j);
            }
        }
    }

    /// What the reader has may stay in memory. A `Strong` process asks the store each time, so it
    /// needs no stamps.
    pub(crate) fn keep(&self, s: &mut State, r: usize) -> Kept {
        let Reader { process, copy, stamps, .. } = s.readers[r];
        let stamps = if self.is_strong() { 0 } else { stamps };
        let kept = Kept { value: copy.value, fill: copy.fill, stamps };
        if self.is_strong() || self.hold(stamps) {
            s.processes[process].kept = Some(kept);
        }
        kept
    }

    pub(crate) fn read_step(&self, s: &mut State, r: usize) {
        let me = s.readers[r];
        let away = self.is_away(s, me.process);
        match me.phase {
            Phase::Trust => {
                let overdue = s.processes[me.process].overdue > 0;
                let trusted = !overdue || self.breaks(Break::StoreTrustedWhileOverdue);
                s.readers[r].phase = if trusted { Phase::Get } else { Phase::Mark };
            }
            Phase::Get if away => self.got(s, r, None),
            Phase::Get => self.get(s, r),
            Phase::Confirm if away => self.got(s, r, None),
            Phase::Confirm => self.confirm(s, r),
            Phase::Stamp => {
                s.readers[r].phase = Phase::Promote;
                match self.breaks(Break::PromotionChecksLogFirst) {
                    true if me.clean => (),
                    true => self.end_promotion(s, r, false),
                    false => self.stamp(s, r),
                }
            }
            Phase::Promote if self.breaks(Break::PromotionChecksLogFirst) => {
                self.stamp(s, r);
                self.end_promotion(s, r, true);
            }
            Phase::Promote => {
                let keeps = me.clean || self.breaks(Break::PromotionWithoutLogCheck);
                self.end_promotion(s, r, keeps);
            }
            Phase::Mark => {
                let marked = (!away).then(|| self.store_mark(s));
                let me = &mut s.readers[r];
                me.phase = Phase::Sql;
                me.clean = true;
                me.stamps = ALL | self.known_stamps();
                me.epoch = marked.map(|(epoch, _)| epoch);
                me.copy = marked.map(|(_, copy)| copy).unwrap_or_default();
            }
            Phase::Sql => {
                s.readers[r].copy.value = Some(s.db);
                s.readers[r].phase = if self.is_strong() { Phase::Put } else { Phase::Keep };
            }
            Phase::Keep => self.keep_own(s, r),
            Phase::Put => self.put(s, r, me.epoch.filter(|_| !away)),
            Phase::Write if away => self.end_put(s, r, false),
            Phase::Write => self.write(s, r),
            Phase::Hear => {
                let kept = self.keep(s, r);
                self.land(s, r, Some(kept));
                self.answer(s, r);
            }
            Phase::Prove | Phase::Check => {
                let question = usize::from(me.phase == Phase::Check);
                let last = question == 1 || self.breaks(Break::JoinerIgnoresStamps);
                match self.passes(s, me.process, me.stamps, question) {
                    true if last => self.answer(s, r),
                    true => s.readers[r].phase = Phase::Check,
                    false => self.miss(s, r),
                }
            }
            Phase::Idle | Phase::Join => (),
        }
    }

    fn stamp(&self, s: &mut State, r: usize) {
        s.readers[r].stamps |= self.tag_stamps();
        if self.breaks(Break::PromotionStampsAllAfterGet) {
            s.readers[r].stamps |= ALL;
        }
    }

    fn end_promotion(&self, s: &mut State, r: usize, keeps: bool) {
        let kept = keeps.then(|| self.keep(s, r));
        self.land(s, r, kept);
        self.answer(s, r);
    }
}
