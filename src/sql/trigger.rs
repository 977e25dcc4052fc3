//! What a trigger's body writes.

use sqlparser::tokenizer::Token;

use crate::schema::{Name, Schema};
use crate::sql::facts::{Analysis, Conflict, Equality, Operand, WriteAction, WriteFacts};
use crate::sql::{Dialect, parse, statement};

/// The writes of a `CREATE TRIGGER … BEGIN … END` text; `None` if some statement in it can't be
/// understood.
pub(crate) fn body_writes(sql: &str, dialect: Dialect, schema: &Schema) -> Option<Vec<WriteFacts>> {
    let tokens = parse::tokens(sql, dialect).ok()?;
    let keyword = |token: &Token, wanted: &str| {
        matches!(token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
    };
    let body = match tokens.iter().position(|token| keyword(token, "begin")) {
        Some(begin) => {
            let end = tokens.iter().rposition(|token| keyword(token, "end"))?;
            tokens.get(begin + 1..end)?
        }
        // MySQL's catalog gives the body alone, which may be one statement.
        None => &tokens,
    };
    if statement::writing_call(&tokens, dialect, schema).is_some() {
        return None;
    }
    let mut writes = Vec::new();
    for part in body.split(|token| *token == Token::SemiColon) {
        let part = if dialect == Dialect::MySql { unconditional(part, keyword)? } else { part };
        if part.is_empty() {
            continue;
        }
        let parsed = parse::statements(part.to_vec(), dialect).ok()?;
        for statement in &parsed {
            match statement::of_statement(statement, dialect, schema) {
                Analysis::Read(_) => {}
                Analysis::Write(facts) => writes.extend(facts),
                _ => return None,
            }
        }
    }
    writes.iter_mut().for_each(forget_row);
    Some(writes)
}

/// A statement of MySQL's compound ones without the IF before it; `None` if it may mean more. What
/// sets the new row's columns writes no table.
fn unconditional(mut part: &[Token], keyword: impl Fn(&Token, &str) -> bool) -> Option<&[Token]> {
    let is = |part: &[Token], word: &str| part.first().is_some_and(|token| keyword(token, word));
    while is(part, "if") || is(part, "elseif") || is(part, "else") {
        if is(part, "else") {
            part = &part[1..];
        } else {
            let then = part.iter().position(|token| keyword(token, "then"))?;
            part = &part[then + 1..];
        }
    }
    let ends = is(part, "end") && part.get(1).is_some_and(|token| keyword(token, "if"));
    let of_new = is(part, "set")
        && part.get(1).is_some_and(|token| keyword(token, "new"))
        && !part.contains(&Token::Comma);
    Some(if ends || of_new { &[] } else { part })
}

/// The tables that follow INTO, UPDATE, FROM or TRUNCATE in these bodies: what their triggers may
/// write, for a hint. Nothing rests on it.
pub(crate) fn guess<'b>(bodies: impl Iterator<Item = &'b str>, schema: &Schema) -> Vec<Name> {
    let mut found = Vec::new();
    for body in bodies {
        let body = body.to_lowercase();
        let words: Vec<_> = body
            .split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.'))
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let writes = matches!(pair[0], "into" | "update" | "from" | "truncate");
            let table = schema.tables.get_key_value(pair[1]).filter(|_| writes);
            if let Some((name, _)) = table.filter(|(name, _)| !found.contains(*name)) {
                found.push(name.clone());
            }
        }
    }
    found
}

/// A body runs once per row with values from that row: only constants stay known, and nothing can
/// be captured before it.
fn forget_row(facts: &mut WriteFacts) {
    facts.forget_capture();
    facts.returning.clear();
    let forget = |set: &mut Vec<(_, Operand)>| {
        for (_, value) in set {
            if matches!(value, Operand::Param(_)) {
                *value = Operand::Unknown;
            }
        }
    };
    let constant = |equality: &Equality| {
        !equality.values.iter().any(|value| matches!(value, Operand::Param(_)))
    };
    match &mut facts.action {
        WriteAction::Insert { rows, conflict } => {
            rows.iter_mut().flatten().for_each(forget);
            if let Conflict::Update { set, .. } = conflict {
                forget(set);
            }
        }
        WriteAction::Update { set, filter, .. } => {
            forget(set);
            filter.retain(constant);
        }
        WriteAction::Delete { filter, .. } => filter.retain(constant),
        WriteAction::Unknown => {}
    }
}
