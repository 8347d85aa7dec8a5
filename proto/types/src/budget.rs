//! What a tenant may use over time: GPU-hours or yen for each period (design section 8).
//!
//! Must hold: whole numbers only, and a span of time is charged to the periods that it lies in, so that what is given
//! back is what was charged. Periods begin at midnight in Japan; a fiscal year on 1 April.

use crate::id::DeviceClass;
use crate::jurisdiction::Area;
use crate::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unit {
    /// One GPU for one hour.
    GpuHours,
    /// What the offers ask for that.
    Yen,
}

/// How often an amount begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Period {
    /// Each day.
    Day,
    /// Each month.
    Month,
    /// Each year from 1 April.
    FiscalYear,
    /// Never: one amount for this time.
    Once {
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
}

/// What happens when there is nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Exhausted {
    /// Nothing more is granted until the next period.
    Stop,
    /// It is told, and nothing else.
    Warn,
}

/// A budget as its administrators set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSpec {
    /// What is counted.
    pub unit: Unit,
    /// How much of it for each period, at most [`AMOUNT_MAX`].
    pub amount: u64,
    /// How often it begins anew.
    pub period: Period,
    /// Of this class only.
    pub class: Option<DeviceClass>,
    /// Of what runs in this area.
    pub area: Area,
    /// When there is nothing left.
    pub exhausted: Exhausted,
}

/// Most of a budget: a hundred thousand GPUs for a thousand years, or the yen of a national budget.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// Longest span of a budget that does not begin anew: ten years.
pub const ONCE_MAX_MS: u64 = 3653 * 86_400_000;

/// Periods that one charge lies in at most: the longest time limit is 30 days, and it begins within a day.
pub const PARTS_MAX: usize = 32;

/// What one hour has of the unit in which budgets are kept: the unit times a millisecond, so that no charge is rounded.
pub const PER_HOUR: u64 = 3_600_000;

/// Why a budget may not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// Beyond [`AMOUNT_MAX`].
    #[error("amount: at most {AMOUNT_MAX}")]
    Amount,
    /// The span is empty, or longer than [`ONCE_MAX_MS`].
    #[error("period: must begin before it ends, and within ten years of that")]
    Span,
    /// All of it is over.
    #[error("period: ended at {0}")]
    Past(Timestamp),
}

impl Period {
    /// The period that `at` lies in: its beginning and its end. `None` outside of one that does not begin anew.
    #[must_use]
    pub fn span(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let day = at.date_in_japan();
        let (first, next) = match self {
            Self::Day => (day, day.next()),
            Self::Month => (Date { day: 1, ..day }, day.next_month()),
            Self::FiscalYear => {
                let year = if day.month >= 4 { day.year } else { day.year.saturating_sub(1) };
                let april = |year| Date { year, month: 4, day: 1 };
                (april(year), april(year.saturating_add(1)))
            }
            Self::Once { from, until } => {
                return (from <= at && at < until).then_some((from, until));
            }
        };
        let midnight = Timestamp::of_midnight_in_japan;
        Some((midnight(first), midnight(next)))
    }

    /// The periods that `from` to `until` lies in, each by its beginning, with the milliseconds in it. What lies in none is
    /// left out; so is what comes after [`PARTS_MAX`] of them.
    pub fn parts(
        self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, u64)> {
        let begin = match self {
            Self::Once { from: first, .. } => from.max(first),
            Self::Day | Self::Month | Self::FiscalYear => from,
        };
        let mut at = begin;
        let next = move || {
            let (first, end) = self.span(at).filter(|_| at < until)?;
            let ms = end.min(until).since_ms(at);
            at = end;
            Some((first, ms))
        };
        std::iter::from_fn(next).take(PARTS_MAX)
    }
}

impl BudgetSpec {
    /// Checks what does not depend on state but for the time.
    ///
    /// # Errors
    /// [`BudgetError`].
    pub fn check(&self, now: Timestamp) -> Result<(), BudgetError> {
        if self.amount > AMOUNT_MAX {
            return Err(BudgetError::Amount);
        }
        match self.period {
            Period::Once { from, until } => {
                if from >= until || until.since_ms(from) > ONCE_MAX_MS {
                    return Err(BudgetError::Span);
                }
                if until <= now { Err(BudgetError::Past(until)) } else { Ok(()) }
            }
            Period::Day | Period::Month | Period::FiscalYear => Ok(()),
        }
    }

    /// The amount in the unit in which it is kept.
    #[must_use]
    pub fn whole(&self) -> u128 {
        u128::from(self.amount).saturating_mul(u128::from(PER_HOUR))
    }

