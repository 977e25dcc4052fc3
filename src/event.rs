//! What the cache tells about itself: events, the reasons in them, and who listens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::key::Key;
use crate::tag::Tag;

/// Listens to everything that the cache does. Give one to
/// [`QueryCacheBuilder::observer`](crate::QueryCacheBuilder::observer).
///
/// Called on the task that caused the event, so it must be quick and must not block. Without an
/// observer no event is built.
///
/// ```
/// use sea_orm_cache::{Event, Observer};
///
/// struct Print;
/// impl Observer for Print {
///     fn on_event(&self, event: &Event<'_>) {
///         println!("{event}");
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// Receives one event.
    fn on_event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observer for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// One thing that happened. [`Display`](fmt::Display) gives one readable line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An entry answered.
    Hit {
        /// The entry's key.
        key: &'a Key,
    },
    /// An entry answered that is not valid any more, as was asked for.
    Stale {
        /// The entry's key.
        key: &'a Key,
        /// How long ago it was read from the database.
        age: Duration,
        /// Why it was good enough.
        because: Because,
    },
    /// A load that nobody waits for failed; the next read begins another.
    RefreshFailed {
        /// The [digest](Key::digest) of the key whose entry was to be replaced.
        digest: &'a [u8; 32],
    },
    /// No valid entry was there; the database will be asked.
    Miss {
        /// The key that was looked up.
        key: &'a Key,
    },
    /// A result was stored.
    Fill {
        /// The new entry's key.
        key: &'a Key,
        /// What it depends on.
        tags: &'a [Tag],
        /// What it counts against the budget, in bytes.
        bytes: usize,
    },
    /// A result was read but not stored; the caller got it all the same.
    FillRefused {
        /// The key that stays empty.
        key: &'a Key,
        /// Why.
        reason: &'a Reason,
    },
    /// A cached read went straight to the database.
    Bypass {
        /// The statement.
        sql: &'a str,
        /// Why.
        reason: &'a Reason,
    },
    /// Tags were bumped: entries that depend on them are invalid from now on.
    Bump {
        /// What made it necessary.
        cause: &'a Cause,
        /// The bumped tags.
        tags: &'a [Tag],
    },
    /// The rows that a write touches were read before it.
    Capture {
        /// The written table.
        table: &'a str,
        /// How many rows were found; `None`: too many, or they could not be read.
        rows: Option<usize>,
    },
    /// The outcome of a write is unknown; its tables are not cached until it is over.
    Doubt {
        /// The tables.
        tables: &'a [Arc<str>],
        /// `false` when the doubt is over.
        begins: bool,
    },
    /// The catalog was read.
    Catalog {
        /// How many tables it lists.
        tables: usize,
    },
    /// The catalog could not be read: until it is, a second later at the earliest, no result is
    /// stored, and every write invalidates everything.
    CatalogUnreadable {
        /// What the database said.
        error: &'a str,
    },
    /// The effect of a table's triggers can't be told, so every write to it invalidates everything.
    UnknownTriggers {
        /// The table.
        table: &'a str,
        /// The code that says what they do, once it is completed where it needs to be.
        declare: &'a str,
    },
    /// A column that an entity declares as a key is not used as one.
    KeyIgnored {
        /// The table, as in the catalog.
        table: &'a str,
        /// The column.
        column: &'a str,
        /// Why.
        why: &'a str,
    },
    /// The catalog may not list every trigger and foreign key, so every write invalidates
    /// everything.
    CatalogPartlyHidden {
        /// Why, and what to do about it.
        why: &'a str,
    },
    /// What a rule calls failed; the write was done.
    RuleFailed {
        /// The rule's name.
        rule: &'a str,
        /// Why.
        error: &'a str,
    },
    /// A statement changed what others mean in the session that ran it. Which connection of the
    /// pool that is can't be told, so from now on nothing is cached and every write invalidates
    /// everything.
    SessionChanged {
        /// The statement's text.
        sql: &'a str,
    },
    /// The store can't be reached: until it is back reads go to the database, and what it has to be
    /// told is kept.
    StoreAway {
        /// What went wrong.
        error: &'a str,
    },
    /// The store is back, and knows everything it had to be told.
    StoreBack,
    /// What others write may not have been heard: until it is certain again, memory does not
    /// answer, and what it held is forgotten.
    ChannelLost,
    /// A write was acknowledged although the store could not be told of it. Other processes may
    /// answer with what was before, until the store is back or their entries end.
    Undelivered {
        /// How many tags the store has yet to be told of.
        tags: usize,
    },
    /// Other programs' writes were heard: see [`OutboxConfig`](crate::OutboxConfig).
    OutboxHeard {
        /// How many notes.
        notes: usize,
        /// How old the oldest was, in milliseconds.
        lag_ms: u64,
    },
    /// The outbox could not be read, or what it says could not be delivered. Until it is heard again
    /// cached queries ask the database.
    OutboxUnheard {
        /// What went wrong.
        error: &'a str,
    },
    /// Another process listens to the outbox, and shares no store with this one, or is of another
    /// prefix or version: what it hears is not known here, so cached queries ask the database.
    OutboxElsewhere,
    /// A table was changed or renamed since its triggers were made: what they write counts as if
    /// anything may have happened to it, and on MySQL and SQLite they may stand in the way of more
    /// changes. Or it was made anew, and what other programs write to it is **not heard** until it
    /// has triggers again. Or on MySQL it is none of the watched, and what is written to it sets off
    /// cascades in one that is, which fire no triggers.
    TriggersOutdated {
        /// The table.
        table: &'a str,
        /// What is to be run.
        run: &'a str,
    },
    /// The store failed. The query itself was answered by the database.
    StoreError {
        /// What went wrong.
        error: &'a str,
    },
}

