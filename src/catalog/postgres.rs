//! PostgreSQL's catalog: `pg_catalog`, as one moment shows it.

use std::collections::HashMap;

use sea_orm::{
    AccessMode, ConnectionTrait, DbBackend, DbErr, IsolationLevel, QueryResult, Statement,
    TransactionSession, TransactionTrait,
};

use crate::outbox::is_own;
use crate::schema::{
    Action, Column, ColumnDefault, ForeignKey, InJson, KeyClass, Name, Operation, Routine, Schema,
    Table, Trigger, Typed, Unfit, View,
};
use crate::sql::qualified;

/// Everything but the system's own schemas. `r.name` is what a statement may call the relation,
/// and `r.visible` whether it may do so without its schema.
const RELATIONS: &str = "SELECT c.oid::int8 AS id, n.nspname::text AS schema, \
    c.relname::text AS name, c.relkind::text AS kind, pg_catalog.pg_table_is_visible(c.oid) AS visible, \
    c.relispartition AS part, c.relrowsecurity AS secured, \
    (c.relrowsecurity AND (pg_catalog.row_security_active(c.oid) OR EXISTS ( \
    SELECT 1 FROM pg_catalog.pg_class w JOIN pg_catalog.pg_namespace wn ON wn.oid = w.relnamespace \
    WHERE w.relkind = 'v' AND wn.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND pg_catalog.pg_get_userbyid(w.relowner) <> current_user))) AS hidden, \
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) ELSE '' END AS definition, \
    COALESCE((SELECT i.inhparent::int8 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1), 0) AS parent \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'";

const COLUMNS: &str = "WITH RECURSIVE base AS ( \
    SELECT t.oid, t.oid AS root, t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t \
    UNION ALL SELECT b.oid, t.oid, t.typbasetype, \
    CASE WHEN b.typtypmod >= 0 THEN b.typtypmod ELSE t.typtypmod END \
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype) \
    SELECT a.attrelid::int8 AS id, a.attname::text AS name, t.typname::text AS type, \
    (t.typtype = 'e') AS enumerated, (tn.nspname = 'pg_catalog') AS builtin, \
    CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE b.typtypmod END::int8 AS modifier, \
    a.attnotnull AS not_null, (a.attgenerated::text <> '') AS generated, \
    (a.atthasdef OR a.attidentity::text <> '' OR EXISTS (SELECT 1 FROM base x \
    JOIN pg_catalog.pg_type y ON y.oid = x.root WHERE x.oid = a.atttypid AND y.typdefault IS NOT NULL)) AS has_default, \
    COALESCE(l.collisdeterministic, true) AS deterministic, a.attnum::int8 AS number \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN base b ON b.oid = a.atttypid AND b.typbasetype = 0 \
    JOIN pg_catalog.pg_type t ON t.oid = b.root JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f') \
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%' \
    ORDER BY a.attrelid, a.attnum";

/// One row for each column of each index; number 0 is an expression.
const INDEXES: &str = "SELECT i.indrelid::int8 AS id, i.indexrelid::int8 AS index, \
    (i.indisunique OR i.indisexclusion) AS uniq, i.indisprimary AS prim, k.ord::int8 AS ord, k.number::int8 AS number, \
    COALESCE(l.collisdeterministic, true) AS deterministic \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
    CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indcollation::oid[])) WITH ORDINALITY AS k(number, coll, ord) \
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = k.coll \
    WHERE c.relkind IN ('r', 'p', 'm') AND k.ord <= i.indnkeyatts AND i.indisvalid \
    ORDER BY i.indrelid, i.indexrelid, k.ord";

const FOREIGN_KEYS: &str = "SELECT f.oid::int8 AS key, f.conrelid::int8 AS child, f.confrelid::int8 AS parent, \
    f.confdeltype::text AS on_delete, f.confupdtype::text AS on_update, k.c::int8 AS child_number, k.p::int8 AS parent_number \
    FROM pg_catalog.pg_constraint f \
    CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey)) WITH ORDINALITY AS k(c, p, ord) \
    WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY f.oid, k.ord";

/// `SET NULL (columns)`, since version 15.
const PARTIAL: &str = "SELECT f.oid::int8 AS key FROM pg_catalog.pg_constraint f \
    WHERE f.contype = 'f' AND f.confdelsetcols IS NOT NULL";

