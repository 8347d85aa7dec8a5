//! What is told of the periods of a budget: used, promised, and where it leads.
//!
//! Must hold: whole numbers that cannot wrap, rounded up, so that nothing looks cheaper than it is. What was used until now is
//! taken to go on as it did; nothing is decided by it.

use sekisho_fsm::State;
use sekisho_fsm::budget::{Budget, BudgetKey};
use sekisho_proto::v1::budget::Spent;
use sekisho_types::budget::{PER_HOUR, Period};
use sekisho_types::time::Timestamp;

/// One period, in the unit in which budgets are kept.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    /// The amount.
    whole: u128,
    /// Used up, and promised to what runs.
    charged: u128,
    /// Promised of that: it comes back if everything ended now.
    committed: u128,
}

/// The period of now, if there is one, and those before it, newest first.
pub(super) fn of(state: &State, key: &BudgetKey, row: &Budget) -> (Option<Spent>, Vec<Spent>) {
    let (now, period) = (state.clock(), row.spec.period);
    // What has not begun may be charged already, by what runs into it.
    let at = match period {
        Period::Once { from, .. } => now.max(from),
        Period::Day | Period::Month | Period::FiscalYear => now,
    };
    let present = period.span(at);
    let span = |(from, until): (Timestamp, Timestamp), committed| Span {
        from,
        until,
        whole: row.spec.whole(),
        charged: row.charged.get(&from).copied().unwrap_or(0),
        committed,
    };
    let spent = present.map(|at_now| span(at_now, state.committed(key, at)).now(now));
    let is_before = |first: &Timestamp| present.is_none_or(|(begin, _)| *first < begin);
    let before = row.charged.keys().rev().copied().filter(is_before);
    let earlier = before.filter_map(|first| Some(span(period.span(first)?, 0).over()));
    (spent, earlier.collect())
}

impl Span {
    /// Used up by now.
    fn used(&self) -> u128 {
        self.charged.saturating_sub(self.committed)
    }

    /// How long it is, and how much of that is over.
    fn times(&self, now: Timestamp) -> (u128, u128) {
        let (whole, over) = (self.until.since_ms(self.from), now.since_ms(self.from));
        (u128::from(whole), u128::from(over.min(whole)))
    }

    /// What it comes to at its end if it goes on as until `now`; never less than what is charged.
    fn forecast(&self, now: Timestamp) -> u128 {
        let (length, over) = self.times(now);
        divided_up(self.used().saturating_mul(length), over).map_or(self.charged, |at_end| {
            // What is charged may well run to its time limit.
            at_end.max(self.charged)
        })
    }

    /// When nothing is left if it goes on so, if that comes before the end.
    fn exhausted(&self, now: Timestamp) -> Option<Timestamp> {
        if self.charged >= self.whole {
            return Some(now);
        }
        let (_, over) = self.times(now);
        let after = divided_up(self.whole.saturating_mul(over), self.used())?;
        let at = self.from.plus_ms(narrow(after));
        (over > 0 && at < self.until).then(|| at.max(now))
    }

    fn now(&self, now: Timestamp) -> Spent {
        Spent {
            forecast_milli: thousandths(self.forecast(now)),
            exhausted_ms: self.exhausted(now).map(|at| at.0),
            ..self.over()
        }
    }

    fn over(&self) -> Spent {
        Spent {
            from_ms: self.from.0,
            until_ms: self.until.0,
            charged_milli: thousandths(self.charged),
            committed_milli: thousandths(self.committed),
            forecast_milli: 0,
            exhausted_ms: None,
        }
    }
}

