//! The protocol of `fill.rs` in the store: what a result rests on there.

use std::sync::Arc;

use super::Shared;
use crate::cache::Engine;
use crate::depend::Plan;
use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::key::Key;
use crate::store::{
    Epoch, FillId, Found, Kept, Lease, MAX_TAGS, Mark, Put, StoreError, Turn, Unique, unique,
};
use crate::tag::{Tag, TagId};

/// How long others wait for one who has the right to load, in milliseconds.
pub(crate) const LEASE_MS: u64 = 2_000;

/// Versions in the store, from before the first statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remote {
    epoch: Option<Epoch>,
    ids: Vec<TagId>,
    versions: Vec<Unique>,
    guards: Vec<(TagId, Unique)>,
    /// Known only with the result; their versions are taken with the last look at the guards.
    pub(crate) late: Vec<TagId>,
    /// Not marked yet.
    pub(crate) new: Vec<TagId>,
    /// The right to load, if we have it.
    token: Option<Unique>,
    keep_ms: u64,
    /// It takes the place of an entry that is there.
    replace: bool,
}

impl Remote {
    /// `keep_ms`: how long versions must live, for the entry and its load. `replace`: it takes the
    /// place of an entry that is there, instead of leaving one that another load put meanwhile,
    /// which may be younger.
    pub(crate) fn new(keep_ms: u64, replace: bool) -> Self {
        Self { keep_ms, replace, ..Self::default() }
    }

    /// Step 1 for one statement, unless `entry` is there: the tags that apply to any result, and the guards of its tables
    /// if some tags depend on the result.
    ///
    /// # Errors
    ///
    /// The store's, or why the result may not be stored.
    pub(crate) async fn mark(
        &mut self,
        shared: &Shared,
        engine: &Engine,
        plan: &Plan,
        entry: Option<&Key>,
        lease: Option<&Held>,
    ) -> Result<Looked, Failure> {
        let mut ids = std::mem::take(&mut self.new);
        if self.epoch.is_none() {
            ids.extend([TagId::all(), TagId::schema()]);
        }
        let known = ids.len();
        if !plan.rows.is_empty() {
            let guard = |table: &crate::schema::Name| Tag::Guard(table.clone()).id();
            ids.extend(plan.tables.iter().map(guard));
        }
        let lease = lease.map(|held| Lease { key: &held.key, token: held.token, ms: LEASE_MS });
        let token = lease.as_ref().map(|lease| lease.token);
        let mark = Mark { entry, ids: &ids, create: unique(), keep_ms: self.keep_ms, lease };
        let marked = shared.store.mark(mark).await.map_err(Failure::Store)?;
        if let Some(found) = marked.found {
            return Ok(Looked::Found(found));
        }
        if *self.epoch.get_or_insert(marked.epoch) != marked.epoch {
            return Err(Failure::Reason(Reason::Overlap));
        }
        let schema = TagId::schema();
        for (position, (id, version)) in ids.iter().zip(marked.versions).enumerate() {
            let current = *id != schema || version == plan.schema;
            let Some(version) = version.filter(|_| current) else {
                if *id != schema {
                    // A bulk import writes it.
                    return Err(Failure::Reason(Reason::Doubtful));
                }
                engine.schema_moved();
                return Err(Failure::Reason(Reason::SchemaMoved));
            };
            if position < known {
                self.ids.push(*id);
                self.versions.push(version);
            } else {
                self.guards.push((*id, version));
            }
        }
        if marked.turn == Turn::Ours {
            self.token = token;
        }
        Ok(Looked::Marked(marked.turn))
    }

    /// The versions of all these tags now.
    ///
    /// # Errors
    ///
    /// The store's, or that somebody blocks one of them.
    pub(crate) async fn mark_all(
        &mut self,
        shared: &Shared,
        ids: Vec<TagId>,
    ) -> Result<(), Failure> {
        let (create, keep_ms) = (unique(), self.keep_ms);
        let mark = Mark { entry: None, ids: &ids, create, keep_ms, lease: None };
        let marked = shared.store.mark(mark).await.map_err(Failure::Store)?;
        let versions = marked.versions.into_iter().collect::<Option<Vec<_>>>();
        self.versions = versions.ok_or(Failure::Reason(Reason::SchemaMoved))?;
        (self.ids, self.epoch) = (ids, Some(marked.epoch));
        Ok(())
    }