/// Users' triggers and rules. Bits of `tgtype`: 2 BEFORE, 4 INSERT, 8 DELETE, 16 UPDATE.
const TRIGGERS: &str = "SELECT t.tgrelid::int8 AS id, t.tgname::text AS name, t.tgtype::int8 AS bits, \
    p.prosrc AS body FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' \
    UNION ALL SELECT r.ev_class::int8, r.rulename::text, 30, pg_catalog.pg_get_ruledef(r.oid) \
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
    WHERE r.ev_type <> '1' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
    ORDER BY 1, 2";

/// Tables with a default or a check that may write, or read what changes by itself.
const HIDDEN_CALLS: &str = "WITH calls AS (SELECT d.classid, d.objid, p.prosrc \
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid \
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND p.provolatile <> 'i' \
    AND l.lanname NOT IN ('c', 'internal') AND p.pronamespace <> 'pg_catalog'::regnamespace) \
    SELECT f.adrelid::int8 AS id, c.prosrc AS body FROM calls c \
    JOIN pg_catalog.pg_attrdef f ON c.classid = 'pg_catalog.pg_attrdef'::regclass AND f.oid = c.objid \
    UNION SELECT k.conrelid::int8, c.prosrc FROM calls c \
    JOIN pg_catalog.pg_constraint k ON c.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = c.objid \
    WHERE k.conrelid <> 0 \
    UNION SELECT a.attrelid::int8, c.prosrc FROM calls c \
    JOIN pg_catalog.pg_constraint k ON c.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = c.objid \
    JOIN pg_catalog.pg_attribute a ON a.atttypid = k.contypid WHERE k.contypid <> 0 ORDER BY 1, 2";

/// Operators, casts and checks of domains that run code which is not immutable: a query does not
/// show where they are called.
const UNSEEN_CALLS: &str = "SELECT count(*)::int8 FROM pg_catalog.pg_proc p \
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE p.provolatile <> 'i' AND l.lanname NOT IN ('c', 'internal') \
    AND p.pronamespace <> 'pg_catalog'::regnamespace AND ( \
    EXISTS (SELECT 1 FROM pg_catalog.pg_operator o WHERE o.oprcode = p.oid) \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast x WHERE x.castfunc = p.oid) \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint k \
    ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid \
    WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid AND k.contypid <> 0))";

/// What users made: a function of C or an immutable one does not write tables.
const ROUTINES: &str = "SELECT p.proname::text AS name, \
    bool_or(p.provolatile <> 'i' AND (l.lanname NOT IN ('c', 'internal') OR p.proname ~ 'dblink')) AS may_write \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
    GROUP BY p.proname";

/// What a SELECT has to satisfy under row-level security.
const POLICIES: &str = "SELECT p.polrelid::int8 AS id, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS expr \
    FROM pg_catalog.pg_policy p WHERE p.polcmd IN ('r', '*') AND p.polqual IS NOT NULL ORDER BY p.oid";

const SETTINGS: &str = "SELECT pg_catalog.current_setting('standard_conforming_strings') AS strings, \
    pg_catalog.pg_is_in_recovery() AS follows, pg_catalog.current_setting('default_transaction_isolation') AS isolation, \
    pg_catalog.current_setting('server_version_num')::int8 AS version";

const IDENTITY: &str = "SELECT pg_catalog.concat_ws(' ', \
    (SELECT system_identifier FROM pg_catalog.pg_control_system()), \
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), \
    pg_catalog.inet_server_addr(), pg_catalog.inet_server_port(), pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_schemas(true)::text, current_user, session_user, \
    pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('DateStyle'), \
    pg_catalog.current_setting('IntervalStyle'))";

/// The cluster, the database, and what else a statement's meaning hangs on.
pub(super) async fn identity(conn: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    match query(conn, IDENTITY).await?.first() {
        Some(row) => row.try_get_by_index(0),
        None => Ok(None),
    }
}

/// Reads everything in one transaction, so that all facts are of one moment.
pub(super) async fn load<C>(conn: &C) -> Result<Schema, DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let isolation = Some(IsolationLevel::RepeatableRead);
    let transaction = conn.begin_with_config(isolation, Some(AccessMode::ReadOnly)).await?;
    // This transaction's own isolation level is not the session's default.
    let schema = read(&transaction).await?;
    transaction.rollback().await?;
    Ok(schema)
}

async fn query(conn: &impl ConnectionTrait, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await
}

