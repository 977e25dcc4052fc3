//! One connected database: who it is, what is known of its schema, and what its texts mean.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use quick_cache::sync::Cache;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, TransactionTrait, Value,
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::barrier::barrier;
use crate::cache::Engine;
use crate::catalog;
use crate::change::{Bump, Changes};
use crate::event::{Cause, Event, Reason};
use crate::fault::{Fault, broken};
use crate::key::{Digest, PROTOCOL};
use crate::outbox::{Follower, Owed};
use crate::policy::KeyIgnored;
use crate::schema::{Name, Schema, Unfit};
use crate::shared::Under;
use crate::sql::facts::{Analysis, Control};
use crate::sql::{self, Dialect};
use crate::store::Unique;
use crate::value;

/// An application has few distinct SQL texts; past this the least used are analysed again.
const MAX_TEXTS: usize = 4096;

/// Long texts are mostly bulk inserts, which rarely come twice.
const MAX_CACHED_TEXT_BYTES: usize = 64 * 1024;

/// At most one attempt per second to find a table that the catalog did not list.
const RELOAD_AFTER_MS: u64 = 1_000;

/// A database that does not tell when a transaction is over is asked again, for some minutes: it
/// may be busy, or not there. After that its tables stay uncached.
const ATTEMPTS: u64 = 200;

/// A statement whose connection was lost may still be on its way to the server, which then does
/// not know of it yet. Far longer than a packet lives.
const UNDERWAY: Duration = Duration::from_secs(60);

/// What was sent when the connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// COMMIT: the server knows its transaction.
    Commit,
    /// A statement outside any transaction.
    Statement,
}

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) struct Database {
    pub(crate) engine: Arc<Engine>,
    pub(crate) backend: DbBackend,
    runtime: Handle,
    /// The wrapped connection only takes typed statements (SeaORM's `RestrictedConnection`).
    pub(crate) typed_only: bool,
    base: Base,
    pub(crate) root: Arc<dyn Root>,
    /// What other programs write, if anybody listens.
    pub(crate) follower: Option<Arc<Follower>>,
    current: RwLock<Arc<Understanding>>,
    /// What was known before it was forgotten.
    forgotten: RwLock<Option<Arc<Understanding>>>,
    /// How often what is known was found to be out of date, and how often it had been when the
    /// catalog was last read.
    doubts: AtomicUsize,
    answered: AtomicUsize,
    /// When the catalog may be read again, should it be out of date.
    due_ms: AtomicU64,
    loading: tokio::sync::Mutex<()>,
    raw: RawTransaction,
    /// The statement that changed a session for good, if there was one.
    session: OnceLock<Arc<str>>,
}

/// A schema and the meaning of texts under it.
pub(crate) struct Understanding {
    pub(crate) schema: Schema,
    dialect: Dialect,
    texts: Cache<Box<str>, Arc<Analysis>>,
}

/// A digest's first input: what all keys of a database share.
#[derive(Clone)]
pub(crate) struct Base(Sha256);

/// Transactions that raw SQL opened on some connection of the pool.
#[derive(Debug, Default)]
struct RawTransaction {
    depth: AtomicUsize,
    /// How often one was opened or ended.
    moves: AtomicUsize,
    /// Nobody knows whether one is open, so rules don't wait for its end.
    doubtful: AtomicBool,
    /// Something was written that rules are yet to be told of.
    untold: AtomicBool,
}

/// What needs the wrapped connection, whatever its type.
pub(crate) trait Root: Send + Sync {
    fn catalog(&self) -> BoxFuture<Result<Schema, DbErr>>;

    /// Ends when no transaction that began before can still commit; an error if that can't be told.
    fn barrier(&self) -> BoxFuture<Result<(), DbErr>>;

    /// What a statement of our own finds.
    fn query(&self, statement: Statement) -> BoxFuture<Result<Vec<QueryResult>, DbErr>>;

