//! Who is asked for: few books, authors and customers often, most of them rarely, as in any shop.

use fake::rand::rngs::StdRng;
use fake::rand::seq::SliceRandom;
use fake::rand::{RngExt, SeedableRng};

use crate::data::{AUTHORS, BOOKS, CUSTOMERS, GENRES, PURCHASES};

pub struct Popular {
    pub book: Zipf,
    pub author: Zipf,
    pub customer: Zipf,
    pub purchase: Zipf,
    pub genre: Zipf,
}

impl Popular {
    pub fn new() -> Self {
        Self {
            book: Zipf::new(BOOKS),
            author: Zipf::new(AUTHORS),
            customer: Zipf::new(CUSTOMERS),
            purchase: Zipf::new(PURCHASES),
            genre: Zipf::new(GENRES.len() as i32),
        }
    }

    pub fn genre_name(&self, rng: &mut StdRng) -> &'static str {
        GENRES[self.genre.pick(rng) as usize - 1]
    }
}

/// How much more popular the popular ones are. Measured web traffic is between 0.6 and 1.3.
const EXPONENT: f64 = 1.15;

/// Numbers from 1 on, the n-th most popular one picked in proportion to 1/n^EXPONENT.
pub struct Zipf {
    sums: Vec<f64>,
    order: Vec<i32>,
}

impl Zipf {
    fn new(count: i32) -> Self {
        let mut total = 0.0;
        let sums = (1..=count).map(|n| {
            total += f64::from(n).powf(-EXPONENT);
            total
        });
        let sums = sums.collect();
        let mut order: Vec<i32> = (1..=count).collect();
        order.shuffle(&mut StdRng::seed_from_u64(count as u64));
        Self { sums, order }
    }

    pub fn pick(&self, rng: &mut StdRng) -> i32 {
        let total = self.sums.last().copied().unwrap_or_default();
        let at = rng.random::<f64>() * total;
        let rank = self.sums.partition_point(|sum| *sum < at);
        self.order[rank.min(self.order.len() - 1)]
    }
}
