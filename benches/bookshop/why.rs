//! Why hits are lost: for each read that the oracle answers and the cache does not, the write that
//! invalidated the entry though it did not change the result, and the tag that they share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm_cache::{Event, Observer, Part, Tag};

use crate::trace::{QUERIES, Query, WRITES, Write};

#[derive(Default)]
pub struct Why {
    heard: Arc<Mutex<Heard>>,
    /// What each entry depends on, and when it was filled.
    entries: HashMap<Query, (u64, Vec<Tag>)>,
    /// When each tag was bumped last, and by which kind of write.
    bumps: HashMap<Tag, (u64, usize)>,
    lost: BTreeMap<(usize, String), u64>,
}

/// What the observer heard since it was asked last.
#[derive(Default)]
struct Heard {
    filled: Option<Vec<Tag>>,
    refused: Option<String>,
    bumped: Vec<Tag>,
}

struct Ear(Arc<Mutex<Heard>>);

impl Observer for Ear {
    fn on_event(&self, event: &Event<'_>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Fill { tags, .. } => heard.filled = Some(tags.to_vec()),
            Event::FillRefused { reason, .. } => heard.refused = Some(reason.to_string()),
            Event::Bump { tags, .. } => heard.bumped.extend(tags.iter().cloned()),
            _ => {}
        }
    }
}

impl Why {
    pub fn observer(&self) -> impl Observer + 'static {
        Ear(self.heard.clone())
    }

    fn take(&self) -> Heard {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// After a write.
    pub fn write(&mut self, now: u64, write: Write) {
        for tag in self.take().bumped {
            self.bumps.insert(tag, (now, write.kind()));
        }
    }

    /// After a read; `lost`: the oracle hit and we did not.
    pub fn read(&mut self, now: u64, query: Query, lost: bool) {
        if lost {
            let cause = self.cause(query);
            *self.lost.entry((query.kind(), cause)).or_default() += 1;
        }
        let heard = self.take();
        if let Some(tags) = heard.filled {
            self.entries.insert(query, (now, tags));
        } else if let Some(reason) = heard.refused {
            *self.lost.entry((query.kind(), format!("not stored: {reason}"))).or_default() += 1;
        }
    }

    fn cause(&self, query: Query) -> String {
        let Some((filled, tags)) = self.entries.get(&query) else {
            return "never filled".to_owned();
        };
        let later = |tag: &Tag| {
            let (when, write) = self.bumps.get(tag)?;
            (when > filled).then(|| format!("{} bumped {}", WRITES[*write], shape(tag)))
        };
        tags.iter().find_map(later).unwrap_or_else(|| "no write: the entry was evicted".to_owned())
    }

    pub fn print(&self) {
        println!("\nHits that the oracle has and Capture::Auto has not, by what took them:");
        let mut lost: Vec<_> = self.lost.iter().collect();
        lost.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((kind, cause), count) in lost {
            println!("{count:8}  {:30} {cause}", QUERIES[*kind]);
        }
    }
}

/// The tag with its values left out.
fn shape(tag: &Tag) -> String {
    let any = |part: &Option<Part>| match part {
        Some(part) if part.value.is_some() => format!("{}=v", part.column),
        Some(part) => part.to_string(),
        None => String::new(),
    };
    match tag {
        Tag::Row(table, Some(_)) => format!("{table}:pk=v"),
        Tag::Appear(table, part) => format!("{table}+{}", any(part)),
        Tag::Gone(table, part) => format!("{table}-{}", any(part)),
        Tag::Column(table, column, part) => format!("{table}#{column}|{}", any(part)),
        other => other.to_string(),
    }
}
