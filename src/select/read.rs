//! A connection for SeaORM's own read methods that answers from the cache.
//!
//! SeaORM turns a select into SQL, sends it to a connection and makes models of the rows. We hand
//! it this connection: so the SQL, the shaping of rows and every method's little rules stay
//! SeaORM's own, and a cached read can't differ from an uncached one.
//!
//! Rows can't be made from a stored value, but the value is all that the caller wants. So on a hit
//! the statement is answered with an error, which makes SeaORM return at once, and
//! [`keep`](ReadThrough::keep) gives the entry's value instead.

use std::any::{TypeId, type_name};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder, Value,
};

use super::board::JOINS;
use super::fresh::Looked;
use super::internal::{self, Place};
use super::options::{Decide, Mode, Options};
use super::outcome::Source;
use crate::cache::Engine;
use crate::call::{Answer, Call, OwnedCall, Want};
use crate::codec::Results;
use crate::database::{Base, Database};
use crate::depend::Plan;
use crate::event::{Event, Reason};
use crate::fault::{Fault, broken};
use crate::fill::{Fill, user_tags};
use crate::flight::Leader;
use crate::key::{Digest, Family, Key};
use crate::memory::{Entry, Kind};
use crate::recorder::Reading;
use crate::shared::Held;
use crate::sql::facts::{Analysis, ReadFacts};
use crate::stats::{Counters, count};
use crate::sync::{Mutex, lock};
use crate::tag::Tag;
use crate::value_name::{value_segment, value_tags};

/// One cached read; see the module.
pub(crate) struct ReadThrough<'r, D, R: Results> {
    pub(super) db: &'r D,
    pub(super) form: Form,
    pub(super) options: &'r Options,
    /// How long the result may be used, if that is not taken from it.
    pub(super) ttl: Duration,
    pub(super) decide: Option<&'r Decide<R::Item>>,
    pub(super) progress: Mutex<Progress<'r, R::Value>>,
    /// Of what this is a part.
    pub(super) reading: Option<Reading>,
}

/// What is read, beside the SQL.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    pub(crate) family: Family,
    /// The entity's table, where one is known.
    pub(crate) table: Option<&'static str>,
    /// The name of a value that no statement says.
    pub(crate) name: Option<Arc<str>>,
    /// The entity whose models are asked about, if it is another than the result's.
    pub(crate) of: Option<TypeId>,
    /// What else makes the result: two reads of the same type with the same SQL and the same
    /// words have the same result.
    pub(crate) words: String,
}

pub(super) enum Progress<'r, V> {
    /// Nothing was asked yet.
    Waiting,
    /// An entry answers.
    Found(Answered<V>),
    /// The database answers, and nothing is stored, for this reason.
    Bypassing(Option<Reason>),
    Filling(Box<Filling<'r>>),
    /// Nothing valid was found, and more was not asked for.
    Looked(Looked<V>),
}

/// An entry's answer.
pub(super) struct Answered<V> {
    pub(super) value: Arc<V>,
    pub(super) entry: Arc<Entry>,
    pub(super) source: Source,
}

pub(super) struct Filling<'r> {
    pub(super) fill: Fill,
    pub(super) key: Key,
    pub(super) counters: Arc<Counters>,
    /// Ours to land, if others may wait for it.
    pub(super) leader: Option<Leader<'r>>,
    /// The same among processes.
    pub(super) held: Option<Held>,
    /// The key says everything; otherwise it is the first statement that says it.
    keyed: bool,
    pub(super) statements: usize,
    /// When the load began.
    pub(super) began_ms: u64,
    pub(super) refusal: Option<Reason>,
}

impl<'r, D: Place, R: Results> ReadThrough<'r, D, R> {
    pub(crate) fn new(
        db: &'r D,
        form: Form,
        options: &'r Options,
        decide: Option<&'r Decide<R::Item>>,
    ) -> Self {
        let ttl = options.ttl(db.engine(), form.family);
        let reading = db
            .recorder()
            .map(|recorder| Reading::new(recorder, db.scope_names(), options.scope.as_ref()));
        Self { db, form, options, ttl, decide, progress: Mutex::new(Progress::Waiting), reading }
    }