    /// What a statement of our own does, which no entry depends on.
    fn execute(&self, statement: Statement) -> BoxFuture<Result<ExecResult, DbErr>>;
}

pub(crate) struct RootOf<C>(pub(crate) Arc<C>);

impl<C> Root for RootOf<C>
where
    C: ConnectionTrait + TransactionTrait + Send + 'static,
    C::Transaction: 'static,
{
    fn catalog(&self) -> BoxFuture<Result<Schema, DbErr>> {
        let conn = self.0.clone();
        Box::pin(async move { catalog::load(&*conn).await })
    }

    fn barrier(&self) -> BoxFuture<Result<(), DbErr>> {
        let conn = self.0.clone();
        Box::pin(async move { barrier(&*conn).await })
    }

    fn query(&self, statement: Statement) -> BoxFuture<Result<Vec<QueryResult>, DbErr>> {
        let conn = self.0.clone();
        Box::pin(async move { conn.query_all_raw(statement).await })
    }

    fn execute(&self, statement: Statement) -> BoxFuture<Result<ExecResult, DbErr>> {
        let conn = self.0.clone();
        Box::pin(async move { conn.execute_raw(statement).await })
    }
}

/// Counts one piece of work in the background while it lives.
pub(crate) struct Underway(Arc<Engine>);

impl Underway {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        engine.stats.background.fetch_add(1, Ordering::SeqCst);
        Self(engine.clone())
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.stats.background.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The listener ends now, and gives its lease back, instead of after its pause.
        if let Some(follower) = &self.follower {
            follower.wake();
        }
    }
}

impl Understanding {
    fn new(schema: Schema, dialect: Dialect) -> Self {
        Self { schema, dialect, texts: Cache::new(MAX_TEXTS) }
    }

    /// What can be said without a catalog.
    pub(crate) fn unknown(backend: DbBackend) -> Self {
        Self::new(Schema::default(), backend.into())
    }

    pub(crate) fn analyze(&self, sql: &str) -> Arc<Analysis> {
        if let Some(known) = self.texts.get(sql) {
            return known;
        }
        let analysis = Arc::new(sql::analyze(sql, self.dialect, &self.schema));
        if sql.len() <= MAX_CACHED_TEXT_BYTES {
            self.texts.insert(sql.into(), analysis.clone());
        }
        analysis
    }
}

impl Base {
    /// Of what is of no database in particular.
    pub(crate) fn of_engine(engine: &Engine) -> Self {
        let Self(mut hash) = Self::of_all(engine);
        // In the place of an identity's length.
        hash.update(u64::MAX.to_le_bytes());
        hash.update(engine.identities());
        Self(hash)
    }

