//! PostgreSQL: triggers for each statement, with its rows before and after as tables; so a bulk
//! write is one note. They call one function, which knows rows only as JSON: a column that is added
//! or dropped later does not break it.
//!
//! They are ENABLE ALWAYS: what is written under `session_replication_role = replica` counts, too.
//! A session with `sea_orm_cache.own = on` is one of ours, which bumps by itself.

use super::{Watched, recorded};

/// A statement that touches more rows is noted as one that may have changed the whole table: as
/// many as a capture of our own reads.
const MAX_ROWS: usize = 256;

const EVENTS: [(&str, &str, &str); 4] = [
    ("insert", "INSERT", "REFERENCING NEW TABLE AS sea_orm_new"),
    ("update", "UPDATE", "REFERENCING OLD TABLE AS sea_orm_old NEW TABLE AS sea_orm_new"),
    ("delete", "DELETE", "REFERENCING OLD TABLE AS sea_orm_old"),
    ("truncate", "TRUNCATE", ""),
];

pub(super) fn drop(watched: &Watched<'_>) -> Vec<String> {
    let one = |(event, ..): (&str, &str, &str)| {
        let name = watched.quote(&watched.trigger(event));
        format!("DROP TRIGGER IF EXISTS {name} ON {}", watched.spelled)
    };
    EVENTS.map(one).into()
}

pub(super) fn create(watched: &Watched<'_>) -> Vec<String> {
    let table = watched.table;
    let key: Vec<_> = table.primary_key().map(|column| literal(&column.name)).collect();
    let keys: Vec<_> = recorded(table).map(|column| literal(&column.name)).collect();
    let function = function_name(watched.outbox.rsplit('.').next().unwrap_or_default());
    let schema = match watched.outbox.rsplit_once('.') {
        Some((schema, _)) => format!("{schema}."),
        None => String::new(),
    };
    let arguments = format!(
        "{}, {}, {}",
        literal(&table.name),
        literal(&array(&key)),
        literal(&array(&keys)),
    );
    let mut all = Vec::new();
    for (event, when, referencing) in EVENTS {
        let name = watched.quote(&watched.trigger(event));
        let on = &watched.spelled;
        all.push(format!(
            "CREATE TRIGGER {name} AFTER {when} ON {on} {referencing} \
             FOR EACH STATEMENT EXECUTE FUNCTION {schema}{function}({arguments})"
        ));
        all.push(format!("ALTER TABLE {on} ENABLE ALWAYS TRIGGER {name}"));
    }
    all
}

/// An array's text, of literals.
fn array(literals: &[String]) -> String {
    let quoted = literals.iter().map(|literal| {
        let name = literal[1..literal.len() - 1].replace("''", "'");
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    });
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn function_name(outbox: &str) -> String {
    format!("{}record_{}", super::RESERVED, outbox.trim_matches('"'))
}

pub(super) fn drop_function(outbox: &str) -> String {
    format!("DROP FUNCTION IF EXISTS {}()", function_name(outbox))
}

/// The function for all tables. It runs as its owner: whoever may write a table need not be
/// allowed to write the outbox.
pub(super) fn function(outbox: &str, spelled: &str) -> String {
    let schema = spelled.rsplit_once('.').map_or(String::new(), |(schema, _)| format!("{schema}."));
    let name = function_name(outbox);
    format!(
        r#"CREATE OR REPLACE FUNCTION {schema}{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    keys constant text[] := TG_ARGV[2];
    now_ms constant bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    many boolean;
BEGIN
    IF current_setting('sea_orm_cache.own', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        many := true;
    ELSIF TG_OP = 'DELETE' THEN
        many := (SELECT count(*) > {MAX_ROWS} FROM (SELECT FROM sea_orm_old LIMIT {MAX_ROWS} + 1) few);
    ELSE
        many := (SELECT count(*) > {MAX_ROWS} FROM (SELECT FROM sea_orm_new LIMIT {MAX_ROWS} + 1) few);
    END IF;
    IF many THEN
        INSERT INTO {spelled} (table_name, operation, created_ms) VALUES (TG_ARGV[0], '*', now_ms);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO {spelled} (table_name, operation, row_after, created_ms)
        SELECT TG_ARGV[0], 'I', (SELECT json_object_agg(key, value) FROM json_each(row_to_json(n)) WHERE key = ANY (keys)), now_ms
        FROM sea_orm_new n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {spelled} (table_name, operation, row_before, created_ms)
        SELECT TG_ARGV[0], 'D', (SELECT json_object_agg(key, value) FROM json_each(row_to_json(o)) WHERE key = ANY (keys)), now_ms
        FROM sea_orm_old o;
    ELSE
        -- A row that has no partner went, or came, under another primary key.
        INSERT INTO {spelled} (table_name, operation, row_before, row_after, changed, created_ms)
        SELECT TG_ARGV[0],
            CASE WHEN o.there IS NULL THEN 'I' WHEN n.there IS NULL THEN 'D' ELSE 'U' END,
            (SELECT json_object_agg(key, value) FROM json_each(o.whole) WHERE key = ANY (keys)),
            (SELECT json_object_agg(key, value) FROM json_each(n.whole) WHERE key = ANY (keys)),
            (SELECT coalesce(json_agg(a.key), '[]') FROM json_each_text(n.whole) a
                JOIN json_each_text(o.whole) b ON a.key = b.key WHERE a.value IS DISTINCT FROM b.value),
            now_ms
        FROM (SELECT true AS there, w.whole, identity.of FROM (SELECT row_to_json(r) AS whole FROM sea_orm_old r) w
                CROSS JOIN LATERAL (SELECT array_agg(w.whole ->> k ORDER BY k) AS of FROM unnest(TG_ARGV[1]::text[]) k) identity) o
        FULL JOIN (SELECT true AS there, w.whole, identity.of FROM (SELECT row_to_json(r) AS whole FROM sea_orm_new r) w
                CROSS JOIN LATERAL (SELECT array_agg(w.whole ->> k ORDER BY k) AS of FROM unnest(TG_ARGV[1]::text[]) k) identity) n
            ON o.of = n.of;
    END IF;
    RETURN NULL;
END
$body$"#
    )
}
