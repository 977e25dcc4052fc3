//! The writer, and what the whole protocol is made of.

use crate::rules::{Break, Coherence, Nodes, World};
use crate::state::{ALL, Kept, Phase, Process, Reader, State, Store, Writer};

/// What a writer does, one atomic step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteStep {
    Commit,
    LocalBump,
    /// The store's script: deletes the versions and publishes the message.
    Send,
    /// The two halves of `Send`, for who takes them apart.
    Publish,
    Delete,
    /// Says that a write more is overdue.
    Overdue,
    /// Tells the caller.
    Ack,
    /// The `Send` that was overdue.
    Deliver,
    /// Says that it no longer is.
    Clear,
}

impl WriteStep {
    pub(crate) fn needs_store(self) -> bool {
        matches!(self, Self::Send | Self::Publish | Self::Delete | Self::Deliver)
    }
}

pub(crate) struct Protocol {
    pub(crate) world: World,
    broken: Option<Break>,
    /// Off only to check the reductions themselves.
    reduced: bool,
    write: Vec<WriteStep>,
    give_up: Vec<WriteStep>,
}

fn write(broken: Option<Break>) -> Vec<WriteStep> {
    use WriteStep::{Ack, Commit, Delete, LocalBump, Publish, Send};
    match broken {
        Some(Break::LocalBumpOnlyBefore) => vec![Commit, LocalBump, Send, Ack],
        Some(Break::LocalBumpOnlyAfter) => vec![Commit, Send, LocalBump, Ack],
        Some(Break::PublishBeforeDelete) => {
            vec![Commit, LocalBump, Publish, Delete, LocalBump, Ack]
        }
        Some(Break::AckBeforeSend) => vec![Commit, LocalBump, Ack, Send, LocalBump],
        _ => vec![Commit, LocalBump, Send, LocalBump, Ack],
    }
}

/// The program of a writer from the moment it waits for the store no longer.
fn give_up(broken: Option<Break>) -> Vec<WriteStep> {
    use WriteStep::{Ack, Clear, Deliver, LocalBump, Overdue};
    match broken {
        Some(Break::NoLocalBumpOnGivingUp) => vec![Overdue, Ack, Deliver, Clear],
        Some(Break::OverdueAfterLocalBump) => vec![LocalBump, Overdue, Ack, Deliver, Clear],
        Some(Break::TrustedBeforeDelivery) => vec![Overdue, LocalBump, Ack, Clear, Deliver],
        _ => vec![Overdue, LocalBump, Ack, Deliver, Clear],
    }
}

impl Protocol {
    pub(crate) fn new(world: World, broken: Option<Break>) -> Self {
        Self { world, broken, reduced: true, write: write(broken), give_up: give_up(broken) }
    }

    pub(crate) fn without_reductions(self) -> Self {
        Self { reduced: false, ..self }
    }

    pub(crate) fn breaks(&self, rule: Break) -> bool {
        self.broken == Some(rule)
    }

    pub(crate) fn is_strong(&self) -> bool {
        self.world.coherence == Coherence::Strong
    }

    pub(crate) fn next_write(&self, s: &State, w: usize) -> Option<WriteStep> {
        let program = if s.writers[w].gave_up { &self.give_up } else { &self.write };
        program.get(usize::from(s.writers[w].next)).copied()
    }

    pub(crate) fn write_step(&self, s: &mut State, w: usize, step: WriteStep) {
        s.writers[w].next += 1;
        match step {
            WriteStep::Commit => {
                s.db += 1;
                s.writers[w].value = s.db;
            }
            WriteStep::LocalBump => self.local_bump(s, 0),
            WriteStep::Publish => self.publish(s),
            WriteStep::Delete => self.delete_versions(s),
            WriteStep::Send | WriteStep::Deliver => {
                self.delete_versions(s);
                self.publish(s);
            }
            WriteStep::Overdue => s.processes[0].overdue += 1,
            WriteStep::Ack => s.writers[w].told = Some(s.now),
            WriteStep::Clear if self.breaks(Break::FirstDeliveryClearsAll) => {
                s.processes[0].overdue = 0;
            }
            WriteStep::Clear => s.processes[0].overdue -= 1,
        }
        // Other processes are promised nothing until the store knows.
        let shares = if s.writers[w].gave_up { WriteStep::Deliver } else { WriteStep::Ack };
        if step == shares {
            s.writers[w].shared = Some(s.now);
        }
    }

    /// Nothing is cached; the store has an entry; the memory tiers have it, too.
    pub(crate) fn beginnings(&self) -> Vec<State> {
        let start = |(process, left): &(usize, u8)| Reader {
            process: *process,
            left: *left,
            ..Reader::default()
        };
        let readers = self.world.readers.iter().map(start).collect();
        let writers = vec![Writer::default(); self.world.writers];
        let cold = State { readers, writers, ..State::default() };
        let mut stored = cold.clone();
        let (_, mut copy) = self.store_mark(&mut stored);
        copy.value = Some(stored.db);
        let made = self.made_entry(&mut stored, copy);
        let entry = self.write_entry(&mut stored, made);
        let stamps = if self.is_strong() { 0 } else { self.tag_stamps() | ALL };
        let kept = Some(Kept { value: entry.value, fill: entry.fill, stamps });
        let mut warm = stored.clone();
        warm.processes = [(); 2].map(|()| Process { kept, ..Process::default() });
        // Without it a memory tier could only be as old as the store's entry.
        let evicted = State { store: Store::default(), ..warm.clone() };
        vec![cold, stored, warm, evicted]
    }

    pub(crate) fn reduce(&self, s: &mut State) {
        if self.reduced {
            s.reduce(self.world.nodes != Nodes::VersionsFirst);
        }
    }

    pub(crate) fn is_over(s: &State) -> bool {
        s.readers.iter().all(|r| r.phase == Phase::Idle && r.left == 0)
    }
}