/// Why an old answer was good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// It is being loaded anew ([`swr`](crate::Cached::swr)).
    Refreshing,
    /// The load failed ([`stale_if_error`](crate::Cached::stale_if_error)).
    Failed,
    /// The load takes long ([`stale_if_slow`](crate::Cached::stale_if_slow)).
    Slow,
}

/// What made a bump necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A statement outside a transaction, or a transaction's COMMIT.
    Write {
        /// The statement's text; `COMMIT` for a transaction.
        sql: Arc<str>,
    },
    /// A statement that could not be understood, and why.
    Opaque {
        /// The statement's text.
        sql: Arc<str>,
        /// Why everything was bumped.
        why: String,
    },
    /// The schema changed.
    Ddl {
        /// The statement's text.
        sql: Arc<str>,
    },
    /// The outcome of a write is unknown, or became known.
    Doubt,
    /// A bulk import ([`suspend`](crate::QueryCache::suspend)) begins to write the table, or is
    /// over.
    Suspended,
    /// Another program, or a process that is gone, wrote it; see [`OutboxConfig`](crate::OutboxConfig).
    Foreign,
    /// The application asked for it.
    Requested,
    /// A rule asks for it.
    Rule {
        /// The rule's name.
        name: String,
    },
}

/// Why a result was not cached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is not SQL that we understand; the parser's words.
    NotParsed(String),
    /// The text is longer than the limit, in bytes.
    TooLong {
        /// The text's length in bytes.
        bytes: usize,
    },
    /// The text nests or chains more operators than the limit.
    TooComplex,
    /// The statement is not a query, or writes data.
    NotARead,
    /// `FOR UPDATE` and the like: the caller wants the database's locks.
    Locking,
    /// The function may give another result each time.
    UnknownFunction(String),
    /// No such table in the catalog, so its writes can't be recognised.
    UnknownTable(String),
    /// The catalog could not be read, or has to be read again first.
    NoCatalog,
    /// The table keeps its data elsewhere: a virtual or foreign one.
    VirtualTable(String),
    /// The table's storage engine has no transactions.
    NotTransactional(String),
    /// The table is under row-level security, and the connection has no
    /// [scope](crate::CachedConnection::scoped).
    RowSecurity(String),
    /// The session was told something that changes what statements mean, or reads what is not
    /// committed.
    Session(Arc<str>),
    /// On some connection a temporary table of this name was made.
    TemporaryTable(String),
    /// An expression or clause that we do not understand.
    NotUnderstood(String),
    /// The read is inside a transaction.
    InTransaction,
    /// Raw SQL opened a transaction that is not over.
    RawTransaction,
    /// The caller asked for it with [`bypass`](crate::Cached::bypass).
    Requested,
    /// The entity of this table or view says `no_cache`.
    NoCache(String),
    /// The TTL is zero.
    ZeroTtl,
    /// A write to the same rows was committed while the query ran.
    Overlap,
    /// More writes than are remembered were committed while the query ran.
    TooManyWrites,
    /// The outcome of a write to the table is unknown.
    Doubtful,
    /// The result did not carry the keys of its rows as expected.
    UnexpectedShape,
    /// Nothing was found, and [`skip_empty`](crate::Cached::skip_empty) was asked for.
    Empty,
    /// [`cache_if`](crate::Cached::cache_if) said no.
    Declined,
    /// The result has no bytes, in the words of serde or of our own codec.
    Unencodable(String),
    /// The store can't be reached.
    StoreAway,
    /// It depends on more tags than an entry in a store may have.
    TooManyTags,
    /// The value is made of a stream of rows, whose end is not seen.
    Streamed,
    /// A query that the value is made of failed, or was given up.
    Failed,
    /// The value is made of what is read through another cache.
    OtherCache,
    /// It is not certain that other programs' writes were heard in time.
    Unheard,
    /// The schema was changed by another process, and has to be read again.
    SchemaMoved,
    /// The result is larger than the store accepts, in bytes.
    TooLarge {
        /// The entry's size in bytes.
        bytes: usize,
    },
}

