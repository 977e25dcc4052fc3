//! Decimals with their scale and sign: 1.50 is not 1.5, nor is -0.

use sea_orm::Value;
use sea_orm::sea_query::prelude::Decimal;

use super::input::{Input, put_varint};
use super::scalar::{kind, put, some};

const NEGATIVE: u8 = 0x80;

/// Writes the value if it is a decimal.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) -> bool {
    let Value::Decimal(v) = value else { return false };
    put(out, kind::DECIMAL, *v, |out, decimal| {
        let sign = if decimal.is_sign_negative() { NEGATIVE } else { 0 };
        // A scale is at most 28.
        out.push(sign | decimal.scale() as u8);
        let digits = decimal.mantissa().unsigned_abs();
        put_varint(out, digits as u64);
        put_varint(out, (digits >> 64) as u64);
    });
    true
}

pub(super) fn decode(kind: u8, full: bool, input: &mut Input<'_>) -> Option<Value> {
    if kind != kind::DECIMAL {
        return None;
    }
    let decimal = some(full, || {
        let head = input.byte()?;
        let low = u128::from(input.varint()?);
        let digits = i128::try_from(u128::from(input.varint()?) << 64 | low).ok()?;
        let scale = u32::from(head & !NEGATIVE);
        let mut decimal = Decimal::try_from_i128_with_scale(digits, scale).ok()?;
        decimal.set_sign_negative(head & NEGATIVE != 0);
        Some(decimal)
    })?;
    Some(Value::Decimal(decimal))
}
