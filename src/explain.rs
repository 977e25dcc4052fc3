//! What a statement would depend on, or bump.

use std::fmt;
use std::sync::Arc;

use sea_orm::Statement;

use crate::change::Bump;
use crate::database::Understanding;
use crate::depend::Plan;
use crate::effect::{Known, bump_of};
use crate::event::Reason;
use crate::sql::facts::Analysis;
use crate::tag::Tag;

/// What the cache makes of a statement: see [`QueryCache::explain`](crate::QueryCache::explain).
/// [`Display`](fmt::Display) gives a few readable lines.
#[derive(Debug, Clone)]
pub struct Explanation {
    sql: String,
    meaning: Meaning,
}

#[derive(Debug, Clone)]
enum Meaning {
    Uncacheable(Reason),
    /// Tags of every result, and those of tables that are shown by key.
    Read {
        tags: Vec<Tag>,
        by_rows: Vec<String>,
    },
    Write(Vec<Tag>),
    /// Bumps everything, and why.
    Everything(String),
}

impl Explanation {
    pub(crate) fn new(statement: &Statement, understanding: Option<Arc<Understanding>>) -> Self {
        let unknown = || Arc::new(Understanding::unknown(statement.db_backend));
        let meaning = meaning(statement, &understanding.unwrap_or_else(unknown));
        Self { sql: statement.sql.clone(), meaning }
    }

    /// Why a query's result would not be cached; `None` if it would be, or if this is a write.
    ///
    /// ```
    /// # use sea_orm_cache::Explanation;
    /// fn is_cached(explanation: &Explanation) -> bool {
    ///     explanation.uncacheable().is_none()
    /// }
    /// ```
    pub fn uncacheable(&self) -> Option<&Reason> {
        match &self.meaning {
            Meaning::Uncacheable(reason) => Some(reason),
            _ => None,
        }
    }

    /// For a query, the tags that every result of it depends on, before those of the rows that it
    /// shows (and of those, only what applies to few rows). For a write, the tags that it bumps if
    /// nothing is known but its own text and values.
    ///
    /// ```
    /// # use sea_orm_cache::Explanation;
    /// fn print(explanation: &Explanation) {
    ///     explanation.tags().iter().for_each(|tag| println!("{tag}"));
    /// }
    /// ```
    pub fn tags(&self) -> &[Tag] {
        match &self.meaning {
            Meaning::Read { tags, .. } | Meaning::Write(tags) => tags,
            Meaning::Everything(_) => &[Tag::All],
            Meaning::Uncacheable(_) => &[],
        }
    }

    /// The tables whose rows a query shows by primary key: its result depends on each of them.
    ///
    /// ```
    /// # use sea_orm_cache::Explanation;
    /// fn is_by_rows(explanation: &Explanation) -> bool {
    ///     !explanation.by_rows().is_empty()
    /// }
    /// ```
    pub fn by_rows(&self) -> &[String] {
        match &self.meaning {
            Meaning::Read { by_rows, .. } => by_rows,
            _ => &[],
        }
    }

    /// Is this a statement that changes data?
    ///
    /// ```
    /// # use sea_orm_cache::Explanation;
    /// fn kind(explanation: &Explanation) -> &str {
    ///     if explanation.is_write() { "write" } else { "read" }
    /// }
    /// ```
    pub fn is_write(&self) -> bool {
        matches!(self.meaning, Meaning::Write(_) | Meaning::Everything(_))
    }
}

fn meaning(statement: &Statement, understanding: &Understanding) -> Meaning {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    let schema = &understanding.schema;
    match &*understanding.analyze(&statement.sql) {
        Analysis::Read(facts) => match facts.refusal() {
            Some(reason) => Meaning::Uncacheable(reason),
            None => {
                let plan = Plan::new(facts, values, schema);
                let members = plan.rows.iter().flat_map(|rows| rows.members.iter().cloned());
                let tags = [Tag::All].into_iter().chain(plan.always.iter().cloned());
                let tags = tags.chain(members).collect();
                let by_rows = plan.rows.iter().map(|rows| rows.table.to_string()).collect();
                Meaning::Read { tags, by_rows }
            }
        },
        Analysis::Write(facts) => {
            let mut bump = Bump::default();
            for facts in facts {
                bump.merge(bump_of(facts, values, Known::default(), schema, false));
            }
            Meaning::Write(bump.tags)
        }
        Analysis::Session { what, .. } => {
            Meaning::Everything(format!("{what} changes what statements mean"))
        }
        Analysis::Opaque(why) => Meaning::Everything(why.clone()),
        Analysis::Ddl { .. } => Meaning::Everything("the schema changes".into()),
        Analysis::RawTransaction { .. } => {
            Meaning::Everything("a transaction is opened or ended by raw SQL".into())
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sql)?;
        let list = |f: &mut fmt::Formatter<'_>, title: &str, tags: &[Tag]| {
            write!(f, "  {title}")?;
            tags.iter().try_for_each(|tag| write!(f, " {tag}"))?;
            writeln!(f)
        };
        match &self.meaning {
            Meaning::Uncacheable(reason) => writeln!(f, "  not cached: {reason}"),
            Meaning::Write(tags) => list(f, "bumps:", tags),
            Meaning::Everything(why) => writeln!(f, "  bumps everything: {why}"),
            Meaning::Read { tags, by_rows } => {
                list(f, "depends on:", tags)?;
                match by_rows.is_empty() {
                    true => Ok(()),
                    false => writeln!(f, "  and on each row shown of: {}", by_rows.join(", ")),
                }
            }
        }
    }
}
