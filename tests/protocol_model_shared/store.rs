//! The store's scripts: each is atomic on its node.

use crate::protocol::Protocol;
use crate::rules::{Break, Fault, Node};
use crate::state::{Entry, GUARD, Id, KNOWN, MISSING, REUSED, ROW, State, Version};

impl Protocol {
    pub(crate) fn depends_on(&self, tag: usize) -> bool {
        self.world.tags.contains(&tag)
    }

    fn fresh(&self, s: &mut State) -> Id {
        if self.breaks(Break::VersionReused) { REUSED } else { s.fresh_id() }
    }

    /// Reads the tag's version, or creates it if it is missing or of another epoch.
    pub(crate) fn version(&self, s: &mut State, tag: usize) -> Version {
        let (now, epoch) = (s.store.versions[tag], s.store.epoch);
        if now == MISSING || now.epoch != epoch {
            s.store.versions[tag] = Version { epoch, id: self.fresh(s) };
        }
        s.store.versions[tag]
    }

    /// Is everything that the entry depends on as it was?
    pub(crate) fn is_valid(&self, s: &State, entry: &Entry) -> bool {
        self.world.tags.iter().all(|tag| {
            let now = s.store.versions[*tag];
            match now == MISSING {
                true => self.breaks(Break::MissingIsEqual),
                false => {
                    let current = now.epoch == s.store.epoch;
                    now == entry.versions[*tag] && (current || self.breaks(Break::GetIgnoresEpoch))
                }
            }
        })
    }

    pub(crate) fn store_mark(&self, s: &mut State) -> (u8, Entry) {
        let mut copy = Entry::default();
        copy.versions[GUARD] = self.version(s, GUARD);
        if self.depends_on(KNOWN) {
            copy.versions[KNOWN] = self.version(s, KNOWN);
        }
        (s.store.epoch, copy)
    }

    /// May what was read since this mark be stored?
    pub(crate) fn accepts(&self, s: &State, epoch: u8, marked: &Entry) -> bool {
        let guard = marked.versions[GUARD] == s.store.versions[GUARD];
        (epoch == s.store.epoch || self.breaks(Break::PutIgnoresEpoch))
            && (guard || self.breaks(Break::PutIgnoresGuard))
    }

    /// What an accepted fill is stored as.
    pub(crate) fn made_entry(&self, s: &mut State, mut copy: Entry) -> Entry {
        copy.versions[GUARD] = MISSING;
        if self.depends_on(ROW) {
            copy.versions[ROW] = self.version(s, ROW);
        }
        copy
    }

    pub(crate) fn write_entry(&self, s: &mut State, copy: Entry) -> Entry {
        // Not from `fresh`: reused versions are one mistake, reused fills another.
        let fill = if self.is_strong() { s.fresh_id() } else { copy.fill };
        s.store.entry = Some(Entry { fill, ..copy });
        Entry { fill, ..copy }
    }

    pub(crate) fn delete_versions(&self, s: &mut State) {
        s.store.versions[GUARD] = MISSING;
        for tag in self.world.tags {
            s.store.versions[*tag] = MISSING;
        }
    }

    /// The next part of the fault, if it has one.
    pub(crate) fn fault(&self, s: &mut State, fault: Fault, stage: u8) -> Option<()> {
        match (fault, stage) {
            (Fault::Flush, 0) => {
                s.store.versions = [MISSING; 3];
                s.store.entry = None;
            }
            (Fault::Rollback(_), 0) => s.snapshot = Some(s.store),
            (Fault::Rollback(node), 1) => {
                let old = s.snapshot.take()?;
                if node != Node::Entries {
                    s.store.versions = old.versions;
                    // Even a store that lost nothing changes its epoch.
                    s.store.epoch += 1;
                }
                if node != Node::Versions {
                    s.store.entry = old.entry;
                }
            }
            (Fault::Break, 0) => self.break_link(s),
            // `is_away` looks at the stage.
            (Fault::Away, 0 | 1) => (),
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn is_away(&self, s: &State, process: usize) -> bool {
        let mut stages = self.world.faults.iter().zip(s.faults);
        process == 0 && stages.any(|(fault, stage)| *fault == Fault::Away && stage == 1)
    }
}
