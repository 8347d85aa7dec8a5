//! Instants as people write and read them: a day, which begins at midnight in Japan, or an instant as RFC 3339 has it.
//!
//! Never from now on: a command that is repeated with its request id has to be the same command (R3).

use sekisho_types::time::{Date, Timestamp};

/// Japan is so far ahead of UTC.
const JAPAN_MINUTES: i64 = 9 * 60;
const MINUTE_MS: u64 = 60_000;

/// Parses `2027-04-01`, `2027-04-01T09:30+09:00` or `2027-04-01T00:30:00.000Z`.
///
/// # Errors
/// What it must be.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    let form = || "must be a day, 2027-04-01, or an instant, 2027-04-01T09:30:00+09:00".to_owned();
    read(text).ok_or_else(form)
}

/// As it is typed: the day if it begins with that, else Japan's time.
pub(crate) fn shown(at: Timestamp) -> String {
    let day = at.date_in_japan();
    let since = at.since_ms(Timestamp::of_midnight_in_japan(day));
    if since == 0 {
        return day.to_string();
    }
    let (minutes, ms) = (since / MINUTE_MS, since % MINUTE_MS);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let seconds = match (ms / 1000, ms % 1000) {
        (0, 0) => String::new(),
        (seconds, 0) => format!(":{seconds:02}"),
        (seconds, ms) => format!(":{seconds:02}.{ms:03}"),
    };
    format!("{day}T{hours:02}:{minutes:02}{seconds}+09:00")
}

fn read(text: &str) -> Option<Timestamp> {
    let Some((day, rest)) = text.split_once('T') else { return midnight(text) };
    let (time, ahead) = match rest.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => zone(rest)?,
    };
    // From midnight in Japan to the same time of the day in that zone.
    let later = JAPAN_MINUTES.checked_sub(ahead)?;
    let at = midnight(day)?.plus_ms(of_day(time)?).0;
    let moved = later.unsigned_abs().checked_mul(MINUTE_MS)?;
    let at = if later < 0 { at.checked_sub(moved)? } else { at.checked_add(moved)? };
    Some(Timestamp(at))
}

/// The instant at which a day of the calendar begins.
fn midnight(day: &str) -> Option<Timestamp> {
    let date = Date::parse(day)?;
    let at = Timestamp::of_midnight_in_japan(date);
    // A 31 February is none.
    (at.date_in_japan() == date).then_some(at)
}

/// `09:30`, `09:30:15` or `09:30:15.250` in milliseconds of the day.
fn of_day(time: &str) -> Option<u64> {
    let (time, ms) = match time.split_once('.') {
        Some((time, ms)) => (time, digits(ms, 3, 999)?),
        None => (time, 0),
    };
    let mut parts = time.split(':');
    let (hours, minutes) = (digits(parts.next()?, 2, 23)?, digits(parts.next()?, 2, 59)?);
    let seconds = parts.next().map_or(Some(0), |seconds| digits(seconds, 2, 59))?;
    if parts.next().is_some() {
        return None;
    }
    let seconds =
        hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?;
    seconds.checked_mul(1000)?.checked_add(ms)
}

/// A time with `+09:00` behind it, and how many minutes that is ahead of UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    let (time, sign) =
        text.rfind('+').map(|at| (at, 1)).or_else(|| Some((text.rfind('-')?, -1)))?;
    let (time, zone) = (text.get(..time)?, text.get(time.checked_add(1)?..)?);
    let (hours, minutes) = zone.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2, 14)?, digits(minutes, 2, 59)?);
    let ahead = i64::try_from(hours.checked_mul(60)?.checked_add(minutes)?).ok()?;
    Some((time, ahead.checked_mul(sign)?))
}

fn digits(text: &str, count: usize, most: u64) -> Option<u64> {
    let are = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| are && *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_in_japan_and_an_instant_says_its_zone() {
        let midnight = Timestamp::of_midnight_in_japan(Date::parse("2027-04-01").unwrap());
        for same in [
            "2027-04-01",
            "2027-04-01T00:00+09:00",
            "2027-03-31T15:00:00Z",
            "2027-03-31T15:00:00.000Z",
            "2027-03-31T05:30:00-09:30",
            "2027-04-01T01:00:00+10:00",
        ] {
            assert_eq!(instant(same), Ok(midnight), "{same}");
        }
        // What the program shows it reads.
        let shown = Timestamp(1_795_309_323_456);
        assert_eq!(instant(&shown.to_string()), Ok(shown));
    }

    #[test]
    fn what_is_shown_is_what_was_typed() {
        for text in [
            "2027-04-01",
            "2027-04-01T09:30+09:00",
            "2027-04-01T09:30:05+09:00",
            "2027-04-01T09:30:05.250+09:00",
        ] {
            assert_eq!(shown(instant(text).unwrap()), text);
        }
        assert_eq!(shown(instant("2027-03-31T15:00:00Z").unwrap()), "2027-04-01");
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for bad in [
            "",
            "7d",
            "2027",
            "2027-02-30",
            "2027-04-01T",
            "2027-04-01T09:30",
            "2027-04-01T24:00Z",
            "2027-04-01T09Z",
            "2027-04-01T09:30:00:00Z",
            "2027-04-01T09:30:00.5Z",
            "2027-04-01T09:30+9",
            "2027-04-01 09:30Z",
        ] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