/// The quotient, rounded up; `None` by nothing.
fn divided_up(dividend: u128, divisor: u128) -> Option<u128> {
    let (whole, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    Some(whole.saturating_add(u128::from(rest > 0)))
}

/// Thousandths of the unit, rounded up.
fn thousandths(kept: u128) -> u64 {
    narrow(divided_up(kept.saturating_mul(1000), u128::from(PER_HOUR)).unwrap_or(u128::MAX))
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    /// Of a hundred hours, for a hundred units.
    fn span(charged: u64, committed: u64) -> Span {
        let hours = |number: u64| u128::from(number) * u128::from(PER_HOUR);
        let (from, until) = (Timestamp(7 * HOUR), Timestamp(107 * HOUR));
        let (charged, committed) = (hours(charged), hours(committed));
        Span { from, until, whole: hours(100), charged, committed }
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp((7 + hours) * HOUR)
    }

    #[test]
    fn what_goes_on_as_it_did_is_told_ahead() {
        // Ten hours took 20 units, 5 more are promised.
        let told = span(25, 5).now(at(10));
        assert_eq!((told.from_ms, told.until_ms), (7 * HOUR, 107 * HOUR));
        assert_eq!((told.charged_milli, told.committed_milli), (25_000, 5_000));
        assert_eq!(told.forecast_milli, 200_000);
        assert_eq!(told.exhausted_ms, Some(at(50).0));
        // Half as fast it lasts.
        let told = span(10, 0).now(at(10));
        assert_eq!((told.forecast_milli, told.exhausted_ms), (100_000, None), "just to the end");
        let told = span(11, 0).now(at(10));
        let until = told.exhausted_ms.unwrap();
        assert!(at(90).0 < until && until < at(91).0, "{until}");
    }

    #[test]
    fn a_forecast_is_no_less_than_what_is_charged() {
        assert_eq!(span(40, 40).now(at(10)).forecast_milli, 40_000);
        assert_eq!(span(40, 39).now(at(99)).forecast_milli, 40_000);
        // Before anything is over nobody knows.
        let told = span(40, 0).now(at(0));
        assert_eq!((told.forecast_milli, told.exhausted_ms), (40_000, None));
        assert_eq!(span(0, 0).now(at(10)).forecast_milli, 0);
        // What was charged before it began, and what a refund has not reached yet.
        assert_eq!(span(3, 3).now(Timestamp(0)).forecast_milli, 3_000);
        assert_eq!(span(3, 9).now(at(10)).forecast_milli, 3_000);
    }

    #[test]
    fn where_nothing_is_left_it_is_so_now() {
        for charged in [100, 130] {
            assert_eq!(span(charged, charged).now(at(10)).exhausted_ms, Some(at(10).0));
            assert_eq!(span(charged, 0).now(at(0)).exhausted_ms, Some(at(0).0));
        }
        let none = Span { whole: 0, ..span(0, 0) };
        assert_eq!(none.exhausted(at(10)), Some(at(10)));
        // Running work is charged ahead: the rate alone would say that the end has come already.
        let late = Span { charged: span(99, 0).charged, ..span(0, 0) };
        assert!(late.exhausted(at(98)).unwrap() >= at(98));
        assert_eq!(span(100, 0).over().exhausted_ms, None, "what is over has no end to come");
    }

    #[test]
    fn numbers_round_up_and_do_not_wrap() {
        let per_hour = u128::from(PER_HOUR);
        assert_eq!([0, 1, 3600, 3601, per_hour].map(thousandths), [0, 1, 1, 2, 1000]);
        assert_eq!(thousandths(u128::MAX), u64::MAX);
        let all = Span { charged: u128::MAX, ..span(0, 0) };
        let told = all.now(at(10));
        assert_eq!((told.charged_milli, told.exhausted_ms), (u64::MAX, Some(at(10).0)));
        let huge = Span { whole: u128::MAX, charged: u128::MAX - 1, ..span(0, 0) };
        assert_eq!(huge.now(at(10)).forecast_milli, u64::MAX);
        let empty = Span { until: at(0), ..span(1, 0) };
        assert_eq!(empty.now(at(10)).forecast_milli, 1_000);
        assert_eq!(divided_up(7, 0), None);
    }
}
