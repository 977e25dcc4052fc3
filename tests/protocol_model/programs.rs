//! Writers and loads as lists of steps: breaking a rule of order is rearranging a list.

use crate::rules::{Break, World};
use crate::state::{APPEARS, Bits, ROW_A, ROW_B};

/// What a writer does, one atomic step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteStep {
    /// The change becomes visible.
    Commit,
    /// Appends the list of tags it is about to bump to the guard's log.
    Record,
    /// Deletes the tag's version.
    Bump(usize),
    /// Its caller gets its answer.
    Tell,
    /// From here on nothing is stored for the table.
    Doubt,
    /// The lost transaction is known to be over: what has not landed never will.
    Over,
    EndDoubt,
}

/// What a load does, one atomic step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadStep {
    /// Step 1: remembers the guard's sequence number.
    Guard,
    /// Steps 1 and 3: reads the tag's version, or creates it if it is missing.
    Version(usize),
    /// Step 2.
    Sql,
    /// Step 4: looks at the guard's log.
    Check,
    /// Step 5, unless the table is doubtful.
    Store,
}

/// The tags that a writer bumps besides the guard.
fn bumped(writer: usize, world: &World) -> Vec<usize> {
    match writer {
        0 => vec![ROW_A],
        _ if world.upsert => vec![ROW_B, APPEARS],
        _ => vec![ROW_B],
    }
}

/// The record that a writer leaves in the guard's log.
pub(crate) fn record(writer: usize, world: &World, broken: Option<Break>) -> Bits {
    let tags = bumped(writer, world).into_iter();
    let omitted = |tag: &usize| broken == Some(Break::RecordOmitsRowTags) && *tag != APPEARS;
    tags.filter(|t| !omitted(t)).map(|t| 1 << t).sum()
}

/// The guard first, then the other tags.
fn bump_all(writer: usize, world: &World, broken: Option<Break>) -> Vec<WriteStep> {
    let mut steps: Vec<_> = bumped(writer, world).into_iter().map(WriteStep::Bump).collect();
    let first = if broken == Some(Break::RowTagsBeforeGuard) { steps.len() } else { 0 };
    steps.insert(first, WriteStep::Record);
    steps
}

/// The program of a writer whose commit succeeds.
pub(crate) fn write(writer: usize, world: &World, broken: Option<Break>) -> Vec<WriteStep> {
    use WriteStep::{Commit, Tell};
    let bump = &bump_all(writer, world, broken)[..];
    match broken {
        Some(Break::BumpBeforeCommit) => [bump, &[Commit, Tell]].concat(),
        Some(Break::AckBeforeBump) => [&[Commit, Tell], bump].concat(),
        _ => [&[Commit], bump, &[Tell]].concat(),
    }
}

/// The program of a writer from the moment its connection is lost during COMMIT. The commit
/// itself lands at any time before `Over`, or never.
pub(crate) fn lost(writer: usize, world: &World, broken: Option<Break>) -> Vec<WriteStep> {
    use WriteStep::{Doubt, EndDoubt, Over, Tell};
    let bump = &bump_all(writer, world, broken)[..];
    match broken {
        Some(Break::OneBumpWithoutDoubt) => [bump, &[Tell, Over]].concat(),
        Some(Break::OneBumpInDoubt) => [&[Doubt], bump, &[Tell, Over, EndDoubt]].concat(),
        Some(Break::TwoBumpsWithoutDoubt) => [bump, &[Tell, Over], bump].concat(),
        Some(Break::DoubtAfterFirstBump) => {
            [bump, &[Doubt, Tell, Over], bump, &[EndDoubt]].concat()
        }
        Some(Break::DoubtEndsBeforeSecondBump) => {
            [&[Doubt], bump, &[Tell, Over, EndDoubt], bump].concat()
        }
        _ => [&[Doubt], bump, &[Tell, Over], bump, &[EndDoubt]].concat(),
    }
}

/// The fill protocol.
pub(crate) fn load(world: &World, broken: Option<Break>) -> Vec<LoadStep> {
    use LoadStep::{Check, Guard, Sql, Store, Version};
    let known: &[LoadStep] = if world.upsert { &[Version(APPEARS)] } else { &[] };
    let rows: &[LoadStep] = &[Version(ROW_A), Version(ROW_B)];
    match broken {
        Some(Break::NoCheck) => [&[Guard], known, &[Sql], rows, &[Store]].concat(),
        Some(Break::AllReadAfterSql) => [&[Sql, Guard], known, rows, &[Check, Store]].concat(),
        Some(Break::GuardReadAfterSql) => [known, &[Sql, Guard], rows, &[Check, Store]].concat(),
        _ => [&[Guard], known, &[Sql], rows, &[Check, Store]].concat(),
    }
}
