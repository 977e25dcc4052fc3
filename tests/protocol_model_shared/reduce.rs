//! The one spelling that equivalent states share.

use crate::state::{Entry, Id, MISSING, NO_ID, Process, REUSED, State, Version};

/// A version that nothing can be equal to any more: which one it was does not matter.
const OUTDATED: Id = 63;
const IDS: usize = 64;

impl Entry {
    fn each_version(&mut self, each: &mut impl FnMut(usize, &mut Version)) {
        self.versions.iter_mut().enumerate().for_each(|(tag, version)| each(tag, version));
    }
}

impl State {
    fn each_id(&mut self, mut each: impl FnMut(&mut Id)) {
        for store in self.snapshot.iter_mut().chain([&mut self.store]) {
            store.versions.iter_mut().for_each(|version| each(&mut version.id));
        }
        let stores = self.snapshot.iter_mut().chain([&mut self.store]);
        let entries = stores.filter_map(|store| store.entry.as_mut());
        for entry in entries.chain(self.readers.iter_mut().map(|r| &mut r.copy)) {
            entry.each_version(&mut |_, version| each(&mut version.id));
            each(&mut entry.fill);
        }
        for kept in self.processes.iter_mut().filter_map(|p| p.kept.as_mut()) {
            each(&mut kept.fill);
        }
    }

    pub(crate) fn fresh_id(&mut self) -> Id {
        let mut last = NO_ID;
        self.each_id(|id| last = last.max(if *id < REUSED { *id } else { NO_ID }));
        last + 1
    }

    /// A process that will read no more needs no memory.
    fn forget_the_idle(&mut self) {
        for (p, process) in self.processes.iter_mut().enumerate() {
            if !self.readers.iter().any(|r| r.process == p && r.left > 0) {
                *process = Process { overdue: process.overdue, ..Process::default() };
            }
        }
    }

    /// Of a version only matters whether it is, or can become again, the current one.
    fn outdate(&mut self) {
        let alive = [Some(self.store), self.snapshot].map(|s| s.map(|s| s.versions));
        let outdated = Version { epoch: 0, id: OUTDATED };
        let mut outdate = |tag: usize, version: &mut Version| {
            let names_one = *version != MISSING && version.id != REUSED;
            if names_one && !alive.iter().flatten().any(|now| now[tag] == *version) {
                *version = outdated;
            }
        };
        let stores = self.snapshot.iter_mut().chain([&mut self.store]);
        let entries = stores.filter_map(|store| store.entry.as_mut());
        for entry in entries.chain(self.readers.iter_mut().map(|r| &mut r.copy)) {
            entry.each_version(&mut outdate);
        }
    }

    /// Of all names only matters which are the same. `outdates`: versions are only ever compared
    /// with those that the store has at that time.
    pub(crate) fn reduce(&mut self, outdates: bool) {
        self.forget_the_idle();
        if outdates {
            self.outdate();
        }
        // Who has the same process and the same program is as good as the other.
        self.readers.sort_unstable();
        self.writers.sort_unstable();
        let (mut names, mut last) = ([NO_ID; IDS], NO_ID);
        self.each_id(|id| {
            let name = &mut names[usize::from(*id)];
            if *id == NO_ID || *id >= REUSED {
                return;
            }
            if *name == NO_ID {
                last += 1;
                *name = last;
            }
            *id = *name;
        });
    }
}
