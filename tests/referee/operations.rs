//! Random writes: by key, bulk, upsert, raw, key-moving; alone and in transactions.

use fastrand::Rng;
use sea_orm::Value;

use super::queries::Query;
use super::schemas::{IDS, Schema, text, value};
use crate::support::servers::Backend;

#[derive(Debug, Clone)]
pub enum Operation {
    Single(Write),
    Transaction { steps: Vec<Step>, commit: bool, immediate: bool },
}

#[derive(Debug, Clone)]
pub enum Step {
    Statement(Write),
    Read(Query),
    Savepoint { steps: Vec<Step>, commit: bool },
}

#[derive(Debug, Clone)]
pub struct Write {
    pub sql: String,
    pub values: Vec<Value>,
    pub via: Via,
}

#[derive(Debug, Clone, Copy)]
pub enum Via {
    Execute,
    QueryOne,
    QueryAll,
    Text,
}

impl Operation {
    pub fn random(rng: &mut Rng, schema: &Schema) -> Self {
        if rng.u8(0..6) > 0 {
            return Self::Single(Write::random(rng, schema));
        }
        let immediate = rng.bool();
        Self::Transaction { steps: steps(rng, schema, 0), commit: rng.u8(0..4) > 0, immediate }
    }
}

impl Operation {
    /// Does it change the schema, or what no trigger sees (MySQL's TRUNCATE)?
    pub fn changes_schema(&self, backend: Backend) -> bool {
        let of_write = |write: &Write| {
            write.sql.contains(" INDEX ")
                || (backend == Backend::MySql && write.sql.contains("TRUNCATE"))
        };
        fn any(steps: &[Step], of_write: &impl Fn(&Write) -> bool) -> bool {
            steps.iter().any(|step| match step {
                Step::Statement(write) => of_write(write),
                Step::Read(_) => false,
                Step::Savepoint { steps, .. } => any(steps, of_write),
            })
        }
        match self {
            Self::Single(write) => of_write(write),
            Self::Transaction { steps, .. } => any(steps, &of_write),
        }
    }
}

fn steps(rng: &mut Rng, schema: &Schema, depth: u8) -> Vec<Step> {
    (0..rng.usize(1..4))
        .map(|_| match rng.u8(0..8) {
            0 if depth < 2 => {
                Step::Savepoint { steps: steps(rng, schema, depth + 1), commit: rng.bool() }
            }
            1 => Step::Read(Query::random(rng, schema)),
            _ => Step::Statement(Write::random(rng, schema)),
        })
        .collect()
}

fn table(rng: &mut Rng) -> &'static str {
    ["t", "t", "t", "u", "v"][rng.usize(0..5)]
}

fn settable(rng: &mut Rng, table: &str) -> &'static str {
    let columns: &[&str] = match table {
        "t" => &["k", "a", "b", "s"],
        "u" => &["x", "y"],
        _ => &["t_id", "w", "up"],
    };
    columns[rng.usize(0..columns.len())]
}

fn new_value(rng: &mut Rng, column: &str) -> String {
    match column {
        "s" => text(rng).into(),
        "b" => rng.i64(0..40).to_string(),
        "t_id" | "up" => rng.i64(1..=IDS).to_string(),
        "k" if rng.bool() => rng.i64(1..=5).to_string(),
        _ => value(rng),
    }
}

fn filter(rng: &mut Rng, table: &str) -> String {
    let key = match table {
        "t" => ["id", "id", "k", "a", "b", "s", "g"][rng.usize(0..7)],
        "u" => ["id", "id", "x", "y"][rng.usize(0..4)],
        _ => ["id", "id", "t_id", "w"][rng.usize(0..4)],
    };
    let id = rng.i64(1..=IDS);
    let one = if key == "id" { id.to_string() } else { new_value(rng, key) };
    match rng.u8(0..8) {
        0..5 => format!("{key} = {one}"),
        5 => format!("{key} IN ({one}, {})", rng.i64(1..=IDS)),
        6 => format!("{key} < {one}"),
        _ => format!("{key} IS NULL"),
    }
}

