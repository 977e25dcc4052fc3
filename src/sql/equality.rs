//! AND-ed equalities on key columns: what bounds an occurrence to a slice of its table.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, ValueWithSpan};

use crate::schema::Name;
use crate::sql::facts::{Equality, Operand};
use crate::sql::parse::placeholder_index;
use crate::tag::KeyValue;

/// More values than this in an IN list are not told apart.
pub(crate) const MAX_IN_VALUES: usize = 256;

/// The AND-ed parts of a condition.
pub(crate) fn conjuncts<'e>(condition: &'e Expr, found: &mut Vec<&'e Expr>) {
    match condition {
        Expr::Nested(inner) => conjuncts(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        other => found.push(other),
    }
}

/// The equality that one conjunct states, if it is `column = value`, `column IN (values)` or
/// `column IS NULL`; `column` tells which column an expression is, if it is one.
pub(crate) fn equality(
    conjunct: &Expr,
    mut column: impl FnMut(&Expr) -> Option<Name>,
) -> Option<Equality> {
    match conjunct {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let (column, value) = match (column(strip(left)), column(strip(right))) {
                (Some(column), None) => (column, operand(right)),
                (None, Some(column)) => (column, operand(left)),
                _ => return None,
            };
            (value != Operand::Unknown).then(|| Equality { column, values: vec![value] })
        }
        Expr::InList { expr, list, negated: false } if list.len() <= MAX_IN_VALUES => {
            let column = column(strip(expr))?;
            let values: Vec<_> = list.iter().map(operand).collect();
            (!values.contains(&Operand::Unknown)).then_some(Equality { column, values })
        }
        Expr::IsNull(expr) => {
            let values = vec![Operand::Literal(KeyValue::Null)];
            Some(Equality { column: column(strip(expr))?, values })
        }
        _ => None,
    }
}

impl Equality {
    /// Does it hold for NULL? Then it says nothing about the nullable side of an outer join.
    pub(crate) fn admits_null(&self) -> bool {
        self.values.contains(&Operand::Literal(KeyValue::Null))
    }
}

fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => strip(inner),
        other => other,
    }
}

/// Where the value of an expression comes from, if it is a parameter or a plain literal.
pub(crate) fn operand(expr: &Expr) -> Operand {
    match strip(expr) {
        Expr::Value(ValueWithSpan { value, .. }) => literal(value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr) {
            Operand::Literal(KeyValue::Int(i)) => Operand::Literal(KeyValue::Int(-i)),
            _ => Operand::Unknown,
        },
        _ => Operand::Unknown,
    }
}

fn literal(value: &Value) -> Operand {
    match value {
        Value::Placeholder(name) => {
            placeholder_index(name).map_or(Operand::Unknown, Operand::Param)
        }
        Value::Number(digits, _) => {
            digits.parse().map_or(Operand::Unknown, |i| Operand::Literal(KeyValue::Int(i)))
        }
        Value::SingleQuotedString(text) => Operand::Literal(KeyValue::Text(text.clone())),
        Value::Null => Operand::Literal(KeyValue::Null),
        _ => Operand::Unknown,
    }
}
