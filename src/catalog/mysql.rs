//! MySQL's and MariaDB's catalog: `information_schema`, for the database of the connection.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::outbox::is_own;
use crate::schema::{
    Action, Column, ColumnDefault, Folds, ForeignKey, InJson, KeyClass, Name, Operation, Routine,
    Schema, Table, Trigger, Typed, Unfit, View,
};
use crate::sql::{Dialect, qualified, trigger};

// `{db}` is written out: these views read every database's files unless they are told by a literal.
// Names in upper case come back so, or not, depending on the version: all columns are renamed. Text
// of the server comes as bytes unless it is cast.
const SETTINGS: &str = "SELECT CAST(DATABASE() AS CHAR) AS db, CAST(@@sql_mode AS CHAR) AS mode, \
    @@autocommit AS autocommit";

/// Under one of two names, depending on the version.
const ISOLATION: &str =
    "SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation', 'read_only')";

const TABLES: &str = "SELECT CAST(table_name AS CHAR) AS name, CAST(table_type AS CHAR) AS kind, \
    CAST(COALESCE(engine, '') AS CHAR) AS engine \
    FROM information_schema.tables WHERE table_schema = {db}";

const VIEWS: &str = "SELECT CAST(table_name AS CHAR) AS name, CAST(view_definition AS CHAR) AS definition \
    FROM information_schema.views WHERE table_schema = {db}";

const COLUMNS: &str = "SELECT CAST(table_name AS CHAR) AS tbl, CAST(column_name AS CHAR) AS name, \
    CAST(data_type AS CHAR) AS kind, CAST(column_type AS CHAR) AS type, CAST(is_nullable AS CHAR) AS nullable, \
    (column_default IS NULL OR (column_default = 'NULL' AND VERSION() LIKE '%MariaDB%')) AS no_default, CAST(extra AS CHAR) AS extra, \
    CAST(COALESCE(collation_name, '') AS CHAR) AS coll, \
    CAST(COALESCE(character_maximum_length, 0) AS SIGNED) AS length \
    FROM information_schema.columns WHERE table_schema = {db} ORDER BY table_name, ordinal_position";

const INDEXES: &str = "SELECT CAST(table_name AS CHAR) AS tbl, CAST(index_name AS CHAR) AS idx, \
    CAST(non_unique AS SIGNED) AS repeats, CAST(seq_in_index AS SIGNED) AS seq, CAST(column_name AS CHAR) AS name, \
    (sub_part IS NOT NULL) AS prefix FROM information_schema.statistics \
    WHERE table_schema = {db} ORDER BY table_name, index_name, seq_in_index";

const FOREIGN_KEYS: &str = "SELECT CAST(k.constraint_name AS CHAR) AS name, CAST(k.table_name AS CHAR) AS child, \
    CAST(k.column_name AS CHAR) AS child_column, CAST(k.referenced_table_schema AS CHAR) AS db, \
    CAST(k.referenced_table_name AS CHAR) AS parent, CAST(k.referenced_column_name AS CHAR) AS parent_column, \
    CAST(r.delete_rule AS CHAR) AS on_delete, CAST(r.update_rule AS CHAR) AS on_update \
    FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r \
    ON r.constraint_schema = {db} AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name \
    WHERE k.table_schema = {db} AND k.referenced_table_name IS NOT NULL \
    ORDER BY k.table_name, k.constraint_name, k.ordinal_position";

const TRIGGERS: &str = "SELECT CAST(event_object_table AS CHAR) AS tbl, CAST(event_manipulation AS CHAR) AS event, \
    CAST(action_timing AS CHAR) AS timing, CAST(action_statement AS CHAR) AS body, CAST(trigger_name AS CHAR) AS name \
    FROM information_schema.triggers WHERE event_object_schema = {db} \
    ORDER BY event_object_table, trigger_name";

const ROUTINES: &str = "SELECT CAST(routine_name AS CHAR) AS name FROM information_schema.routines \
    WHERE routine_type = 'FUNCTION'";

/// Values that tell one server from another, as far as its version has them.
const IDENTITY: &str = "SHOW VARIABLES WHERE Variable_name IN \
    ('server_uid', 'server_uuid', 'hostname', 'port', 'datadir', 'server_id', 'time_zone', 'sql_mode', 'read_only')";

const WHO: &str = "SELECT CAST(CONCAT_WS(' ', DATABASE(), CURRENT_USER()) AS CHAR)";

