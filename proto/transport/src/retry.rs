//! When to try again: exponential pauses with full jitter, inside a budget that a dead service cannot exhaust
//! into a storm.
//!
//! Randomness is passed in, so that a simulation repeats itself.

use parking_lot::Mutex;
use rand::{Rng, RngCore};
use std::time::Duration;

/// Shape of the pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffOptions {
    /// Upper bound of the first pause.
    pub base: Duration,
    /// Upper bound of any pause.
    pub max: Duration,
}

impl Default for BackoffOptions {
    /// 20 ms, doubling up to 2 s: an election takes a quarter of a second.
    fn default() -> Self {
        Self { base: Duration::from_millis(20), max: Duration::from_secs(2) }
    }
}

/// Pauses of one sequence of attempts.
#[derive(Debug)]
pub struct Backoff {
    options: BackoffOptions,
    bound: Duration,
}

impl Backoff {
    /// Begins a sequence.
    #[must_use]
    pub fn new(options: BackoffOptions) -> Self {
        Self { options, bound: options.base.min(options.max) }
    }

    /// The next pause: uniform between zero and a bound that doubles. Full jitter, because callers that failed
    /// together would otherwise come back together.
    pub fn next_pause(&mut self, random: &mut dyn RngCore) -> Duration {
        let bound = u64::try_from(self.bound.as_micros()).unwrap_or(u64::MAX);
        self.bound = self.bound.saturating_mul(2).min(self.options.max);
        Duration::from_micros(random.random_range(0..=bound))
    }

    /// Begins again after a success.
    pub fn reset(&mut self) {
        self.bound = self.options.base.min(self.options.max);
    }
}

/// What one call may cost in retries, in tenths: a success pays for a tenth of a retry.
const RETRY_COST: u32 = 10;

/// Retries shared by all calls of one client: a bucket that successes fill by a tenth each. When everything
/// fails, load falls to one attempt per call instead of doubling.
#[derive(Debug)]
pub struct RetryBudget {
    capacity: u32,
    tenths: Mutex<u32>,
}

impl RetryBudget {
    /// A full bucket of `retries`.
    #[must_use]
    pub fn new(retries: u32) -> Self {
        let capacity = retries.saturating_mul(RETRY_COST);
        Self { capacity, tenths: Mutex::new(capacity) }
    }

    /// Takes one retry; `false` when the bucket is empty and the caller must give up.
    #[must_use]
    pub fn spend(&self) -> bool {
        let mut tenths = self.tenths.lock();
        let left = tenths.checked_sub(RETRY_COST);
        *tenths = left.unwrap_or(*tenths);
        left.is_some()
    }

    /// Notes a success.
    pub fn earn(&self) {
        let mut tenths = self.tenths.lock();
        *tenths = tenths.saturating_add(1).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn pauses_grow_to_their_bound_and_repeat_with_the_seed() {
        let options = BackoffOptions::default();
        let pauses = |seed| {
            let (mut random, mut backoff) = (StdRng::seed_from_u64(seed), Backoff::new(options));
            (0..50).map(|_| backoff.next_pause(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
        let all: Vec<Duration> = (0..20).flat_map(pauses).collect();
        assert!(all.iter().all(|pause| *pause <= options.max));
        assert!(all.iter().any(|pause| *pause > options.max / 2));
        assert!((0..20).all(|seed| pauses(seed)[0] <= options.base));
    }

    #[test]
    fn the_budget_empties_and_fills_by_tenths() {
        let budget = RetryBudget::new(2);
        assert!(budget.spend() && budget.spend() && !budget.spend());
        for _ in 0..9 {
            budget.earn();
        }
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend() && !budget.spend());
    }
}
