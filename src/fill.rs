//! What a result rests on, from before its first statement until it is stored.
//!
//! The order of steps is the protocol whose every variation was found stale by exploring all
//! interleavings (`tests/protocol_model`):
//! 1. the state of every table's guard, and versions of the tags that apply to any result;
//! 2. the SQL, outside any transaction;
//! 3. versions of the tags that depend on the result: its rows, and what else could enter it;
//! 4. the guards again: a bump in between that touched one of the entry's tags refuses the fill;
//! 5. the entry is stored with the versions from 1 and 3.
//!
//! Step 3 may come after the SQL because a guard's record names every tag of its write, and is
//! written before any of them is bumped: a bump that step 3 came too late for is seen by step 4.
//!
//! A result that takes several statements goes through 1 to 3 for each, then 4 once for all: every
//! part of it is then still what the database would answer.

use std::sync::Arc;

use sea_orm::{QueryResult, Value};

use crate::cache::Engine;
use crate::database::{Database, Understanding};
use crate::depend::Plan;
use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::memory::Entry;
use crate::shared::Remote;
use crate::sql::facts::ReadFacts;
use crate::tag::{Tag, TagId};
use crate::versions::{Mark, Stamps};

/// What the statements so far rest on.
#[derive(Debug, Clone)]
pub(crate) struct Fill {
    marks: Vec<Mark>,
    ids: Vec<TagId>,
    stamps: Stamps,
    /// The tags themselves, if somebody will be told.
    names: Option<Vec<Tag>>,
    /// The same in the store that processes share, if it takes part.
    pub(crate) remote: Option<Remote>,
    /// How often raw SQL had opened or ended a transaction in each database, at the first statement.
    raw_states: Vec<(Arc<Database>, usize)>,
    pub(crate) order: u64,
    /// An entry is as old as its first query's start.
    pub(crate) filled_ms: u64,
}

impl Fill {
    /// Begins before anything that the result will rest on, the schema included. `told`: somebody
    /// wants to know the tags' names.
    pub(crate) fn begin(engine: &Engine, told: bool) -> Self {
        Self {
            marks: engine.versions.mark_every().into_iter().collect(),
            ids: Vec::new(),
            remote: None,
            stamps: engine.versions.start(),
            names: (told || engine.observer.is_some()).then(|| vec![Tag::All]),
            raw_states: Vec::new(),
            order: engine.next_load(),
            filled_ms: engine.clock.now_ms(),
        }
    }

