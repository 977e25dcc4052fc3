//! The operations of the trace: which reads and writes, in which proportions, with which keys.

use fake::rand::rngs::StdRng;
use fake::rand::seq::SliceRandom;
use fake::rand::{RngExt, SeedableRng};

use crate::schema::{AUTHORS, BOOKS, GENRES, REVIEWS};

const READ_SHARE: f64 = 0.85;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Query {
    Book(i32),
    BooksOfAuthor(i32),
    LatestReviews(i32),
    NumberOfReviews(i32),
    TopOfGenre(i32),
    Author(i32),
    Cheapest(i32),
}

pub const QUERIES: [&str; 7] = [
    "book by id",
    "books of an author",
    "latest reviews of a book",
    "number of reviews",
    "top of a genre by price",
    "author by id",
    "the 20 cheapest under a price",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    NewReview { book: i32 },
    Stock { book: i32 },
    Price { book: i32, price: i32 },
    Rename { author: i32 },
    DeleteReview { id: i32 },
    GenrePrices { genre: i32 },
}

pub const WRITES: [&str; 6] = [
    "new review",
    "stock - 1 (update_many by id)",
    "new price (ActiveModel)",
    "author renamed (raw SQL)",
    "review deleted by id",
    "prices of a genre + 1 (about 250 rows)",
];

pub enum Operation {
    Read(Query),
    Write(Write),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Author,
    Book,
    Review,
}

impl Query {
    pub fn kind(self) -> usize {
        match self {
            Self::Book(_) => 0,
            Self::BooksOfAuthor(_) => 1,
            Self::LatestReviews(_) => 2,
            Self::NumberOfReviews(_) => 3,
            Self::TopOfGenre(_) => 4,
            Self::Author(_) => 5,
            Self::Cheapest(_) => 6,
        }
    }

    pub fn table(self) -> Table {
        match self {
            Self::Author(_) => Table::Author,
            Self::LatestReviews(_) | Self::NumberOfReviews(_) => Table::Review,
            _ => Table::Book,
        }
    }
}

impl Write {
    pub fn kind(self) -> usize {
        match self {
            Self::NewReview { .. } => 0,
            Self::Stock { .. } => 1,
            Self::Price { .. } => 2,
            Self::Rename { .. } => 3,
            Self::DeleteReview { .. } => 4,
            Self::GenrePrices { .. } => 5,
        }
    }

    pub fn table(self) -> Table {
        match self {
            Self::Rename { .. } => Table::Author,
            Self::NewReview { .. } | Self::DeleteReview { .. } => Table::Review,
            _ => Table::Book,
        }
    }
}

pub struct Trace {
    rng: StdRng,
    book: Zipf,
    author: Zipf,
    genre: Zipf,
}

impl Trace {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            book: Zipf::new(BOOKS),
            author: Zipf::new(AUTHORS),
            genre: Zipf::new(GENRES),
        }
    }

    pub fn next(&mut self) -> Operation {
        if self.rng.random_bool(READ_SHARE) {
            Operation::Read(self.query())
        } else {
            Operation::Write(self.write())
        }
    }

    fn query(&mut self) -> Query {
        let rng = &mut self.rng;
        match rng.random_range(0..100) {
            0..30 => Query::Book(self.book.pick(rng)),
            30..45 => Query::BooksOfAuthor(self.author.pick(rng)),
            45..65 => Query::LatestReviews(self.book.pick(rng)),
            65..75 => Query::NumberOfReviews(self.book.pick(rng)),
            75..85 => Query::TopOfGenre(self.genre.pick(rng) - 1),
            85..95 => Query::Author(self.author.pick(rng)),
            _ => Query::Cheapest([200, 300, 500, 800][rng.random_range(0..4)]),
        }
    }

    fn write(&mut self) -> Write {
        let rng = &mut self.rng;
        match rng.random_range(0..100) {
            0..40 => Write::NewReview { book: self.book.pick(rng) },
            40..75 => Write::Stock { book: self.book.pick(rng) },
            75..85 => {
                Write::Price { book: self.book.pick(rng), price: rng.random_range(100..=9_999) }
            }
            85..90 => Write::Rename { author: self.author.pick(rng) },
            90..98 => Write::DeleteReview { id: rng.random_range(1..=REVIEWS) },
            _ => Write::GenrePrices { genre: self.genre.pick(rng) - 1 },
        }
    }
}

/// Zipf(0.99) over 1..=count, the popular numbers being anywhere among them.
struct Zipf {
    sums: Vec<f64>,
    order: Vec<i32>,
}

impl Zipf {
    fn new(count: i32) -> Self {
        let mut total = 0.0;
        let sums = (1..=count).map(|n| {
            total += f64::from(n).powf(-0.99);
            total
        });
        let sums = sums.collect();
        let mut order: Vec<i32> = (1..=count).collect();
        order.shuffle(&mut StdRng::seed_from_u64(count as u64));
        Self { sums, order }
    }

    fn pick(&self, rng: &mut StdRng) -> i32 {
        let total = self.sums.last().copied().unwrap_or_default();
        let at = rng.random::<f64>() * total;
        let rank = self.sums.partition_point(|sum| *sum < at);
        self.order[rank.min(self.order.len() - 1)]
    }
}