    fn of_all(engine: &Engine) -> Self {
        let mut hash = Sha256::new();
        for part in [&*engine.prefix, &format!("{}.{PROTOCOL}", engine.version)] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash)
    }

    fn of_database(engine: &Engine, identity: &str, backend: DbBackend) -> Self {
        let Self(mut hash) = Self::of_all(engine);
        hash.update((identity.len() as u64).to_le_bytes());
        hash.update(identity);
        hash.update([match Dialect::from(backend) {
            Dialect::Sqlite => 0,
            Dialect::Postgres => 1,
            Dialect::MySql => 2,
        }]);
        Self(hash)
    }

    /// The digest of one query: its result's kind, tags, scope, text and values.
    pub(crate) fn digest(
        self,
        rulings: u64,
        kind: &[&str; 2],
        scope: &[Arc<str>],
        tags: &[Arc<str>],
        sql: &str,
        values: &[Value],
    ) -> Digest {
        let Self(mut hash) = self;
        hash.update(rulings.to_le_bytes());
        // An entry that was filled without a tag does not end with it.
        hash.update((tags.len() as u64).to_le_bytes());
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        kind.iter().for_each(|words| text(words));
        tags.iter().for_each(|tag| text(tag));
        let ignore_scope = crate::fault::broken(crate::fault::Fault::KeyIgnoresScope);
        scope.iter().filter(|_| !ignore_scope).for_each(|name| text(name));
        hash.update(u64::MAX.to_le_bytes());
        hash.update((sql.len() as u64).to_le_bytes());
        hash.update(sql);
        let ignore_values = crate::fault::broken(crate::fault::Fault::KeyIgnoresValues);
        for value in values.iter().filter(|_| !ignore_values) {
            value::digest(value, &mut |bytes| hash.update(bytes));
        }
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn new(
        engine: Arc<Engine>,
        backend: DbBackend,
        identity: &str,
        typed_only: bool,
        root: Arc<dyn Root>,
        runtime: Handle,
    ) -> Self {
        let whose = format!("{PROTOCOL}:{}:{}", engine.version, engine.prefix);
        let follow = |config| Arc::new(Follower::new(config, engine.shared.is_some(), &whose));
        let follower = engine.outbox.as_ref().map(follow);
        let base = Base::of_database(&engine, identity, backend);
        let unknown = Understanding::unknown(backend);
        Self {
            engine,
            backend,
            runtime,
            typed_only,
            base,
            root,
            follower,
            current: RwLock::new(Arc::new(unknown)),
            forgotten: RwLock::default(),
            doubts: AtomicUsize::new(1),
            answered: AtomicUsize::new(0),
            due_ms: AtomicU64::new(0),
            loading: tokio::sync::Mutex::new(()),
            raw: RawTransaction::default(),
            session: OnceLock::new(),
        }
    }

    pub(crate) fn base(&self) -> Base {
        self.base.clone()
    }

    /// What is known of the schema now.
    pub(crate) fn current(&self) -> Arc<Understanding> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does this text change nothing?
    #[cfg(feature = "stream")]
    pub(crate) fn is_read(&self, sql: &str) -> bool {
        matches!(&*self.current().analyze(sql), Analysis::Read(_))
    }

    /// The same where nobody may wait for another connection.
    pub(crate) async fn fresh_if(&self, may_load: bool) -> Arc<Understanding> {
        if may_load { self.fresh().await } else { self.current() }
    }

    /// What is known of the schema, read again first if it is known to be out of date.
    pub(crate) async fn fresh(&self) -> Arc<Understanding> {
        if self.is_due() && self.load_if(Self::is_due).await {
            // What was made under the old schema may have missed writes since it changed.
            self.engine.bump(&Bump::all(), || Cause::Ddl { sql: "seen in the catalog".into() });
            // What is made from now on must not end with it.
            let _ = self.engine.delivered().await;
        }
        self.current()
    }

    /// Is the catalog to be read again, and now?
    fn is_due(&self) -> bool {
        self.doubts.load(Ordering::SeqCst) != self.answered.load(Ordering::SeqCst)
            && self.engine.clock.now_ms() >= self.due_ms.load(Ordering::SeqCst)
    }

    /// A table was met that the catalog does not list.
    pub(crate) fn doubt_catalog(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }

    /// Bumps what was found under this understanding; everything, if the schema changed since.
    pub(crate) fn bump(
        &self,
        understanding: &Arc<Understanding>,
        bump: &Bump,
        cause: impl FnOnce() -> Cause,
    ) {
        let version = self.version_of(understanding);
        if self.is_current(understanding) {
            self.engine.bump_under(bump, Under::Schema(version), cause);
        } else {
            self.engine.bump(&Bump::all(), cause);
        }
    }

    /// Is each write to note what it owes? Where raw SQL has a transaction open none of ours fits in.
    pub(crate) fn owes(&self) -> bool {
        self.follower.as_ref().is_some_and(|follower| follower.is_durable())
            && self.raw_depth() == 0
    }

    /// Notes in the outbox what a transaction is about to owe, as part of it, if that was asked for.
    pub(crate) async fn owe(
        &self,
        conn: &impl ConnectionTrait,
        understanding: &Arc<Understanding>,
        bump: &Bump,
    ) -> Result<Option<Owed>, DbErr> {
        let durable = self.follower.as_ref().filter(|follower| follower.is_durable());
        match durable.filter(|_| !bump.is_empty() && !broken(Fault::OwesNothing)) {
            Some(follower) => follower.owe(conn, bump, self.version_of(understanding)).await,
            None => Ok(None),
        }
    }

    /// It was bumped; once the store knows of it, it is owed no more.
    pub(crate) async fn settle_owed(&self, owed: Option<Owed>) {
        let (Some(owed), Some(follower)) = (owed, &self.follower) else { return };
        let known = match &self.engine.shared {
            Some(shared) => shared.delivery.delivered(&self.engine).await.is_ok(),
            None => true,
        };
        if known {
            follower.settle(owed);
        }
    }

    /// Runs the rules for what was committed; after its bump.
    pub(crate) fn committed(&self, understanding: &Arc<Understanding>, changes: Option<&Changes>) {
        if let Some(changes) = changes.filter(|_| self.engine.rules.are_there()) {
            let under = Under::Schema(self.version_of(understanding));
            self.engine.fire(changes, &understanding.schema, under);
        }
    }

    /// The version, in the store, of the schema that this is. `None`: not known, or there is no
    /// store.
    pub(crate) fn version_of(&self, understanding: &Arc<Understanding>) -> Option<Unique> {
        // Asked for first: what is current after it was so under it.
        let version = self.engine.shared.as_ref()?.schema()?;
        self.is_current(understanding).then_some(version)
    }

    /// The same for a statement outside any transaction that we know of.
    pub(crate) fn written(&self, understanding: &Arc<Understanding>, changes: Option<&Changes>) {
        if self.raw_depth() == 0 || self.raw.doubtful.load(Ordering::SeqCst) {
            return self.committed(understanding, changes);
        }
        // On some connection raw SQL has a transaction open: it may be this one's.
        self.raw.untold.store(true, Ordering::SeqCst);
        // It may just be over.
        self.tell_untold(understanding);
    }

    /// A transaction of raw SQL is over, or a text that nobody took apart: of the rows that it may
    /// have changed nothing is known.
    pub(crate) fn committed_unknown(&self, understanding: &Arc<Understanding>) {
        self.written(understanding, Bump::all().changes.as_ref());
    }

    /// The same for the end of a transaction of raw SQL, if something was written meanwhile.
    pub(crate) fn tell_untold(&self, understanding: &Arc<Understanding>) {
        let over = self.raw.depth.load(Ordering::SeqCst) == 0;
        if over && self.raw.untold.swap(false, Ordering::SeqCst) {
            self.committed_unknown(understanding);
        }
    }

    /// Is this still what is known?
    fn is_current(&self, understanding: &Arc<Understanding>) -> bool {
        Arc::ptr_eq(&self.current(), understanding)
    }

    /// Reads the catalog. The new schema is in place before this returns, so that a bump of `*`
    /// afterwards leaves no entry that was made under the old one.
    ///
    /// Returns whether it changed. While somebody is changing the schema, or raw SQL has a
    /// transaction open, it is not read at all.
    pub(crate) async fn load(&self) -> bool {
        self.load_if(|_| true).await
    }

    /// The same if nobody has just done it.
    async fn load_if(&self, needed: impl Fn(&Self) -> bool) -> bool {
        let _one_at_a_time = self.loading.lock().await;
        if !needed(self) {
            return false;
        }
        let may_read = self.engine.begin_reading().await;
        let before = self.current();
        let doubts = self.doubts.load(Ordering::SeqCst);
        // Looked at last: a change that begins from now on forgets what is current.
        // On a connection where raw SQL has a transaction open ours would end it.
        if self.is_changing() || self.raw.depth.load(Ordering::SeqCst) > 0 {
            return false;
        }
        let due_ms = self.engine.clock.now_ms().saturating_add(RELOAD_AFTER_MS);
        self.due_ms.store(due_ms, Ordering::SeqCst);
        if !may_read {
            return false;
        }
        let mut schema = self.root.catalog().await;
        match &mut schema {
            Ok(schema) => {
                let declared = &self.engine.declarations;
                let declared = declared.read().unwrap_or_else(PoisonError::into_inner);
                let alone = self.engine.shared.is_none();
                let ignored = declared.complete(schema, self.backend.into(), alone);
                drop(declared);
                for own in self.follower.iter().flat_map(|follower| follower.tables()) {
                    if let Some(table) = schema.tables.get_mut(own) {
                        // Who writes it is none of those who are seen.
                        table.unfit = Some(Unfit::Elsewhere);
                    }
                }
                for KeyIgnored { table, column, why } in &ignored {
                    self.engine.tell(|| Event::KeyIgnored { table, column, why });
                }
                self.engine.tell(|| Event::Catalog { tables: schema.tables.len() });
                if let Some(why) = &schema.partly_hidden {
                    self.engine.tell(|| Event::CatalogPartlyHidden { why });
                }
                self.tell_unknown(schema);
            }
            Err(error) => {
                let error = error.to_string();
                self.engine.tell(|| Event::CatalogUnreadable { error: &error });
            }
        }
        if let (Ok(schema), Some(follower)) = (&schema, &self.follower) {
            follower.tell_outdated(self, schema).await;
        }
        let answered = schema.is_ok().then_some(doubts);
        self.install(schema.unwrap_or_default(), &before, answered)
    }

    /// Is there nothing to be known of it, since this process is changing it or its meaning?
    fn is_changing(&self) -> bool {
        self.engine.schema_changes.load(Ordering::SeqCst) > 0 || self.session.get().is_some()
    }

    /// Names the triggers of which nothing is known, with the code that would say it.
    fn tell_unknown(&self, schema: &Schema) {
        let mut tables = HashSet::new();
        for trigger in schema.triggers.iter().filter(|trigger| trigger.writes.is_none()) {
            if !tables.insert(&trigger.table) {
                continue;
            }
            let table = &trigger.table;
            let entity = table.rsplit('.').next().unwrap_or(table);
            let of_table = schema.triggers.iter().filter(|trigger| trigger.table == *table);
            let written = sql::trigger::guess(of_table.map(|trigger| &*trigger.body), schema);
            let declare =
                format!("cache.declare().trigger_writes::<{entity}::Entity>({written:?});");
            self.engine.tell(|| Event::UnknownTriggers { table, declare: &declare });
        }
    }

    /// Puts a schema in the place of the one that was current before it was read, which answers so
    /// many doubts.
    fn install(
        &self,
        mut schema: Schema,
        before: &Arc<Understanding>,
        answered: Option<usize>,
    ) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, before) || self.is_changing() {
            // It was forgotten since, or is about to be.
            return false;
        }
        if let Some(doubts) = answered {
            self.answered.store(doubts, Ordering::SeqCst);
        }
        schema.shadowed.extend(current.schema.shadowed.iter().cloned());
        if current.schema == schema {
            return false;
        }
        let mut forgotten = self.forgotten.write().unwrap_or_else(PoisonError::into_inner);
        // While it was forgotten every write bumped everything.
        let changed = forgotten.take().is_none_or(|before| before.schema != schema);
        *current = Arc::new(Understanding::new(schema, self.backend.into()));
        changed
    }

    /// Some other connection to this database may have changed its schema: until the catalog is
    /// read again nothing is known.
    pub(crate) fn forget_schema(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let shadowed = current.schema.shadowed.clone();
        let unknown = Schema { shadowed, ..Schema::default() };
        let unknown = Arc::new(Understanding::new(unknown, self.backend.into()));
        let before = std::mem::replace(&mut *current, unknown);
        if before.schema.known {
            *self.forgotten.write().unwrap_or_else(PoisonError::into_inner) = Some(before);
        }
        self.doubts.fetch_add(1, Ordering::SeqCst);
        self.due_ms.store(0, Ordering::SeqCst);
    }

    /// Temporary tables were made: their names can't be trusted on any connection any more.
    pub(crate) fn shadow(&self, names: &[Name]) {
        if names.is_empty() {
            return;
        }
        self.forget_schema();
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut shadowed = current.schema.shadowed.clone();
        shadowed.extend(names.iter().cloned());
        let unknown = Schema { shadowed, ..Schema::default() };
        *current = Arc::new(Understanding::new(unknown, self.backend.into()));
    }

    /// A statement is about to change what others mean in its session, whichever connection of the
    /// pool that is.
    pub(crate) fn change_session(&self, sql: &str) {
        if self.session.set(sql.into()).is_ok() {
            self.raw.moves.fetch_add(1, Ordering::SeqCst);
            self.forget_schema();
            self.engine.tell(|| Event::SessionChanged { sql });
        }
    }

    /// Raw SQL is about to open or end a transaction.
    pub(crate) fn raw_control(&self, control: Control) {
        self.raw.moves.fetch_add(1, Ordering::SeqCst);
        self.raw.doubtful.store(false, Ordering::SeqCst);
        let depth = &self.raw.depth;
        match control {
            Control::Begin => depth.store(1, Ordering::SeqCst),
            Control::End | Control::Block => depth.store(0, Ordering::SeqCst),
            // MySQL knows none outside a transaction.
            Control::Savepoint if self.backend == DbBackend::MySql && self.raw_depth() == 0 => {}
            Control::Savepoint => {
                depth.fetch_add(1, Ordering::SeqCst);
            }
            Control::Release => {
                let current = depth.load(Ordering::SeqCst);
                depth.store(current.saturating_sub(1), Ordering::SeqCst);
            }
        }
    }

    /// A text that opens and ends one failed somewhere.
    pub(crate) fn raw_perhaps_open(&self) {
        self.raw_control(Control::Begin);
        self.raw.doubtful.store(true, Ordering::SeqCst);
    }

    /// How deep they are.
    pub(crate) fn raw_depth(&self) -> usize {
        self.raw.depth.load(Ordering::SeqCst)
    }

    /// The database refused to go deeper.
    pub(crate) fn raw_refused(&self, depth: usize) {
        self.raw.moves.fetch_add(1, Ordering::SeqCst);
        self.raw.depth.store(depth, Ordering::SeqCst);
    }

    /// `Some` while no raw transaction is open; it changes whenever one was.
    pub(crate) fn raw_state(&self) -> Result<usize, Reason> {
        if let Some(sql) = self.session.get() {
            return Err(Reason::Session(sql.clone()));
        }
        let moves = self.raw.moves.load(Ordering::SeqCst);
        match self.raw.depth.load(Ordering::SeqCst) {
            0 => Ok(moves),
            _ => Err(Reason::RawTransaction),
        }
    }

    /// Does something for as long as the database is used.
    pub(crate) fn background(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.runtime.spawn(work).abort_handle()
    }

    /// Does something in the background.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let underway = Underway::new(&self.engine);
        self.runtime.spawn(async move {
            work.await;
            drop(underway);
        });
    }

    /// Waits, in the background, until the outcome of a write is certain; then bumps again and
    /// lets its tables be cached as before.
    pub(crate) fn settle(self: &Arc<Self>, bump: Bump, lost: Lost) {
        let database = self.clone();
        self.spawn(async move {
            if lost == Lost::Statement && database.backend != DbBackend::Sqlite {
                tokio::time::sleep(UNDERWAY).await;
            }
            for attempt in 1..=ATTEMPTS {
                if database.root.barrier().await.is_ok() {
                    database.engine.bump(&bump, || Cause::Doubt);
                    // Its tags were found under the schema of then, which may be another.
                    let unknown = Arc::new(Understanding::unknown(database.backend));
                    database.committed(&unknown, bump.changes.as_ref());
                    database.engine.doubt(&bump.tables, false);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10 * attempt)).await;
            }
        });
    }
}
