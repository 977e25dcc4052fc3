//! Names of computed values, as they stand in keys and tags.
//!
//! A value depends on a tag of its own name, on one for every start of it that ends in `:`, and on
//! one for all values. So `dashboard:*` ends what it names with one bump, in all processes, and
//! nobody has to look for it.

use crate::key::{Family, segment};
use crate::tag::Tag;

/// Behind so many colons names are not told apart by their starts.
const MAX_STARTS: usize = 8;

/// On this every value depends.
pub(crate) fn every_value() -> Tag {
    of("")
}

/// The name in a key. No other name has it, and it is not empty.
pub(crate) fn value_segment(name: &str) -> String {
    if name.is_empty() { "%".into() } else { segment(name) }
}

/// What a value of this name depends on for it.
pub(crate) fn value_tags(name: &str) -> impl Iterator<Item = Tag> + '_ {
    let starts = starts(name).map(start);
    [of(&value_segment(name)), every_value()].into_iter().chain(starts)
}

/// The values whose names a pattern may mean, in which `*` stands for anything and `?` for one
/// character; perhaps some more. It may be spelled as in a key.
pub(crate) fn matching(pattern: &str) -> Vec<Tag> {
    let mut tags = meant(pattern);
    if let Some(plain) = unescaped(pattern) {
        tags.extend(meant(&plain));
    }
    tags
}

fn meant(pattern: &str) -> Vec<Tag> {
    let Some(wild) = pattern.find(['*', '?']) else {
        let digest = pattern.rsplit_once(':').filter(|(_, end)| end.len() == 64);
        let names = [Some(pattern), digest.map(|(name, _)| name)];
        return names.into_iter().flatten().map(|name| of(&value_segment(name))).collect();
    };
    let (before, rest) = pattern.split_at(wild);
    let mut tags = vec![starts(before).last().map_or_else(every_value, start)];
    if let (Some(name), "*") = (before.strip_suffix(':'), rest) {
        // As for other families: all that is stored under it.
        tags.push(of(&value_segment(name)));
    }
    tags
}

/// The starts of a name that end in a colon.
fn starts(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(':').take(MAX_STARTS).map(|(colon, _)| &name[..=colon])
}

/// No name in a key has a star.
fn start(text: &str) -> Tag {
    of(&format!("{}*", segment(text)))
}

fn of(segment: &str) -> Tag {
    Tag::Family(Family::Value, segment.into())
}

/// What a key spells with `%`; `None` if it does not.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match after {
            [high, low, after @ ..] if *first == b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|plain| plain != text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pattern: &str, name: &str) -> bool {
        let tags: Vec<_> = value_tags(name).collect();
        matching(pattern).iter().any(|tag| tags.contains(tag))
    }

    #[test]
    fn a_pattern_ends_what_it_names_and_little_else() {
        let deep = "a:".repeat(40);
        for (pattern, name) in [
            ("top", "top"),
            ("", ""),
            ("dashboard:42", "dashboard:42"),
            ("dashboard:*", "dashboard:42"),
            ("dashboard:*", "dashboard:42:7"),
            ("dashboard:*", "dashboard"),
            ("dashboard:4?", "dashboard:42"),
            ("dashboard:42:*", "dashboard:42"),
            ("dashboard%3a42:*", "dashboard:42"),
            ("dashboard%3a42", "dashboard:42"),
            ("dash*", "dashboard:42"),
            ("*:42", "dashboard:42"),
            ("*", "top"),
            ("*", ""),
            ("100%", "100%"),
            (&format!("{deep}*"), &format!("{deep}b")),
            ("long:*", &format!("long:{}", "x".repeat(600))),
            (&format!("top:{}", "0".repeat(64)), "top"),
        ] {
            assert!(ends(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("top", "top:1"),
            ("", "top"),
            ("dashboard:*", "dashboards:1"),
            ("dashboard:42:*", "dashboard:43"),
            ("dashboard:", "dashboard:42"),
            ("a:b:?", "a:c:1"),
        ] {
            assert!(!ends(pattern, name), "{pattern} {name}");
        }
    }
}
