//! Chrono's types, as seconds and nanoseconds: a leap second is nanoseconds beyond 10^9, as in
//! chrono itself.

use sea_orm::Value;
use sea_orm::sea_query::prelude::{
    DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc,
};

use super::input::{Input, put_signed, put_varint};
use super::scalar::{kind, put, some};

const DAY: i64 = 86_400;

/// Writes the value if it is one of chrono's.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::ChronoDate(v) => put(out, kind::DATE, *v, put_date),
        Value::ChronoTime(v) => {
            put(out, kind::TIME, *v, |out, time| {
                put_moment(out, NaiveDate::default().and_time(time))
            });
        }
        Value::ChronoDateTime(v) => put(out, kind::DATE_TIME, *v, put_moment),
        Value::ChronoDateTimeUtc(v) => {
            put(out, kind::UTC, *v, |out, at| put_moment(out, at.naive_utc()));
        }
        Value::ChronoDateTimeLocal(v) => {
            put(out, kind::LOCAL, *v, |out, at| put_moment(out, at.naive_utc()));
        }
        // A leap second that is none in UTC can't be made again from its parts.
        Value::ChronoDateTimeWithTimeZone(Some(at))
            if at.timestamp_subsec_nanos() >= 1_000_000_000
                && at.timestamp().rem_euclid(60) != 59 =>
        {
            return false;
        }
        Value::ChronoDateTimeWithTimeZone(v) => put(out, kind::ZONED, *v, |out, at| {
            put_signed(out, at.offset().local_minus_utc().into());
            put_moment(out, at.naive_utc());
        }),
        _ => return false,
    }
    true
}

pub(super) fn decode(kind: u8, full: bool, input: &mut Input<'_>) -> Option<Value> {
    Some(match kind {
        kind::DATE => Value::ChronoDate(some(full, || {
            let seconds = input.signed()?.checked_mul(DAY)?;
            Some(DateTime::<Utc>::from_timestamp(seconds, 0)?.date_naive())
        })?),
        kind::TIME => Value::ChronoTime(some(full, || Some(moment(input)?.naive_utc().time()))?),
        kind::DATE_TIME => Value::ChronoDateTime(some(full, || Some(moment(input)?.naive_utc()))?),
        kind::UTC => Value::ChronoDateTimeUtc(some(full, || moment(input))?),
        kind::LOCAL => Value::ChronoDateTimeLocal(some(full, || Some(moment(input)?.into()))?),
        kind::ZONED => Value::ChronoDateTimeWithTimeZone(some(full, || {
            let offset = FixedOffset::east_opt(input.signed()?.try_into().ok()?)?;
            Some(moment(input)?.with_timezone(&offset))
        })?),
        _ => return None,
    })
}

fn put_date(out: &mut Vec<u8>, date: NaiveDate) {
    put_signed(out, date.and_time(NaiveTime::MIN).and_utc().timestamp().div_euclid(DAY));
}

fn put_moment(out: &mut Vec<u8>, at: NaiveDateTime) {
    let at = at.and_utc();
    put_signed(out, at.timestamp());
    put_varint(out, at.timestamp_subsec_nanos().into());
}

fn moment(input: &mut Input<'_>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(input.signed()?, input.varint()?.try_into().ok()?)
}
