//! A read, one step at a time.

use crate::protocol::Protocol;
use crate::rules::{Break, Fault, Nodes};
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
        if !self.is_strong() || self.breaks(Break::StrongHitWithoutConfirmation) {
            s.readers[r].copy.value = kept.value;
            return self.answer(s, r);
        }
        self.miss(s, r);
        s.readers[r].copy = Entry { value: kept.value, fill: kept.fill, ..Entry::default() };
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
            let me = &mut s.readers[j];
            me.copy = Entry { value: kept.value, fill: kept.fill, ..Entry::default() };
            me.stamps = kept.stamps;
            me.phase = if self.is_strong() { self.second_phase() } else { Phase::Check };
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
            Phase::Promote => self.promote(s, r),
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
            Phase::Check => {
                let proven = self.is_proven(s, me.process);
                let holds = self.hold(me.stamps) || self.breaks(Break::JoinerIgnoresStamps);
                match holds && (proven || self.breaks(Break::JoinerIgnoresSilence)) {
                    true => self.answer(s, r),
                    false => self.miss(s, r),
                }
            }
            Phase::Idle | Phase::Join => (),
        }
    }

    fn get(&self, s: &mut State, r: usize) {
        if self.breaks(Break::OverdueAskedBeforeMark) {
            (s.readers[r].clean, s.readers[r].stamps) = (true, ALL);
        }
        let me = &mut s.readers[r];
        match self.world.nodes {
            Nodes::Together => {
                let entry = s.store.entry.filter(|entry| self.is_valid(s, entry));
                self.got(s, r, entry);
            }
            Nodes::EntryFirst => match s.store.entry {
                Some(entry) => (me.copy, me.phase) = (entry, Phase::Confirm),
                None => self.got(s, r, None),
            },
            Nodes::VersionsFirst => {
                me.copy.versions = s.store.versions;
                me.epoch = Some(s.store.epoch);
                me.phase = Phase::Confirm;
            }
        }
    }

    /// The other node's half of a `Get`.
    fn confirm(&self, s: &mut State, r: usize) {
        let copy = s.readers[r].copy;
        let entry = match self.world.nodes {
            Nodes::VersionsFirst => s.store.entry.filter(|entry| {
                let mut then = s.clone();
                then.store.versions = copy.versions;
                then.store.epoch = s.readers[r].epoch.unwrap_or_default();
                self.is_valid(&then, entry)
            }),
            _ => Some(copy).filter(|entry| self.is_valid(s, entry)),
        };
        self.got(s, r, entry);
    }

    /// The store's answer: an entry that is valid, or nothing.
    fn got(&self, s: &mut State, r: usize, entry: Option<Entry>) {
        let me = &mut s.readers[r];
        me.epoch = None;
        let Some(entry) = entry else {
            (me.copy, me.phase) = (Entry::default(), Phase::Mark);
            return;
        };
        // "The same": what memory has is as good.
        let same = self.is_strong() && self.world.nodes == Nodes::Together;
        let value = if same && me.copy.fill == entry.fill { me.copy.value } else { entry.value };
        me.copy = Entry { value, fill: entry.fill, ..Entry::default() };
        me.phase = if self.is_strong() { Phase::Hear } else { Phase::Promote };
    }

    fn promote(&self, s: &mut State, r: usize) {
        let me = &mut s.readers[r];
        me.stamps |= self.tag_stamps();
        if self.breaks(Break::PromotionStampsAllAfterGet) {
            me.stamps |= ALL;
        }
        let keeps = me.clean || self.breaks(Break::PromotionWithoutLogCheck);
        let kept = keeps.then(|| self.keep(s, r));
        self.land(s, r, kept);
        self.answer(s, r);
    }
}
