//! `--time` of `sbatch`: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds.

use super::option::Set;
use crate::failure::Failure;

/// How `sbatch` is asked for no limit.
const NONE: [&str; 3] = ["-1", "INFINITE", "UNLIMITED"];

/// Seconds; none: no limit is asked for.
///
/// Seconds are rounded up to the next minute, as `sbatch` does.
pub(super) fn limit(set: &Set) -> Result<Option<u64>, Failure> {
    if NONE.contains(&set.value.to_ascii_uppercase().as_str()) {
        return Ok(None);
    }
    let why = || {
        let value = &set.value;
        let forms =
            "minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]";
        set.at.refuse(format!("`{value}` is no time: {forms}"))
    };
    let seconds = seconds(&set.value).ok_or_else(why)?;
    Ok((seconds > 0).then_some(seconds))
}

fn seconds(text: &str) -> Option<u64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, text),
    };
    let parts: Vec<u64> = rest.split(':').map(number).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match (days.is_some(), parts.as_slice()) {
        (false, [minutes]) => (0, *minutes, 0),
        (false, [minutes, seconds]) => (0, *minutes, *seconds),
        (true, [hours]) => (*hours, 0, 0),
        (true, [hours, minutes]) => (*hours, *minutes, 0),
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    seconds.div_ceil(60).checked_mul(60)
}

fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_sbatch_is_read_and_nothing_else() {
        for (text, want) in [
            ("30", 1800),
            ("30:00", 1800),
            ("0:30", 60),
            ("10:01", 660),
            ("01:30:00", 5400),
            ("00:00:61", 120),
            ("2-0", 172_800),
            ("1-12", 129_600),
            ("1-12:30", 131_400),
            ("1-12:30:15", 131_460),
            ("0", 0),
        ] {
            assert_eq!(seconds(text), Some(want), "{text}");
        }
        for bad in [
            "",
            "-",
            "1-",
            "-5",
            "1:2:3:4",
            "1-1:2:3:4",
            "1h",
            "1:",
            ":1",
            "1 0",
            "+1",
            "１",
            "1--1",
            "99999999999999999999",
            "999999999999999999-0",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