    /// What `gpus` use of it in a millisecond, at this price.
    #[must_use]
    pub fn rate(&self, gpus: u64, yen_per_gpu_hour: u64) -> u128 {
        match self.unit {
            Unit::GpuHours => u128::from(gpus),
            Unit::Yen => u128::from(gpus).saturating_mul(u128::from(yen_per_gpu_hour)),
        }
    }

    /// Whether it counts work of this class in this area.
    #[must_use]
    pub fn counts(&self, class: &DeviceClass, area: Area) -> bool {
        self.class.as_ref().is_none_or(|of| of == class) && self.area.contains(area)
    }
}

impl Unit {
    /// The unit of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::GpuHours, Self::Yen].into_iter().find(|unit| unit.as_str() == text)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GpuHours => "gpu-hours",
            Self::Yen => "yen",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.pad("day"),
            Self::Month => f.pad("month"),
            Self::FiscalYear => f.pad("fiscal-year"),
            Self::Once { from, until } => f.pad(&format!("{from}/{until}")),
        }
    }
}

impl Exhausted {
    /// What is of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Stop, Self::Warn].into_iter().find(|one| one.as_str() == text)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn midnight(text: &str) -> Timestamp {
        Timestamp::of_midnight_in_japan(Date::parse(text).unwrap())
    }

    fn spec(amount: u64, period: Period) -> BudgetSpec {
        let (unit, exhausted) = (Unit::Yen, Exhausted::Stop);
        BudgetSpec { unit, amount, period, class: None, area: Area::Japan, exhausted }
    }

    #[test]
    fn periods_begin_at_midnight_in_japan_and_fiscal_years_in_april() {
        let at = midnight("2027-03-31").plus_ms(5 * HOUR);
        let span = |period: Period| period.span(at).unwrap();
        assert_eq!(span(Period::Day), (midnight("2027-03-31"), midnight("2027-04-01")));
        assert_eq!(span(Period::Month), (midnight("2027-03-01"), midnight("2027-04-01")));
        assert_eq!(span(Period::FiscalYear), (midnight("2026-04-01"), midnight("2027-04-01")));
        let next = midnight("2027-04-01");
        assert_eq!(Period::FiscalYear.span(next).unwrap().0, next);
    }

    #[test]
    fn a_span_is_charged_to_the_periods_that_it_lies_in() {
        let from = Timestamp(midnight("2027-04-01").0 - 2 * HOUR);
        let parts: Vec<_> = Period::Month.parts(from, from.plus_ms(5 * HOUR)).collect();
        assert_eq!(parts, [(midnight("2027-03-01"), 2 * HOUR), (midnight("2027-04-01"), 3 * HOUR)]);
        let month: Vec<_> = Period::Day.parts(from, from.plus_ms(30 * 24 * HOUR)).collect();
        assert_eq!(month.len(), 31);
        assert_eq!(month.iter().map(|(_, ms)| ms).sum::<u64>(), 30 * 24 * HOUR);
        let once = Period::Once { from: from.plus_ms(HOUR), until: from.plus_ms(2 * HOUR) };
        let parts: Vec<_> = once.parts(from, from.plus_ms(5 * HOUR)).collect();
        assert_eq!(parts, [(from.plus_ms(HOUR), HOUR)]);
        assert_eq!(once.parts(from.plus_ms(3 * HOUR), from.plus_ms(5 * HOUR)).count(), 0);
        assert_eq!(Period::Day.parts(from, from).count(), 0);
    }

    #[test]
    fn bad_budgets_are_told_apart() {
        let now = midnight("2027-04-01");
        let once = |from, until| spec(1, Period::Once { from, until }).check(now);
        assert_eq!(spec(AMOUNT_MAX, Period::Day).check(now), Ok(()));
        assert_eq!(spec(AMOUNT_MAX + 1, Period::Day).check(now), Err(BudgetError::Amount));
        assert_eq!(once(now, now), Err(BudgetError::Span));
        assert_eq!(once(now, now.plus_ms(ONCE_MAX_MS + 1)), Err(BudgetError::Span));
        assert_eq!(once(Timestamp(0), now), Err(BudgetError::Span));
        let before = midnight("2027-03-01");
        assert_eq!(once(before, now), Err(BudgetError::Past(now)));
        assert_eq!(once(before, now.plus_ms(1)), Ok(()));
    }

    #[test]
    fn yen_are_counted_by_the_price_and_no_sum_wraps() {
        let yen = spec(AMOUNT_MAX, Period::Month);
        assert_eq!(yen.rate(8, 300), 2400);
        assert_eq!(BudgetSpec { unit: Unit::GpuHours, ..yen.clone() }.rate(8, 300), 8);
        assert!(yen.whole() > u128::from(u64::MAX / 8));
        assert_eq!(Unit::parse("gpu-hours"), Some(Unit::GpuHours));
        assert_eq!(Exhausted::parse("warn"), Some(Exhausted::Warn));
    }
}
