//! A process's memory tier, and the channel that keeps it true.

use crate::protocol::Protocol;
use crate::rules::Break;
use crate::state::{ALL, Kept, Link, Message, Phase, Stamps, State};

/// How long after its acknowledgement a write may stay unseen in other processes.
pub(crate) const BOUND: u8 = 1;

impl Protocol {
    /// The stamps of the entry's tags, without that of `*`.
    pub(crate) fn tag_stamps(&self) -> Stamps {
        self.world.tags.iter().map(|tag| 1 << tag).sum()
    }

    pub(crate) fn hold(&self, stamps: Stamps) -> bool {
        stamps == self.tag_stamps() | ALL
    }

    /// Ends the stamps that have been taken.
    fn end_stamps(&self, s: &mut State, process: usize, ended: Stamps) {
        let kept = &mut s.processes[process].kept;
        // Such an entry can never answer again.
        *kept = kept.filter(|k| self.is_strong() || k.stamps & ended == 0);
        for reader in s.readers.iter_mut().filter(|r| r.process == process) {
            reader.stamps &= !ended;
        }
    }

    /// The record is made first; that nothing comes between is the other model's matter.
    pub(crate) fn local_bump(&self, s: &mut State, process: usize) {
        for reader in s.readers.iter_mut().filter(|r| r.process == process) {
            reader.clean = false;
        }
        self.end_stamps(s, process, self.tag_stamps());
    }

    /// The bump of `*`. It has no table, so no table's log has it.
    fn forget(&self, s: &mut State, process: usize) {
        self.end_stamps(s, process, ALL);
    }

    pub(crate) fn is_proven(&self, s: &State, process: usize) -> bool {
        s.now - s.processes[process].proven <= BOUND
    }

    /// The two questions to what memory has, in the order that is safe: stamps that hold after
    /// the channel was proven have heard what it proves.
    pub(crate) fn passes(
        &self,
        s: &State,
        process: usize,
        stamps: Stamps,
        question: usize,
    ) -> bool {
        let stamps_first = self.breaks(Break::StampsBeforeChannel);
        match (question == 0) == stamps_first {
            true => self.hold(stamps),
            false => self.is_proven(s, process),
        }
    }

    /// `Bounded`: what the memory tier may answer, as far as the first question goes.
    pub(crate) fn found(&self, s: &State, process: usize) -> Option<Kept> {
        let kept = s.processes[process].kept?;
        let passes = self.passes(s, process, kept.stamps, 0);
        (passes || self.breaks(Break::SilenceIgnored)).then_some(kept)
    }

    pub(crate) fn break_link(&self, s: &mut State) {
        let process = &mut s.processes[1];
        process.link = Link::Down;
        process.under_way.clear();
    }

    /// Subscribes, then forgets, since what was published until then may have been missed.
    pub(crate) fn reconnect(&self, s: &mut State, process: usize) {
        let first = s.processes[process].link == Link::Down;
        let forgets_first = self.breaks(Break::ForgetBeforeSubscribing);
        if first == forgets_first && !self.breaks(Break::ReconnectWithoutForgetting) {
            self.forget(s, process);
        }
        s.processes[process].link = if first { Link::HalfUp } else { Link::Up };
    }

    fn is_subscribed(&self, link: Link) -> bool {
        match link {
            Link::Up => true,
            Link::HalfUp => !self.breaks(Break::ForgetBeforeSubscribing),
            Link::Down => false,
        }
    }

    pub(crate) fn publish(&self, s: &mut State) {
        for p in 0..s.processes.len() {
            if self.listens(s, p) && self.is_subscribed(s.processes[p].link) {
                s.processes[p].under_way.push(Message::Bump);
            }
        }
    }

    /// Nobody misses the messages to a process that reads nothing.
    fn listens(&self, s: &State, process: usize) -> bool {
        !self.is_strong() && s.readers.iter().any(|r| r.process == process && r.left > 0)
    }

    /// A heartbeat that would tell no news is not worth exploring; one at a time is enough.
    pub(crate) fn may_beat(&self, s: &State, process: usize) -> bool {
        let p = &s.processes[process];
        let silent = p.under_way.iter().all(|message| *message == Message::Bump);
        let subscribed = self.is_subscribed(p.link) && !self.is_away(s, process);
        subscribed && silent && p.proven < s.now && self.listens(s, process)
    }

    pub(crate) fn beat(&self, s: &mut State, process: usize) {
        let heartbeat = Message::Heartbeat(s.now);
        let under_way = &mut s.processes[process].under_way;
        let first = self.breaks(Break::HeartbeatOvertakes);
        under_way.insert(if first { 0 } else { under_way.len() }, heartbeat);
    }

    pub(crate) fn receive(&self, s: &mut State, process: usize) {
        match s.processes[process].under_way.remove(0) {
            Message::Bump if self.breaks(Break::MessageNotInLog) => {
                self.end_stamps(s, process, self.tag_stamps());
            }
            Message::Bump => self.local_bump(s, process),
            Message::Heartbeat(sent) => {
                let now = if self.breaks(Break::ProvenAtReceipt) { s.now } else { sent };
                let early = self.breaks(Break::HeartbeatBeforeForgetting);
                let p = &mut s.processes[process];
                if p.link == Link::Up || early {
                    p.proven = now;
                }
            }
        }
    }

    /// What a read that starts now in this process must show.
    pub(crate) fn must_show(&self, s: &State, process: usize) -> u8 {
        let promised = s.writers.iter().filter(|w| match process {
            0 => w.told.is_some(),
            _ if self.is_strong() => w.shared.is_some(),
            _ => w.shared.is_some_and(|told| s.now > told + BOUND),
        });
        promised.map(|w| w.value).max().unwrap_or_default()
    }

    /// Is there a load that a read in this process can wait for?
    pub(crate) fn may_join(&self, s: &State, process: usize) -> bool {
        let loads = |phase| match phase {
            Phase::Idle | Phase::Join | Phase::Prove | Phase::Check => false,
            // Memory has what it will get; the rest is for the store.
            Phase::Put | Phase::Write => self.is_strong(),
            _ => true,
        };
        self.world.joins && s.readers.iter().any(|r| r.process == process && loads(r.phase))
    }
}
