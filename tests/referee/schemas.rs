//! Random schemas: three tables with the traps that a schema can hold.

use fastrand::Rng;

use crate::support::servers::Backend;

/// `t` (id, k → u, a, b, s, g), `u` (id, x, y), `v` (id, t_id → t, w), and perhaps a view.
#[derive(Debug, Clone)]
pub struct Schema {
    pub statements: Vec<String>,
    /// `t`'s primary key is (id, a).
    pub composite: bool,
    pub has_view: bool,
    pub unique_b: bool,
    pub backend: Backend,
    /// `t` is made of the partitions `t_low` and `t_high`.
    pub partitioned: bool,
    /// What the triggers write is declared.
    pub declared: bool,
}

pub const IDS: i64 = 12;

pub fn value(rng: &mut Rng) -> String {
    if rng.u8(0..6) == 0 { "NULL".into() } else { rng.i64(0..4).to_string() }
}

pub fn text(rng: &mut Rng) -> &'static str {
    ["'x'", "'X'", "'y'", "'y '", "NULL"][rng.usize(0..5)]
}

pub fn one_of<'a>(rng: &mut Rng, choices: &[&'a str]) -> &'a str {
    choices[rng.usize(0..choices.len())]
}

impl Schema {
    pub fn random(rng: &mut Rng, backend: Backend) -> Self {
        if backend != Backend::Sqlite {
            return super::servers::random(rng, backend);
        }
        let composite = rng.u8(0..6) == 0;
        let unique_b = rng.u8(0..5) == 0;
        let mut statements = vec![Self::u(rng), Self::t(rng, composite), Self::v(rng, composite)];
        if unique_b {
            statements.push("CREATE UNIQUE INDEX t_b ON t (b)".into());
        }
        for index in ["t (k)", "t (a, b)", "t (s)", "t (g)", "u (x)", "v (t_id)", "v (w)"] {
            if rng.bool() {
                let name = index.replace([' ', '(', ')', ','], "");
                statements.push(format!("CREATE INDEX i_{name} ON {index}"));
            }
        }
        let has_view = rng.u8(0..3) > 0;
        if has_view {
            statements.push(Self::view(rng));
            if rng.bool() {
                statements
                    .push("CREATE VIEW vv AS SELECT vid, vb + 1 AS vc FROM vw WHERE vb > 0".into());
            } else {
                statements.push(
                    "CREATE VIEW vv AS SELECT vid, count(*) AS vc FROM vw GROUP BY vid".into(),
                );
            }
        }
        statements.extend(Self::triggers(rng));
        statements.extend(Self::data(rng));
        Self { composite, has_view, unique_b, ..Self::of(statements) }
    }

    /// These statements on SQLite.
    pub fn of(statements: Vec<String>) -> Self {
        Self {
            statements,
            composite: false,
            has_view: false,
            unique_b: false,
            backend: Backend::Sqlite,
            partitioned: false,
            declared: false,
        }
    }

    fn u(rng: &mut Rng) -> String {
        match rng.u8(0..4) {
            0 => "CREATE TABLE u (id INT PRIMARY KEY NOT NULL, x INTEGER, y INTEGER) WITHOUT ROWID"
                .into(),
            1 => "CREATE TABLE u (id INTEGER PRIMARY KEY, x NUMERIC, y REAL)".into(),
            _ => "CREATE TABLE u (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER)".into(),
        }
    }

    fn t(rng: &mut Rng, composite: bool) -> String {
        let actions = ["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"];
        let (delete, update) = (one_of(rng, &actions), one_of(rng, &actions));
        let reference = if rng.u8(0..3) > 0 {
            format!("REFERENCES u (id) ON DELETE {delete} ON UPDATE {update}")
        } else {
            String::new()
        };
        let collation = one_of(rng, &["", "COLLATE NOCASE", "COLLATE RTRIM", "COLLATE BINARY"]);
        let default = one_of(rng, &["", "DEFAULT 2"]);
        let generated = one_of(
            rng,
            &[
                "g INTEGER",
                "g INTEGER AS (b % 2) STORED",
                "g INTEGER GENERATED ALWAYS AS (a + b) VIRTUAL",
            ],
        );
        let (id, key) = if composite {
            ("id INTEGER", ", PRIMARY KEY (id, a)")
        } else {
            (
                one_of(
                    rng,
                    &[
                        "id INTEGER PRIMARY KEY",
                        "\"id\" INTEGER PRIMARY KEY AUTOINCREMENT",
                        "id INT PRIMARY KEY",
                    ],
                ),
                "",
            )
        };
        let name = one_of(rng, &["t", "\"t\"", "[t]", "T", "`t`"]);
        format!(
            "CREATE TABLE {name} ({id}, k INTEGER {default} {reference}, a INTEGER, b INTEGER, \
             s TEXT {collation}, {generated}{key})"
        )
    }

