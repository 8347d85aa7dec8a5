//! Who has had how much lately: the measure by which the planner takes turns among tenants.
//!
//! A grant counts at once for its whole time limit (so that nobody takes everything before the measure notices), and what it
//! did not use is taken back at its end. What was used loses half its weight in [`HALF_LIFE_MS`]. As everything fades at the
//! same pace, nothing is ever faded: what is added later is added with more weight, and the order is the same.
//!
//! Must hold: integers only (R4), and what is taken back is what was added. It orders and grants nothing: apply does not look at it.

use crate::state::State;
use sekisho_types::id::TenantId;
use sekisho_types::time::Timestamp;

/// After so long, use counts half: a week, as Slurm's `PriorityDecayHalfLife` by default.
pub const HALF_LIFE_MS: u64 = 7 * 86_400_000;

/// Bits behind the point of a weight.
const POINT: u32 = 16;

/// Half lives after which the weights begin anew: the largest weight has 48 bits then, and a charge below 110.
const REBASE: u64 = 32;

/// 2^(1/2), 2^(1/4), … 2^(1/65536), with 32 bits behind the point.
const ROOTS: [u64; 16] = [
    6_074_000_999,
    5_107_605_667,
    4_683_695_047,
    4_485_121_743,
    4_389_014_833,
    4_341_736_423,
    4_318_288_543,
    4_306_612_133,
    4_300_785_773,
    4_297_875_550,
    4_296_421_177,
    4_295_694_174,
    4_295_330_720,
    4_295_149_004,
    4_295_058_149,
    4_295_012_722,
];

/// Weight of what is used at `at`, relative to `base`, with [`POINT`] bits behind the point.
fn weight(base: Timestamp, at: Timestamp) -> u128 {
    let (since, before) = (at.since_ms(base), base.since_ms(at));
    if before > 0 {
        let halvings = before.div_ceil(HALF_LIFE_MS);
        let rest = halvings.saturating_mul(HALF_LIFE_MS).saturating_sub(before);
        let shift = u32::try_from(halvings).unwrap_or(u32::MAX);
        return grown(rest).checked_shr(shift).unwrap_or(0);
    }
    let doublings = since.checked_div(HALF_LIFE_MS).unwrap_or(0);
    let rest = since.checked_rem(HALF_LIFE_MS).unwrap_or(0);
    let shift = u32::try_from(doublings.min(REBASE.saturating_mul(2))).unwrap_or(0);
    grown(rest).checked_shl(shift).unwrap_or(u128::MAX)
}

/// 2^(ms / half life) for less than one half life.
fn grown(ms: u64) -> u128 {
    let bits = (u128::from(ms) << POINT).checked_div(u128::from(HALF_LIFE_MS)).unwrap_or(0);
    let start = 1u128 << 32;
    let all = (0..POINT).zip(ROOTS).fold(start, |product, (at, root)| {
        let bit = POINT.saturating_sub(at).saturating_sub(1);
        if (bits >> bit) & 1 == 0 {
            product
        } else {
            product.saturating_mul(u128::from(root)) >> 32
        }
    });
    all >> (32 - POINT)
}

impl State {
    /// Adds what `gpus` use in `ms` milliseconds from `at` on.
    pub(crate) fn use_fairly(&mut self, tenant: &TenantId, gpus: u64, ms: u64, at: Timestamp) {
        self.rebase(at);
        let sum = self.fair_use(tenant).saturating_add(self.weighed(gpus, ms, at));
        self.fair.insert(tenant.clone(), sum);
    }

    /// Takes back what was added at `at` and not used.
    pub(crate) fn unuse_fairly(&mut self, tenant: &TenantId, gpus: u64, ms: u64, at: Timestamp) {
        let sum = self.fair_use(tenant).saturating_sub(self.weighed(gpus, ms, at));
        if sum == 0 {
            self.fair.remove(tenant);
        } else {
            self.fair.insert(tenant.clone(), sum);
        }
    }

    fn weighed(&self, gpus: u64, ms: u64, at: Timestamp) -> u128 {
        let amount = u128::from(gpus).saturating_mul(u128::from(ms));
        amount.saturating_mul(weight(self.fair_base, at)) >> POINT
    }

    /// Begins the weights anew from time to time, so that they stay small. Old use is halved as often.
    fn rebase(&mut self, at: Timestamp) {
        if self.fair_base == Timestamp(0) {
            self.fair_base = at;
            return;
        }
        let span = REBASE.saturating_mul(HALF_LIFE_MS);
        if at.since_ms(self.fair_base) < span {
            return;
        }
        self.fair_base = self.fair_base.plus_ms(span);
        let rows: Vec<(TenantId, u128)> =
            self.fair.iter().map(|(tenant, sum)| (tenant.clone(), *sum)).collect();
        for (tenant, sum) in rows {
            let sum = sum.checked_shr(u32::try_from(REBASE).unwrap_or(0)).unwrap_or(0);
            if sum == 0 {
                self.fair.remove(&tenant);
            } else {
                self.fair.insert(tenant, sum);
            }
        }
    }

    /// What a tenant itself has used lately, by weight. Comparable within one state only.
    #[must_use]
    pub fn fair_use(&self, tenant: &TenantId) -> u128 {
        self.fair.get(tenant).copied().unwrap_or(0)
    }

    /// The weight of a grant of so many GPUs for so long, made now.
    #[must_use]
    pub fn fair_weight(&self, gpus: u64, ms: u64) -> u128 {
        self.weighed(gpus, ms, self.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn state() -> State {
        State::default()
    }

    #[test]
    fn what_is_used_a_half_life_later_counts_twice() {
        let base = Timestamp(1_795_305_600_000);
        let at = |days: u64| weight(base, base.plus_ms(days * DAY));
        assert_eq!(at(0), 1 << POINT);
        assert_eq!((at(7), at(14)), (2 << POINT, 4 << POINT));
        // Half a half life: the root of two, within a part in ten thousand.
        let root = weight(base, base.plus_ms(7 * DAY / 2));
        assert!((92_670..=92_690).contains(&root), "{root}");
        assert!((0..400).all(|day| at(day) < at(day + 1)), "later counts more");
        // Before the base it is the inverse.
        let before = weight(base, Timestamp(base.0 - 7 * DAY));
        assert_eq!(before, 1 << (POINT - 1));
    }

    #[test]
    fn what_is_taken_back_is_what_was_added_even_long_after() {
        let mut state = state();
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let begin = Timestamp(1_795_305_600_000);
        state.use_fairly(&a, 8, 3_600_000, begin);
        let later = begin.plus_ms(3 * DAY);
        state.use_fairly(&b, 8, 3_600_000, later);
        assert!(state.fair_use(&b) > state.fair_use(&a), "the later counts more");
        state.unuse_fairly(&b, 8, 3_600_000, later);
        assert_eq!(state.fair_use(&b), 0);
        // After the weights began anew the early use is next to nothing, and nothing wraps.
        let far = begin.plus_ms(40 * 7 * DAY);
        state.use_fairly(&b, 100_000, 30 * DAY, far);
        assert_eq!(state.fair_use(&a), 0);
        assert!(state.fair_use(&b) > 0 && state.fair_use(&b) < u128::MAX / 2);
        state.unuse_fairly(&b, 100_000, 30 * DAY, far);
        assert_eq!(state.fair.len(), 0);
    }
}