    /// Also rests on these tags.
    pub(crate) fn depend<'t>(&mut self, engine: &Engine, tags: impl IntoIterator<Item = &'t Tag>) {
        for tag in tags {
            let id = tag.id();
            if let Some(remote) = &mut self.remote {
                remote.new.push(id);
            }
            engine.versions.stamp(id, &mut self.stamps);
            self.ids.push(id);
            if let Some(names) = &mut self.names
                && !names.contains(tag)
            {
                names.push(tag.clone());
            }
        }
    }

    /// Step 1, for one statement.
    ///
    /// # Errors
    ///
    /// [`Reason::RawTransaction`] while raw SQL has one open.
    pub(crate) fn before(
        &mut self,
        database: &Arc<Database>,
        understanding: &Arc<Understanding>,
        facts: &ReadFacts,
        values: &[Value],
    ) -> Result<Plan, Reason> {
        let raw_state = database.raw_state()?;
        self.at(database, raw_state)?;
        let mut plan = Plan::new(facts, values, &understanding.schema);
        plan.schema = database.version_of(understanding);
        self.plan(&database.engine, &plan);
        Ok(plan)
    }

    fn at(&mut self, database: &Arc<Database>, raw_state: usize) -> Result<(), Reason> {
        let same = |known: &&(Arc<Database>, usize)| Arc::ptr_eq(&known.0, database);
        match self.raw_states.iter().find(same) {
            Some((_, known)) if *known != raw_state => Err(Reason::RawTransaction),
            Some(_) => Ok(()),
            None => {
                self.raw_states.push((database.clone(), raw_state));
                Ok(())
            }
        }
    }

    /// The same for what a plan says.
    pub(crate) fn plan(&mut self, engine: &Engine, plan: &Plan) {
        self.marks.extend(plan.tables.iter().map(|table| engine.versions.mark(table)));
        self.depend(engine, &plan.always);
    }

    /// What an entry of the store rests on: tags, of which `remote` has the versions, since `mark`.
    pub(crate) fn of_entry(
        entry: &Entry,
        mark: Option<Mark>,
        ids: Vec<TagId>,
        remote: Remote,
    ) -> Self {
        Self {
            marks: mark.into_iter().collect(),
            ids,
            stamps: entry.stamps.clone(),
            names: None,
            remote: Some(remote),
            raw_states: Vec::new(),
            order: entry.order,
            filled_ms: entry.filled_ms,
        }
    }

    /// Also rests on what another result rests on, and is as old as the older of the two.
    ///
    /// # Errors
    ///
    /// Why they make no result together.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Reason> {
        self.marks.extend(other.marks);
        self.ids.extend(other.ids);
        self.stamps.merge(&other.stamps);
        if let (Some(names), Some(others)) = (&mut self.names, other.names) {
            let new = |tag: &Tag| !names.contains(tag);
            let others: Vec<_> = others.into_iter().filter(new).collect();
            names.extend(others);
        }
        self.filled_ms = self.filled_ms.min(other.filled_ms);
        for (database, raw_state) in &other.raw_states {
            self.at(database, *raw_state)?;
        }
        match (&mut self.remote, other.remote) {
            (Some(remote), Some(other)) => remote.merge(other),
            // It would not be known in the store when this part ends.
            (Some(_), None) => Err(Reason::StoreAway),
            (None, _) => Ok(()),
        }
    }

    /// Each tag once.
    pub(crate) fn dedup(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.stamps.dedup();
    }

    /// The same for an entry in memory, where no store is shared: its versions were taken before
    /// it was filled, so nothing that ends it can have come before them.
    pub(crate) fn join(&mut self, entry: &Entry) {
        self.stamps.merge(&entry.stamps);
        self.filled_ms = self.filled_ms.min(entry.filled_ms);
    }

    /// Step 3, for one statement's rows.
    ///
    /// # Errors
    ///
    /// [`Reason::UnexpectedShape`] if the rows do not carry the keys where they should.
    pub(crate) fn after(
        &mut self,
        engine: &Engine,
        plan: &Plan,
        rows: &[QueryResult],
    ) -> Result<(), Reason> {
        if broken(Fault::StampAfterSql) {
            self.stamp_again(engine, plan);
        }
        for by_rows in &plan.rows {
            self.depend(engine, &by_rows.choose(rows)?);
        }
        if let Some(remote) = &mut self.remote {
            remote.late.append(&mut remote.new);
        }
        Ok(())
    }

    /// Step 4: the versions with which the result may be stored, and its tags for an event.
    ///
    /// # Errors
    ///
    /// The reason why it may not.
    pub(crate) fn finish(self, engine: &Engine) -> Result<(Stamps, Option<Vec<Tag>>), Reason> {
        engine.versions.check(&self.marks, &self.ids)?;
        let moved = |known: &(Arc<Database>, usize)| known.0.raw_state() != Ok(known.1);
        if self.raw_states.iter().any(moved) {
            return Err(Reason::RawTransaction);
        }
        Ok((self.stamps.shrink(), self.names))
    }

    /// Only for the mutation tests: what goes wrong if step 1 comes after the SQL.
    fn stamp_again(&mut self, engine: &Engine, plan: &Plan) {
        self.marks = plan.tables.iter().map(|table| engine.versions.mark(table)).collect();
        self.ids.clear();
        self.stamps = engine.versions.start();
        self.depend(engine, &plan.always);
    }
}

/// Names that the user gave, as tags.
pub(crate) fn user_tags(names: &[Arc<str>]) -> Vec<Tag> {
    names.iter().cloned().map(Tag::User).collect()
}