    /// Also rests on what another result rests on.
    ///
    /// # Errors
    ///
    /// They do not belong to the same state of the store.
    pub(crate) fn merge(&mut self, mut other: Self) -> Result<(), Reason> {
        if self.epoch.is_some() && other.epoch.is_some() && self.epoch != other.epoch {
            return Err(Reason::Overlap);
        }
        self.epoch = self.epoch.or(other.epoch);
        self.ids.append(&mut other.ids);
        self.versions.append(&mut other.versions);
        self.guards.append(&mut other.guards);
        self.late.append(&mut other.late);
        Ok(())
    }

    /// Names each tag once.
    ///
    /// # Errors
    ///
    /// It has two versions, so one of them is out of date.
    fn dedup(&mut self) -> Result<(), Reason> {
        let mut marked: Vec<_> = self.ids.drain(..).zip(self.versions.drain(..)).collect();
        marked.sort_unstable();
        marked.dedup();
        self.guards.sort_unstable();
        self.guards.dedup();
        let twice = |marked: &[(TagId, Unique)]| marked.windows(2).any(|two| two[0].0 == two[1].0);
        if twice(&marked) || twice(&self.guards) {
            return Err(Reason::Overlap);
        }
        (self.ids, self.versions) = marked.into_iter().unzip();
        self.late.sort_unstable();
        self.late.dedup();
        self.late.retain(|id| self.ids.binary_search(id).is_err());
        Ok(())
    }

    /// Steps 3 to 5 at once.
    ///
    /// # Errors
    ///
    /// Why it was not stored.
    pub(crate) async fn put(
        mut self,
        shared: &Shared,
        key: &Key,
        body: &[u8],
        age_ms: u64,
        ttl_ms: u64,
    ) -> Result<FillId, Failure> {
        let refused = Failure::Reason(Reason::Overlap);
        let Some(epoch) = self.epoch else { return Err(refused) };
        self.dedup().map_err(Failure::Reason)?;
        if self.ids.len() + self.late.len() > MAX_TAGS {
            return Err(Failure::Reason(Reason::TooManyTags));
        }
        if broken(Fault::NoGuardInStore) {
            self.guards.clear();
        }
        let fill = unique();
        let put = Put {
            key,
            fill,
            epoch,
            guards: &self.guards,
            ids: &self.ids,
            versions: &self.versions,
            late: &self.late,
            body,
            age_ms,
            ttl_ms,
            keep_ms: self.keep_ms,
            replace: self.replace,
            token: self.token,
        };
        match shared.store.put(put).await.map_err(Failure::Store)? {
            Kept::Stored => Ok(fill),
            Kept::Refused => Err(refused),
        }
    }
}

/// What step 1 led to.
pub(crate) enum Looked {
    Found(Found),
    Marked(Turn),
}

/// The right to load, from before it is asked for until it is given back: however the load ends,
/// others need not wait longer.
pub(crate) struct Held {
    engine: Arc<Engine>,
    key: Key,
    token: Unique,
    over: bool,
    never: bool,
}

impl Held {
    pub(crate) fn new(engine: &Arc<Engine>, key: &Key) -> Self {
        let (engine, key) = (engine.clone(), key.clone());
        Self { engine, key, token: unique(), over: false, never: false }
    }

    /// The store has it back, or never gave it.
    pub(crate) fn over(mut self) -> Option<Self> {
        self.over = true;
        None
    }

    /// Nothing was stored; `never`: nor will it be the next time.
    pub(crate) fn given_up(mut self, never: bool) {
        self.never = never;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (false, Some(shared)) = (self.over, &self.engine.shared) {
            shared.delivery.release(self.key.clone(), self.token, self.never);
        }
    }
}

/// Why the store does not take part in a fill.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(StoreError),
    Reason(Reason),
}

impl Failure {
    /// The reason for the user; a failing store is noted.
    pub(crate) fn reason(self, shared: &Shared, engine: &Engine) -> Reason {
        match self {
            Self::Reason(reason) => reason,
            Self::Store(error) => {
                shared.failed(engine, &error);
                Reason::StoreAway
            }
        }
    }
}
