//! SQLite's catalog: `sqlite_master` and the table-valued pragmas.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use sqlparser::ast::{ColumnOption, Statement as Parsed};
use sqlparser::tokenizer::Token;

use crate::outbox::is_own;
use crate::schema::{
    Action, Column, ColumnDefault, Folds, ForeignKey, InJson, KeyClass, Name, Operation, Schema,
    Table, Trigger, Unfit, View,
};
use crate::sql::{Dialect, create_table_statement, sql_tokens, trigger};

const MASTER: &str = "SELECT type, name, tbl_name, COALESCE(sql, '') AS sql FROM sqlite_master \
    WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const COLUMNS: &str = "SELECT m.name AS tbl, x.name AS name, x.type AS type, \
    x.\"notnull\" AS not_null, x.dflt_value AS dflt, x.pk AS pk, x.hidden AS hidden \
    FROM sqlite_master m JOIN pragma_table_xinfo(m.name) x \
    WHERE m.type = 'table' ORDER BY m.name, x.cid";

const INDEXES: &str = "SELECT m.name AS tbl, l.name AS idx, l.\"unique\" AS uniq, \
    l.origin AS origin, x.seqno AS seq, x.name AS name, COALESCE(x.coll, '') AS coll \
    FROM sqlite_master m JOIN pragma_index_list(m.name) l JOIN pragma_index_xinfo(l.name) x \
    WHERE m.type = 'table' AND x.key = 1 ORDER BY m.name, l.name, x.seqno";

const FOREIGN_KEYS: &str = "SELECT m.name AS tbl, f.id AS id, f.\"table\" AS parent, \
    f.\"from\" AS child_column, f.\"to\" AS parent_column, \
    f.on_update AS on_update, f.on_delete AS on_delete \
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f \
    WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq";

/// The file behind `main`; `None` for a database in memory.
pub(super) async fn identity(conn: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    for row in query(conn, "PRAGMA database_list").await? {
        let (name, file): (String, Option<String>) =
            (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        if name == "main" {
            return Ok(file.filter(|file| !file.is_empty()).map(of_file));
        }
    }
    Ok(None)
}

/// A path alone is the same in every container, and stays when the file is made anew.
fn of_file(path: String) -> String {
    let machine = ["/proc/sys/kernel/random/boot_id", "/etc/machine-id"]
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok());
    let made = std::fs::metadata(&path).map(|file| (number(&file), file.created().ok()));
    format!("{path} {machine:?} {made:?}")
}

#[cfg(unix)]
fn number(file: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;

    (file.dev(), file.ino())
}

#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) {}

pub(super) async fn load(conn: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    // The facts come from several queries; somebody else's DDL may come between them.
    const ATTEMPTS: usize = 5;
    for _ in 0..ATTEMPTS {
        let before = version(conn).await?;
        let schema = read(conn).await?;
        if version(conn).await? == before {
            return Ok(schema);
        }
    }
    Err(DbErr::Custom("the schema keeps changing while its catalog is read".into()))
}

async fn version(conn: &impl ConnectionTrait) -> Result<i64, DbErr> {
    match query(conn, "PRAGMA schema_version").await?.first() {
        Some(row) => row.try_get_by_index(0),
        None => Ok(0),
    }
}

async fn query(conn: &impl ConnectionTrait, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await
}

async fn read(conn: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    let mut schema = Schema { known: true, ..Schema::default() };
    let mut triggers = Vec::new();
    let mut texts = HashMap::new();
    for row in query(conn, MASTER).await? {
        let kind: String = row.try_get_by("type")?;
        let (name, sql) = (folded(&row, "name")?, row.try_get_by::<String, _>("sql")?);
        match kind.as_str() {
            "table" => {
                let table = Table {
                    replaces: replaces_on_conflict(&sql),
                    unfit: is_virtual(&sql).then_some(Unfit::Elsewhere),
                    ..Table::new(name.clone())
                };
                schema.tables.insert(name.clone(), table);
                texts.insert(name, sql);
            }
            "view" => {
                schema.views.insert(name, View { sql, declared: false });
            }
            "trigger" if is_own(&name) => {}
            "trigger" => triggers.push((folded(&row, "tbl_name")?, sql)),
            _ => {}
        }
    }
    mark_shadow_tables(&mut schema);
    read_columns(conn, &mut schema, &texts).await?;
    read_indexes(conn, &mut schema).await?;
    read_foreign_keys(conn, &mut schema).await?;
    schema.triggers =
        triggers.iter().flat_map(|(table, sql)| understand(table, sql, &schema)).collect();
    Ok(schema)
}

