//! What an entity says about its own caching.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::TableRef;
use sea_orm::{EntityTrait, IdenStatic, RelationDef, RelationTrait};

use crate::cache::{Engine, QueryCache};
use crate::invalidate::Invalidate;
use crate::key::Family;
use crate::schema::Name;

/// An entity with a policy of its own, which [`QueryCache::register`] puts into effect. As a rule
/// `#[derive(CachedEntity)]` on its model writes this.
///
/// Nothing needs a policy to be correct: it says how long results may live, and what else is to
/// end them.
///
/// ```
/// # mod book {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "book")]
/// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub author_id: i32 }
/// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use std::time::Duration;
/// use sea_orm_cache::{CachedEntity, EntityPolicy};
///
/// impl CachedEntity for book::Entity {
///     fn policy() -> EntityPolicy {
///         EntityPolicy::new().ttl(Duration::from_secs(300)).key(book::Column::AuthorId)
///     }
/// }
/// ```
pub trait CachedEntity: EntityTrait {
    /// What [`QueryCache::register`] puts into effect.
    fn policy() -> EntityPolicy;
}

/// What an entity says about its own caching; see [`CachedEntity`].
///
/// ```
/// use std::time::Duration;
/// use sea_orm_cache::{EntityPolicy, Family};
///
/// let policy = EntityPolicy::new()
///     .ttl(Duration::from_secs(300))
///     .family_ttl(Family::Count, Duration::from_secs(30))
///     .tag("catalog");
/// assert_eq!(policy.ttl_of(Family::Count), Some(Duration::from_secs(30)));
/// assert_eq!(policy.ttl_of(Family::List), Some(Duration::from_secs(300)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct EntityPolicy {
    ttl: Option<Duration>,
    family_ttls: Vec<(Family, Duration)>,
    pub(crate) no_cache: bool,
    pub(crate) tags: BTreeSet<Name>,
    keys: BTreeSet<Name>,
    case_insensitive: BTreeSet<Name>,
    pub(crate) related: Vec<RelatedTo>,
}

/// The table or view of an entity, as the entity names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntityName {
    pub(crate) schema: Option<Name>,
    pub(crate) table: &'static str,
}

impl EntityName {
    pub(crate) fn of<E: EntityTrait>() -> Self {
        let entity = E::default();
        Self { schema: entity.schema_name().map(Arc::from), table: entity.table_name() }
    }

    /// May the catalog's name mean this table? For who may take one too many.
    pub(crate) fn may_be(&self, known: &str) -> bool {
        let (schema, name) = match known.rsplit_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, known),
        };
        let same = |own: &Name| schema.is_none_or(|schema| schema.eq_ignore_ascii_case(own));
        name.eq_ignore_ascii_case(self.table) && self.schema.as_ref().is_none_or(same)
    }
}

impl EntityPolicy {
    /// A policy that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long results of [`cached_default`](crate::CachedExt::cached_default) selects of this
    /// entity may be used, instead of the cache's default. Zero caches none of them.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The same for one kind of results, whatever [`ttl`](Self::ttl) says.
    pub fn family_ttl(mut self, family: Family, ttl: Duration) -> Self {
        self.family_ttls.retain(|(other, _)| *other != family);
        self.family_ttls.push((family, ttl));
        self
    }

    /// No query that reads the entity's table is cached, whatever else it reads and with whatever
    /// TTL. [`Reason::NoCache`](crate::Reason::NoCache) tells it.
    pub fn no_cache(mut self) -> Self {
        self.no_cache = true;
        self
    }

    /// Every entry whose query reads the entity's table ends with this name, too:
    /// [`invalidate_tag`](QueryCache::invalidate_tag).
    pub fn tag(mut self, name: &str) -> Self {
        self.tags.insert(name.into());
        self
    }

    /// Queries filter by this column: a write then ends only those entries that it can concern by
    /// the column's value. Columns of keys and the first ones of indexes count without it.
    ///
    /// Not with a store that other processes share, since those may not know of it; nor where it
    /// can't be told which values the database takes for equal.
    /// [`Event::KeyIgnored`](crate::Event::KeyIgnored) tells it.
    pub fn key(mut self, column: impl IdenStatic) -> Self {
        self.keys.insert(column.as_str().into());
        self
    }

    /// The same for a column of text under a collation that ignores case: its values are told
    /// apart by what all such collations agree on, where they are of plain ASCII.
    ///
    /// For SQLite's `NOCASE` and `RTRIM` and the usual collations of MySQL and MariaDB; under any
    /// other, and in a primary key, it is ignored. Where the collation compares bytes it is the
    /// same as [`key`](Self::key).
    pub fn case_insensitive(mut self, column: impl IdenStatic) -> Self {
        self.case_insensitive.insert(column.as_str().into());
        self
    }

