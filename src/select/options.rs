//! What a query asks for beside its SQL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::EntityTrait;

use super::freshness::Freshness;
use crate::cache::Engine;
use crate::entity::EntityName;
use crate::key::Family;

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    /// Whose policy counts where no TTL is given.
    pub(crate) entity: Option<EntityName>,
    pub(crate) mode: Mode,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) scope: Option<Arc<str>>,
    pub(crate) skip_empty: bool,
    /// Somebody wants to know what became of it.
    pub(crate) told: bool,
    pub(crate) freshness: Freshness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Cached,
    Bypass,
    Refresh,
    /// Only looks; see `fresh`.
    Look,
}

impl Options {
    /// The same for a select of this entity.
    pub(crate) fn of<E: EntityTrait>(self) -> Self {
        Self { entity: Some(EntityName::of::<E>()), ..self }
    }

    pub(crate) fn ttl(&self, engine: &Engine, family: Family) -> Duration {
        let policy = || engine.policy_ttl(self.entity.as_ref()?, family);
        self.ttl.or_else(policy).unwrap_or(engine.default_ttl)
    }
}

type Judge<I, T> = Arc<dyn Fn(&[I]) -> T + Send + Sync>;

/// What the user decides when the result is known.
pub(crate) struct Decide<I> {
    pub(crate) keep: Option<Judge<I, bool>>,
    pub(crate) ttl: Option<Judge<I, Duration>>,
}

impl<I> Decide<I> {
    pub(crate) fn keeps(&self, items: &[I]) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep(items))
    }

    pub(crate) fn ttl(&self, items: &[I]) -> Option<Duration> {
        self.ttl.as_ref().map(|ttl| ttl(items))
    }

    /// The same for other items. A decision can't be asked about those, so it is a no.
    pub(crate) fn of_others<J>(&self) -> Decide<J> {
        let decides = self.keep.is_some() || self.ttl.is_some();
        Decide { keep: decides.then(|| Arc::new(|_: &[J]| false) as Judge<J, bool>), ttl: None }
    }
}

impl<I> Default for Decide<I> {
    fn default() -> Self {
        Self { keep: None, ttl: None }
    }
}

impl<I> Clone for Decide<I> {
    fn clone(&self) -> Self {
        Self { keep: self.keep.clone(), ttl: self.ttl.clone() }
    }
}

impl<I> fmt::Debug for Decide<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decide")
            .field("keep", &self.keep.is_some())
            .field("ttl", &self.ttl.is_some())
            .finish()
    }
}
