//! What a trigger's body writes.

use sqlparser::tokenizer::Token;

use crate::schema::Schema;
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
    let begin = tokens.iter().position(|token| keyword(token, "begin"))?;
    let end = tokens.iter().rposition(|token| keyword(token, "end"))?;
    let body = tokens.get(begin + 1..end)?;
    let mut writes = Vec::new();
    for part in body.split(|token| *token == Token::SemiColon).filter(|part| !part.is_empty()) {
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
