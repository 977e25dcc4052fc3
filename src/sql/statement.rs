//! Which kind of statement a text is, also when it can't be parsed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, ObjectNamePart, Query, Statement, visit_relations};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token};

use crate::event::Reason;
use crate::fault::{Fault, broken};
use crate::schema::{Name, Schema};
use crate::sql::facts::{Analysis, Control, Occurrence, Reach, ReadFacts, WriteFacts};
use crate::sql::query::Walker;
use crate::sql::write::Writer;
use crate::sql::{Dialect, functions, parse, session};

/// In [`Schema::shadowed`], stands for a temporary trigger, which can fire on any table.
pub(crate) const ANY_TABLE: &str = "*";

/// Understands one SQL text as far as it can be understood.
pub(crate) fn analyze(sql: &str, dialect: Dialect, schema: &Schema) -> Analysis {
    let tokens = match parse::tokens(sql, dialect) {
        Ok(tokens) => tokens,
        Err(reason) => return by_first_word(sql, dialect, schema, reason),
    };
    // What MySQL runs and others skip: we can't know which version reads it.
    if dialect == Dialect::MySql && (sql.contains("/*!") || sql.contains("/*M!")) {
        let reason = Reason::NotUnderstood("a comment that is run".into());
        return by_first_word(sql, dialect, schema, reason);
    }
    parse::on_roomy_stack(tokens, |tokens| of_tokens(tokens, dialect, schema))
        .unwrap_or_else(|reason| by_first_word(sql, dialect, schema, reason))
}

/// A text that is not even looked at as a whole: a query if it starts like one.
fn by_first_word(sql: &str, dialect: Dialect, schema: &Schema, reason: Reason) -> Analysis {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    // Something else may follow the first statement.
    let is_single = !sql.trim_end().trim_end_matches(';').contains(';');
    match word.to_ascii_lowercase().as_str() {
        "select" | "values" if is_single && !may_write(sql, dialect, schema) => {
            Analysis::Read(ReadFacts::uncacheable(reason))
        }
        _ => Analysis::Opaque(reason.to_string()),
    }
}