    /// For a read of several statements: looks for an entry under a key of its own, before the
    /// first of them. The statement and the form's words must say everything that makes the result.
    pub(crate) async fn seek(&self, statement: &Statement) -> Option<Arc<R::Value>> {
        let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
        self.enter(&statement.sql, values, true, JOINS).await;
        self.found()
    }
}

impl<D: internal::Source, R: Results> ReadThrough<'_, D, R> {
    /// For a read whose statement is not sent by itself: looks for an entry, and otherwise does
    /// step 1 for the statement that would be sent. Waits for nobody, so that one task may hold
    /// many of these. `None` in the place of a plan: the result must not be stored.
    pub(crate) async fn prepare(
        &self,
        statement: &Statement,
    ) -> Result<Arc<R::Value>, Option<Plan>> {
        let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
        self.enter(&statement.sql, values, false, 0).await;
        match self.found() {
            Some(value) => Ok(value),
            None => {
                let plan = self.before(&statement.sql, values).await;
                if let (Some(plan), Some(shared)) = (&plan, &self.engine().shared) {
                    self.mark(shared, plan, false).await;
                }
                self.found().ok_or(plan)
            }
        }
    }
}

impl<'r, D: Place, R: Results> ReadThrough<'r, D, R> {
    /// Step 3: the rows that the statement would have given.
    pub(crate) fn saw(&self, plan: &Plan, rows: &[QueryResult]) {
        if let Progress::Filling(filling) = &mut *lock(&self.progress)
            && let Err(reason) = filling.fill.after(self.engine(), plan, rows)
        {
            filling.refuse(reason);
        }
    }

    /// The same for a value that no statement says.
    pub(crate) async fn seek_named(&self, name: &str, arguments: &[Value]) {
        self.enter(name, arguments, true, JOINS).await;
    }

    /// The entry's value, once it was found.
    pub(crate) fn found(&self) -> Option<Arc<R::Value>> {
        match &*lock(&self.progress) {
            Progress::Found(found) => {
                self.is_over();
                Some(found.value.clone())
            }
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        (TypeId::of::<R>(), self.form.of)
    }

    pub(super) fn engine(&self) -> &'r Engine {
        self.db.engine()
    }

    async fn enter(&self, sql: &str, values: &[Value], keyed: bool, patience: usize) {
        let looking = self.options.mode == Mode::Look;
        let progress = match self.bypassed() {
            // Memory may still have something for who takes old answers.
            Some(reason @ (Reason::StoreAway | Reason::Unheard)) if looking => {
                Progress::Looked(self.old(self.digest(sql, values), Some(&reason)))
            }
            Some(reason) => {
                self.tell_bypass(sql, &reason);
                Progress::Bypassing(Some(reason))
            }
            None => self.look(sql, values, keyed, patience).await,
        };
        *lock(&self.progress) = progress;
    }

    fn digest(&self, sql: &str, values: &[Value]) -> Digest {
        let within = self.db.scope_names();
        let inner;
        let scope = match &self.options.scope {
            None => within,
            Some(name) => {
                inner = [within, std::slice::from_ref(name)].concat();
                &inner
            }
        };
        let own = self.own_words();
        let kind = [type_name::<R>(), own.as_deref().unwrap_or(&self.form.words)];
        let rulings = self.engine().rulings.load(Ordering::SeqCst);
        let base = match self.db.of_database() {
            Some(database) => database.base(),
            None => Base::of_engine(self.engine()),
        };
        base.digest(rulings, &kind, scope, &self.options.tags, sql, values)
    }

