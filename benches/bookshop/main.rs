//! Precision on the bookshop trace: how many of the hits that are possible the cache has, beside
//! an oracle, invalidation by table and a TTL alone; and what capturing rows costs the writes.
//!
//! `BOOKSHOP_URL`: a server (`postgres://user@host`, `mysql://user@host`) instead of SQLite in memory;
//! it gets databases `bookshop_1` to `bookshop_3`, and keeps them.
//! `BOOKSHOP_OPS`: number of operations (default 200,000).
//! `BOOKSHOP_WHY=1`: also tells which writes took which hits; the times are then of no use.

mod answer;
mod rivals;
mod schema;
mod shop;
mod trace;
mod why;

use std::env::var;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use sea_orm_cache::Capture;

use rivals::{ByTable, Oracle, Rival, Served, Ttl};
use shop::Shop;
use trace::{Operation, QUERIES, Query, Trace, WRITES};
use why::Why;

/// The share of the oracle's hits that `Capture::Auto` should have.
const TARGET: f64 = 0.94;

/// Position of `Capture::Auto` among the shops.
const AUTO: usize = 1;

#[derive(Default)]
struct Score {
    hits: u64,
    stale: u64,
    by_kind: [u64; QUERIES.len()],
}

impl Score {
    fn count(&mut self, query: Query, served: Served) {
        self.hits += u64::from(served != Served::Miss);
        self.stale += u64::from(served == Served::Stale);
        self.by_kind[query.kind()] += u64::from(served != Served::Miss);
    }
}