impl Reason {
    /// May the next attempt be stored?
    pub(crate) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Overlap
                | Self::TooManyWrites
                | Self::Doubtful
                | Self::RawTransaction
                | Self::NoCatalog
                | Self::SchemaMoved
                | Self::Unheard
                | Self::StoreAway
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotParsed(error) => write!(f, "the SQL was not understood ({error})"),
            Self::TooLong { bytes } => write!(f, "the SQL is too long to analyse ({bytes} bytes)"),
            Self::TooComplex => f.write_str("the SQL is too complex to analyse"),
            Self::NotARead => f.write_str("the statement is not a plain query"),
            Self::Locking => f.write_str("the query locks rows"),
            Self::UnknownFunction(name) => {
                write!(f, "{name}() is not known to give the same result each time")
            }
            Self::UnknownTable(name) => write!(f, "table {name} is not in the catalog"),
            Self::Streamed => f.write_str("it is made of a stream of rows"),
            Self::Failed => f.write_str("a query that it is made of failed, or was given up"),
            Self::OtherCache => f.write_str("it is made of what is read through another cache"),
            Self::NoCatalog => f.write_str("the catalog is not known"),
            Self::VirtualTable(name) => {
                write!(f, "{name} is a virtual or foreign table, whose data is elsewhere")
            }
            Self::NotTransactional(name) => {
                write!(f, "the storage engine of {name} has no transactions")
            }
            Self::RowSecurity(name) => {
                write!(f, "{name} is under row-level security and the connection has no scope")
            }
            Self::Session(what) => write!(f, "the session is unsafe: {what}"),
            Self::TemporaryTable(name) => write!(f, "a temporary table may shadow {name}"),
            Self::NotUnderstood(what) => write!(f, "{what} is not understood"),
            Self::InTransaction => f.write_str("the read is inside a transaction"),
            Self::RawTransaction => f.write_str("raw SQL opened a transaction that is not over"),
            Self::Requested => f.write_str("bypass() was asked for"),
            Self::NoCache(name) => write!(f, "{name} is never cached, as its entity says"),
            Self::ZeroTtl => f.write_str("the TTL is zero"),
            Self::Overlap => f.write_str("a write to the same data came in while the query ran"),
            Self::TooManyWrites => f.write_str("too many writes came in while the query ran"),
            Self::Doubtful => f.write_str("the outcome of a write to the table is unknown"),
            Self::UnexpectedShape => f.write_str("the result does not carry its rows' keys"),
            Self::Empty => f.write_str("nothing was found, and skip_empty() was asked for"),
            Self::Declined => f.write_str("cache_if() said no"),
            Self::Unencodable(why) => write!(f, "the result can't be encoded: {why}"),
            Self::StoreAway => f.write_str("the store is away"),
            Self::TooManyTags => f.write_str("the result depends on too many tags"),
            Self::Unheard => f.write_str("other programs' writes were not heard in time"),
            Self::SchemaMoved => f.write_str("the schema was changed by another process"),
            Self::TooLarge { bytes } => write!(f, "the result is too large ({bytes} bytes)"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { sql } => f.write_str(sql),
            Self::Opaque { sql, why } => write!(f, "{sql} ({why})"),
            Self::Ddl { sql } => write!(f, "schema change: {sql}"),
            Self::Doubt => f.write_str("a write whose outcome is unknown"),
            Self::Suspended => f.write_str("a bulk import begins or ends"),
            Self::Foreign => f.write_str("written by another program"),
            Self::Requested => f.write_str("asked for by the application"),
            Self::Rule { name } => f.write_str(name),
        }
    }
}