impl Write {
    /// One statement without parameters.
    pub fn new(sql: &str, via: Via) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new(), via }
    }

    pub fn random(rng: &mut Rng, schema: &Schema) -> Self {
        let sql = Self::sql(rng, schema);
        let returning = ["", "", " RETURNING *", " RETURNING id"][rng.usize(0..4)];
        // MariaDB's UPDATE has none.
        let returning = match schema.backend {
            Backend::MySql if !sql.starts_with("INSERT") && !sql.starts_with("DELETE FROM") => "",
            _ => returning,
        };
        let via = [Via::Execute, Via::QueryOne, Via::QueryAll, Via::Text][rng.usize(0..4)];
        let plain = ["INDEX", " IS ", "<=>", "TRUNCATE", "WITH ", "MERGE", "USING"]
            .iter()
            .any(|word| sql.contains(word));
        let sql = if plain { sql } else { sql + returning };
        let mut write = Self { sql, values: Vec::new(), via };
        if !matches!(via, Via::Text) && rng.bool() {
            write.bind(rng, schema.backend == Backend::Postgres);
        }
        if matches!(via, Via::Text) && rng.u8(0..6) == 0 {
            write.sql = format!("{};\n{}", write.sql, Self::sql(rng, schema));
        }
        write
    }

    /// Turns the integers of the text into parameters.
    fn bind(&mut self, rng: &mut Rng, postgres: bool) {
        let mut sql = String::new();
        for word in self.sql.split_inclusive([' ', ',', '(', ')']) {
            let digits = word.trim_end_matches([' ', ',', '(', ')']);
            match digits.parse::<i64>() {
                Ok(i) if rng.u8(0..4) > 0 => {
                    self.values.push(match rng.u8(0..6) {
                        // Its driver keeps one type for each parameter of a text.
                        _ if postgres => Value::Int(Some(i as i32)),
                        0 => Value::BigInt(Some(i)),
                        1 => Value::Double(Some(i as f64)),
                        2 => Value::String(Some(i.to_string())),
                        _ => Value::Int(Some(i as i32)),
                    });
                    sql.push('?');
                    sql.push_str(&word[digits.len()..]);
                }
                _ => sql.push_str(word),
            }
        }
        self.sql = sql;
    }

    fn sql(rng: &mut Rng, schema: &Schema) -> String {
        let foreign = schema.backend != Backend::Sqlite && rng.u8(0..3) == 0;
        match foreign.then(|| Self::of_server(rng, schema)) {
            Some(sql) => sql,
            None => Self::common(rng, schema),
        }
    }

    /// What only servers know, or spell in their own way.
    fn of_server(rng: &mut Rng, schema: &Schema) -> String {
        let table = table(rng);
        let column = settable(rng, table);
        let (new, id) = (new_value(rng, column), rng.i64(1..=IDS + 2));
        let insert = Self::insert(rng, table, "INSERT", id);
        let postgres = schema.backend == Backend::Postgres;
        match (rng.u8(0..10), postgres) {
            (0, true) => format!("{insert} ON CONFLICT DO NOTHING"),
            (0, false) => Self::insert(rng, table, "INSERT IGNORE", id),
            (1, true) if !schema.composite => {
                format!("{insert} ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column}")
            }
            (1, false) => format!("{insert} ON DUPLICATE KEY UPDATE {column} = {new}"),
            (2, true) => {
                format!("UPDATE {table} SET {column} = {new} WHERE id IS NOT DISTINCT FROM {id}")
            }
            (2, false) => format!("UPDATE {table} SET {column} = {new} WHERE id <=> {id}"),
            (3, true) => format!(
                "UPDATE t SET b = u.id FROM u WHERE t.k = u.id AND u.id = {}",
                rng.i64(1..=4)
            ),
            (3, false) => format!(
                "UPDATE t JOIN u ON t.k = u.id SET t.b = u.id WHERE u.id = {}",
                rng.i64(1..=4)
            ),
            (4, true) => {
                format!("DELETE FROM v USING t WHERE v.t_id = t.id AND t.a = {}", rng.i64(0..4))
            }
            (4, false) => {
                format!("DELETE v FROM v JOIN t ON v.t_id = t.id WHERE t.a = {}", rng.i64(0..4))
            }
            (5, true) => format!(
                "WITH gone AS (DELETE FROM v WHERE id = {id} RETURNING t_id) UPDATE t SET b = 7 FROM gone WHERE t.id = gone.t_id"
            ),
            (5, false) => format!("UPDATE IGNORE {table} SET {column} = {new} WHERE id = {id}"),
            (6, true) => format!(
                "MERGE INTO u USING (SELECT {id} AS id) AS s ON u.id = s.id \
                 WHEN MATCHED THEN UPDATE SET x = 3 WHEN NOT MATCHED THEN INSERT (id, x) VALUES (s.id, 1)"
            ),
            (6, false) => format!(
                "UPDATE {table} SET {column} = {new} WHERE id > {} ORDER BY id LIMIT 1",
                id - 3
            ),
            (7, true) if rng.u8(0..8) == 0 => "TRUNCATE v".into(),
            (8, true) if rng.u8(0..12) == 0 => "TRUNCATE u CASCADE".into(),
            (9, true) if schema.partitioned => {
                format!("UPDATE t SET a = {} WHERE id = {id}", rng.i64(0..4))
            }
            (9, false) => Self::insert(rng, table, "REPLACE", id),
            _ => insert.replacen("(NULL", "(DEFAULT", 1),
        }
    }

    fn common(rng: &mut Rng, schema: &Schema) -> String {
        let sqlite = schema.backend == Backend::Sqlite;
        let table = table(rng);
        let column = settable(rng, table);
        let new = new_value(rng, column);
        let id = rng.i64(1..=IDS + 2);
        match rng.u8(0..28) {
            0..3 => Self::insert(rng, table, "INSERT", id),
            3 if sqlite => {
                let second = Self::row(rng, table, "NULL");
                format!("{}, {second}", Self::insert(rng, table, "INSERT OR IGNORE", id))
            }
            4 if sqlite => Self::insert(rng, table, "INSERT OR REPLACE", id),
            5 if sqlite => Self::insert(rng, table, "REPLACE", id),
            6 if sqlite && !schema.composite => format!(
                "{} ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}",
                Self::insert(rng, table, "INSERT", id)
            ),
            7 if sqlite && schema.unique_b => {
                format!("{} ON CONFLICT DO UPDATE SET a = 3", Self::insert(rng, "t", "INSERT", id))
            }
            8 => format!(
                "INSERT INTO v (t_id, w) SELECT id, a FROM t WHERE {} LIMIT 2",
                filter(rng, "t")
            ),
            9..13 => format!("UPDATE {table} SET {column} = {new} WHERE id = {id}"),
            13 => format!("UPDATE {table} SET {column} = {column} + 1 WHERE id = {id}"),
            14 | 15 => format!("UPDATE {table} SET {column} = {new} WHERE {}", filter(rng, table)),
            16 => {
                let other = settable(rng, table);
                let value = new_value(rng, other);
                format!(
                    "UPDATE {table} SET {column} = {new}, {other} = {value} WHERE {}",
                    filter(rng, table)
                )
            }
            17 => format!("UPDATE {table} SET id = {} WHERE id = {id}", rng.i64(1..=IDS + 4)),
            18 if sqlite => {
                format!("UPDATE OR REPLACE t SET b = {} WHERE id = {id}", rng.i64(0..40))
            }
            19 if sqlite => format!(
                "UPDATE t SET b = u.y FROM u WHERE t.k = u.id AND u.id = {}",
                rng.i64(1..=4)
            ),
            20 => format!("DELETE FROM {table} WHERE {}", filter(rng, table)),
            // Row ids are not in the catalog.
            21 if sqlite && rng.bool() => {
                format!("UPDATE t SET rowid = {} WHERE id = {id}", rng.i64(1..=IDS + 4))
            }
            // SQLite understands this, we do not.
            22 if sqlite && rng.bool() => {
                format!("UPDATE {table} SET {column} = {new} WHERE id IS {id}")
            }
            23 if sqlite && rng.u8(0..6) == 0 => {
                "CREATE INDEX IF NOT EXISTS late ON t (b, s)".into()
            }
            24 if sqlite && rng.u8(0..6) == 0 => "DROP INDEX IF EXISTS late".into(),
            _ => format!("DELETE FROM {table} WHERE id = {id}"),
        }
    }

    fn row(rng: &mut Rng, table: &str, id: &str) -> String {
        match table {
            "t" => format!(
                "({id}, {}, {}, {}, {})",
                new_value(rng, "k"),
                rng.i64(0..4),
                rng.i64(0..40),
                text(rng)
            ),
            "u" => format!("({id}, {}, {})", value(rng), value(rng)),
            _ => format!("({id}, {}, {})", new_value(rng, "t_id"), value(rng)),
        }
    }

    fn insert(rng: &mut Rng, table: &str, verb: &str, id: i64) -> String {
        let columns = match table {
            "t" => "id, k, a, b, s",
            "u" => "id, x, y",
            _ => "id, t_id, w",
        };
        let id = match rng.u8(0..8) {
            0..4 => id.to_string(),
            // The next number to AUTO_INCREMENT.
            4 => "0".into(),
            _ => "NULL".into(),
        };
        let row = Self::row(rng, table, &id);
        format!("{verb} INTO {table} ({columns}) VALUES {row}")
    }
}
