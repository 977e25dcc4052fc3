//! Random writes: by key, bulk, upsert, raw, key-moving; alone and in transactions.

use fastrand::Rng;
use sea_orm::Value;

use super::queries::Query;
use super::schemas::{IDS, Schema, text, value};

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
        let via = [Via::Execute, Via::QueryOne, Via::QueryAll, Via::Text][rng.usize(0..4)];
        let plain = sql.contains("INDEX") || sql.contains(" IS ");
        let sql = if plain { sql } else { sql + returning };
        let mut write = Self { sql, values: Vec::new(), via };
        if !matches!(via, Via::Text) && rng.bool() {
            write.bind(rng);
        }
        if matches!(via, Via::Text) && rng.u8(0..6) == 0 {
            write.sql = format!("{};\n{}", write.sql, Self::sql(rng, schema));
        }
        write
    }

    /// Turns the integers of the text into parameters.
    fn bind(&mut self, rng: &mut Rng) {
        let mut sql = String::new();
        for word in self.sql.split_inclusive([' ', ',', '(', ')']) {
            let digits = word.trim_end_matches([' ', ',', '(', ')']);
            match digits.parse::<i64>() {
                Ok(i) if rng.u8(0..4) > 0 => {
                    self.values.push(match rng.u8(0..6) {
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
        let table = table(rng);
        let column = settable(rng, table);
        let new = new_value(rng, column);
        let id = rng.i64(1..=IDS + 2);
        match rng.u8(0..28) {
            0..3 => Self::insert(rng, table, "INSERT", id),
            3 => {
                let second = Self::row(rng, table, "NULL");
                format!("{}, {second}", Self::insert(rng, table, "INSERT OR IGNORE", id))
            }
            4 => Self::insert(rng, table, "INSERT OR REPLACE", id),
            5 => Self::insert(rng, table, "REPLACE", id),
            6 if !schema.composite => format!(
                "{} ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}",
                Self::insert(rng, table, "INSERT", id)
            ),
            7 if schema.unique_b => {
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
            18 => format!("UPDATE OR REPLACE t SET b = {} WHERE id = {id}", rng.i64(0..40)),
            19 => format!(
                "UPDATE t SET b = u.y FROM u WHERE t.k = u.id AND u.id = {}",
                rng.i64(1..=4)
            ),
            20 => format!("DELETE FROM {table} WHERE {}", filter(rng, table)),
            // Row ids are not in the catalog.
            21 if rng.bool() => {
                format!("UPDATE t SET rowid = {} WHERE id = {id}", rng.i64(1..=IDS + 4))
            }
            // SQLite understands this, we do not.
            22 if rng.bool() => format!("UPDATE {table} SET {column} = {new} WHERE id IS {id}"),
            23 if rng.u8(0..6) == 0 => "CREATE INDEX IF NOT EXISTS late ON t (b, s)".into(),
            24 if rng.u8(0..6) == 0 => "DROP INDEX IF EXISTS late".into(),
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
        let id = if rng.bool() { id.to_string() } else { "NULL".into() };
        let row = Self::row(rng, table, &id);
        format!("{verb} INTO {table} ({columns}) VALUES {row}")
    }
}