    /// Notes an entity that belongs to this one, for
    /// [`invalidates_declared`](crate::RuleOn::invalidates_declared).
    pub fn related<E: EntityTrait>(mut self) -> Self {
        let EntityName { schema, table } = EntityName::of::<E>();
        let name = named(schema.as_deref(), table);
        self.relate(RelatedTo { name, def: None, entity: Invalidate::entity::<E>() });
        self
    }

    /// The same for the target of a relation.
    pub fn relation(mut self, relation: impl RelationTrait) -> Self {
        if let Some(related) = RelatedTo::by(relation.def()) {
            self.relate(related);
        }
        self
    }

    /// The TTL that it has for this kind of results, if any.
    pub fn ttl_of(&self, family: Family) -> Option<Duration> {
        let own = self.family_ttls.iter().find(|(of, _)| *of == family);
        own.map(|(_, ttl)| *ttl).or(self.ttl)
    }

    fn relate(&mut self, related: RelatedTo) {
        let way = |related: &RelatedTo| format!("{:?}", related.def);
        let same = |known: &RelatedTo| *known == related && way(known) == way(&related);
        if !self.related.iter().any(same) {
            self.related.push(related);
        }
    }

    /// The tables of the entities that were noted as related, as `table` or `schema.table`. They
    /// change nothing that is cached: entries depend on what their queries read.
    pub fn related_tables(&self) -> impl Iterator<Item = &str> {
        self.related.iter().map(|related| &*related.name)
    }

    /// The columns that are declared as keys, and whether they ignore case.
    pub(crate) fn key_columns(&self) -> impl Iterator<Item = (&str, bool)> {
        let exact = self.keys.iter().map(|name| (&**name, false));
        exact.chain(self.case_insensitive.iter().map(|name| (&**name, true)))
    }

    /// Does it say anything about every query that reads the table?
    pub(crate) fn rules(&self) -> bool {
        self.no_cache || !self.tags.is_empty()
    }
}

/// The far end of a relation.
#[derive(Debug, Clone)]
pub(crate) struct RelatedTo {
    name: Name,
    /// By which columns, where that is known.
    pub(crate) def: Option<RelationDef>,
    /// All of it.
    pub(crate) entity: Invalidate,
}

impl RelatedTo {
    /// `None` for a relation to something else than a table.
    pub(crate) fn by(def: RelationDef) -> Option<Self> {
        let TableRef::Table(name, _) = &def.to_tbl else { return None };
        let schema = name.0.as_ref().map(|schema| schema.1.to_string());
        let name = named(schema.as_deref(), &name.1.to_string());
        let entity = Invalidate::table(def.to_tbl.clone());
        Some(Self { name, def: Some(def), entity })
    }

    /// May this be its name in the catalog?
    pub(crate) fn may_be(&self, known: &str) -> bool {
        let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        let both_qualified = self.name.contains('.') && known.contains('.');
        last(&self.name) == last(known)
            && (!both_qualified || self.name.eq_ignore_ascii_case(known))
    }
}

/// A relation may be named by its target alone.
impl PartialEq for RelatedTo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RelatedTo {}

fn named(schema: Option<&str>, table: &str) -> Name {
    schema.map_or_else(|| table.into(), |schema| crate::sql::qualified(schema, table))
}

impl QueryCache {
    /// Puts an entity's policy into effect, for its table and every connection of the cache. The
    /// last one of a table counts. One that changes something ends every entry once, so do it
    /// before the cache is used.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sea_orm_cache::Error> {
    /// # mod book {
    /// #     use sea_orm::entity::prelude::*;
    /// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    /// #     #[sea_orm(table_name = "book")]
    /// #     pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
    /// #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    /// #     pub enum Relation {}
    /// #     impl ActiveModelBehavior for ActiveModel {}
    /// #     impl sea_orm_cache::CachedEntity for Entity {
    /// #         fn policy() -> sea_orm_cache::EntityPolicy { sea_orm_cache::EntityPolicy::new() }
    /// #     }
    /// # }
    /// let cache = sea_orm_cache::QueryCache::builder().build().await?;
    /// cache.register::<book::Entity>();
    /// # Ok(()) }
    /// ```
    pub fn register<E: CachedEntity>(&self) -> &Self {
        self.engine.put_policy(EntityName::of::<E>(), E::policy());
        self
    }
}

impl Engine {
    fn put_policy(&self, entity: EntityName, policy: EntityPolicy) {
        let declared = self.declarations.read().unwrap_or_else(PoisonError::into_inner);
        let known = declared.policies.get(&entity) == Some(&policy);
        drop(declared);
        if !known {
            self.declare(|all| drop(all.policies.insert(entity, policy)));
        }
    }

    /// The TTL that an entity declares.
    pub(crate) fn policy_ttl(&self, entity: &EntityName, family: Family) -> Option<Duration> {
        let declared = self.declarations.read().unwrap_or_else(PoisonError::into_inner);
        declared.policies.get(entity)?.ttl_of(family)
    }
}
