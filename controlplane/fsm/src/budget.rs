//! What tenants may use over time, and use: charged ahead for the whole time limit, given back at the end.
//!
//! Must hold: a charge is made in the entry that grants, for the time from the grant to its limit, in the periods that this
//! lies in; what is given back at an end is the rest of the very same (so metering only refunds). A hard budget is never
//! overspent by a grant: what would not fit is not granted. Lowering one leaves what runs alone.
//! Does not know: how many GPUs may be held at once (`quota`), and what they cost (`offer`).

use crate::state::{Placement, State};
use sekisho_types::budget::{BudgetSpec, Exhausted, PER_HOUR, Unit};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::BUDGET_PERIODS_KEPT;
use sekisho_types::name::Name;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a budget.
pub type BudgetKey = (TenantId, Name);

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// As it was set.
    pub spec: BudgetSpec,
    /// The entry that made it: one of the same name that comes later is another.
    pub created: Revision,
    /// Last change of what was set.
    pub revision: Revision,
    /// Charged by period, which its beginning names, in milliseconds of the unit; what is charged for time to come is in it.
    pub charged: BTreeMap<Timestamp, u128>,
}

/// A budget that a placement was charged to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Charged {
    /// Which.
    pub key: BudgetKey,
    /// The entry that made it.
    pub created: Revision,
}

impl Budget {
    /// What is left of the period that begins at `first`.
    #[must_use]
    pub fn left(&self, first: Timestamp) -> u128 {
        self.spec.whole().saturating_sub(self.charged.get(&first).copied().unwrap_or(0))
    }

    /// Charges so much a millisecond from `from` to `until`.
    pub(crate) fn charge(&mut self, rate: u128, (from, until): (Timestamp, Timestamp)) {
        for (first, ms) in self.spec.period.parts(from, until) {
            let charged = self.charged.entry(first).or_default();
            *charged = charged.saturating_add(rate.saturating_mul(u128::from(ms)));
        }
        // What costs nothing is charged to no period.
        self.charged.retain(|_, charged| *charged > 0);
        while self.charged.len() > BUDGET_PERIODS_KEPT {
            self.charged.pop_first();
        }
    }

    /// Gives it back. A period that is not kept any more was over long before.
    pub(crate) fn refund(&mut self, rate: u128, (from, until): (Timestamp, Timestamp)) {
        for (first, ms) in self.spec.period.parts(from, until) {
            if let Some(charged) = self.charged.get_mut(&first) {
                *charged = charged.saturating_sub(rate.saturating_mul(u128::from(ms)));
            }
        }
        self.charged.retain(|_, charged| *charged > 0);
    }
}

/// What is kept in milliseconds of a unit, in whole units, rounded up.
#[must_use]
pub fn hours(kept: u128) -> u128 {
    kept.div_ceil(u128::from(PER_HOUR))
}

impl State {
    /// One budget.
    #[must_use]
    pub fn budget(&self, tenant: &TenantId, name: &Name) -> Option<&Budget> {
        self.budgets.get(&(tenant.clone(), name.clone()))
    }

    /// All budgets, by tenant and name.
    pub fn budgets(&self) -> impl DoubleEndedIterator<Item = (&BudgetKey, &Budget)> {
        self.budgets.iter()
    }

    /// Budgets of one tenant.
    pub fn budgets_of<'s>(
        &'s self,
        tenant: &TenantId,
    ) -> impl Iterator<Item = (&'s BudgetKey, &'s Budget)> + use<'s> {
        let tenant = tenant.clone();
        // The least of all names.
        let first = Name::parse("a").ok().map(|name| (tenant.clone(), name));
        let from = first.into_iter().flat_map(|first| self.budgets.range(first..));
        from.take_while(move |((of, _), _)| *of == tenant)
    }

    /// Budgets that count what tenants of `path` hold of a class at a place.
    pub(crate) fn budgets_on<'s>(
        &'s self,
        path: &'s [TenantId],
        class: &'s DeviceClass,
        place: Area,
    ) -> impl Iterator<Item = (&'s BudgetKey, &'s Budget)> {
        let all = path.iter().flat_map(|tenant| self.budgets_of(tenant));
        all.filter(move |(_, budget)| budget.spec.counts(class, place))
    }

    /// The hard budget of GPU-hours that would not cover so many GPUs of a job wherever it ran, if there is one, and why. Of an array
    /// that is as long as its tasks take if so many run at once as may.
    #[must_use]
    pub fn over_budget(&self, facts: &JobFacts, gpus: u64) -> Option<(ErrorCode, String)> {
        let path = self.path(&facts.id.tenant);
        let limit_ms = facts.time_limit_s.saturating_mul(1000);
        let until = self.clock.plus_ms(match facts.kind {
            Kind::Batch | Kind::Service { .. } => limit_ms,
            Kind::Array { tasks, at_most } => {
                limit_ms.saturating_mul(u64::from(tasks)).div_ceil(u64::from(at_most.max(1)))
            }
        });
        let binds = |spec: &BudgetSpec| {
            spec.exhausted == Exhausted::Stop
                && spec.unit == Unit::GpuHours
                && spec.counts(&facts.resources.class, Area::Japan)
        };
        let all = path.iter().flat_map(|tenant| self.budgets_of(tenant));
        all.filter(|(_, budget)| binds(&budget.spec)).find_map(|((tenant, name), budget)| {
            let rate = budget.spec.rate(gpus, 0);
            let mut parts = budget.spec.period.parts(self.clock, until);
            parts.find_map(|(first, ms)| {
                let need = rate.saturating_mul(u128::from(ms));
                let code = if need > budget.spec.whole() {
                    ErrorCode::BudgetTooSmall
                } else if need > budget.left(first) {
                    ErrorCode::BudgetExhausted
                } else {
                    return None;
                };
                let (need, left) = (hours(need), hours(budget.left(first)));
                let own = *tenant == facts.id.tenant;
                let why = if own {
                    format!(
                        "budget {tenant}/{name} has {left} GPU-hours left, the job needs {need}"
                    )
                } else {
                    // Whoever reads a part need not know what its parents have.
                    format!(
                        "a budget above {} does not cover the {need} GPU-hours",
                        facts.id.tenant
                    )
                };
                Some((code, why))
            })
        })
    }

    /// What of a budget's period at `at` is charged for time to come, by placements that go on: it comes back if they end
    /// earlier. It looks at all placements.
    #[must_use]
    pub fn committed(&self, key: &BudgetKey, at: Timestamp) -> u128 {
        let Some(budget) = self.budgets.get(key) else { return 0 };
        let Some((first, _)) = budget.spec.period.span(at) else { return 0 };
        let rest = |row: &Placement| {
            let rate = budget.spec.rate(u64::from(row.grant.gpus), row.charge.yen_per_gpu_hour);
            let mut parts = budget.spec.period.parts(at.max(row.charge.from), row.charge.until);
            let ms = parts.find(|(of, _)| *of == first).map_or(0, |(_, ms)| ms);
            rate.saturating_mul(u128::from(ms))
        };
        let is_of = |row: &&Placement| {
            !row.phase.is_ended()
                && row
                    .charge
                    .budgets
                    .iter()
                    .any(|one| one.key == *key && one.created == budget.created)
        };
        self.placements
            .iter()
            .map(|(_, row)| row)
            .filter(is_of)
            .fold(0, |sum, row| sum.saturating_add(rest(row)))
    }
}

#[cfg(test)]
mod tests;