/// The relations by their object ids.
struct Relations {
    names: HashMap<i64, Name>,
    /// A table's column numbers, in the order of its columns.
    numbers: HashMap<i64, Vec<i64>>,
}

impl Relations {
    fn column(&self, table: i64, number: i64) -> Option<usize> {
        self.numbers.get(&table)?.iter().position(|known| *known == number)
    }
}

pub(super) async fn read(conn: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    let mut schema = Schema { known: true, ..Schema::default() };
    let settings = query(conn, SETTINGS).await?;
    let mut version = 0;
    for row in settings {
        schema.read_committed = row.try_get_by::<String, _>("isolation")? == "read committed";
        if row.try_get_by::<String, _>("strings")? != "on" {
            let why = "text is read in another way without standard_conforming_strings";
            return Err(DbErr::Custom(why.into()));
        }
        if row.try_get_by("follows")? {
            schema.unsafe_session = Some("it is a replica: see with_replica".into());
        }
        version = row.try_get_by::<i64, _>("version")?;
    }
    let mut relations = read_relations(conn, &mut schema).await?;
    read_columns(conn, &mut schema, &mut relations).await?;
    read_indexes(conn, &mut schema, &relations).await?;
    read_foreign_keys(conn, &mut schema, &relations, version).await?;
    read_triggers(conn, &mut schema, &relations).await?;
    for row in query(conn, POLICIES).await? {
        let table = relations.names.get(&row.try_get_by("id")?);
        let table = table.and_then(|name| schema.tables.get_mut(name));
        if let Some(policies) = table.and_then(|table| table.row_security.as_mut()) {
            policies.push(row.try_get_by("expr")?);
        }
    }
    for row in query(conn, HIDDEN_CALLS).await? {
        let Some(name) = relations.names.get(&row.try_get_by("id")?).cloned() else { continue };
        let body: String = row.try_get_by("body")?;
        let part_of = schema.tables.get(&name).and_then(|table| table.part_of.clone());
        let table = part_of.unwrap_or(name);
        schema.triggers.extend([Operation::Insert, Operation::Update].map(|event| Trigger {
            table: table.clone(),
            event,
            of: Vec::new(),
            writes: None,
            body: body.clone(),
        }));
    }
    for row in query(conn, UNSEEN_CALLS).await? {
        if row.try_get_by_index::<i64>(0)? > 0 {
            let why = "an operator, a cast or a domain may run what is not immutable";
            schema.unsafe_session = Some(why.into());
        }
    }
    for row in query(conn, ROUTINES).await? {
        let name: String = row.try_get_by("name")?;
        if is_own(&name) {
            continue;
        }
        let routine = Routine { may_write: row.try_get_by("may_write")?, reads: None };
        schema.routines.insert(name.into(), routine);
    }
    Ok(schema)
}

async fn read_relations(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
) -> Result<Relations, DbErr> {
    let mut names: HashMap<i64, Name> = HashMap::new();
    let (mut parents, mut inherits) = (HashMap::new(), Vec::new());
    let rows = query(conn, RELATIONS).await?;
    for row in &rows {
        let (of, name): (String, String) = (row.try_get_by("schema")?, row.try_get_by("name")?);
        if of.contains('.') || name.contains('.') {
            // It would have the name of another pair. What is not listed is not cached.
            continue;
        }
        let full = qualified(&of, &name);
        // Whatever the search_path of this connection: others of the cache may have another one.
        let known: Name = if of == "public" { name.as_str().into() } else { full.clone() };
        if row.try_get_by("visible")? && known == full {
            schema.visible.insert(name.as_str().into(), known.clone());
        }
        let id: i64 = row.try_get_by("id")?;
        names.insert(id, known.clone());
        schema.qualified.insert(full, known.clone());
        let kind: String = row.try_get_by("kind")?;
        if kind == "v" {
            let definition: String = row.try_get_by("definition")?;
            let sql = format!("CREATE VIEW v AS {definition}");
            schema.views.insert(known, View { sql, declared: false });
            continue;
        }
        let parent: i64 = row.try_get_by("parent")?;
        match row.try_get_by::<bool, _>("part")? {
            true => drop(parents.insert(id, parent)),
            false if parent != 0 => inherits.extend([id, parent]),
            false => {}
        }
        let table = Table {
            unfit: (kind == "f").then_some(Unfit::Elsewhere),
            row_security: row.try_get_by::<bool, _>("hidden")?.then(Vec::new),
            ..Table::new(known.clone())
        };
        schema.tables.insert(known, table);
    }
    for id in parents.keys() {
        let mut root = *id;
        while let Some(parent) = parents.get(&root) {
            root = *parent;
        }
        if let (Some(part), Some(root)) = (names.get(id), names.get(&root)) {
            let unfit = schema.tables.get(part).and_then(|part| part.unfit);
            schema.tables.entry(root.clone()).and_modify(|t| t.unfit = t.unfit.or(unfit));
            schema.tables.entry(part.clone()).and_modify(|t| t.part_of = Some(root.clone()));
        }
    }
    // Inheritance without partitions: rows of one table show up in another, under keys that need
    // not be unique.
    for name in inherits.iter().filter_map(|id| names.get(id)) {
        schema.tables.entry(name.clone()).and_modify(|t| t.part_of = Some("inheritance".into()));
        schema.tables.entry(name.clone()).and_modify(|t| t.unfit = Some(Unfit::Elsewhere));
    }
    Ok(Relations { names, numbers: HashMap::new() })
}