/// A virtual table `f` keeps its data in tables `f_…`, where writes to it are not seen.
fn mark_shadow_tables(schema: &mut Schema) {
    let prefixes: Vec<String> = schema
        .tables
        .values()
        .filter(|table| table.unfit.is_some())
        .map(|table| format!("{}_", table.name))
        .collect();
    for table in schema.tables.values_mut() {
        if prefixes.iter().any(|prefix| table.name.starts_with(&**prefix)) {
            table.unfit = Some(Unfit::Elsewhere);
        }
    }
}

fn folded(row: &QueryResult, column: &str) -> Result<Name, DbErr> {
    Ok(row.try_get_by::<String, _>(column)?.to_ascii_lowercase().into())
}

/// `ON CONFLICT REPLACE` somewhere in the table's definition (or in a comment: no harm).
fn replaces_on_conflict(sql: &str) -> bool {
    let mut words = sql.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut after_conflict = false;
    words.any(|word| {
        let found = after_conflict && word.eq_ignore_ascii_case("replace");
        after_conflict = word.eq_ignore_ascii_case("conflict");
        found
    })
}

fn is_virtual(sql: &str) -> bool {
    let mut words = sql.split_whitespace();
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("create"))
        && words.next().is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
}

async fn read_columns(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    texts: &HashMap<Name, String>,
) -> Result<(), DbErr> {
    let mut keys: HashMap<Name, Vec<(i64, usize)>> = HashMap::new();
    for row in query(conn, COLUMNS).await? {
        let name = folded(&row, "tbl")?;
        let Some(table) = schema.tables.get_mut(&name) else {
            continue;
        };
        let declared: String = row.try_get_by("type")?;
        let (pk, hidden): (i64, i64) = (row.try_get_by("pk")?, row.try_get_by("hidden")?);
        let default: Option<String> = row.try_get_by("dflt")?;
        if pk > 0 {
            keys.entry(name).or_default().push((pk, table.columns.len()));
        }
        let is_null = default.is_none_or(|text| text.eq_ignore_ascii_case("null"));
        table.columns.push(Column {
            name: folded(&row, "name")?,
            class: class_of(&declared),
            folds: None,
            is_key: pk > 0,
            default: if is_null { ColumnDefault::Null } else { ColumnDefault::Unknown },
            generated: matches!(hidden, 2 | 3),
            not_null: row.try_get_by::<i64, _>("not_null")? != 0,
            hidden: hidden == 1,
            json: InJson::Exact,
        });
    }
    for (name, mut positions) in keys {
        positions.sort_unstable();
        if let Some(table) = schema.tables.get_mut(&name) {
            table.primary_key = positions.into_iter().map(|(_, position)| position).collect();
        }
    }
    for (name, sql) in texts.iter().filter(|(_, sql)| mentions_collation(sql)) {
        if let Some(table) = schema.tables.get_mut(name) {
            apply_collations(table, sql);
        }
    }
    Ok(())
}

fn mentions_collation(sql: &str) -> bool {
    sql.to_ascii_lowercase().contains("collate")
}

/// Only BINARY text has one spelling for each value.
fn apply_collations(table: &mut Table, sql: &str) {
    let Some(Parsed::CreateTable(create)) = create_table_statement(sql, Dialect::Sqlite) else {
        return table.columns.iter_mut().for_each(spell_loosely);
    };
    for definition in &create.columns {
        let collations: Vec<_> = definition
            .options
            .iter()
            .filter_map(|option| match &option.option {
                ColumnOption::Collation(name) => Some(name.to_string().to_ascii_lowercase()),
                _ => None,
            })
            .filter(|name| name != "binary")
            .collect();
        let name = Dialect::Sqlite.fold(&definition.name);
        let own = |column: &&mut Column| !collations.is_empty() && column.name == name;
        if let Some(column) = table.columns.iter_mut().find(own) {
            // Others are the application's own.
            let known = collations.iter().all(|name| matches!(&**name, "nocase" | "rtrim"));
            let folds = known && column.class == KeyClass::Text;
            column.folds = folds.then_some(Folds { limit: None });
            spell_loosely(column);
        }
    }
}

fn spell_loosely(column: &mut Column) {
    if column.class == KeyClass::Text
        && !crate::fault::broken(crate::fault::Fault::CaseInsensitiveKeys)
    {
        column.class = KeyClass::None;
    }
}

/// SQLite's rules of column affinity (<https://www.sqlite.org/datatype3.html>, 3.1): what is
/// compared with a column is first converted to it.
fn class_of(declared: &str) -> KeyClass {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        KeyClass::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        KeyClass::Text
    } else if has("BLOB") || declared.is_empty() {
        KeyClass::Bytes
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        KeyClass::None
    } else {
        // NUMERIC: a float that is a whole number is stored as an integer, as INTEGER does.
        KeyClass::Integer
    }
}