    async fn look(
        &self,
        sql: &str,
        values: &[Value],
        keyed: bool,
        patience: usize,
    ) -> Progress<'r, R::Value> {
        let digest = self.digest(sql, values);
        if self.options.mode == Mode::Look
            && let Some(entry) = self.engine().memory.get(&digest)
        {
            // Before it is found not to be valid.
            entry.keep_ms.fetch_max(self.options.freshness.keep_ms(), Ordering::Relaxed);
        }
        let found = match &self.engine().shared {
            _ if !matches!(self.options.mode, Mode::Cached | Mode::Look) => None,
            None => self.lookup(&digest).map(|found| (found, Source::Memory)),
            // What memory has does not say which versions it was put with in the store.
            Some(_) if self.reading.is_some() => None,
            Some(shared) => Box::pin(self.find(shared, &digest)).await,
        };
        match found {
            Some(((entry, value), source)) => {
                self.record_hit(&entry);
                count(&entry.counters.hits);
                self.engine().tell(|| Event::Hit { key: &entry.key });
                Progress::Found(Answered { value, entry, source })
            }
            None if self.options.mode == Mode::Look => Progress::Looked(self.old(digest, None)),
            None => self.miss(sql, digest, keyed, patience).await,
        }
    }

    fn bypassed(&self) -> Option<Reason> {
        if self.options.mode == Mode::Bypass {
            return Some(Reason::Requested);
        }
        if self.is_private() {
            return Some(Reason::InTransaction);
        }
        let by_result = self.decide.is_some_and(|decide| decide.ttl.is_some());
        if !by_result && self.ttl.is_zero() {
            return Some(Reason::ZeroTtl);
        }
        if let Some(shared) = &self.engine().shared
            && !self.may_answer(shared)
        {
            return Some(Reason::StoreAway);
        }
        if self.engine().outbox.is_some() && !self.is_heard() {
            return Some(Reason::Unheard);
        }
        self.db.of_database()?.raw_state().err()
    }

    /// Were other programs' writes heard in time? A value may be made of any database.
    fn is_heard(&self) -> bool {
        let now_ms = self.engine().clock.now_ms();
        let heard = |database: &Database| {
            database.follower.as_ref().is_none_or(|follower| follower.is_proven(now_ms))
        };
        match self.db.of_database() {
            Some(database) => heard(database),
            None => self.engine().connected().iter().all(|database| heard(database)),
        }
    }

    pub(super) fn is_private(&self) -> bool {
        self.db.in_transaction() && !broken(Fault::HitInTransaction)
    }

    pub(super) fn tell_bypass(&self, sql: &str, reason: &Reason) {
        count(&self.engine().stats.of(self.form.table.unwrap_or("sql")).bypassed);
        self.engine().tell(|| Event::Bypass { sql, reason });
    }

    /// A valid entry that is young enough for this query.
    #[inline]
    pub(super) fn lookup(&self, digest: &Digest) -> Option<(Arc<Entry>, Arc<R::Value>)> {
        let engine = self.engine();
        let entry = engine.lookup(digest, self.kind())?;
        let value = entry.value.clone().downcast::<R::Value>().ok()?;
        if !self.is_young(&value, engine.age_ms(&entry)) {
            // Too old for this query, not for others.
            if !entry.ended.swap(true, Ordering::Relaxed) {
                count(&entry.counters.expired);
            }
            return None;
        }
        Some((entry, value))
    }

    /// Is a value of this age young enough for this query?
    #[inline]
    pub(super) fn is_young(&self, value: &R::Value, age_ms: u64) -> bool {
        let ttl = self.decide.and_then(|decide| decide.ttl(R::items(value)));
        let ttl = ttl.unwrap_or(self.ttl);
        !ttl.is_zero() && age_ms < as_ms(ttl)
    }

    #[inline(never)]
    async fn miss(
        &self,
        sql: &str,
        digest: Digest,
        keyed: bool,
        patience: usize,
    ) -> Progress<'r, R::Value> {
        let engine = self.engine();
        let counters = match (self.db.of_database(), &self.form) {
            // There may be any number of names.
            (_, Form { name: Some(_), .. }) | (None, _) => engine.stats.of("value"),
            (_, Form { table: Some(table), .. }) if keyed => engine.stats.of(table),
            (Some(database), Form { table, .. }) => {
                let understanding = database.fresh_if(D::MAY_LOAD).await;
                let analysis = understanding.analyze(sql);
                if !keyed && let Some(reason) = self.uncacheable(&analysis) {
                    self.tell_bypass(sql, &reason);
                    return Progress::Bypassing(Some(reason));
                }
                engine.stats.of(table.unwrap_or_else(|| first_table(&analysis)))
            }
        };
        let key = Key {
            prefix: engine.prefix.clone(),
            version: engine.version,
            family: self.form.family,
            table: match &self.form.name {
                Some(name) => value_segment(name).into(),
                None => counters.table.clone(),
            },
            digest,
        };
        let mut remote = None;
        if let Some(shared) = &engine.shared {
            if !shared.is_trusted() {
                self.tell_bypass(sql, &Reason::StoreAway);
                return Progress::Bypassing(Some(Reason::StoreAway));
            }
            remote = Some(self.remote(self.options.mode == Mode::Refresh));
        } else {
            // The store may have it, otherwise.
            self.missed(&key, &counters);
        }
        let leader = match self.board(&digest, patience).await {
            Ok(leader) => leader,
            Err((entry, value)) => {
                self.record_hit(&entry);
                return Progress::Found(Answered { value, entry, source: Source::Memory });
            }
        };
        let mut fill = Fill::begin(engine, self.options.told);
        fill.remote = remote;
        fill.depend(engine, &self.own_tags(&key));
        let (statements, began_ms, refusal) = (0, fill.filled_ms, None);
        Progress::Filling(
            Filling {
                fill,
                key,
                counters,
                leader,
                held: None,
                keyed,
                statements,
                began_ms,
                refusal,
            }
            .into(),
        )
    }

    /// What any result under this key depends on.
    pub(super) fn own_tags(&self, key: &Key) -> Vec<Tag> {
        let mut tags = user_tags(&self.options.tags);
        match &self.form.name {
            Some(name) => tags.extend(value_tags(name)),
            None => tags.push(Tag::Family(key.family, key.table.clone())),
        }
        tags
    }

    pub(super) fn missed(&self, key: &Key, counters: &Counters) {
        count(&counters.misses);
        self.engine().tell(|| Event::Miss { key });
    }

    /// Why the result must not be stored, as far as the text tells.
    fn uncacheable(&self, analysis: &Analysis) -> Option<Reason> {
        let reason = match analysis {
            Analysis::Read(facts) => self.refusal(facts)?,
            _ => Reason::NotARead,
        };
        if let (Reason::UnknownTable(_), Some(database)) = (&reason, self.db.of_database()) {
            database.doubt_catalog();
        }
        Some(reason)
    }

    /// Why this connection must not keep the result of such a query, if so.
    fn refusal(&self, facts: &ReadFacts) -> Option<Reason> {
        let scoped = self.options.scope.is_some() || !self.db.scope_names().is_empty();
        let hidden = facts.row_security.clone().filter(|_| !scoped);
        facts.refusal().or(hidden.map(Reason::RowSecurity))
    }
}

