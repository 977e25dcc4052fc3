//! Random values, with those that are likely to go wrong among them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use fastrand::Rng;
use sea_orm::prelude::*;
use sea_orm::sea_query::prelude::IpNetwork;
use sea_orm::sea_query::prelude::MacAddress;

pub trait Sample: Sized {
    fn sample(rng: &mut Rng) -> Self;
}

macro_rules! integers {
    ($($int:ident),*) => {$(
        impl Sample for $int {
            fn sample(rng: &mut Rng) -> Self {
                let edges = [0, 1, <$int>::MIN, <$int>::MAX, <$int>::MAX / 2 + 1];
                match rng.usize(0..edges.len() + 3) {
                    edge if edge < edges.len() => edges[edge],
                    _ => rng.$int(..) >> rng.u32(0..<$int>::BITS),
                }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($float:ident from $bits:ident),*) => {$(
        impl Sample for $float {
            fn sample(rng: &mut Rng) -> Self {
                let edges = [0.0, -0.0, $float::NAN, $float::INFINITY, $float::NEG_INFINITY,
                    $float::MIN, $float::MAX, $float::MIN_POSITIVE, $float::EPSILON];
                match rng.usize(0..edges.len() * 2) {
                    edge if edge < edges.len() => edges[edge],
                    _ => $float::from_bits(rng.$bits(..)),
                }
            }
        }
    )*};
}

floats!(f32 from u32, f64 from u64);

impl Sample for bool {
    fn sample(rng: &mut Rng) -> Self {
        rng.bool()
    }
}

impl Sample for String {
    fn sample(rng: &mut Rng) -> Self {
        let len = if rng.u8(0..8) == 0 { rng.usize(0..3000) } else { rng.usize(0..20) };
        (0..len).map(|_| if rng.bool() { rng.alphanumeric() } else { rng.char(..) }).collect()
    }
}

impl Sample for Vec<u8> {
    fn sample(rng: &mut Rng) -> Self {
        (0..rng.usize(0..300)).map(|_| rng.u8(..)).collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(rng: &mut Rng) -> Self {
        (rng.u8(0..4) > 0).then(|| T::sample(rng))
    }
}

impl Sample for Decimal {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => Decimal::MAX,
            1 => Decimal::MIN,
            2 => Decimal::new(0, 5),
            _ => {
                let digits = i128::from(i64::sample(rng)) * i128::from(rng.u32(1..9));
                Decimal::from_i128_with_scale(digits, rng.u32(0..28))
            }
        }
    }
}

impl Sample for BigDecimal {
    fn sample(rng: &mut Rng) -> Self {
        let digits: String = (0..rng.usize(1..60)).map(|_| rng.digit(10)).collect();
        let text = match rng.u8(0..4) {
            0 => format!("-{digits}.{digits}"),
            1 => format!("{digits}.500"),
            2 => format!("0.{digits}"),
            _ => digits,
        };
        BigDecimal::from_str(&text).expect("a number")
    }
}

impl Sample for Date {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => Date::MIN,
            1 => Date::MAX,
            _ => {
                let year = rng.i32(-9999..20_000);
                Date::from_yo_opt(year, rng.u32(1..366)).expect("a day")
            }
        }
    }
}

impl Sample for Time {
    fn sample(rng: &mut Rng) -> Self {
        let nanos = match rng.u8(0..3) {
            0 => 0,
            1 => rng.u32(0..1_000_000) * 1_000,
            _ => rng.u32(0..1_000_000_000),
        };
        Time::from_num_seconds_from_midnight_opt(rng.u32(0..86_400), nanos).expect("a time")
    }
}

impl Sample for DateTime {
    fn sample(rng: &mut Rng) -> Self {
        let day = Date::from_yo_opt(rng.i32(-4000..9999), rng.u32(1..366)).expect("a day");
        day.and_time(Time::sample(rng))
    }
}