async fn read_indexes(conn: &impl ConnectionTrait, schema: &mut Schema) -> Result<(), DbErr> {
    let mut uniques: HashMap<(Name, String), Option<Vec<usize>>> = HashMap::new();
    for row in query(conn, INDEXES).await? {
        let name = folded(&row, "tbl")?;
        let Some(table) = schema.tables.get_mut(&name) else {
            continue;
        };
        let column: Option<String> = row.try_get_by("name")?;
        let column = column.map(|column| column.to_ascii_lowercase());
        let position =
            column.and_then(|column| table.columns.iter().position(|c| *c.name == *column));
        let unique = row.try_get_by::<i64, _>("uniq")? != 0;
        let first = row.try_get_by::<i64, _>("seq")? == 0;
        table.loose_unique |=
            unique && !row.try_get_by::<String, _>("coll")?.eq_ignore_ascii_case("binary");
        if let Some(column) = position.and_then(|position| table.columns.get_mut(position)) {
            column.is_key |= unique || first;
        }
        if unique && row.try_get_by::<String, _>("origin")? != "pk" {
            let index: String = row.try_get_by("idx")?;
            let columns = uniques.entry((name, index)).or_insert_with(|| Some(Vec::new()));
            match (columns.as_mut(), position) {
                (Some(columns), Some(position)) => columns.push(position),
                _ => *columns = None,
            }
        }
    }
    schema.add_uniques(uniques);
    Ok(())
}

async fn read_foreign_keys(conn: &impl ConnectionTrait, schema: &mut Schema) -> Result<(), DbErr> {
    let mut last = None;
    for row in query(conn, FOREIGN_KEYS).await? {
        let child = folded(&row, "tbl")?;
        let id: i64 = row.try_get_by("id")?;
        let parent = folded(&row, "parent")?;
        if last != Some((child.clone(), id)) {
            last = Some((child.clone(), id));
            schema.foreign_keys.push(ForeignKey {
                child: child.clone(),
                columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                on_delete: Action::named(&row.try_get_by::<String, _>("on_delete")?),
                on_update: Action::named(&row.try_get_by::<String, _>("on_update")?),
            });
        }
        let Some(key) = schema.foreign_keys.last_mut() else {
            continue;
        };
        key.columns.push(folded(&row, "child_column")?);
        if let Some(column) = row.try_get_by::<Option<String>, _>("parent_column")? {
            key.parent_columns.push(column.to_ascii_lowercase().into());
        }
    }
    for key in &mut schema.foreign_keys {
        if key.parent_columns.len() != key.columns.len() {
            let parent = schema.tables.get(&key.parent);
            let primary = parent.into_iter().flat_map(Table::primary_key);
            key.parent_columns = primary.map(|column| column.name.clone()).collect();
        }
    }
    schema.mark_foreign_keys();
    Ok(())
}

/// A trigger's event and what its body writes. One that can't be understood counts for every
/// event, with unknown writes.
fn understand(table: &Name, sql: &str, schema: &Schema) -> Vec<Trigger> {
    let trigger = |event, of| Trigger {
        table: table.clone(),
        event,
        of,
        writes: trigger::body_writes(sql, Dialect::Sqlite, schema),
        body: sql.to_owned(),
    };
    match event_of(sql) {
        Some((event, of)) => vec![trigger(event, of)],
        None => [Operation::Insert, Operation::Update, Operation::Delete]
            .map(|event| Trigger { writes: None, ..trigger(event, Vec::new()) })
            .into(),
    }
}

/// `… {DELETE | INSERT | UPDATE [OF columns]} ON table …`
fn event_of(sql: &str) -> Option<(Operation, Vec<Name>)> {
    let tokens = sql_tokens(sql, Dialect::Sqlite)?;
    let word = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => String::new(),
    };
    let on = tokens.iter().position(|token| word(token) == "on")?;
    let head = &tokens[..on];
    let (at, event) =
        head.iter().enumerate().find_map(|(at, token)| match word(token).as_str() {
            "insert" => Some((at, Operation::Insert)),
            "update" => Some((at, Operation::Update)),
            "delete" => Some((at, Operation::Delete)),
            _ => None,
        })?;
    let mut columns = Vec::new();
    for token in &head[at + 1..] {
        match token {
            Token::Word(name) if name.quote_style.is_some() || word(token) != "of" => {
                columns.push(name.value.to_ascii_lowercase().into());
            }
            Token::Word(_) | Token::Comma => {}
            // A name in a spelling that we do not expect: any column counts.
            _ => return Some((event, Vec::new())),
        }
    }
    Some((event, columns))
}
