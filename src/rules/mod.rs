//! What else is to happen when something was written.

mod commit;
mod fire;
mod run;

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{EntityTrait, IdenStatic, Related, RelationTrait};

pub use commit::{ChangedRow, Commit, RowsOf, TableChange};
pub(crate) use run::{Writer, acknowledged};

use crate::cache::QueryCache;
use crate::entity::{CachedEntity, EntityName, RelatedTo};
use crate::invalidate::Invalidate;
use crate::schema::Operation;

/// How long a callback may take by default: a request should not wait longer than it would for the
/// write itself, and what takes longer can spawn a task.
const TIMEOUT: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Callback = Arc<dyn Fn(Commit) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// Says what else is to happen when an entity's rows were written: see [`QueryCache::rules`].
#[derive(Debug)]
pub struct Rules<'c> {
    cache: &'c QueryCache,
}

/// A rule that is being written: which writes of an entity it is for. Without a condition it is for
/// all of them. It counts from the moment its effect is said.
#[must_use]
pub struct RuleOn<'c, E> {
    cache: &'c QueryCache,
    name: Option<String>,
    operations: Vec<Operation>,
    columns: Vec<String>,
    timeout: Duration,
    foreign: bool,
    entity: PhantomData<fn() -> E>,
}

/// All rules of a cache, in the order in which they were registered.
#[derive(Default)]
pub(crate) struct Registry {
    rules: RwLock<Vec<Arc<Rule>>>,
    number: AtomicUsize,
    /// How many there are: who writes without one must not pay for them.
    there: AtomicUsize,
}

pub(crate) struct Rule {
    name: String,
    table: EntityName,
    /// None: all.
    operations: Vec<Operation>,
    /// An update of none of these is none for the rule; none: all.
    columns: Vec<String>,
    timeout: Duration,
    /// Callbacks are called for other programs' writes, too.
    foreign: bool,
    effect: Effect,
}

enum Effect {
    Invalidate(Invalidate),
    Related(Box<Relation>),
    Call(Callback),
}

/// Related rows, if the relation leads to a primary key by columns that the changed row shows;
/// otherwise all of the entity.
struct Relation {
    to: RelatedTo,
    /// No other table is in between.
    direct: bool,
}

impl QueryCache {
    /// Rules: what else is to be invalidated or done when an entity's rows were written through any
    /// connection of this cache, whether by models, in bulk, by raw SQL, by a cascade or by a
    /// trigger.
    ///
    /// Nothing of that is needed for queries to be fresh. Rules are for what the cache can't know:
    /// tags, computed values that depend on something else, work that follows from a write.
    ///
    /// A rule runs once for a commit, after it and before the write returns; rules run in the order
    /// in which they were registered. What was rolled back, a savepoint's changes too, runs none,
    /// nor does a write that found no row. Some things are told although they may not have come
    /// about: a write whose connection was lost before an answer came, what `ROLLBACK TO` in raw SQL
    /// undid, the rows of an INSERT that gave way to others' (`ON CONFLICT DO NOTHING`), and what was
    /// written after an error in a SQLite transaction that is then dropped. What MySQL commits by
    /// itself in a transaction, by DDL for instance, is told in the background. They
    /// belong to this process: what other processes write runs their rules.
    ///
    /// With an [outbox](crate::OutboxConfig) what rules invalidate is so after other programs' writes,
    /// too, by the rules of the process that listens.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub price: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// use sea_orm_cache::{Invalidate, QueryCache};
    ///
    /// let cache = QueryCache::builder().build().await?;
    /// cache.rules().on::<cake::Entity>().invalidates(Invalidate::tag("homepage"));
    /// cache
    ///     .rules()
    ///     .on::<cake::Entity>()
    ///     .updates_of([cake::Column::Price])
    ///     .calls(|commit| async move {
    ///         println!("{commit}");
    ///         Ok(())
    ///     });
    /// # Ok(()) }
    /// ```
    pub fn rules(&self) -> Rules<'_> {
        Rules { cache: self }
    }
}

impl<'c> Rules<'c> {
    /// A rule for writes of this entity's rows.
    pub fn on<E: EntityTrait>(&self) -> RuleOn<'c, E> {
        RuleOn {
            cache: self.cache,
            name: None,
            operations: Vec::new(),
            columns: Vec::new(),
            timeout: TIMEOUT,
            foreign: false,
            entity: PhantomData,
        }
    }

    /// Forgets all rules.
    pub fn clear(&self) {
        self.cache.engine.rules.clear();
    }
}