/// Modes under which the same text means something else to us than to the server.
const OTHER_SYNTAX: &[&str] = &["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "EMPTY_STRING_IS_NULL"];

pub(super) async fn identity(conn: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    let mut parts = Vec::new();
    for row in query(conn, IDENTITY).await? {
        let (name, value): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        parts.push(format!("{name}={value}"));
    }
    if !parts.iter().any(|part| part.starts_with("server_u") && !part.ends_with('=')) {
        return Ok(None);
    }
    for row in query(conn, WHO).await? {
        parts.push(row.try_get_by_index(0)?);
    }
    Ok(Some(parts.join(" ")))
}

pub(super) async fn load(conn: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    let mut schema = Schema { known: true, ..Schema::default() };
    let mut db = None;
    for row in query(conn, SETTINGS).await? {
        db = row.try_get_by::<Option<String>, _>("db")?;
        let mode: String = row.try_get_by("mode")?;
        schema.lenient =
            !mode.contains("STRICT_ALL_TABLES") && !mode.contains("STRICT_TRANS_TABLES");
        if OTHER_SYNTAX.iter().any(|other| mode.split(',').any(|mode| mode == *other)) {
            return Err(DbErr::Custom(format!("SQL is read in another way under sql_mode {mode}")));
        }
        if row.try_get_by::<i64, _>("autocommit")? == 0 {
            schema.unsafe_session = Some("autocommit is off".into());
        }
    }
    for row in query(conn, ISOLATION).await? {
        let level: String = row.try_get_by_index(1)?;
        schema.read_committed |= level == "READ-COMMITTED";
        if level == "ON" {
            schema.unsafe_session = Some("it only reads, as replicas do: see with_replica".into());
        }
        if level == "READ-UNCOMMITTED" {
            schema.unsafe_session = Some("it reads what is not committed".into());
        }
    }
    let Some(db) = db else {
        return Err(DbErr::Custom("the connection has no database of its own".into()));
    };
    if !may_see_everything(conn, &db).await? {
        let grant =
            format!("triggers may be hidden from this user: GRANT TRIGGER ON `{db}`.* TO it");
        schema.partly_hidden = Some(grant.into());
    }
    read_tables(conn, &mut schema, &db).await?;
    read_columns(conn, &mut schema, &db).await?;
    read_indexes(conn, &mut schema, &db).await?;
    read_foreign_keys(conn, &mut schema, &db).await?;
    for row in query(conn, ROUTINES).await? {
        let routine = Routine { may_write: true, reads: None };
        schema.routines.insert(folded(&row, "name")?, routine);
    }
    read_triggers(conn, &mut schema, &db).await?;
    Ok(schema)
}

/// Triggers, and foreign keys of tables that one may only read, are hidden from those who have no
/// privilege for them, without a word.
async fn may_see_everything(conn: &impl ConnectionTrait, db: &str) -> Result<bool, DbErr> {
    let wanted = db.to_ascii_lowercase();
    for row in query(conn, "SHOW GRANTS").await? {
        let grant: String = row.try_get_by_index(0)?;
        let Some((privileges, rest)) = grant.split_once(" ON ") else { continue };
        let Some((object, _)) = rest.split_once(" TO ") else { continue };
        let of = object.trim_end_matches(".*").trim_matches('`').replace('\\', "");
        let of = of.to_ascii_lowercase();
        let covers = object.ends_with(".*")
            && (of == "*"
                || of == wanted
                || of.strip_suffix('%').is_some_and(|p| wanted.starts_with(p)));
        let words = privileges.trim_start_matches("GRANT ");
        if covers && words.split(", ").any(|p| matches!(p, "ALL PRIVILEGES" | "ALL" | "TRIGGER")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A question about one database.
fn of_database(sql: &str, db: &str) -> String {
    let name = db.replace('\\', "\\\\").replace('\'', "''");
    sql.replace("{db}", &format!("'{name}'"))
}

async fn query(conn: &impl ConnectionTrait, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(DbBackend::MySql, sql)).await
}

fn folded(row: &QueryResult, column: &str) -> Result<Name, DbErr> {
    Ok(row.try_get_by::<String, _>(column)?.to_ascii_lowercase().into())
}

async fn read_tables(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    db: &str,
) -> Result<(), DbErr> {
    let mut doubled = Vec::new();
    let folded_db = db.to_ascii_lowercase();
    for row in query(conn, &of_database(TABLES, db)).await? {
        let name = folded(&row, "name")?;
        if name.contains('.') || schema.qualified.contains_key(&qualified(&folded_db, &name)) {
            // Names that differ in case only are two tables on some systems.
            doubled.push(name);
            continue;
        }
        schema.qualified.insert(qualified(&folded_db, &name), name.clone());
        let (kind, engine): (String, String) = (row.try_get_by("kind")?, row.try_get_by("engine")?);
        if kind.contains("VIEW") || kind.contains("SEQUENCE") {
            continue;
        }
        let unfit = (!engine.eq_ignore_ascii_case("innodb")).then_some(Unfit::NotTransactional);
        schema.tables.insert(name.clone(), Table { unfit, ..Table::new(name) });
    }
    for row in query(conn, &of_database(VIEWS, db)).await? {
        let sql = format!("CREATE VIEW v AS {}", row.try_get_by::<String, _>("definition")?);
        schema.views.insert(folded(&row, "name")?, View { sql, declared: false });
    }
    for name in doubled {
        schema.qualified.remove(&qualified(&folded_db, &name));
        schema.tables.remove(&name);
        schema.views.remove(&name);
    }
    Ok(())
}

async fn read_columns(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    db: &str,
) -> Result<(), DbErr> {
    for row in query(conn, &of_database(COLUMNS, db)).await? {
        let Some(table) = schema.tables.get_mut(&folded(&row, "tbl")?) else {
            continue;
        };
        let text =
            |column| row.try_get_by::<String, _>(column).map(|text| text.to_ascii_lowercase());
        let (extra, not_null) = (text("extra")?, text("nullable")? == "no");
        let default = if extra.contains("auto_increment") {
            ColumnDefault::Counter
        } else if row.try_get_by::<i64, _>("no_default")? != 0 && !not_null {
            ColumnDefault::Null
        } else {
            ColumnDefault::Unknown
        };
        let length: i64 = row.try_get_by("length")?;
        let (kind, collation) = (text("kind")?, text("coll")?);
        table.columns.push(Column {
            name: folded(&row, "name")?,
            class: class_of(&kind, &text("type")?, &collation, length),
            folds: folds_of(&kind, &collation, length),
            is_key: false,
            default,
            // A time that is set whenever something else is counts like one.
            generated: (extra.contains("generated") && !extra.contains("default_generated"))
                || extra.contains("virtual")
                || extra.contains("persistent")
                || extra.contains("on update"),
            not_null,
            hidden: extra.contains("invisible"),
            json: InJson::Exact,
        });
    }
    Ok(())
}

/// Types whose values have one form under `=`. Text only under a collation that compares bytes
/// and does not pad: the usual ones ignore case, accents or spaces at the end.
fn class_of(kind: &str, full: &str, collation: &str, length: i64) -> KeyClass {
    let blind = crate::fault::broken(crate::fault::Fault::CaseInsensitiveKeys);
    let exact = blind
        || matches!(collation, "binary" | "utf8mb4_0900_bin")
        || collation.ends_with("nopad_bin");
    let limit = u32::try_from(length).ok();
    KeyClass::Typed(match kind {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            match full.contains("unsigned") {
                true => Typed::UInt64,
                false => Typed::Int64,
            }
        }
        "varchar" if exact => Typed::Text(limit),
        // Their limit is in bytes, of which a character has up to four.
        "text" | "mediumtext" | "longtext" | "tinytext" if exact => {
            Typed::Text(limit.map(|bytes| bytes / 4))
        }
        "binary" => Typed::Bytes(limit),
        "varbinary" | "blob" | "mediumblob" | "longblob" | "tinyblob" => Typed::Bytes(None),
        _ => return KeyClass::None,
    })
}

/// Text under a collation in which printable ASCII is told apart by all but its case and the spaces
/// at its end. Not all that ignore case are so: under `roman_ci` I equals J, and U equals V.
fn folds_of(kind: &str, collation: &str, length: i64) -> Option<Folds> {
    let (charset, rules) = collation.split_once('_').unwrap_or_default();
    let unicode = matches!(charset, "utf8mb4" | "utf8mb3" | "utf8");
    let known = match rules {
        "general_ci" => unicode || matches!(charset, "latin1" | "ascii"),
        "swedish_ci" => charset == "latin1",
        "unicode_ci" | "unicode_520_ci" | "0900_ai_ci" | "0900_as_ci" | "uca1400_ai_ci"
        | "uca1400_as_ci" => unicode,
        _ => false,
    };
    let limit = u32::try_from(length).ok();
    let limit = match kind {
        "varchar" => limit,
        "text" | "mediumtext" | "longtext" | "tinytext" => limit.map(|bytes| bytes / 4),
        _ => return None,
    };
    known.then_some(Folds { limit })
}

async fn read_indexes(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    db: &str,
) -> Result<(), DbErr> {
    let mut uniques: HashMap<(Name, String), Option<Vec<usize>>> = HashMap::new();
    for row in query(conn, &of_database(INDEXES, db)).await? {
        let Some(table) = schema.tables.get_mut(&folded(&row, "tbl")?) else {
            continue;
        };
        let column = row.try_get_by::<Option<String>, _>("name")?.map(|c| c.to_ascii_lowercase());
        let position =
            column.and_then(|column| table.columns.iter().position(|c| *c.name == *column));
        let unique = row.try_get_by::<i64, _>("repeats")? == 0;
        let first = row.try_get_by::<i64, _>("seq")? == 1;
        let index: String = row.try_get_by("idx")?;
        // Of a prefix only the first characters are unique.
        let prefix = row.try_get_by::<i64, _>("prefix")? != 0;
        if let Some(column) = position.and_then(|position| table.columns.get_mut(position)) {
            column.is_key |= unique || first;
            table.loose_unique |= unique && (prefix || column.class == KeyClass::None);
        }
        if index == "PRIMARY" {
            table.primary_key.extend(position);
        } else if unique {
            let columns =
                uniques.entry((table.name.clone(), index)).or_insert_with(|| Some(Vec::new()));
            match (columns.as_mut(), position) {
                (Some(columns), Some(position)) => columns.push(position),
                _ => *columns = None,
            }
        }
    }
    schema.add_uniques(uniques);
    Ok(())
}

async fn read_foreign_keys(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    db: &str,
) -> Result<(), DbErr> {
    let (mut last, mut unseen) = (None, Vec::new());
    for row in query(conn, &of_database(FOREIGN_KEYS, db)).await? {
        // Who writes a parent elsewhere does not know of this child.
        if !row.try_get_by::<String, _>("db")?.eq_ignore_ascii_case(db) {
            unseen.push(folded(&row, "child")?);
            continue;
        }
        let (child, name) = (folded(&row, "child")?, row.try_get_by::<String, _>("name")?);
        if last != Some((child.clone(), name.clone())) {
            last = Some((child.clone(), name));
            schema.foreign_keys.push(ForeignKey {
                child,
                columns: Vec::new(),
                parent: folded(&row, "parent")?,
                parent_columns: Vec::new(),
                on_delete: Action::named(&row.try_get_by::<String, _>("on_delete")?),
                on_update: Action::named(&row.try_get_by::<String, _>("on_update")?),
            });
        }
        if let Some(key) = schema.foreign_keys.last_mut() {
            key.columns.push(folded(&row, "child_column")?);
            key.parent_columns.push(folded(&row, "parent_column")?);
        }
    }
    schema.mark_foreign_keys();
    while let Some(name) = unseen.pop() {
        match schema.tables.get_mut(&name) {
            Some(table) if table.unfit != Some(Unfit::Unseen) => table.unfit = Some(Unfit::Unseen),
            _ => continue,
        }
        let below = schema.foreign_keys.iter().filter(|key| key.parent == name);
        unseen.extend(below.map(|key| key.child.clone()));
    }
    Ok(())
}

async fn read_triggers(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    db: &str,
) -> Result<(), DbErr> {
    let mut found = Vec::new();
    for row in query(conn, &of_database(TRIGGERS, db)).await? {
        if is_own(&row.try_get_by::<String, _>("name")?) {
            continue;
        }
        let table = folded(&row, "tbl")?;
        let event = match row.try_get_by::<String, _>("event")?.as_str() {
            "INSERT" => Operation::Insert,
            "UPDATE" => Operation::Update,
            _ => Operation::Delete,
        };
        if row.try_get_by::<String, _>("timing")? == "BEFORE"
            && let Some(table) = schema.tables.get_mut(&table)
        {
            table.rewritten = true;
        }
        found.push((table, event, row.try_get_by::<Option<String>, _>("body")?));
    }
    for (table, event, body) in found {
        // MariaDB shows some who have no right to it that there is a trigger, and not what it does.
        let writes = body.as_ref().and_then(|b| trigger::body_writes(b, Dialect::MySql, schema));
        let body = body.unwrap_or_default();
        schema.triggers.push(Trigger { table, event, of: Vec::new(), writes, body });
    }
    Ok(())
}
