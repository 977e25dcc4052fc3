//! Which kind of statement a text is, also when it can't be parsed.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, Statement, visit_relations};
use sqlparser::tokenizer::Token;

use crate::event::Reason;
use crate::schema::{Name, Schema};
use crate::sql::facts::{Analysis, Control, Occurrence, ReadFacts, WriteFacts};
use crate::sql::query::Walker;
use crate::sql::write::Writer;
use crate::sql::{Dialect, parse};

/// In [`Schema::shadowed`], stands for a temporary trigger, which can fire on any table.
pub(crate) const ANY_TABLE: &str = "*";

/// Understands one SQL text as far as it can be understood.
pub(crate) fn analyze(sql: &str, dialect: Dialect, schema: &Schema) -> Analysis {
    let tokens = match parse::tokens(sql, dialect) {
        Ok(tokens) => tokens,
        Err(reason) => return by_first_word(sql, reason),
    };
    parse::on_roomy_stack(tokens, |tokens| of_tokens(tokens, dialect, schema))
        .unwrap_or_else(|reason| by_first_word(sql, reason))
}

/// A text that is not even looked at as a whole: a query if it starts like one.
fn by_first_word(sql: &str, reason: Reason) -> Analysis {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    // Something else may follow the first statement.
    let is_single = !sql.trim_end().trim_end_matches(';').contains(';');
    match word.to_ascii_lowercase().as_str() {
        "select" | "values" if is_single => Analysis::Read(ReadFacts::uncacheable(reason)),
        _ => Analysis::Opaque(reason.to_string()),
    }
}

fn of_tokens(tokens: Vec<Token>, dialect: Dialect, schema: &Schema) -> Analysis {
    let parts: Vec<_> = tokens
        .split(|token| *token == Token::SemiColon)
        .filter(|part| !part.is_empty())
        .map(|part| one(part, dialect, schema))
        .collect();
    combine(parts)
}

/// The meaning of several statements that are sent as one text.
fn combine(mut parts: Vec<Analysis>) -> Analysis {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    let (mut writes, mut temporary, mut is_ddl, mut opaque) = (Vec::new(), Vec::new(), false, None);
    let mut control: Option<Control> = None;
    for part in parts {
        match part {
            Analysis::Read(_) => {}
            Analysis::Write(facts) => writes.extend(facts),
            Analysis::Opaque(why) => opaque = opaque.or(Some(why)),
            Analysis::Ddl { temporary: more } => {
                is_ddl = true;
                temporary.extend(more);
            }
            Analysis::RawTransaction { control: one, temporary: more } => {
                temporary.extend(more);
                control = Some(match (control, one) {
                    (Some(Control::Begin), Control::End)
                    | (Some(Control::Savepoint), Control::Release) => Control::Block,
                    (_, one) => one,
                });
            }
        }
    }
    match (control, is_ddl, opaque) {
        (Some(control), ..) => Analysis::RawTransaction { control, temporary },
        (None, true, _) => Analysis::Ddl { temporary },
        (None, false, Some(why)) => Analysis::Opaque(why),
        (None, false, None) if writes.is_empty() => {
            Analysis::Read(ReadFacts::uncacheable(Reason::NotARead))
        }
        (None, false, None) => Analysis::Write(writes),
    }
}

fn one(tokens: &[Token], dialect: Dialect, schema: &Schema) -> Analysis {
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    };
    let raw = |control| Analysis::RawTransaction { control, temporary: Vec::new() };
    let not_a_read = || Analysis::Read(ReadFacts::uncacheable(Reason::NotARead));
    match word(0).as_str() {
        "create" | "drop" | "alter" => {
            return Analysis::Ddl { temporary: temporary_name(tokens, dialect, word) };
        }
        "begin" | "start" => return raw(Control::Begin),
        "commit" | "end" => return raw(Control::End),
        "rollback" => {
            // ROLLBACK TO keeps the transaction open.
            let to = (1..4).any(|index| word(index) == "to");
            return if to { not_a_read() } else { raw(Control::End) };
        }
        "savepoint" => return raw(Control::Savepoint),
        "release" => return raw(Control::Release),
        "analyze" | "reindex" => return not_a_read(),
        "explain" if (1..4).all(|index| word(index) != "analyze") => return not_a_read(),
        // A setting can change what every other statement means.
        "pragma" if !tokens.contains(&Token::Eq) && asks(&word) => return not_a_read(),
        "pragma" => return Analysis::Opaque("a PRAGMA that may change a setting".into()),
        _ => {}
    }
    match parse::statements(tokens.to_vec(), dialect) {
        Ok(mut parsed) if parsed.len() == 1 => match parsed.pop() {
            Some(statement) => of_statement(&statement, dialect, schema),
            None => not_a_read(),
        },
        Ok(_) => Analysis::Opaque("several statements without a semicolon".into()),
        Err(reason) => match word(0).as_str() {
            "select" | "values" => Analysis::Read(ReadFacts::uncacheable(reason)),
            _ => Analysis::Opaque(reason.to_string()),
        },
    }
}

