//! Time as values. Pure crates receive it; only `transport` implements [`Clock`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// Wall time in milliseconds since 1970-01-01T00:00:00Z. Never used for leases (P4).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

const MS_PER_DAY: u64 = 86_400_000;

/// Japan is so far ahead of UTC, all the year.
const AHEAD_OF_UTC_MS: u64 = 9 * 3_600_000;

impl Timestamp {
    /// This instant plus `ms` milliseconds, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The civil date in Japan (UTC+9) at this instant: laws and area codes change at midnight there.
    #[must_use]
    pub fn date_in_japan(self) -> Date {
        Date::from_days(self.0.saturating_add(AHEAD_OF_UTC_MS) / MS_PER_DAY)
    }

    /// The instant at which a day begins in Japan.
    #[must_use]
    pub fn of_midnight_in_japan(date: Date) -> Self {
        Self(date.days().saturating_mul(MS_PER_DAY).saturating_sub(AHEAD_OF_UTC_MS))
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Date::from_days(self.0 / MS_PER_DAY);
        let ms = self.0 % MS_PER_DAY;
        let (h, m, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        f.pad(&format!("{date}T{h:02}:{m:02}:{s:02}.{ms:03}Z"))
    }
}

/// A civil date of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date {
    /// Year, e.g. 2026.
    pub year: u32,
    /// Month 1 to 12.
    pub month: u8,
    /// Day 1 to 31.
    pub day: u8,
}

impl Date {
    /// The date `days` after 1970-01-01 (algorithm: H. Hinnant, "chrono-compatible low-level date algorithms").
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "all operands are bounded by the clamp on the first line"
    )]
    fn from_days(days: u64) -> Self {
        let z = days.min(3_652_059_000) + 719_468;
        let (era, doe) = (z / 146_097, z % 146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = u8::try_from(doy - (153 * mp + 2) / 5 + 1).unwrap_or(u8::MAX);
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + u64::from(month <= 2);
        Self {
            year: u32::try_from(year).unwrap_or(u32::MAX),
            month: u8::try_from(month).unwrap_or(u8::MAX),
            day,
        }
    }

    /// Days from 1970-01-01 to this date, 0 for one before it (the inverse of the same algorithm).
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "years have 32 bits, so nothing comes near the ends of 64"
    )]
    fn days(self) -> u64 {
        let month = u64::from(self.month.clamp(1, 12));
        let year = u64::from(self.year) - u64::from(month <= 2 && self.year > 0);
        let (era, yoe) = (year / 400, year % 400);
        let mp = (month + 9) % 12;
        let doy = (153 * mp + 2) / 5 + u64::from(self.day.max(1)) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        (era * 146_097 + doe).saturating_sub(719_468)
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self::from_days(self.days().saturating_add(1))
    }

    /// The first day of the month after it.
    #[must_use]
    pub fn next_month(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1, day: 1 },
            month => Self { month: month.saturating_add(1), day: 1, ..self },
        }
    }

    /// Parses `YYYY-MM-DD`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || y.len() != 4 || m.len() != 2 || d.len() != 2 {
            return None;
        }
        let date = Self { year: y.parse().ok()?, month: m.parse().ok()?, day: d.parse().ok()? };
        ((1..=12).contains(&date.month) && (1..=31).contains(&date.day)).then_some(date)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The two clocks that the product reads. Everything else takes time as an argument.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall clock; may step.
    fn wall(&self) -> Timestamp;
    /// `CLOCK_BOOTTIME` in nanoseconds: never steps, counts suspend (P4).
    fn boottime_ns(&self) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar_of_japan() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_709_210_096_789).to_string(), "2024-02-29T12:34:56.789Z");
        // 15:00 UTC is midnight in Japan.
        let midnight = Timestamp(1_704_034_800_000);
        assert_eq!(midnight.date_in_japan(), Date { year: 2024, month: 1, day: 1 });
        assert_eq!(
            Timestamp(midnight.0 - 1).date_in_japan(),
            Date { year: 2023, month: 12, day: 31 }
        );
        assert_eq!(Date::parse("2024-01-01").map(|d| d.to_string()).as_deref(), Some("2024-01-01"));
        assert_eq!(Date::parse("2024-13-01"), None);
        assert_eq!(Date::parse("24-01-01"), None);
    }

    #[test]
    fn a_day_begins_at_midnight_in_japan_and_every_day_has_one_after_it() {
        let mut date = Date { year: 1970, month: 1, day: 2 };
        for days in 1..60_000 {
            assert_eq!(date.days(), days);
            let midnight = Timestamp::of_midnight_in_japan(date);
            assert_eq!(midnight.date_in_japan(), date);
            assert_ne!(Timestamp(midnight.0 - 1).date_in_japan(), date);
            date = date.next();
        }
        let december = Date { year: 2024, month: 12, day: 31 };
        assert_eq!(december.next_month(), Date { year: 2025, month: 1, day: 1 });
        assert_eq!(december.next(), december.next_month());
    }
}
