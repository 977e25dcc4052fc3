//! SQL text → syntax trees, within limits that keep hostile or machine-made text harmless.

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::event::Reason;
use crate::sql::Dialect;

/// Texts beyond this are not analysed: parsing a megabyte takes longer than most queries.
pub(crate) const MAX_SQL_BYTES: usize = 1 << 20;

/// Chains such as `a AND b AND …` become trees as deep as they are long, and trees are walked (and
/// dropped) recursively. The stack that [`on_roomy_stack`] gives is measured for this many.
const MAX_OPERATORS: usize = 4_000;

/// Nested parentheses and subqueries. sqlparser's own default of 50 refuses conditions that query
/// builders really write.
const MAX_NESTING: usize = 100;

/// Texts with fewer operators fit on any thread's stack.
const FEW_OPERATORS: usize = 30;

pub(crate) fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
    }
}

/// The text's tokens without comments and white space, placeholders numbered from 1 (`?1`).
pub(crate) fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<Token>, Reason> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Reason::TooLong { bytes: sql.len() });
    }
    let mut tokens = Tokenizer::new(grammar(dialect), sql)
        .tokenize()
        .map_err(|error| Reason::NotParsed(error.to_string()))?;
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    number_placeholders(&mut tokens);
    if dialect == Dialect::MySql && sql.contains('\\') {
        // What a backslash stands for is not the same to the server in all cases, so this text is
        // not taken for a value that is known.
        for token in &mut tokens {
            if let Token::SingleQuotedString(text) = token {
                *token = Token::NationalStringLiteral(std::mem::take(text));
            }
        }
    }
    Ok(tokens)
}

/// SQL numbers a bare `?` by its place in the text, and a tree no longer shows that place.
fn number_placeholders(tokens: &mut [Token]) {
    let bare = |token: &Token| matches!(token, Token::Placeholder(name) if name == "?");
    let other = |token: &Token| matches!(token, Token::Placeholder(name) if name != "?");
    // Where bare and numbered ones are mixed, drivers do not agree with the database.
    if tokens.iter().any(bare) && tokens.iter().any(other) {
        for token in tokens {
            if let Token::Placeholder(name) = token {
                *name = ":mixed".into();
            }
        }
        return;
    }
    let mut last = 0_usize;
    for token in tokens {
        let Token::Placeholder(name) = token else {
            continue;
        };
        let explicit =
            name.strip_prefix(['?', '$']).and_then(|digits| digits.parse::<usize>().ok());
        match explicit {
            Some(number) => last = last.max(number),
            None if name == "?" => {
                last += 1;
                *name = format!("?{last}");
            }
            // A named parameter (`:name`) keeps its name and with it has no known index.
            None => {}
        }
    }
}

/// The index, from 0, of a placeholder as [`tokens`] numbers it.
pub(crate) fn placeholder_index(name: &str) -> Option<usize> {
    name.strip_prefix(['?', '$'])?.parse::<usize>().ok()?.checked_sub(1)
}

/// The statements of a text. The tokens must come from [`tokens`].
pub(crate) fn statements(tokens: Vec<Token>, dialect: Dialect) -> Result<Vec<Statement>, Reason> {
    Parser::new(grammar(dialect))
        .with_recursion_limit(MAX_NESTING)
        .with_tokens(tokens)
        .parse_statements()
        .map_err(|error| Reason::NotParsed(error.to_string()))
}

/// An expression by itself, as a catalog gives it.
pub(crate) fn expression(sql: &str, dialect: Dialect) -> Result<Expr, Reason> {
    Parser::new(grammar(dialect))
        .with_recursion_limit(MAX_NESTING)
        .with_tokens(tokens(sql, dialect)?)
        .parse_expr()
        .map_err(|error| Reason::NotParsed(error.to_string()))
}

/// Runs `work` where a tree made of these tokens can be walked without overflowing the stack.
///
/// # Errors
///
/// [`Reason::TooComplex`] if no reasonable stack would do.
pub(crate) fn on_roomy_stack<R>(
    tokens: Vec<Token>,
    work: impl FnOnce(Vec<Token>) -> R,
) -> Result<R, Reason> {
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators > MAX_OPERATORS {
        return Err(Reason::TooComplex);
    }
    if operators < FEW_OPERATORS {
        return Ok(work(tokens));
    }
    // Measured: a debug build takes below 8 KiB for each level of a tree, walked and dropped.
    let stack = (256 + operators * 16) * 1024;
    Ok(stacker::grow(stack, || work(tokens)))
}

/// May this token make the tree one level deeper?
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none()
                && !matches!(word.keyword, Keyword::NoKeyword | Keyword::NULL | Keyword::DEFAULT)
        }
        Token::Comma
        | Token::Placeholder(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::Period
        | Token::RParen
        | Token::SemiColon => false,
        // Opening parentheses nest, which the parser's own limit bounds; `(1), (2)` does not.
        Token::LParen => false,
        _ => true,
    }
}