impl<'r, D: internal::Source, R: Results> ReadThrough<'r, D, R> {
    /// One of SeaORM's queries on its way.
    async fn ask<S: StatementBuilder>(
        &self,
        call: Call<'_, S>,
        want: Want,
    ) -> Result<Answer, DbErr> {
        let waiting = matches!(*lock(&self.progress), Progress::Waiting);
        if waiting {
            self.enter(call.sql(), call.values(), false, JOINS).await;
        }
        match &mut *lock(&self.progress) {
            Progress::Found(_) | Progress::Looked(_) => return Err(stop()),
            Progress::Filling(filling) => {
                filling.statements += 1;
                if filling.statements > 1 && !filling.keyed {
                    // The key does not name it.
                    filling.refuse(Reason::UnexpectedShape);
                }
            }
            Progress::Waiting | Progress::Bypassing(_) => {}
        }
        let Some(plan) = self.before(call.sql(), call.values()).await else {
            // Through the wrapper, as any statement that is not cached: it may be a write.
            return call.send(self.db, want).await;
        };
        if let Some(shared) = &self.engine().shared
            && Box::pin(self.mark(shared, &plan, true)).await
        {
            return Err(stop());
        }
        // Chosen after step 1: it has seen whatever these versions stand for.
        let conn = self.db.nearest(&plan.tables);
        let answer = call.send_read(conn, want, self.db.database().typed_only).await?;
        if let Answer::Rows(rows) = &answer {
            self.saw(&plan, rows);
        }
        Ok(answer)
    }

