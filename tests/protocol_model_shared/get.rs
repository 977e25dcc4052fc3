//! What a read asks the store for, on one node or on two.

use crate::protocol::Protocol;
use crate::rules::{Break, Nodes};
use crate::state::{ALL, Entry, Phase, State};

impl Protocol {
    pub(crate) fn get(&self, s: &mut State, r: usize) {
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
    pub(crate) fn confirm(&self, s: &mut State, r: usize) {
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
    pub(crate) fn got(&self, s: &mut State, r: usize, entry: Option<Entry>) {
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
        me.phase = if self.is_strong() { Phase::Hear } else { Phase::Stamp };
    }
}