/// May a text that starts like a query write all the same?
fn may_write(sql: &str, dialect: Dialect, schema: &Schema) -> bool {
    if dialect == Dialect::Sqlite {
        return false;
    }
    let sql = sql.to_lowercase();
    let writers = schema.routines.iter().filter(|(_, routine)| routine.may_write);
    let mut suspicious = writers.map(|(name, _)| &**name).chain(["set_config", "into"]);
    !schema.known || suspicious.any(|name| sql.contains(name))
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
    let mut session = None;
    for part in parts {
        match part {
            Analysis::Session { what, reach } => {
                // Whichever part it changes, it holds for what follows.
                session =
                    Some((what, if reach == Reach::Reads { Reach::Transaction } else { reach }));
            }
            Analysis::Read(_) => {}
            Analysis::Write(facts) => writes.extend(facts),
            Analysis::Opaque(why) => opaque = opaque.or(Some(why)),
            Analysis::Ddl { temporary: more } => {
                is_ddl = true;
                temporary.extend(more);
            }
            Analysis::RawTransaction { control: one, temporary: more } => {
                temporary.extend(more);
                // Whatever fails in between leaves open what this text opened.
                let opened =
                    matches!(control, Some(Control::Begin | Control::Savepoint | Control::Block));
                control = Some(match one {
                    Control::End | Control::Release if opened => Control::Block,
                    one => one,
                });
            }
        }
    }
    if let Some((what, Reach::Session)) = session {
        return Analysis::Session { what, reach: Reach::Session };
    }
    if session.is_some() {
        opaque = opaque.or(Some("a setting for the rest of the text".into()));
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
    let has = |wanted: &str| (1..tokens.len()).any(|index| word(index) == wanted);
    let raw = |control| Analysis::RawTransaction { control, temporary: Vec::new() };
    let not_a_read = || Analysis::Read(ReadFacts::not_a_read());
    let server = dialect != Dialect::Sqlite;
    if matches!(word(0).as_str(), "create" | "drop" | "alter") {
        return Analysis::Ddl { temporary: temporary_name(tokens, dialect, word) };
    }
    if dialect == Dialect::Postgres
        && let Some(temporary) = made_by_select(tokens, dialect)
    {
        return Analysis::Ddl { temporary };
    }
    if let Some(routine) = writing_call(tokens, dialect, schema) {
        return Analysis::Opaque(format!("{routine}() may write"));
    }
    let reads = matches!(word(0).as_str(), "select" | "values" | "with" | "show" | "explain");
    if server && !reads && schema.views_may_write() && names_view(tokens, dialect, schema) {
        return Analysis::Opaque("a view in it may write".into());
    }
    if dialect == Dialect::MySql && has("xor") {
        // The server and the parser do not agree on what it binds.
        return match word(0).as_str() {
            "select" => Analysis::Read(ReadFacts::uncacheable(Reason::NotUnderstood("XOR".into()))),
            _ => Analysis::Opaque("XOR is not understood".into()),
        };
    }
    match word(0).as_str() {
        "rename" if server => return Analysis::Ddl { temporary: Vec::new() },
        "begin" | "start" => return raw(Control::Begin),
        // The next one begins at once.
        "commit" | "end" | "rollback" | "abort" if has("chain") && !has("no") => {
            return raw(Control::Begin);
        }
        "commit" | "end" => return raw(Control::End),
        "abort" if server => return raw(Control::End),
        "rollback" => {
            // ROLLBACK TO keeps the transaction open.
            return if has("to") { not_a_read() } else { raw(Control::End) };
        }
        "savepoint" => return raw(Control::Savepoint),
        "release" => return raw(Control::Release),
        // MariaDB's `ANALYZE UPDATE …` runs the statement.
        "analyze" if dialect != Dialect::MySql || has("table") => return not_a_read(),
        "reindex" => return not_a_read(),
        "explain" | "describe" | "desc" if !has("analyze") && !has("analyse") => {
            return not_a_read();
        }
        "show" | "listen" | "unlisten" | "notify" | "checkpoint" | "vacuum" | "cluster"
        | "deallocate" | "fetch" | "move" | "close" | "comment"
            if server =>
        {
            return not_a_read();
        }
        "lock" if dialect == Dialect::Postgres => return not_a_read(),
        "set" | "reset" | "discard" | "use" if server => return session::set(tokens, dialect),
        "refresh" if dialect == Dialect::Postgres => return refresh(tokens, dialect, schema),
        // A setting can change what every other statement means.
        "pragma" if !tokens.contains(&Token::Eq) && asks(&word) => return not_a_read(),
        "pragma" => return Analysis::Opaque("a PRAGMA that may change a setting".into()),
        _ => {}
    }
    if dialect == Dialect::Postgres
        && let Some(changed) = session::set_config(tokens)
    {
        let lasts = matches!(changed, Analysis::Session { reach: Reach::Session, .. });
        let writes = ["insert", "update", "delete", "merge"];
        if !lasts && writes.iter().any(|verb| word(0) == *verb || has(verb)) {
            return Analysis::Opaque("it writes and changes a setting".into());
        }
        return changed;
    }
    match parse::statements(tokens.to_vec(), dialect) {
        Ok(mut parsed) if parsed.len() == 1 => match parsed.pop() {
            Some(statement) => of_statement(&statement, dialect, schema),
            None => not_a_read(),
        },
        Ok(_) => Analysis::Opaque("several statements without a semicolon".into()),
        Err(reason) => match word(0).as_str() {
            "select" | "values"
                if !schema.views_may_write() || !names_view(tokens, dialect, schema) =>
            {
                Analysis::Read(ReadFacts::uncacheable(reason))
            }
            _ => Analysis::Opaque(reason.to_string()),
        },
    }
}

fn names_view(tokens: &[Token], dialect: Dialect, schema: &Schema) -> bool {
    tokens.iter().any(|token| match token {
        Token::Word(word) => {
            schema.views.contains_key(&dialect.fold(&word.to_ident(Span::empty())))
        }
        _ => false,
    })
}

/// A call of a function that may write. SQLite's can't; without a catalog all that are not known
/// to be harmless may.
pub(super) fn writing_call(tokens: &[Token], dialect: Dialect, schema: &Schema) -> Option<String> {
    if dialect == Dialect::Sqlite {
        return None;
    }
    tokens.windows(2).find_map(|pair| match pair {
        [Token::Word(word), Token::LParen] => {
            let name = dialect.fold(&word.to_ident(Span::empty()));
            let unknown = !schema.known
                && word.keyword == Keyword::NoKeyword
                && functions::classify(&name).is_none()
                // The columns of an INSERT stand in parentheses, too.
                && word.quote_style.is_none();
            (unknown || schema.may_write(&name)).then(|| name.to_string())
        }
        _ => None,
    })
}

/// `REFRESH MATERIALIZED VIEW [CONCURRENTLY] name`
fn refresh(tokens: &[Token], dialect: Dialect, schema: &Schema) -> Analysis {
    let words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    let skipped = ["refresh", "materialized", "view", "concurrently", "with", "no", "data"];
    let parts = words.filter(|word| {
        word.quote_style.is_some() || !skipped.contains(&&*word.value.to_ascii_lowercase())
    });
    let parts = parts.map(|word| ObjectNamePart::Identifier(word.to_ident(Span::empty())));
    let name = ObjectName(parts.collect());
    match dialect.table_name(&name, schema).filter(|name| schema.table(name).is_some()) {
        Some(name) => Analysis::Write(vec![WriteFacts::unknown(name)]),
        None => Analysis::Opaque(format!("{name} is not in the catalog")),
    }
}

/// May a text end the transaction that it runs in? MySQL's do unless they are known not to.
pub(crate) fn may_commit(sql: &str, dialect: Dialect) -> bool {
    const HARMLESS: &[&str] = &[
        "(",
        "select",
        "insert",
        "update",
        "delete",
        "replace",
        "with",
        "values",
        "show",
        "explain",
        "describe",
        "desc",
        "do",
        "savepoint",
        "release",
        "use",
        "checksum",
        "handler",
    ];
    if dialect != Dialect::MySql {
        return false;
    }
    let word: String = sql.chars().take_while(char::is_ascii_alphabetic).collect();
    if !sql.contains(';') && HARMLESS.contains(&&*word.to_ascii_lowercase()) {
        return false;
    }
    let Ok(tokens) = parse::tokens(sql, dialect) else { return true };
    tokens.split(|token| *token == Token::SemiColon).any(|part| {
        let word = |token: &Token| token.to_string().to_ascii_lowercase();
        let Some(first) = part.first().map(word) else { return false };
        match &*first {
            // Of its variables one commits.
            "set" => part.iter().any(|token| word(token).contains("autocommit")),
            "rollback" => !part.iter().any(|token| word(token) == "to"),
            first => !HARMLESS.contains(&first),
        }
    })
}

/// `SELECT … INTO [TEMP] [TABLE] name` makes a table; which names it hides, if it is one.
fn made_by_select(tokens: &[Token], dialect: Dialect) -> Option<Vec<Name>> {
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    };
    let into = (1..tokens.len()).find(|index| {
        word(*index) == "into" && !matches!(&*word(index - 1), "insert" | "merge" | "replace")
    })?;
    let mut at = into + 1;
    let mut temporary = false;
    while matches!(&*word(at), "temp" | "temporary" | "local" | "global" | "unlogged" | "table") {
        temporary |= word(at).starts_with("temp");
        at += 1;
    }
    let name = match tokens.get(at) {
        Some(Token::Word(name)) => dialect.fold(&name.to_ident(Span::empty())),
        _ => ANY_TABLE.into(),
    };
    Some(if temporary || word(at) == "pg_temp" { vec![name] } else { Vec::new() })
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

/// The name that a `CREATE [OR REPLACE] [LOCAL] TEMPORARY …` hides on the connection that runs it.
fn temporary_name(tokens: &[Token], dialect: Dialect, word: impl Fn(usize) -> String) -> Vec<Name> {
    const OBJECTS: [&str; 6] = ["table", "view", "trigger", "sequence", "index", "function"];
    if word(0) != "create" {
        return Vec::new();
    }
    let Some(object) = (1..8).find(|index| OBJECTS.contains(&&*word(*index))) else {
        return Vec::new();
    };
    let is_temp = |word: &str| matches!(word, "temp" | "temporary" | "pg_temp");
    let declared = (1..object).any(|index| is_temp(&word(index)));
    let mut at = object + 1;
    if word(at) == "if" {
        at += 3;
    }
    let qualified = tokens.get(at + 1) == Some(&Token::Period);
    let in_temp = qualified && is_temp(&word(at));
    if !declared && !in_temp {
        return Vec::new();
    }
    if word(object) == "trigger" {
        return vec![ANY_TABLE.into()];
    }
    match tokens.get(if qualified { at + 2 } else { at }) {
        Some(Token::Word(name)) => vec![dialect.fold(&name.to_ident(Span::empty()))],
        _ => vec![ANY_TABLE.into()],
    }
}

/// The meaning of one parsed statement.
pub(super) fn of_statement(statement: &Statement, dialect: Dialect, schema: &Schema) -> Analysis {
    match statement {
        Statement::Query(query) if !Writer::writes(query) => match read(query, dialect, schema) {
            Ok(facts) => Analysis::Read(facts),
            Err(routine) => Analysis::Opaque(format!("{routine}() may write")),
        },
        _ => {
            let writer = Writer { dialect, schema };
            writer.statement(statement).map_or_else(Analysis::Opaque, Analysis::Write)
        }
    }
}

/// What a query reads; an error if a function in it may write, by that function's name.
fn read(query: &Query, dialect: Dialect, schema: &Schema) -> Result<ReadFacts, String> {
    let mut walker = Walker::new(schema, dialect);
    let shape = walker.outermost(query);
    if let Some(routine) = walker.writer {
        return Err(routine);
    }
    if !schema.known && broken(Fault::CacheWithoutCatalog) {
        return Ok(ReadFacts { uncacheable: None, ..ReadFacts::not_a_read() });
    }
    if !schema.known {
        // Nobody could say which writes, of whichever process, such a result depends on.
        return Ok(ReadFacts::uncacheable(Reason::NoCatalog));
    }
    if let Some(what) = &schema.unsafe_session {
        walker.failure.get_or_insert(Reason::Session(what.clone()));
    }
    if let Some(reason) = walker.failure {
        return Ok(ReadFacts::uncacheable(reason));
    }
    // A table that the walk passed over would be a dependency lost.
    let missed = visit_relations(query, |name| match dialect.table_name(name, schema) {
        Some(table) if walker.seen.contains(&*table) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(name.to_string()),
    });
    if let ControlFlow::Break(name) = missed {
        let reason = Reason::NotUnderstood(format!("the place of {name}"));
        return Ok(ReadFacts::uncacheable(reason));
    }
    Ok(ReadFacts {
        uncacheable: None,
        occurrences: walker.occurrences,
        coarse: walker.coarse,
        row_security: walker.row_security,
        no_cache: walker.no_cache,
        tags: walker.tags,
        offset: shape.and_then(|shape| shape.offset),
    })
}

/// The tables that a query reads, or why that can't be told.
pub(super) fn tables_of(
    query: &Query,
    dialect: Dialect,
    schema: &Schema,
) -> Result<Vec<WriteFacts>, Reason> {
    let facts = read(query, dialect, schema).map_err(Reason::UnknownFunction)?;
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
    pub(super) fn not_a_read() -> Self {
        Self::uncacheable(Reason::NotARead)
    }

    fn uncacheable(reason: Reason) -> Self {
        Self {
            uncacheable: Some(reason),
            occurrences: Vec::new(),
            coarse: false,
            row_security: None,
            no_cache: None,
            tags: BTreeSet::new(),
            offset: None,
        }
    }
}