async fn read_columns(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    relations: &mut Relations,
) -> Result<(), DbErr> {
    for row in query(conn, COLUMNS).await? {
        let id: i64 = row.try_get_by("id")?;
        let Some(table) = relations.names.get(&id).and_then(|name| schema.tables.get_mut(name))
        else {
            continue;
        };
        let (kind, modifier): (String, i64) =
            (row.try_get_by("type")?, row.try_get_by("modifier")?);
        let own: bool = row.try_get_by("builtin")?;
        let class = if own {
            class_of(&kind, modifier, row.try_get_by("deterministic")?)
        } else {
            KeyClass::None
        };
        let default = match row.try_get_by("has_default")? {
            true => ColumnDefault::Unknown,
            false => ColumnDefault::Null,
        };
        relations.numbers.entry(id).or_default().push(row.try_get_by("number")?);
        table.columns.push(Column {
            name: row.try_get_by::<String, _>("name")?.into(),
            class,
            // Which rules a collation that ignores case follows can't be told from its name.
            folds: None,
            is_key: false,
            default,
            generated: row.try_get_by("generated")?,
            not_null: row.try_get_by("not_null")?,
            hidden: false,
            json: match own {
                true => in_json(&kind),
                false if row.try_get_by("enumerated")? => InJson::Exact,
                false => InJson::Unsure,
            },
        });
    }
    Ok(())
}

fn in_json(kind: &str) -> InJson {
    match kind {
        "bool" | "int2" | "int4" | "int8" | "oid" | "numeric" | "money" | "text" | "varchar"
        | "bpchar" | "char" | "name" | "bytea" | "uuid" | "date" | "time" | "timetz"
        | "timestamp" | "timestamptz" | "interval" | "bit" | "varbit" | "inet" | "cidr"
        | "macaddr" | "macaddr8" | "xml" | "tsvector" => InJson::Exact,
        "float4" | "float8" => InJson::Zero,
        "jsonb" => InJson::Null,
        // As it is written it has more than one form; and what is in an array may, too.
        _ => InJson::Unsure,
    }
}

/// Types whose values have one form under `=`. A varchar's modifier is its limit plus 4.
fn class_of(kind: &str, modifier: i64, deterministic: bool) -> KeyClass {
    KeyClass::Typed(match kind {
        "bool" => Typed::Bool,
        "int2" => Typed::Int16,
        "int4" => Typed::Int32,
        "int8" => Typed::Int64,
        "text" if deterministic => Typed::Text(None),
        "varchar" if deterministic => {
            Typed::Text(modifier.checked_sub(4).and_then(|limit| u32::try_from(limit).ok()))
        }
        "bytea" => Typed::Bytes(None),
        #[cfg(feature = "with-uuid")]
        "uuid" => Typed::Uuid,
        _ => return insensitive(kind),
    })
}

/// For the mutation tests: what if text were compared byte by byte where it is not?
fn insensitive(kind: &str) -> KeyClass {
    let blind = crate::fault::broken(crate::fault::Fault::CaseInsensitiveKeys);
    match kind {
        "text" | "varchar" | "bpchar" | "citext" if blind => KeyClass::Typed(Typed::Text(None)),
        _ => KeyClass::None,
    }
}

