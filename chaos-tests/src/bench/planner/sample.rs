//! What a case tells: times, rates and counts, each with its unit.

use super::super::figure::Better;
use super::super::meter::{self, Span, Spent};
use anyhow::Result;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a figure measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Measure {
    Micros,
    Millis,
    Rate,
    Bytes,
    Seconds,
    Percent,
    Count,
}

impl Measure {
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Rate => "1/s",
            Self::Bytes => "B",
            Self::Seconds => "s",
            Self::Percent => "%",
            Self::Count => "1",
        }
    }

    pub(super) fn better(self) -> Better {
        match self {
            Self::Rate => Better::More,
            Self::Micros | Self::Millis | Self::Bytes | Self::Seconds => Better::Less,
            Self::Percent | Self::Count => Better::Neither,
        }
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) what: String,
    pub(super) measure: Measure,
    /// `None` = there was nothing to measure.
    pub(super) value: Option<f64>,
}

/// All of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) found: Vec<Found>,
    /// Cores that everybody else kept busy meanwhile.
    pub(super) others: f64,
}

impl Told {
    /// A case whose measuring began with `span`.
    pub(super) fn of(span: Span) -> Result<Self> {
        let Spent { others, .. } = span.end()?;
        Ok(Self { found: Vec::new(), others })
    }

    pub(super) fn add(&mut self, what: &str, measure: Measure, value: impl Into<Option<f64>>) {
        self.found.push(Found { what: what.to_owned(), measure, value: value.into() });
    }
}

/// A count as a figure.
pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// So many in this time, a second; `None` of no time.
pub(super) fn rate(count: usize, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| number(count) / time.as_secs_f64())
}

/// Microseconds of each of so many; `None` of none.
pub(super) fn micros_each(time: Duration, count: usize) -> Option<f64> {
    (count > 0).then(|| time.as_secs_f64() * 1e6 / number(count))
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Resident set of this process, bytes.
pub(super) fn resident() -> Result<f64> {
    Ok(meter::memory(Pid::this())?.rss * 1_048_576.0)
}

/// Times of one thing, over and over.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(super) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds that so many in a hundred took at most; 100 = the longest.
    pub(super) fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().map(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_times_that_were_taken() {
        let mut times = Times::default();
        assert_eq!((times.percentile(50), rate(3, times.sum())), (None, None));
        for ms in [3, 1, 2, 10] {
            times.push(Duration::from_millis(ms));
        }
        assert_eq!((times.percentile(50), times.percentile(99)), (Some(2.0), Some(10.0)));
        assert_eq!((times.percentile(100), times.len()), (Some(10.0), 4));
        assert_eq!(rate(8, times.sum()), Some(500.0));
        assert_eq!(
            (micros_each(times.sum(), 8), micros_each(times.sum(), 0)),
            (Some(2000.0), None)
        );
    }
}
