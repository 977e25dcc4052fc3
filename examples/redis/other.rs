//! The other process: does what a line tells it, and answers with a number.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm_cache::Coherence;
use sea_orm_cache::prelude::*;

use crate::servers::Servers;
use crate::shop::{TTL, books, name, open, timed};

pub const WORD: &str = "other-process";

/// As the first process sees it.
pub struct Other {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Other {
    pub fn start(
        coherence: Coherence,
        servers: &Servers,
        prefix: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORD, name(coherence), &servers.database, &servers.redis, prefix]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (process.stdin.take(), process.stdout.take());
        let (to, from) = to.zip(from).ok_or("the other process has no pipes")?;
        Ok(Self { process, to, from: BufReader::new(from) })
    }

    /// How long a cached read took there, in microseconds.
    pub fn read(&mut self, author: i32) -> Result<f64, Box<dyn Error>> {
        writeln!(self.to, "read {author}")?;
        Ok(self.answer()?.parse()?)
    }

    /// From now on it reads until it is told this price of book 1.
    pub fn watch(&mut self, price: i32) -> Result<(), Box<dyn Error>> {
        writeln!(self.to, "watch {price}")?;
        self.answer().map(drop)
    }

    /// When it last began a read that was told another price.
    pub fn last_old(&mut self) -> Result<u64, Box<dyn Error>> {
        Ok(self.answer()?.parse()?)
    }

    fn answer(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        match self.from.read_line(&mut line)? {
            0 => Err("the other process ended".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As it sees itself.
pub async fn run(
    coherence: &str,
    database: &str,
    redis: &str,
    prefix: &str,
) -> Result<(), Box<dyn Error>> {
    let coherences = [Coherence::Strong, Coherence::bounded()];
    let coherence = coherences.into_iter().find(|one| name(*one) == coherence);
    let db = open(coherence.ok_or("no such coherence")?, database, redis, prefix).await?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let (what, number) = line.split_once(' ').ok_or("no such order")?;
        let number = number.parse()?;
        if what == "read" {
            println!("{}", timed(books(number).cached(TTL).all(&db)).await?);
            continue;
        }
        println!("watching");
        let mut last_old = 0;
        loop {
            let asked = now();
            if books(0).cached(TTL).all(&db).await?[0].price == number {
                break;
            }
            last_old = asked;
        }
        println!("{last_old}");
    }
    Ok(())
}

/// Microseconds on the clock that all processes of a machine share.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
