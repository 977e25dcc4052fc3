//! PostgreSQL: triggers for each statement, with its rows before and after as tables; so a bulk
//! write is one note. They call one function, which knows rows only as JSON: a column that is added
//! or dropped later does not break it.
//!
//! They are ENABLE ALWAYS: what is written under `session_replication_role = replica` counts, too.
//! A session with `sea_orm_cache.own = on` is one of ours, which bumps by itself.

use serde_json::Value;

use super::{Watched, recorded};
use crate::schema::{Column, InJson};

/// A statement that touches more rows is noted as one that may have changed the whole table: as
/// many as a capture of our own reads.
const MAX_ROWS: usize = 256;

/// On tables as the catalog names them.
pub(super) const THERE: &str = "SELECT t.tgname::text AS name, \
    CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS tbl \
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE NOT t.tgisinternal AND t.tgenabled = 'A'";

/// Stands for any value.
const UNSURE: &str = "*";

pub(super) const NOW_MS: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

pub(super) const EVENTS: [(&str, &str, &str); 4] = [
    ("insert", "INSERT", "REFERENCING NEW TABLE AS sea_orm_new"),
    ("update", "UPDATE", "REFERENCING OLD TABLE AS sea_orm_old NEW TABLE AS sea_orm_new"),
    ("delete", "DELETE", "REFERENCING OLD TABLE AS sea_orm_old"),
    ("truncate", "TRUNCATE", ""),
];

pub(super) fn create(watched: &Watched<'_>, ending: &str) -> Vec<String> {
    let table = watched.table;
    let array = |columns: Vec<&Column>| {
        let names: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
        watched.literal(&format!("{{{}}}", names.join(",")))
    };
    let keys: Vec<_> = recorded(table).map(|column| &column.name).collect();
    let others = table.columns.iter().filter(|column| !keys.contains(&&column.name)).collect();
    let function = function_name(watched.outbox.rsplit('.').next().unwrap_or_default());
    let schema = match watched.outbox.rsplit_once('.') {
        Some((schema, _)) => format!("{schema}."),
        None => String::new(),
    };
    // For each column that JSON does not tell all of: where that is so.
    let unsure = table.columns.iter().filter_map(|column| {
        let value = match column.json {
            InJson::Exact => return None,
            InJson::Null => Value::Null,
            InJson::Zero => 0.into(),
            InJson::Unsure => UNSURE.into(),
        };
        Some((column.name.to_string(), value))
    });
    let arguments = [
        watched.literal(&table.name),
        array(table.primary_key().collect()),
        array(table.columns.iter().collect()),
        array(others),
        watched.literal(&Value::Object(unsure.collect()).to_string()),
    ];
    let arguments = arguments.join(", ");
    let mut all = Vec::new();
    for (event, when, referencing) in EVENTS {
        let name = watched.quote(&watched.trigger(event, ending));
        let on = &watched.spelled;
        all.push(format!(
            "CREATE TRIGGER {name} AFTER {when} ON {on} {referencing} \
             FOR EACH STATEMENT EXECUTE FUNCTION {schema}{function}({arguments})"
        ));
        all.push(format!("ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}"));
    }
    all
}

/// An element of an array's text.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn function_name(outbox: &str) -> String {
    format!("{}record_{}", super::RESERVED, outbox.trim_matches('"'))
}

pub(super) fn drop_function(outbox: &str) -> String {
    format!("DROP FUNCTION IF EXISTS {}()", function_name(outbox))
}