/// A PRAGMA that only tells something, with or without an argument.
fn asks(word: &impl Fn(usize) -> String) -> bool {
    const QUESTIONS: &[&str] = &[
        "collation_list",
        "compile_options",
        "database_list",
        "foreign_key_check",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "pragma_list",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    ];
    QUESTIONS.contains(&&*word(1))
}

/// The name that a `CREATE TEMPORARY …` hides on the connection that runs it.
fn temporary_name(tokens: &[Token], dialect: Dialect, word: impl Fn(usize) -> String) -> Vec<Name> {
    if word(0) != "create" {
        return Vec::new();
    }
    let declared = matches!(word(1).as_str(), "temp" | "temporary");
    let object = if declared { word(2) } else { word(1) };
    let mut at = if declared { 3 } else { 2 };
    if word(at) == "if" {
        at += 3;
    }
    let qualified = tokens.get(at + 1) == Some(&Token::Period);
    let in_temp = qualified && matches!(word(at).as_str(), "temp" | "temporary");
    if !declared && !in_temp {
        return Vec::new();
    }
    if object == "trigger" {
        return vec![ANY_TABLE.into()];
    }
    match tokens.get(if qualified { at + 2 } else { at }) {
        Some(Token::Word(name)) => vec![dialect.fold(&sqlparser::ast::Ident {
            value: name.value.clone(),
            quote_style: name.quote_style,
            span: sqlparser::tokenizer::Span::empty(),
        })],
        _ => vec![ANY_TABLE.into()],
    }
}

/// The meaning of one parsed statement.
pub(super) fn of_statement(statement: &Statement, dialect: Dialect, schema: &Schema) -> Analysis {
    match statement {
        Statement::Query(query) if !Writer::writes(query) => {
            Analysis::Read(read(query, dialect, schema))
        }
        _ => {
            let writer = Writer { dialect, schema };
            writer.statement(statement).map_or_else(Analysis::Opaque, Analysis::Write)
        }
    }
}

fn read(query: &Query, dialect: Dialect, schema: &Schema) -> ReadFacts {
    let mut walker = Walker::new(schema, dialect);
    let shape = walker.outermost(query);
    if let Some(reason) = walker.failure {
        return ReadFacts::uncacheable(reason);
    }
    // A table that the walk passed over would be a dependency lost.
    let missed = visit_relations(query, |name| match dialect.table_name(name) {
        Some(table) if walker.seen.contains(&*table) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(name.to_string()),
    });
    if let ControlFlow::Break(name) = missed {
        return ReadFacts::uncacheable(Reason::NotUnderstood(format!("the place of {name}")));
    }
    ReadFacts {
        uncacheable: None,
        occurrences: walker.occurrences,
        coarse: walker.coarse,
        offset: shape.and_then(|shape| shape.offset),
    }
}

/// The tables that a query reads, or why that can't be told.
pub(super) fn tables_of(
    query: &Query,
    dialect: Dialect,
    schema: &Schema,
) -> Result<Vec<WriteFacts>, Reason> {
    let facts = read(query, dialect, schema);
    match facts.uncacheable {
        Some(reason) => Err(reason),
        None => Ok(facts.occurrences.iter().map(Occurrence::table_write).collect()),
    }
}

impl Occurrence {
    fn table_write(&self) -> WriteFacts {
        WriteFacts::unknown(self.table.clone())
    }
}

impl ReadFacts {
    fn uncacheable(reason: Reason) -> Self {
        Self { uncacheable: Some(reason), occurrences: Vec::new(), coarse: false, offset: None }
    }
}