async fn read_indexes(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    relations: &Relations,
) -> Result<(), DbErr> {
    let mut uniques: HashMap<(Name, i64), Option<Vec<usize>>> = HashMap::new();
    for row in query(conn, INDEXES).await? {
        let id: i64 = row.try_get_by("id")?;
        let Some(table) = relations.names.get(&id).and_then(|name| schema.tables.get_mut(name))
        else {
            continue;
        };
        let position = relations.column(id, row.try_get_by("number")?);
        let (unique, primary): (bool, bool) = (row.try_get_by("uniq")?, row.try_get_by("prim")?);
        let first = row.try_get_by::<i64, _>("ord")? == 1;
        table.loose_unique |= unique && !row.try_get_by::<bool, _>("deterministic")?;
        if let Some(column) = position.and_then(|position| table.columns.get_mut(position)) {
            column.is_key |= unique || first;
        }
        if primary {
            table.primary_key.extend(position);
        } else if unique {
            let index = (table.name.clone(), row.try_get_by("index")?);
            let columns = uniques.entry(index).or_insert_with(|| Some(Vec::new()));
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
    relations: &Relations,
    version: i64,
) -> Result<(), DbErr> {
    let mut partial = Vec::new();
    if version >= 150_000 {
        for row in query(conn, PARTIAL).await? {
            partial.push(row.try_get_by::<i64, _>("key")?);
        }
    }
    let mut last = None;
    for row in query(conn, FOREIGN_KEYS).await? {
        let (child, parent): (i64, i64) = (row.try_get_by("child")?, row.try_get_by("parent")?);
        let (Some(child_name), Some(parent_name)) =
            (relations.names.get(&child), relations.names.get(&parent))
        else {
            continue;
        };
        let key: i64 = row.try_get_by("key")?;
        if last != Some(key) {
            last = Some(key);
            let on_delete = action(&row.try_get_by::<String, _>("on_delete")?);
            // Only some of the columns become NULL; which ones is not worth telling apart.
            let on_delete = if partial.contains(&key) { Action::SetDefault } else { on_delete };
            // Rows of a part are rows of the whole.
            let whole = |name: &Name| {
                let part_of = schema.tables.get(name).and_then(|table| table.part_of.clone());
                part_of.unwrap_or_else(|| name.clone())
            };
            let (child, parent) = (whole(child_name), whole(parent_name));
            schema.foreign_keys.push(ForeignKey {
                child,
                columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                on_delete,
                on_update: action(&row.try_get_by::<String, _>("on_update")?),
            });
        }
        let column = |table: i64, number: i64, name: &Name| {
            let position = relations.column(table, number)?;
            Some(schema.tables.get(name)?.columns.get(position)?.name.clone())
        };
        let own = column(child, row.try_get_by("child_number")?, child_name);
        let theirs = column(parent, row.try_get_by("parent_number")?, parent_name);
        if let (Some(own), Some(theirs), Some(key)) = (own, theirs, schema.foreign_keys.last_mut())
        {
            key.columns.push(own);
            key.parent_columns.push(theirs);
        }
    }
    schema.mark_foreign_keys();
    Ok(())
}

fn action(letter: &str) -> Action {
    match letter {
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::Nothing,
    }
}

async fn read_triggers(
    conn: &impl ConnectionTrait,
    schema: &mut Schema,
    relations: &Relations,
) -> Result<(), DbErr> {
    const BITS: [(i64, Operation); 3] =
        [(4, Operation::Insert), (8, Operation::Delete), (16, Operation::Update)];
    for row in query(conn, TRIGGERS).await? {
        if is_own(&row.try_get_by::<String, _>("name")?) {
            continue;
        }
        let Some(name) = relations.names.get(&row.try_get_by("id")?) else { continue };
        // A part's trigger fires for rows that are written to the whole.
        let part_of = schema.tables.get(name).and_then(|table| table.part_of.clone());
        let table = part_of.unwrap_or_else(|| name.clone());
        let bits: i64 = row.try_get_by("bits")?;
        if bits & 2 != 0
            && let Some(written) = schema.tables.get_mut(&table)
        {
            written.rewritten = true;
        }
        let body: String = row.try_get_by("body")?;
        // TRUNCATE (32) alone is told as an unknown change, which fires everything.
        let events = BITS.iter().filter(|(bit, _)| bits & bit != 0 || bits & 28 == 0);
        schema.triggers.extend(events.map(|(_, event)| Trigger {
            table: table.clone(),
            event: *event,
            of: Vec::new(),
            writes: None,
            body: body.clone(),
        }));
    }
    Ok(())
}
