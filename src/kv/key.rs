//! Keys as they are stored.

use sha2::{Digest, Sha256};

/// Longer keys are stored by their digest.
const LONGEST_KEY: usize = 512;

/// What the user gave, of letters, digits and `-._%` alone, or as `#` and a digest if it is too
/// long: so nothing in it ends its part of a key, and different inputs give different parts.
pub(super) fn escaped(text: &str) -> String {
    if text.len() > LONGEST_KEY {
        return format!("#{}", hex(&Sha256::digest(text)));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.extend(['%'].into_iter().chain(digits(byte))),
        }
    }
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().copied().flat_map(digits).collect()
}

fn digits(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_keys_are_different_parts_that_nothing_breaks_out_of() {
        let long = "x".repeat(513);
        let hashed = escaped(&long);
        let texts = [
            "", "a", "A", "a:b", "a%3Ab", "*", "a\nb", "{a}", "ü", "u\u{308}", "\0", " ", "#",
            &hashed, &long,
        ];
        let parts: std::collections::HashSet<_> = texts.iter().map(|text| escaped(text)).collect();
        assert_eq!(parts.len(), texts.len());
        for part in parts {
            assert!(
                part.chars().all(|c| c.is_ascii_alphanumeric() || "-._%#".contains(c)),
                "{part}"
            );
            assert!(part.len() <= 3 * LONGEST_KEY);
        }
    }
}
