//! Statements that change what others mean: `SET`, `RESET`, `USE`, `set_config()`.

use sqlparser::tokenizer::Token;

use crate::sql::Dialect;
use crate::sql::facts::{Analysis, Reach, ReadFacts};

/// Settings that change neither what a statement reads nor what it writes.
const HARMLESS: &[&str] = &[
    "application_name",
    "client_min_messages",
    "constraints",
    "foreign_key_checks",
    "idle_in_transaction_session_timeout",
    "innodb_lock_wait_timeout",
    "lock_timeout",
    "lock_wait_timeout",
    "max_execution_time",
    "net_read_timeout",
    "net_write_timeout",
    "statement_timeout",
    "synchronous_commit",
    "unique_checks",
    "wait_timeout",
    "work_mem",
];

/// Settings by which a name may mean another table.
const NAMING: &[&str] = &["role", "search_path", "session"];

/// The meaning of a statement that starts with SET, RESET, DISCARD or USE.
pub(super) fn set(tokens: &[Token], dialect: Dialect) -> Analysis {
    let words: Vec<_> = tokens.iter().map(word).collect();
    let word = |index: usize| words.get(index).map_or("", |word| &**word);
    let local = word(1) == "local";
    let scoped = matches!(word(1), "session" | "local") && word(2) != "authorization";
    let name = if scoped { word(2) } else { word(1) };
    // `SET @x = 1` sets a variable, and statements with variables are not cached.
    let variable = dialect == Dialect::MySql && name.starts_with('@') && !name.starts_with("@@");
    let single = !tokens.contains(&Token::Comma);
    let reach = match (dialect, word(0)) {
        (_, "set") if HARMLESS.contains(&name) && single => return harmless(),
        (Dialect::MySql, "set") if variable && single => return harmless(),
        (Dialect::Postgres, "set") if name == "transaction" => Reach::Reads,
        (Dialect::Postgres, "set") if local && NAMING.contains(&name) => Reach::Transaction,
        (Dialect::Postgres, "set") if local => Reach::Reads,
        _ => Reach::Session,
    };
    changed(tokens, reach)
}

/// Does a query call `set_config()`? Then what it changes.
pub(super) fn set_config(tokens: &[Token]) -> Option<Analysis> {
    let at = tokens
        .windows(2)
        .position(|pair| called(&pair[0]) == "set_config" && pair[1] == Token::LParen)?;
    let arguments = &tokens[at + 2..];
    let end = arguments.iter().position(|token| *token == Token::RParen)?;
    let local = end > 0 && word(&arguments[end - 1]) == "true";
    let plain = match arguments.first() {
        Some(Token::SingleQuotedString(name)) => !NAMING.contains(&&*name.to_ascii_lowercase()),
        _ => false,
    };
    let reach = match (local, plain) {
        (true, true) => Reach::Reads,
        (true, false) => Reach::Transaction,
        (false, _) => Reach::Session,
    };
    Some(changed(tokens, reach))
}

fn changed(tokens: &[Token], reach: Reach) -> Analysis {
    let words: Vec<_> = tokens.iter().take(8).map(ToString::to_string).collect();
    Analysis::Session { what: words.join(" "), reach }
}

fn harmless() -> Analysis {
    Analysis::Read(ReadFacts::not_a_read())
}

/// A function's name, in quotes or not.
fn called(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    }
}
