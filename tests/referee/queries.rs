//! Random queries over the tables of [`Schema`](super::Schema).

use fastrand::Rng;
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{EntityTrait, QueryTrait, Select, Value};

use super::dump;
use super::forms::Form;
use super::schemas::{IDS, Schema, text, value};
use crate::support::servers::Backend;

/// One query, and only such whose answer SQL fixes: LIMIT with a total order, and no choice among
/// values that are equal under a collation but differ in their spelling.
#[derive(Debug, Clone)]
pub struct Query {
    /// Without the leading SELECT.
    pub sql: String,
    pub values: Vec<Value>,
    /// The order of rows is part of the answer.
    pub ordered: bool,
    /// PostgreSQL numbers its parameters.
    pub numbered: bool,
    pub form: Form,
}

/// A text with `?` as PostgreSQL wants it, if so.
pub fn numbered(sql: &str, postgres: bool) -> String {
    if !postgres {
        return sql.to_owned();
    }
    let mut parts = sql.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        text += &format!("${}{part}", index + 1);
    }
    text
}

/// Collects the parameters of one SQL text.
struct Text<'r> {
    rng: &'r mut Rng,
    values: Vec<Value>,
    backend: Backend,
}

impl Query {
    pub fn random(rng: &mut Rng, schema: &Schema) -> Self {
        let mut text = Text { rng, values: Vec::new(), backend: schema.backend };
        let (sql, ordered) = text.query(schema);
        let numbered = schema.backend == Backend::Postgres;
        let values = text.values;
        let form = Form::random(rng, schema, &sql, ordered);
        Self { sql, values, ordered, numbered, form }
    }

    pub fn select(&self) -> Select<dump::Entity> {
        let mut select = dump::Entity::find();
        let sql = numbered(&self.sql, self.numbered);
        let text = Expr::cust_with_values(sql, self.values.clone());
        *QueryTrait::query(&mut select) = SelectStatement::new().expr(text).to_owned();
        select
    }

    pub fn normalise(&self, mut rows: Vec<String>) -> Vec<String> {
        if !self.ordered {
            rows.sort();
        }
        rows
    }
}