/// The function for all tables. It runs as its owner: whoever may write a table need not be allowed
/// to write the outbox. Most updates are of one row, which keeps its key: that is done without a
/// query for it. (`.*` is the row, also where a column has its name.)
///
/// What JSON does not tell apart has changed if the row is not the same byte by byte; of several
/// rows that is not asked.
pub(super) fn function(outbox: &str, spelled: &str, notifies: bool) -> String {
    let schema = spelled.rsplit_once('.').map_or(String::new(), |(schema, _)| format!("{schema}."));
    let name = function_name(outbox);
    let notify = match notifies {
        true => format!(
            "IF TG_OP = 'TRUNCATE' OR unreadable \
             OR cardinality(coalesce(new_rows, old_rows)) > 0 THEN \
             PERFORM pg_notify('{outbox}', ''); END IF;"
        ),
        false => String::new(),
    };
    format!(
        r#"CREATE OR REPLACE FUNCTION {schema}{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $body$
DECLARE
    key constant text[] := TG_ARGV[1];
    columns constant text[] := TG_ARGV[2];
    others constant text[] := TG_ARGV[3];
    unsure constant jsonb := TG_ARGV[4];
    now_ms constant bigint := {NOW_MS};
    old_rows jsonb[];
    new_rows jsonb[];
    unreadable boolean := false;
    rewritten boolean := false;
    moved boolean := false;
    changed text := '';
    c text;
BEGIN
    IF current_setting('sea_orm_cache.own', true) = 'on' THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' THEN
            old_rows := ARRAY(SELECT to_jsonb(sea_orm_row.*) FROM sea_orm_old sea_orm_row LIMIT {MAX_ROWS} + 1);
        END IF;
        IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' THEN
            new_rows := ARRAY(SELECT to_jsonb(sea_orm_row.*) FROM sea_orm_new sea_orm_row LIMIT {MAX_ROWS} + 1);
        END IF;
        IF TG_OP = 'UPDATE' AND cardinality(new_rows) = 1 AND unsure <> '{{}}' THEN
            rewritten := (SELECT record_image_ne(sea_orm_row.*, sea_orm_after.*) FROM sea_orm_old sea_orm_row, sea_orm_new sea_orm_after);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        -- A value of more than 256 MB has no JSON: the write is to be done all the same.
        unreadable := true;
    END;
    {notify}
    IF TG_OP = 'TRUNCATE' OR unreadable OR cardinality(old_rows) > {MAX_ROWS} OR cardinality(new_rows) > {MAX_ROWS} THEN
        INSERT INTO {spelled} (table_name, operation, created_ms) VALUES (TG_ARGV[0], '*', now_ms);
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO {spelled} (table_name, operation, row_after, created_ms)
        SELECT TG_ARGV[0], 'I', r - others, now_ms FROM unnest(new_rows) r;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {spelled} (table_name, operation, row_before, created_ms)
        SELECT TG_ARGV[0], 'D', r - others, now_ms FROM unnest(old_rows) r;
        RETURN NULL;
    END IF;
    IF cardinality(old_rows) = 1 AND cardinality(new_rows) = 1 THEN
        FOREACH c IN ARRAY columns LOOP
            IF old_rows[1] ->> c IS DISTINCT FROM new_rows[1] ->> c OR (rewritten
                AND (unsure -> c IN (old_rows[1] -> c, '"{UNSURE}"') OR old_rows[1] -> c IS DISTINCT FROM new_rows[1] -> c)) THEN
                changed := changed || ',' || to_json(c)::text;
                moved := moved OR c = ANY (key);
            END IF;
        END LOOP;
        IF NOT moved THEN
            -- Of columns that were added since nothing more is told.
            IF old_rows[1] - columns IS DISTINCT FROM new_rows[1] - columns THEN
                changed := NULL;
            END IF;
            INSERT INTO {spelled} (table_name, operation, row_before, row_after, changed, created_ms)
            VALUES (TG_ARGV[0], 'U', old_rows[1] - others, new_rows[1] - others,
                '[' || substr(changed, 2) || ']', now_ms);
            RETURN NULL;
        END IF;
    END IF;
    -- A row that has no partner went, or came, under another primary key.
    INSERT INTO {spelled} (table_name, operation, row_before, row_after, changed, created_ms)
    SELECT TG_ARGV[0],
        CASE WHEN o.r IS NULL THEN 'I' WHEN n.r IS NULL THEN 'D' ELSE 'U' END,
        o.r - others, n.r - others,
        CASE WHEN o.r - columns IS NOT DISTINCT FROM n.r - columns THEN
            (SELECT coalesce(jsonb_agg(x), '[]') FROM unnest(columns) x
                WHERE o.r ->> x IS DISTINCT FROM n.r ->> x OR o.r -> x IS DISTINCT FROM n.r -> x OR unsure -> x IN (o.r -> x, '"{UNSURE}"'))
        END,
        now_ms
    FROM (SELECT r, (SELECT array_agg(r ->> k ORDER BY k) FROM unnest(key) k) AS id FROM unnest(old_rows) r) o
    FULL JOIN (SELECT r, (SELECT array_agg(r ->> k ORDER BY k) FROM unnest(key) k) AS id FROM unnest(new_rows) r) n
        ON o.id = n.id;
    RETURN NULL;
END
$body$"#
    )
}
