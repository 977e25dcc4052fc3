//! What each step of a writer, of a load and of a read does to the world.

use crate::programs::{self, LoadStep, WriteStep};
use crate::rules::{Break, World};
use crate::state::{Bits, Copied, MISSING, Phase, Reader, State, TAGS, Writer};

pub(crate) struct Protocol {
    pub(crate) world: World,
    broken: Option<Break>,
    /// Off only to check the reductions themselves.
    pub(crate) reduced: bool,
    pub(crate) tags: usize,
    records: [Bits; 2],
    write: [Vec<WriteStep>; 2],
    lost: [Vec<WriteStep>; 2],
    pub(crate) load: Vec<LoadStep>,
}

impl Protocol {
    pub(crate) fn new(world: World, broken: Option<Break>) -> Self {
        Self {
            world,
            broken,
            reduced: true,
            tags: if world.upsert { TAGS } else { TAGS - 1 },
            records: [0, 1].map(|w| programs::record(w, &world, broken)),
            write: [0, 1].map(|w| programs::write(w, &world, broken)),
            lost: [0, 1].map(|w| programs::lost(w, &world, broken)),
            load: programs::load(&world, broken),
        }
    }

    pub(crate) fn without_reductions(self) -> Self {
        Self { reduced: false, ..self }
    }

    fn breaks(&self, rule: Break) -> bool {
        self.broken == Some(rule)
    }

    /// What is left of the writer's program.
    pub(crate) fn rest(&self, s: &State, w: usize) -> &[WriteStep] {
        let writer = s.writers[w];
        let program = if writer.lost { &self.lost } else { &self.write };
        &program[w][usize::from(writer.next)..]
    }

    pub(crate) fn under_way(&self, s: &State, w: usize) -> bool {
        s.writers[w] != Writer::default() && !self.rest(s, w).is_empty()
    }

    pub(crate) fn may_land(&self, s: &State, w: usize) -> bool {
        s.writers[w].lost && s.db & (1 << w) == 0 && self.rest(s, w).contains(&WriteStep::Over)
    }

    /// The detached task goes on whether or not its caller waits, so an earlier drop shows only
    /// where the answer has nobody to go to.
    pub(crate) fn may_drop(&self, s: &State, w: usize) -> bool {
        let stops = self.breaks(Break::DropStopsTheBump);
        let rest = self.rest(s, w);
        self.under_way(s, w) && !s.writers[w].lost && (stops || rest == [WriteStep::Tell])
    }

    pub(crate) fn is_valid(&self, s: &State, copy: &Copied, tag: usize) -> bool {
        match s.tags[tag] {
            MISSING => self.breaks(Break::MissingIsEqual),
            now => copy.versions[tag] == now,
        }
    }

    /// Step 4.
    pub(crate) fn refuses(&self, s: &State, reader: &Reader) -> bool {
        let behind = s.seq - reader.seq;
        if self.world.plain_guard {
            return behind > 0;
        }
        if behind > self.world.log {
            return !self.breaks(Break::OverflowIgnored);
        }
        let depends_on: Bits = (1 << self.tags) - 1;
        s.records[..usize::from(behind)].iter().any(|record| record & depends_on != 0)
    }

    pub(crate) fn at_check(&self, reader: &Reader) -> bool {
        reader.phase == Phase::Load && self.load[usize::from(reader.next)] == LoadStep::Check
    }

    pub(crate) fn write_step(&self, s: &mut State, w: usize, step: WriteStep) {
        s.writers[w].next += 1;
        match step {
            WriteStep::Commit => s.db |= 1 << w,
            WriteStep::Record => s.append(self.records[w]),
            WriteStep::Bump(tag) => s.tags[tag] = MISSING,
            WriteStep::Tell => s.told |= 1 << w,
            WriteStep::Doubt => s.doubt |= 1 << w,
            WriteStep::Over => (),
            WriteStep::EndDoubt => s.doubt &= !(1 << w),
        }
    }

    pub(crate) fn load_step(&self, s: &mut State, r: usize, step: LoadStep) {
        let refused = match step {
            LoadStep::Check => self.refuses(s, &s.readers[r]),
            LoadStep::Store => s.doubt != 0,
            _ => false,
        };
        if refused {
            return self.end_load(s, r, self.breaks(Break::JoinOfRefusedLoad));
        }
        let mut me = Reader { phase: Phase::Load, ..s.readers[r] };
        match step {
            LoadStep::Guard => me.seq = s.seq,
            LoadStep::Version(tag) => me.copy.versions[tag] = self.get_or_create(s, tag),
            LoadStep::Sql => me.copy.shows = s.db,
            LoadStep::Check => me.seq = 0,
            LoadStep::Store => {
                s.entry = Some(me.copy);
                return self.end_load(s, r, true);
            }
        }
        me.next += 1;
        s.readers[r] = me;
    }

    fn get_or_create(&self, s: &mut State, tag: usize) -> u8 {
        if s.tags[tag] == MISSING {
            let reused = self.breaks(Break::VersionReused);
            s.tags[tag] = if reused { 1 } else { s.fresh_version(tag) };
        }
        s.tags[tag]
    }

    /// A joiner gets the copy of a load that could be stored, and checks it like an entry. A
    /// refused load's versions may be newer than its data, so checking them would prove nothing.
    pub(crate) fn end_load(&self, s: &mut State, r: usize, usable: bool) {
        let copy = std::mem::take(&mut s.readers[r]).copy;
        let joiner = &mut s.readers[1 - r];
        if joiner.phase == Phase::Join {
            *joiner = match usable {
                true => Self::has(copy, joiner.owed),
                false => Reader::default(),
            };
            if self.breaks(Break::JoinWithoutRevalidation) {
                *joiner = Reader { owed: joiner.owed, ..Reader::default() };
            }
        }
    }

    /// A reader that has a copy to validate and must show `must`.
    pub(crate) fn has(copy: Copied, must: Bits) -> Reader {
        let owed = must & !copy.shows;
        let copy = Copied { shows: 0, ..copy };
        Reader { phase: Phase::Validate, owed, copy, ..Reader::default() }
    }

    pub(crate) fn validate(&self, s: &mut State, r: usize) {
        let tag = usize::from(s.readers[r].next);
        let valid = self.is_valid(s, &s.readers[r].copy, tag);
        let me = &mut s.readers[r];
        if !valid {
            *me = Reader::default();
        } else if tag + 1 == self.tags {
            *me = Reader { owed: me.owed, ..Reader::default() };
        } else {
            me.copy.versions[tag] = MISSING;
            me.next += 1;
        }
    }

    /// Makes equivalent states equal. What a broken rule makes distinguishable stays apart.
    pub(crate) fn reduce(&self, s: &mut State) {
        if !self.breaks(Break::VersionReused) {
            s.rename_versions();
            let shown = [Break::MissingIsEqual, Break::JoinWithoutRevalidation];
            if !shown.iter().any(|rule| self.breaks(*rule)) {
                s.forget_outdated_copies();
            }
        }
        s.renumber_log(self.world.log);
        s.sort_readers();
    }
}
