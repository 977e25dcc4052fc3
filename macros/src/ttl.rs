//! Durations in words: `"30s"`.

use syn::LitStr;

/// The milliseconds that a literal says.
///
/// # Errors
///
/// At the literal, if it says none, or zero.
pub(crate) fn millis(literal: &LitStr) -> syn::Result<u64> {
    let text = literal.value();
    let error = |message: &str| Err(syn::Error::new(literal.span(), message));
    let end_of_number = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end_of_number);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    if number.is_empty() || unit_ms == 0 {
        return error("expected a duration like \"250ms\", \"30s\", \"5m\", \"2h\" or \"1d\"");
    }
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(0) => error("a TTL of zero caches nothing; for that there is `no_cache`"),
        Some(ms) => Ok(ms),
        None => error("this duration is too long"),
    }
}
