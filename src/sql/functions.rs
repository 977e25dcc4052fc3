//! The functions that always give the same result for the same arguments and rows.
//!
//! An allow-list: whatever is missing makes a query uncached, never stale. Date and time functions
//! are missing on purpose, because any of their arguments may be the text `now`.

/// Functions of one row.
const SCALAR: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "ascii",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "btrim",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "floor",
    "format",
    "glob",
    "greatest",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "isnull",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_insert",
    "json_object",
    "json_patch",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "jsonb",
    "least",
    "left",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "lpad",
    "ltrim",
    "mod",
    "nullif",
    "octet_length",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sign",
    "sin",
    "sinh",
    "soundex",
    "split_part",
    "sqrt",
    "strpos",
    "substr",
    "substring",
    "tan",
    "tanh",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unlikely",
    "upper",
    "zeroblob",
];

/// Functions of a group of rows.
const AGGREGATE: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "group_concat",
    "json_agg",
    "json_group_array",
    "json_group_object",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
    "total",
];

/// Functions that need an OVER clause.
const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Functions in FROM that make rows out of their arguments alone.
const TABLE: &[&str] = &["json_each", "json_tree", "generate_series"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Scalar,
    Aggregate,
    Window,
}

/// The class of an immutable function, by its lower-case name; `None` if it is not known to be one.
pub(crate) fn classify(name: &str) -> Option<Class> {
    if AGGREGATE.contains(&name) {
        Some(Class::Aggregate)
    } else if SCALAR.contains(&name) {
        Some(Class::Scalar)
    } else if WINDOW.contains(&name) {
        Some(Class::Window)
    } else {
        None
    }
}

pub(crate) fn is_table_function(name: &str) -> bool {
    TABLE.contains(&name)
}