    /// What is no query is none of the cache's: the wrapper sees what it changes.
    fn pass(&self) -> &'r D {
        match &mut *lock(&self.progress) {
            Progress::Filling(filling) => filling.refuse(Reason::NotARead),
            progress => *progress = Progress::Bypassing(Some(Reason::NotARead)),
        }
        self.db
    }

    /// Step 1 for a statement; `None` if its result must not be stored.
    pub(super) async fn before(&self, sql: &str, values: &[Value]) -> Option<Plan> {
        let filling = matches!(&*lock(&self.progress), Progress::Filling(f) if f.refusal.is_none());
        if !filling {
            return None;
        }
        let database = self.db.database();
        let understanding = database.fresh_if(D::MAY_LOAD).await;
        let analysis = understanding.analyze(sql);
        let reason = self.uncacheable(&analysis);
        let mut progress = lock(&self.progress);
        let Progress::Filling(filling) = &mut *progress else { return None };
        let plan = match (&*analysis, reason) {
            (Analysis::Read(facts), None) => {
                filling.fill.before(database, &understanding, facts, values)
            }
            (_, reason) => Err(reason.unwrap_or(Reason::NotARead)),
        };
        if let Err(reason) = &plan {
            filling.refuse(reason.clone());
            drop(progress);
            self.engine().tell(|| Event::Bypass { sql, reason });
        }
        plan.ok()
    }
}

impl Filling<'_> {
    /// For a statement whose result nobody keeps.
    pub(super) fn unnamed(engine: &Engine, fill: Fill) -> Self {
        let key = Key::new("", 0, Family::default(), "", Digest::default());
        let counters = engine.stats.of("sql");
        // Not the first of them: that is counted as a miss.
        let statements = 2;
        Self {
            fill,
            key,
            counters,
            leader: None,
            held: None,
            keyed: true,
            statements,
            began_ms: 0,
            refusal: None,
        }
    }

    /// The first reason is the one that is told.
    pub(super) fn refuse(&mut self, reason: Reason) {
        self.refusal.get_or_insert(reason);
    }
}

/// Makes SeaORM return; nobody sees it.
fn stop() -> DbErr {
    DbErr::Custom(String::new())
}

/// At least one millisecond, since zero is no TTL at all.
pub(super) fn as_ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The table that a read of no entity counts for.
fn first_table(analysis: &Analysis) -> &str {
    match analysis {
        Analysis::Read(facts) => facts.occurrences.first().map_or("sql", |of| &of.table),
        _ => "sql",
    }
}

#[async_trait::async_trait]
impl<D, R> ConnectionTrait for ReadThrough<'_, D, R>
where
    D: internal::Source + Sync,
    R: Results,
{
    fn get_database_backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pass().execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pass().execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ask(OwnedCall::Bound(statement), Want::First).await?.first()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ask(OwnedCall::Bound(statement), Want::Rows).await?.rows()
    }

    async fn query_one<S: StatementBuilder>(
        &self,
        typed: &S,
    ) -> Result<Option<QueryResult>, DbErr> {
        let call = Call::Typed(typed, self.get_database_backend().build(typed));
        self.ask(call, Want::First).await?.first()
    }

    async fn query_all<S: StatementBuilder>(&self, typed: &S) -> Result<Vec<QueryResult>, DbErr> {
        let call = Call::Typed(typed, self.get_database_backend().build(typed));
        self.ask(call, Want::Rows).await?.rows()
    }
}