struct Run {
    shops: Vec<(Shop, Score)>,
    rivals: Vec<(Box<dyn Rival>, Score)>,
    why: Option<Why>,
    reads: u64,
    reads_by_kind: [u64; QUERIES.len()],
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let operations: u64 = match var("BOOKSHOP_OPS") {
        Ok(number) => number.parse()?,
        Err(_) => 200_000,
    };
    let start = Instant::now();
    let mut run = Run::new(var("BOOKSHOP_WHY").is_ok().then(Why::default)).await?;
    let mut trace = Trace::new(5);
    for now in 0..operations {
        run.step(now, trace.next()).await?;
    }
    println!("{operations} operations, {} of them reads, in {:.0?}", run.reads, start.elapsed());
    run.print_hits();
    run.print_kinds();
    run.print_writes();
    if let Some(why) = &run.why {
        why.print();
    }
    let stale: u64 = run.shops.iter().map(|(_, score)| score.stale).sum();
    println!("\nstale answers of the cache: {stale}");
    Ok(if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Run {
    async fn new(why: Option<Why>) -> Result<Self, Box<dyn Error>> {
        let mut shops = Vec::new();
        for capture in [Capture::Never, Capture::Auto, Capture::Always] {
            let why = why.as_ref().filter(|_| capture == Capture::Auto);
            let observer = why.map(Why::observer);
            shops.push((Shop::new(capture, observer).await?, Score::default()));
        }
        let rivals: Vec<Box<dyn Rival>> = vec![
            Box::new(Oracle::default()),
            Box::new(ByTable::default()),
            Box::new(Ttl::new(1_000)),
            Box::new(Ttl::new(10_000)),
        ];
        let rivals = rivals.into_iter().map(|rival| (rival, Score::default())).collect();
        let reads_by_kind = [0; QUERIES.len()];
        Ok(Self { shops, rivals, why, reads: 0, reads_by_kind })
    }

    async fn step(&mut self, now: u64, operation: Operation) -> Result<(), Box<dyn Error>> {
        match operation {
            Operation::Read(query) => self.read(now, query).await,
            Operation::Write(write) => {
                // In every order, so that none always finds the machine as another one left it.
                let count = self.shops.len();
                for turn in 0..count {
                    let turn = if (now / 3).is_multiple_of(2) { turn } else { count - 1 - turn };
                    self.shops[(turn + now as usize) % count].0.write(write).await?;
                }
                self.rivals.iter_mut().for_each(|(rival, _)| rival.write(write));
                if let Some(why) = &mut self.why {
                    why.write(now, write);
                }
                Ok(())
            }
        }
    }

    async fn read(&mut self, now: u64, query: Query) -> Result<(), Box<dyn Error>> {
        self.reads += 1;
        self.reads_by_kind[query.kind()] += 1;
        let fresh = answer::fresh(query, self.shops[0].0.db.inner()).await?;
        let mut lost = false;
        for (nth, (rival, score)) in self.rivals.iter_mut().enumerate() {
            let served = rival.read(now, query, &fresh);
            score.count(query, served);
            lost |= nth == 0 && served == Served::Hit;
        }
        for (nth, (shop, score)) in self.shops.iter_mut().enumerate() {
            let (answer, hit) = shop.read(query).await?;
            let served = match (answer == fresh, hit) {
                (false, _) => Served::Stale,
                (true, true) => Served::Hit,
                (true, false) => Served::Miss,
            };
            score.count(query, served);
            lost &= nth != AUTO || served == Served::Miss;
        }
        if let Some(why) = &mut self.why {
            why.read(now, query, lost);
        }
        Ok(())
    }

    fn scores(&self) -> impl Iterator<Item = (String, &Score)> {
        let shops = self
            .shops
            .iter()
            .map(|(shop, score)| (format!("sea-orm-cache, Capture::{:?}", shop.capture), score));
        self.rivals.iter().map(|(rival, score)| (rival.name(), score)).chain(shops)
    }

    fn print_hits(&self) {
        let oracle = self.rivals[0].1.hits as f64;
        let mut table = table(&["", "hit rate", "of the oracle's", "stale answers"]);
        for (name, score) in self.scores() {
            let hits = score.hits as f64;
            table.add_row([
                name,
                format!("{:.4}", hits / self.reads as f64),
                format!("{:.4}", hits / oracle),
                score.stale.to_string(),
            ]);
        }
        println!("{table}");
        let share = self.shops[AUTO].1.hits as f64 / oracle;
        let verdict = if share >= TARGET { "met" } else { "MISSED" };
        println!(
            "share of the oracle's hits with Capture::Auto: {share:.4}, target {TARGET}: {verdict}"
        );
    }

    fn print_kinds(&self) {
        let [oracle, never, auto] =
            [&self.rivals[0].1, &self.shops[0].1, &self.shops[AUTO].1].map(|score| &score.by_kind);
        let mut table = table(&["", "reads", "oracle", "Auto", "Auto's share", "Never's share"]);
        for (kind, name) in QUERIES.iter().enumerate() {
            let share = |hits: &[u64]| format!("{:.4}", hits[kind] as f64 / oracle[kind] as f64);
            table.add_row([
                (*name).to_owned(),
                self.reads_by_kind[kind].to_string(),
                oracle[kind].to_string(),
                auto[kind].to_string(),
                share(auto),
                share(never),
            ]);
        }
        println!("\nHits by kind of query\n{table}");
    }

    fn print_writes(&self) {
        let mut table = table(&["", "times", "Never", "Auto", "", "Always", ""]);
        for (kind, name) in WRITES.iter().enumerate() {
            let median = |shop: usize| {
                self.shops[shop].0.writes[kind].value_at_quantile(0.5) as f64 / 1_000.0
            };
            let beside = |shop| {
                let (base, this) = (median(0), median(shop));
                format!("{:+.1} µs, x {:.2}", this - base, this / base)
            };
            table.add_row([
                (*name).to_owned(),
                self.shops[0].0.writes[kind].len().to_string(),
                format!("{:.1} µs", median(0)),
                format!("{:.1} µs", median(AUTO)),
                beside(AUTO),
                format!("{:.1} µs", median(2)),
                beside(2),
            ]);
        }
        println!("\nMedian time of a write by capture policy\n{table}");
        for (shop, _) in &self.shops {
            let stats = shop.db.cache().stats();
            println!(
                "{:?}: {} captures, {} entries, {} MiB",
                shop.capture,
                stats.captures,
                stats.entries,
                stats.bytes >> 20
            );
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header(header);
    table
}
