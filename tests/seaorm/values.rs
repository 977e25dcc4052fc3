//! Rows with values at the extremes of what each database takes, one in the middle, and NULLs.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::prelude::serde_json::json;

use crate::support::servers::Backend;
use crate::types::{full, hollow, huge, lists, tiny};

pub fn full(backend: Backend) -> Vec<full::Model> {
    vec![least(backend), middle(), most(backend)]
}

fn least(backend: Backend) -> full::Model {
    full::Model {
        id: 1,
        small: i16::MIN,
        middle: i32::MIN,
        large: i64::MIN,
        single: -1.5e38,
        double: -1.5e308,
        exact: decimal("-99999999999999.999999"),
        flag: false,
        name: String::new(),
        text: String::new(),
        code: "aaa".into(),
        bytes: Vec::new(),
        uuid: Uuid::nil(),
        date: date(1, 1, 1),
        time: time(0, 0, 0),
        at: date(1000, 1, 1).and_time(time(0, 0, 0)),
        utc: earliest(backend).to_utc(),
        zoned: earliest(backend),
        json: json!({}),
    }
}

fn middle() -> full::Model {
    let moment = moment("2024-02-29T12:30:15+05:30");
    full::Model {
        id: 2,
        small: 0,
        middle: -7,
        large: 1 << 40,
        single: 0.5,
        double: 1.0 / 3.0,
        exact: decimal("0.000001"),
        flag: true,
        name: "it's \"quoted\" \\ and ? $1".into(),
        text: "two\nlines\tand a tab %_".into(),
        code: "b c".into(),
        bytes: vec![0, 39, 92, 255],
        uuid: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        date: date(2024, 2, 29),
        time: time(12, 30, 15),
        at: date(2024, 2, 29).and_time(time(12, 30, 15)),
        utc: moment.to_utc(),
        zoned: moment,
        json: json!([1, 2.5, null, true, "x", {"deep": {"deeper": []}}]),
    }
}

fn most(backend: Backend) -> full::Model {
    full::Model {
        id: 3,
        small: i16::MAX,
        middle: i32::MAX,
        large: i64::MAX,
        single: 1.5e38,
        double: 1.5e308,
        exact: decimal("99999999999999.999999"),
        flag: true,
        name: "n".repeat(255),
        text: "long ".repeat(5_000),
        code: "zzz".into(),
        bytes: (0..=255).collect(),
        uuid: Uuid::max(),
        date: date(9999, 12, 31),
        time: time(23, 59, 59),
        at: date(9999, 12, 31).and_time(time(23, 59, 59)),
        utc: latest(backend).to_utc(),
        zoned: latest(backend),
        json: json!({"text": "\u{e9} \u{20ac}", "large": i64::MAX, "small": i64::MIN}),
    }
}

/// MariaDB's timestamps are seconds since 1970, in 31 bits.
fn earliest(backend: Backend) -> DateTimeWithTimeZone {
    match backend {
        Backend::MySql => moment("1970-01-02T00:00:01+00:00"),
        _ => moment("0001-01-01T00:00:00+00:00"),
    }
}

fn latest(backend: Backend) -> DateTimeWithTimeZone {
    match backend {
        Backend::MySql => moment("2038-01-19T03:14:07+00:00"),
        _ => moment("9999-12-31T23:59:59+00:00"),
    }
}

/// The same values, and a row of nothing but NULLs.
pub fn hollow(backend: Backend) -> Vec<hollow::Model> {
    let some = |row: full::Model| hollow::Model {
        id: row.id,
        small: Some(row.small),
        middle: Some(row.middle),
        large: Some(row.large),
        single: Some(row.single),
        double: Some(row.double),
        exact: Some(row.exact),
        flag: Some(row.flag),
        name: Some(row.name),
        bytes: Some(row.bytes),
        uuid: Some(row.uuid),
        date: Some(row.date),
        time: Some(row.time),
        at: Some(row.at),
        utc: Some(row.utc),
        zoned: Some(row.zoned),
        json: Some(row.json),
    };
    let mut rows: Vec<_> = full(backend).into_iter().map(some).collect();
    rows.push(empty(4));
    rows
}

fn empty(id: i64) -> hollow::Model {
    hollow::Model {
        id,
        small: None,
        middle: None,
        large: None,
        single: None,
        double: None,
        exact: None,
        flag: None,
        name: None,
        bytes: None,
        uuid: None,
        date: None,
        time: None,
        at: None,
        utc: None,
        zoned: None,
        json: None,
    }
}

pub fn tiny() -> Vec<tiny::Model> {
    let row = |id, tiny, rest: (u8, u16, u32)| tiny::Model {
        id,
        tiny,
        tiny_unsigned: rest.0,
        small_unsigned: rest.1,
        middle_unsigned: rest.2,
        maybe: (id != 2).then_some(rest.2),
    };
    vec![
        row(1, i8::MIN, (0, 0, 0)),
        row(2, 0, (1, 1, 1)),
        row(3, i8::MAX, (u8::MAX, u16::MAX, u32::MAX)),
    ]
}

pub fn huge() -> Vec<huge::Model> {
    let row = |id, large_unsigned, maybe| huge::Model { id, large_unsigned, maybe };
    // No signed integer holds the largest.
    vec![
        row(1, 0, None),
        row(2, i64::MAX.unsigned_abs() + 1, Some(0)),
        row(3, u64::MAX, Some(u64::MAX)),
    ]
}

pub fn lists() -> Vec<lists::Model> {
    let row = |id, numbers, words: &[&str], maybe| lists::Model {
        id,
        numbers,
        words: words.iter().map(ToString::to_string).collect(),
        maybe,
        uuids: vec![Uuid::nil(), Uuid::max()],
        json: json!({"id": id, "words": words}),
    };
    vec![
        row(1, vec![], &[], None),
        row(2, vec![i32::MIN, 0, i32::MAX], &["", "a,b", "{\"}"], Some(vec![])),
        row(3, vec![7; 100], &["NULL", "日本語"], Some(vec![i64::MIN, i64::MAX])),
    ]
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn date(year: i32, month: u32, day: u32) -> Date {
    Date::from_ymd_opt(year, month, day).expect("a date")
}

fn time(hour: u32, minute: u32, second: u32) -> Time {
    Time::from_hms_opt(hour, minute, second).expect("a time")
}

fn moment(text: &str) -> DateTimeWithTimeZone {
    DateTimeWithTimeZone::parse_from_rfc3339(text).expect("a moment")
}