impl Sample for DateTimeUtc {
    fn sample(rng: &mut Rng) -> Self {
        DateTime::sample(rng).and_utc()
    }
}

impl Sample for DateTimeLocal {
    fn sample(rng: &mut Rng) -> Self {
        DateTimeUtc::sample(rng).into()
    }
}

impl Sample for DateTimeWithTimeZone {
    fn sample(rng: &mut Rng) -> Self {
        let offset = chrono::FixedOffset::east_opt(rng.i32(-800..800) * 60).expect("an offset");
        DateTimeUtc::sample(rng).with_timezone(&offset)
    }
}

impl Sample for TimeDate {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => TimeDate::MIN,
            1 => TimeDate::MAX,
            _ => TimeDate::from_ordinal_date(rng.i32(-9999..9999), rng.u16(1..366)).expect("a day"),
        }
    }
}

impl Sample for TimeTime {
    fn sample(rng: &mut Rng) -> Self {
        let (hour, minute, second) = (rng.u8(0..24), rng.u8(0..60), rng.u8(0..60));
        let nanos = if rng.bool() { 0 } else { rng.u32(0..1_000_000_000) };
        TimeTime::from_hms_nano(hour, minute, second, nanos).expect("a time")
    }
}

impl Sample for TimeDateTime {
    fn sample(rng: &mut Rng) -> Self {
        TimeDateTime::new(TimeDate::sample(rng), TimeTime::sample(rng))
    }
}

impl Sample for TimeDateTimeWithTimeZone {
    fn sample(rng: &mut Rng) -> Self {
        let offset = time::UtcOffset::from_hms(rng.i8(-23..24), 0, 0).expect("an offset");
        TimeDateTime::sample(rng).assume_offset(offset)
    }
}

impl Sample for Uuid {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..8) {
            0 => Uuid::nil(),
            1 => Uuid::max(),
            _ => Uuid::from_u128(rng.u128(..)),
        }
    }
}

impl Sample for Json {
    fn sample(rng: &mut Rng) -> Self {
        match rng.u8(0..9) {
            0 => Json::Null,
            1 => Json::Bool(rng.bool()),
            2 => i64::sample(rng).into(),
            3 => u64::sample(rng).into(),
            4 => (rng.f64() * 1e10).into(),
            5 | 6 => String::sample(rng).into(),
            7 => (0..rng.usize(0..4)).map(|_| Json::sample(rng)).collect(),
            _ => {
                let pair = |rng: &mut Rng| (String::sample(rng), Json::sample(rng));
                Json::Object((0..rng.usize(0..4)).map(|_| pair(rng)).collect())
            }
        }
    }
}

impl Sample for IpNetwork {
    fn sample(rng: &mut Rng) -> Self {
        if rng.bool() {
            let address = Ipv4Addr::from(rng.u32(..));
            IpNetwork::new(address.into(), rng.u8(0..33)).expect("a network")
        } else {
            let address = Ipv6Addr::from(rng.u128(..));
            IpNetwork::new(address.into(), rng.u8(0..129)).expect("a network")
        }
    }
}

impl Sample for MacAddress {
    fn sample(rng: &mut Rng) -> Self {
        MacAddress::new(std::array::from_fn(|_| rng.u8(..)))
    }
}

impl Sample for PgVector {
    fn sample(rng: &mut Rng) -> Self {
        (0..rng.usize(0..10)).map(|_| f32::sample(rng)).collect::<Vec<_>>().into()
    }
}

macro_rules! arrays {
    ($($item:ty),*) => {$(
        impl Sample for Vec<$item> {
            fn sample(rng: &mut Rng) -> Self {
                (0..rng.usize(0..6)).map(|_| <$item>::sample(rng)).collect()
            }
        }
    )*};
}

arrays!(i16, i32, i64, f32, f64, bool, String, Uuid, Decimal, DateTimeUtc, Json);