struct Tags<'a>(&'a [Tag]);

impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|tag| write!(f, " {tag}"))
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit { key } => write!(f, "hit {key}"),
            Self::Stale { key, age, because } => {
                let because = match because {
                    Because::Refreshing => "it is being loaded anew",
                    Because::Failed => "the load failed",
                    Because::Slow => "the load takes long",
                };
                write!(f, "stale {key}, {} ms old: {because}", age.as_millis())
            }
            Self::RefreshFailed { digest } => {
                write!(f, "refresh of {} failed", crate::key::hex(&digest[..]))
            }
            Self::Miss { key } => write!(f, "miss {key}"),
            Self::Fill { key, tags, bytes } => {
                write!(f, "fill {key}, {bytes} bytes, depends on{}", Tags(tags))
            }
            Self::FillRefused { key, reason } => write!(f, "not stored {key}: {reason}"),
            Self::Bypass { sql, reason } => write!(f, "bypass: {reason}: {sql}"),
            Self::Bump { cause, tags } => write!(f, "bump{}: {cause}", Tags(tags)),
            Self::Capture { table, rows: Some(n) } => write!(f, "capture {n} rows of {table}"),
            Self::Capture { table, rows: None } => write!(f, "capture of {table} gave up"),
            Self::Doubt { tables, begins } => {
                let state = if *begins { "unknown" } else { "known again" };
                write!(f, "the outcome of a write is {state}: {}", tables.join(", "))
            }
            Self::Catalog { tables } => write!(f, "catalog read, {tables} tables"),
            Self::CatalogUnreadable { error } => write!(
                f,
                "the catalog could not be read, so nothing is stored, and every write invalidates \
                 everything: {error}"
            ),
            Self::RuleFailed { rule, error } => write!(f, "{rule} failed: {error}"),
            Self::CatalogPartlyHidden { why } => {
                write!(f, "every write invalidates everything: {why}")
            }
            Self::KeyIgnored { table, column, why } => {
                write!(f, "{column} of {table} is no key, although its entity says so: {why}")
            }
            Self::UnknownTriggers { table, declare } => write!(
                f,
                "what the triggers on {table} do is unknown, so every write to it invalidates \
                 everything, until you say it: {declare}"
            ),
            Self::SessionChanged { sql } => {
                write!(f, "a session was changed, so nothing is cached on its pool any more: {sql}")
            }
            Self::StoreAway { error } => write!(f, "the store is away: {error}"),
            Self::StoreBack => f.write_str("the store is back"),
            Self::ChannelLost => f.write_str("other processes are not heard, memory is forgotten"),
            Self::Undelivered { tags } => {
                write!(f, "a write was acknowledged, the store has yet to be told of {tags} tags")
            }
            Self::OutboxHeard { notes, lag_ms } => {
                write!(f, "heard {notes} notes of other programs' writes, {lag_ms} ms old")
            }
            Self::OutboxUnheard { error } => write!(f, "the outbox is not heard: {error}"),
            Self::OutboxElsewhere => f.write_str(
                "another process listens to the outbox, so nothing is cached here: share a store, \
                 or use an outbox of your own",
            ),
            Self::TriggersOutdated { table, run } => {
                write!(f, "{table} has not the triggers that it needs: run {run}")
            }
            Self::StoreError { error } => write!(f, "store error: {error}"),
        }
    }
}