impl<E: EntityTrait> RuleOn<'_, E> {
    /// What events call it.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// For rows that come.
    pub fn inserts(mut self) -> Self {
        self.operations.push(Operation::Insert);
        self
    }

    /// For rows that change.
    pub fn updates(mut self) -> Self {
        self.operations.push(Operation::Update);
        self
    }

    /// For rows that may have changed in one of these columns.
    pub fn updates_of(mut self, columns: impl IntoIterator<Item = E::Column>) -> Self {
        self.columns.extend(columns.into_iter().map(|column| column.as_str().to_owned()));
        self.updates()
    }

    /// For rows that go.
    pub fn deletes(mut self) -> Self {
        self.operations.push(Operation::Delete);
        self
    }

    /// How long a callback may take before the write returns without it; the default is 5 seconds.
    /// It is given up then.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A callback is called for other programs' writes, too, in the background, by the process that
    /// listens to the [outbox](crate::OutboxConfig); of a process that dies meanwhile not. Own writes
    /// are noted there as well and would be told twice: mark the sessions of your pool as ours, as the
    /// README says.
    ///
    /// ```
    /// # mod cake {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "cake")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub price: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// # let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.rules().on::<cake::Entity>().foreign().calls(|commit| async move {
    ///     println!("{commit}{}", if commit.foreign { ", by another program" } else { "" });
    ///     Ok(())
    /// });
    /// # Ok(()) }
    /// ```
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Invalidates this, too.
    pub fn invalidates(self, what: Invalidate) {
        self.register(Effect::Invalidate(what));
    }

    /// Invalidates everything that shows or depends on the related rows of this entity: those rows
    /// alone where the changed row shows their primary key, otherwise all of the entity.
    pub fn invalidates_related<F: EntityTrait>(self)
    where
        E: Related<F>,
    {
        match RelatedTo::by(E::to()) {
            Some(to) => {
                let direct = E::via().is_none();
                self.register(Effect::Related(Relation { to, direct }.into()));
            }
            None => self.invalidates(Invalidate::entity::<F>()),
        }
    }

    /// The same for one of the entity's relations, to itself or to another, of which there may be
    /// several. One that leads to something else than a table ends everything.
    pub fn invalidates_relation(self, relation: impl RelationTrait) {
        match RelatedTo::by(relation.def()) {
            Some(to) => self.register(Effect::Related(Relation { to, direct: true }.into())),
            None => self.invalidates(Invalidate::all()),
        }
    }

    /// The same for all that the entity's annotation names as `related(..)`, rule by rule.
    pub fn invalidates_declared(self)
    where
        E: CachedEntity,
    {
        for to in E::policy().related {
            let rule = RuleOn::<E> {
                cache: self.cache,
                name: self.name.clone(),
                operations: self.operations.clone(),
                columns: self.columns.clone(),
                timeout: self.timeout,
                foreign: self.foreign,
                entity: PhantomData,
            };
            rule.register(Effect::Related(Relation { to, direct: true }.into()));
        }
    }

    /// Calls this with what was changed. An error, a panic or too long a time is told by an event;
    /// the write is done all the same, and the other rules run. What the callback writes through a
    /// connection of the cache runs rules in its turn, eight deep at most.
    pub fn calls<F>(self, callback: impl Fn(Commit) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.register(Effect::Call(Arc::new(move |commit| Box::pin(callback(commit)))));
    }

    fn register(self, effect: Effect) {
        let registry = &self.cache.engine.rules;
        let number = registry.number.fetch_add(1, Ordering::SeqCst) + 1;
        let rule = Rule {
            name: self.name.unwrap_or_else(|| format!("rule {number}")),
            table: EntityName::of::<E>(),
            operations: self.operations,
            columns: self.columns,
            timeout: self.timeout,
            foreign: self.foreign,
            effect,
        };
        let mut rules = registry.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.push(rule.into());
        registry.there.store(rules.len(), Ordering::SeqCst);
    }
}

impl Registry {
    pub(crate) fn are_there(&self) -> bool {
        self.there.load(Ordering::SeqCst) > 0
    }

    fn all(&self) -> Vec<Arc<Rule>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clear(&self) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.clear();
        self.there.store(0, Ordering::SeqCst);
    }
}

impl<E> fmt::Debug for RuleOn<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleOn")
            .field("name", &self.name)
            .field("operations", &self.operations)
            .field("columns", &self.columns)
            .field("timeout", &self.timeout)
            .field("foreign", &self.foreign)
            .finish_non_exhaustive()
    }
}
