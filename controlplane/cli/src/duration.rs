//! Durations as people write them: `90s`, `30m`, `2h`, `1d`, `1h30m`.
//!
//! A number without a unit is refused: nobody agrees whether `30` is seconds or minutes.

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration like 90s, 30m, 2h, 1d or 1h30m")]
pub struct DurationError(String);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Parses a duration to whole seconds, at least 1. Units go from large to small, each at most once.
///
/// # Errors
/// [`DurationError`] for anything else, overflow included.
pub fn seconds(text: &str) -> Result<u64, DurationError> {
    let bad = || DurationError(text.to_owned());
    let (mut total, mut rest, mut below) = (0u64, text, u64::MAX);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, tail) = rest.split_at(at);
        let unit = tail.chars().next().ok_or_else(bad)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        if *scale >= below {
            return Err(bad());
        }
        below = *scale;
        let number: u64 = number.parse().map_err(|_digits| bad())?;
        let part = number.checked_mul(*scale).ok_or_else(bad)?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    if total == 0 { Err(bad()) } else { Ok(total) }
}

/// The shortest form of `seconds`, e.g. `1h30m`.
#[must_use]
pub fn text(seconds: u64) -> String {
    let mut rest = seconds;
    let mut out = String::new();
    for (unit, scale) in UNITS {
        let count = rest / scale;
        rest %= scale;
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip_and_odd_ones_are_refused() {
        for (good, value) in [
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("1d", 86_400),
            ("1h30m", 5400),
            ("1d2h3m4s", 93_784),
        ] {
            assert_eq!(seconds(good), Ok(value), "{good}");
            assert_eq!(seconds(&text(value)), Ok(value), "{good}");
        }
        assert_eq!(text(5400), "1h30m");
        assert_eq!(text(0), "0s");
        for bad in [
            "",
            "30",
            "m",
            "1.5h",
            "-1h",
            "1h 30m",
            "30m1h",
            "1h1h",
            "0s",
            "1w",
            "１h",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(seconds(bad), Err(DurationError(bad.to_owned())), "{bad}");
        }
    }
}