    fn v(rng: &mut Rng, composite: bool) -> String {
        let delete = one_of(rng, &["CASCADE", "SET NULL", "NO ACTION"]);
        let update = one_of(rng, &["CASCADE", "NO ACTION"]);
        let target = if composite { "" } else { "REFERENCES t (id)" };
        let actions = if composite {
            String::new()
        } else {
            format!("ON DELETE {delete} ON UPDATE {update}")
        };
        let own = if rng.bool() {
            ", up INTEGER REFERENCES v (id) ON DELETE CASCADE"
        } else {
            ", up INTEGER"
        };
        format!(
            "CREATE TABLE v (id INTEGER PRIMARY KEY, t_id INTEGER {target} {actions}, w INTEGER{own})"
        )
    }

    fn view(rng: &mut Rng) -> String {
        one_of(
            rng,
            &[
                "CREATE VIEW vw AS SELECT id AS vid, b AS vb FROM t WHERE a > 0",
                "CREATE VIEW vw (vid, vb) AS SELECT t.id, u.x FROM t JOIN u ON t.k = u.id",
                "CREATE VIEW vw AS SELECT k AS vid, sum(b) AS vb FROM t GROUP BY k",
                "CREATE VIEW vw AS SELECT id vid, w vb FROM v UNION ALL SELECT id, y FROM u",
            ],
        )
        .into()
    }

    fn triggers(rng: &mut Rng) -> Vec<String> {
        let all = [
            "CREATE TRIGGER tr1 AFTER INSERT ON t BEGIN UPDATE u SET x = x + 1 WHERE id = NEW.k; END",
            "CREATE TRIGGER tr2 AFTER UPDATE OF a ON t BEGIN INSERT INTO v (t_id, w) VALUES (NULL, NEW.a); END",
            "CREATE TRIGGER tr3 AFTER DELETE ON v BEGIN UPDATE t SET b = 0 WHERE id = OLD.t_id; DELETE FROM u WHERE y = 3; END",
            "CREATE TRIGGER tr4 BEFORE UPDATE ON u WHEN NEW.x > 1 BEGIN UPDATE v SET w = w + 1 WHERE w = OLD.y; END",
            "CREATE TRIGGER tr5 AFTER UPDATE ON t WHEN NEW.b = 1 BEGIN UPDATE t SET a = 1 WHERE id = NEW.id; END",
        ];
        all.iter().filter(|_| rng.u8(0..6) == 0).map(|sql| (*sql).into()).collect()
    }

    fn data(rng: &mut Rng) -> Vec<String> {
        let mut rows = Vec::new();
        for id in 1..=4 {
            rows.push(format!(
                "INSERT INTO u (id, x, y) VALUES ({id}, {}, {})",
                value(rng),
                value(rng)
            ));
        }
        for id in 1..=IDS {
            let k = if rng.bool() { rng.i64(1..=4).to_string() } else { "NULL".into() };
            rows.push(format!(
                "INSERT OR IGNORE INTO t (id, k, a, b, s) VALUES ({id}, {k}, {}, {}, {})",
                rng.i64(0..4),
                rng.i64(0..40),
                text(rng)
            ));
            rows.push(format!(
                "INSERT OR IGNORE INTO v (id, t_id, w) VALUES ({id}, (SELECT max(id) FROM t WHERE id <= {}), {})",
                rng.i64(1..=IDS),
                value(rng)
            ));
        }
        rows
    }
}
