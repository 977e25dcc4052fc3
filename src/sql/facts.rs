//! What one SQL text says: the facts that do not depend on the parameters' values.

use std::collections::BTreeSet;

use crate::event::Reason;
use crate::schema::{Name, Operation};
use crate::tag::KeyValue;

/// The meaning of one SQL text, which may hold several statements.
#[derive(Debug)]
pub(crate) enum Analysis {
    /// Changes nothing.
    Read(ReadFacts),
    /// Changes rows of known tables.
    Write(Vec<WriteFacts>),
    /// Changes something that can't be told: bumps everything, for this reason.
    Opaque(String),
    /// Changes the schema: bumps everything and reads the catalog again.
    Ddl {
        /// Tables that are now shadowed by a temporary one on some connection.
        temporary: Vec<Name>,
    },
    /// `BEGIN`, `COMMIT`, … as raw text.
    /// Changes what later statements of its session mean, or of its transaction only.
    Session { what: String, reach: Reach },
    RawTransaction {
        control: Control,
        /// As for DDL, which may be in the same text.
        temporary: Vec<Name>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Session,
    /// The transaction, and which tables its later statements write.
    Transaction,
    /// The transaction, and what its later statements read.
    Reads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Begin,
    /// The outermost transaction ends.
    End,
    /// As raw text outside a transaction, a savepoint opens one.
    Savepoint,
    /// The end of a savepoint; of the outermost one, if nothing else is open, a commit.
    Release,
    /// A text that opens and ends a transaction; if it fails in between, that stays open.
    Block,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    /// The parameter with this index, from 0.
    Param(usize),
    Literal(KeyValue),
    /// An expression, or a literal without a canonical form.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct ReadFacts {
    /// Why a result must not be stored, if so.
    pub(crate) uncacheable: Option<Reason>,
    pub(crate) occurrences: Vec<Occurrence>,
    /// Something could not be resolved: depend on every table as a whole.
    pub(crate) coarse: bool,
    /// A table under row-level security, which is only cached in a scope.
    pub(crate) row_security: Option<String>,
    /// A table or view whose entity says that it is never cached.
    pub(crate) no_cache: Option<Name>,
    /// The user's names on which the entities of its tables and views make it depend.
    pub(crate) tags: BTreeSet<Name>,
    /// The statement's OFFSET; rows are exposed by key only if this is zero.
    pub(crate) offset: Option<Operand>,
}

/// One mention of a table.
#[derive(Debug)]
pub(crate) struct Occurrence {
    pub(crate) table: Name,
    /// AND-ed equalities on key columns in the occurrence's own scope: any one of them bounds it.
    pub(crate) slices: Vec<Equality>,
    /// Columns that decide which rows are shown and in what order.
    pub(crate) membership: BTreeSet<Name>,
    /// Columns that are only shown.
    pub(crate) output: BTreeSet<Name>,
    /// Where each result row carries this table's primary key; `None`: it does not.
    pub(crate) exposed: Option<Vec<OutputColumn>>,
    /// Read by a function that was declared: any change of the table counts.
    pub(crate) whole: bool,
    /// The table may be missing from a result row (the nullable side of an outer join).
    pub(crate) nullable: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Equality {
    pub(crate) column: Name,
    /// `=` has one, `IN` several.
    pub(crate) values: Vec<Operand>,
}

/// A result column, by position; the label is checked against what the database answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputColumn {
    pub(crate) column: Name,
    pub(crate) index: usize,
    pub(crate) label: String,
}

/// What one statement does to one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WriteFacts {
    pub(crate) table: Name,
    pub(crate) action: WriteAction,
    /// Columns of the written table in RETURNING.
    pub(crate) returning: Vec<OutputColumn>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WriteAction {
    Insert {
        /// The inserted columns' values by row; `None`: rows from a SELECT, or too many.
        rows: Option<Vec<Vec<(Name, Operand)>>>,
        /// Columns that are given a value at all; `None`: unknown, all may be.
        conflict: Conflict,
    },
    Update {
        set: Vec<(Name, Operand)>,
        filter: Vec<Equality>,
        /// `UPDATE OR REPLACE`: rows in the way are deleted.
        replaces: bool,
        capture: Option<Capture>,
    },
    Delete {
        filter: Vec<Equality>,
        capture: Option<Capture>,
    },
    /// The table is written, nothing more is known.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Conflict {
    /// The statement fails, or skips the row.
    None,
    /// `ON CONFLICT (target) DO UPDATE SET …`; an empty target means "any".
    Update { target: Vec<Name>, set: Vec<(Name, Operand)> },
    /// `REPLACE`: rows in the way are deleted.
    Replace,
}

/// How to find the rows that an UPDATE or DELETE is about to touch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capture {
    /// `FROM … WHERE …`, with its parameters numbered anew.
    pub(crate) tail: String,
    /// The clause that keeps others from changing these rows; it goes last.
    pub(crate) lock: &'static str,
    /// The statement's parameters to bind, by index, in that order.
    pub(crate) params: Vec<usize>,
}

impl ReadFacts {
    /// Why no connection may keep the result, if so.
    pub(crate) fn refusal(&self) -> Option<Reason> {
        let no_cache = || Some(Reason::NoCache(self.no_cache.as_ref()?.to_string()));
        self.uncacheable.clone().or_else(no_cache)
    }
}

impl WriteFacts {
    pub(crate) fn unknown(table: Name) -> Self {
        Self { table, action: WriteAction::Unknown, returning: Vec::new() }
    }

    /// Does the statement itself say that rows in its way are deleted?
    pub(crate) fn replaces(&self) -> bool {
        matches!(
            &self.action,
            WriteAction::Insert { conflict: Conflict::Replace, .. }
                | WriteAction::Update { replaces: true, .. }
        )
    }

    /// The operations that fire triggers and cascades.
    pub(crate) fn operations(&self) -> &'static [Operation] {
        match &self.action {
            WriteAction::Insert { conflict: Conflict::None, .. } => &[Operation::Insert],
            WriteAction::Insert { conflict: Conflict::Update { .. }, .. } => {
                &[Operation::Insert, Operation::Update]
            }
            WriteAction::Insert { .. } => &[Operation::Insert, Operation::Delete],
            WriteAction::Update { replaces: false, .. } => &[Operation::Update],
            WriteAction::Update { .. } => &[Operation::Update, Operation::Delete],
            WriteAction::Delete { .. } => &[Operation::Delete],
            WriteAction::Unknown => &[Operation::Insert, Operation::Update, Operation::Delete],
        }
    }
}