impl Text<'_> {
    /// A literal, or the same value as a parameter.
    fn int(&mut self, value: i64) -> String {
        match self.rng.u8(0..8) {
            0..4 => {
                self.values.push(Value::Int(Some(value as i32)));
                "?".into()
            }
            4 => {
                self.values.push(Value::BigInt(Some(value)));
                self.cast("BIGINT")
            }
            // The same value under another type: equal to the database.
            5 if self.backend == Backend::Postgres => format!("'{value}'"),
            5 if self.rng.bool() => {
                self.values.push(Value::String(Some(value.to_string())));
                "?".into()
            }
            6 if self.rng.bool() => {
                self.values.push(Value::Double(Some(value as f64)));
                self.cast("DOUBLE PRECISION")
            }
            _ => value.to_string(),
        }
    }

    /// PostgreSQL's driver keeps one type for each parameter of a text.
    fn cast(&self, to: &str) -> String {
        match self.backend {
            Backend::Postgres => format!("CAST(? AS {to})"),
            _ => "?".into(),
        }
    }

    fn column(&mut self, table: &str) -> &'static str {
        let columns: &[&str] = match table {
            "t" => &["id", "id", "k", "k", "a", "b", "s", "g"],
            "u" => &["id", "x", "y"],
            _ => &["id", "t_id", "t_id", "w", "up"],
        };
        columns[self.rng.usize(0..columns.len())]
    }

    fn operand(&mut self, column: &str) -> String {
        match column {
            "s" => text(self.rng).to_owned(),
            "id" | "t_id" => {
                let id = self.rng.i64(1..=IDS);
                self.int(id)
            }
            "b" => {
                let b = self.rng.i64(0..40);
                self.int(b)
            }
            _ => {
                let v = self.rng.i64(0..5);
                self.int(v)
            }
        }
    }

    fn condition(&mut self, table: &str, alias: &str) -> String {
        let column = self.column(table);
        let name = match self.rng.u8(0..4) {
            0 if self.backend == Backend::MySql => format!("`{alias}`.`{column}`"),
            0 => format!("\"{alias}\".\"{column}\""),
            1 if self.backend == Backend::Sqlite => format!("{alias}.[{column}]"),
            _ => format!("{alias}.{column}"),
        };
        match self.rng.u8(0..14) {
            0..6 => format!("{name} = {}", self.operand(column)),
            6 => format!("{} = {name}", self.operand(column)),
            7 => format!("{name} IN ({}, {})", self.operand(column), self.operand(column)),
            8 => format!("{name} IS NULL"),
            9 => format!("{name} < {}", self.operand(column)),
            10 => format!("{name} <> {}", self.operand(column)),
            11 if column == "s" => format!("coalesce({name}, 'x') > {}", self.operand(column)),
            11 => format!("coalesce({name}, 1) > {}", self.operand(column)),
            12 => {
                format!("({name} = {} OR {name} = {})", self.operand(column), self.operand(column))
            }
            _ => format!("NOT ({name} = {})", self.operand(column)),
        }
    }

    fn conditions(&mut self, table: &str, alias: &str) -> String {
        let parts = [0, 1, 1, 1, 2][self.rng.usize(0..5)];
        let mut all: Vec<_> = (0..parts).map(|_| self.condition(table, alias)).collect();
        if all.is_empty() {
            all.push("1 = 1".into());
        }
        let join = if self.rng.u8(0..8) == 0 { " OR " } else { " AND " };
        format!("({})", all.join(join))
    }

    fn query(&mut self, schema: &Schema) -> (String, bool) {
        let kind = self.rng.u8(0..34);
        let t = "t.id, t.k, t.a, t.b, t.s, t.g";
        let order = ["t.a", "t.b", "t.k", "t.g", "3", "t.id"][self.rng.usize(0..6)];
        let way = ["", "DESC"][self.rng.usize(0..2)];
        // A total order, also where the key has two columns.
        let total = format!("ORDER BY {order} {way}, t.id, t.a");
        let limit = self.rng.u8(1..5);
        match kind {
            0 | 1 => (format!("{t} FROM t WHERE t.id = {}", self.operand("id")), false),
            2 | 3 => (format!("* FROM t WHERE {}", self.conditions("t", "t")), false),
            4 => (format!("t.* FROM t WHERE {} {total}", self.conditions("t", "t")), true),
            5 | 6 => (
                format!("{t} FROM t WHERE {} {total} LIMIT {limit}", self.conditions("t", "t")),
                true,
            ),
            7 => {
                let where_ = self.conditions("t", "t");
                let offset = self.rng.i64(0..3);
                let offset = self.int(offset);
                (format!("{t} FROM t WHERE {where_} {total} LIMIT {limit} OFFSET {offset}"), true)
            }
            8 | 9 => (format!("count(*) FROM t WHERE {}", self.conditions("t", "t")), false),
            10 => (
                format!("count(*) FROM (SELECT * FROM t WHERE {}) AS q", self.conditions("t", "t")),
                false,
            ),
            11 => (format!("sum(t.b), max(t.a) FROM t WHERE {}", self.conditions("t", "t")), false),
            12 => (
                format!(
                    "DISTINCT t.a, {} FROM t WHERE {}",
                    if self.backend == Backend::Sqlite { "t.s COLLATE BINARY" } else { "t.k" },
                    self.conditions("t", "t")
                ),
                false,
            ),
            13 => (
                format!(
                    "t.k, count(*) AS n FROM t WHERE {} GROUP BY t.k HAVING count(*) > 1 ORDER BY 1",
                    self.conditions("t", "t")
                ),
                true,
            ),
            14 | 15 => {
                let on = self.join_condition("u");
                (
                    format!(
                        "{t}, u.id, u.x, u.y FROM t JOIN u ON {on} WHERE {}",
                        self.conditions("t", "t")
                    ),
                    false,
                )
            }
            16 | 17 => {
                let on = self.join_condition("u");
                let table = if self.rng.bool() { "t" } else { "u" };
                (
                    format!(
                        "{t}, u.* FROM t LEFT JOIN u ON {on} WHERE {}",
                        self.conditions(table, table)
                    ),
                    false,
                )
            }
            18 => (
                format!(
                    "t.id, t.a, v.id, v.w FROM t, v WHERE v.t_id = t.id AND {} AND {}",
                    self.conditions("v", "v"),
                    self.conditions("t", "t")
                ),
                false,
            ),
            19 => {
                let negated = ["", "NOT "][self.rng.usize(0..2)];
                let outer = self.conditions("t", "t");
                let inner = self.conditions("v", "v");
                (
                    format!(
                        "{t} FROM t WHERE {outer} AND {negated}EXISTS (SELECT 1 FROM v WHERE v.t_id = t.id AND {inner})"
                    ),
                    false,
                )
            }
            20 => {
                let outer = self.conditions("t", "t");
                let inner = self.conditions("u", "u");
                (
                    format!("{t} FROM t WHERE {outer} AND t.k IN (SELECT id FROM u WHERE {inner})"),
                    false,
                )
            }
            21 => (
                format!(
                    "{t}, (SELECT max(w) FROM v WHERE v.t_id = t.id) AS m FROM t WHERE {}",
                    self.conditions("t", "t")
                ),
                false,
            ),
            22 => (
                format!(
                    "t.id FROM t WHERE {} UNION SELECT v.w FROM v WHERE {}",
                    self.conditions("t", "t"),
                    self.conditions("v", "v")
                ),
                false,
            ),
            23 => (
                format!(
                    "x.id, y.id FROM t AS x JOIN t AS y ON x.a = y.b WHERE {}",
                    self.conditions("t", "x")
                ),
                false,
            ),
            24 => (
                format!(
                    "* FROM (WITH c AS (SELECT id, a FROM t WHERE {}) SELECT c.a, count(*) FROM c LEFT JOIN v ON v.t_id = c.id GROUP BY c.a) AS q",
                    self.conditions("t", "t")
                ),
                false,
            ),
            25 => (
                format!(
                    "* FROM (WITH RECURSIVE r (id) AS (SELECT id FROM v WHERE {} UNION SELECT v.id FROM v JOIN r ON v.up = r.id) SELECT v.id, v.w FROM v JOIN r ON r.id = v.id) AS q",
                    self.conditions("v", "v")
                ),
                false,
            ),
            26 => (
                format!(
                    "t.id, row_number() OVER (ORDER BY t.b, t.id, t.a) FROM t WHERE {}",
                    self.conditions("t", "t")
                ),
                false,
            ),
            27 => (
                format!(
                    "CASE WHEN t.a > 1 THEN t.b ELSE (SELECT count(*) FROM u WHERE u.x = t.a) END FROM t WHERE {}",
                    self.conditions("t", "t")
                ),
                false,
            ),
            28 if schema.has_view => {
                let v = value(self.rng);
                (format!("* FROM vw WHERE vid = {v} OR vb IS NOT NULL"), false)
            }
            29 if schema.has_view => {
                ("vv.vid, vv.vc, u.x FROM vv LEFT JOIN u ON u.id = vv.vid".into(), false)
            }
            // Row ids are not in the catalog, so this depends on the table as a whole.
            31 if !schema.composite && self.backend == Backend::Sqlite => {
                (format!("t.rowid, t.a FROM t WHERE {}", self.conditions("t", "t")), false)
            }
            // What a position means is not looked up, so this depends on the table as a whole.
            31 if !schema.partitioned && self.backend != Backend::Sqlite => {
                let where_ = self.conditions("t", "t");
                (format!("t.k, count(*) FROM t WHERE {where_} GROUP BY 1"), false)
            }
            // What a partition holds, its rows moving in and out.
            31 if schema.partitioned => {
                (format!("* FROM t_low WHERE {}", self.conditions("t", "t_low")), false)
            }
            30 => (
                format!(
                    "v.* FROM {}v LEFT JOIN t ON t.id = v.t_id AND {} WHERE t.id IS NULL",
                    match self.backend {
                        Backend::Sqlite => "main.",
                        Backend::Postgres => "public.",
                        Backend::MySql => "",
                    },
                    self.conditions("t", "t")
                ),
                false,
            ),
            _ => {
                let id = self.rng.i64(1..=IDS);
                let id = self.int(id);
                (format!("* FROM v WHERE t_id = {id} ORDER BY id DESC LIMIT {limit}"), true)
            }
        }
    }

    fn join_condition(&mut self, table: &str) -> String {
        let extra = match self.rng.u8(0..4) {
            0 => format!(" AND {}", self.condition(table, table)),
            1 => format!(" AND {}", self.condition("t", "t")),
            _ => String::new(),
        };
        format!("t.k = {table}.id{extra}")
    }
}
