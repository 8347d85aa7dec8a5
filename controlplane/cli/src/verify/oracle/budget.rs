//! Budgets: charged with each grant for its whole time limit, and given back at its end what was not used (Q2).
//!
//! Must hold: no grant takes a hard budget beyond its amount in any period. One that was lowered since says nothing of
//! grants before.

use super::At;
use super::charge::{Charge, Work};
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::budget::{BudgetSpec, Exhausted, PER_HOUR};
use sekisho_types::id::TenantId;
use sekisho_types::limit::BUDGET_PERIODS_KEPT;
use sekisho_types::name::Name;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// A budget, told from others of its name by the entry that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BudgetId {
    tenant: TenantId,
    name: Name,
    made: Revision,
}

#[derive(Debug)]
struct Budget {
    spec: BudgetSpec,
    made: Revision,
    /// By the beginning of the period, in the unit times a millisecond.
    charged: BTreeMap<Timestamp, u128>,
}

/// What tenants may use over time.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    rows: BTreeMap<TenantId, BTreeMap<Name, Budget>>,
}

impl Budgets {
    /// Budgets of these tenants that count the work.
    pub(super) fn counting(&self, path: &[TenantId], work: Work<'_>) -> Vec<BudgetId> {
        let mut found = Vec::new();
        for tenant in path {
            let rows = self.rows.get(tenant).into_iter().flatten();
            let rows = rows.filter(|(_, budget)| budget.spec.counts(work.class, work.place));
            found.extend(rows.map(|(name, budget)| BudgetId {
                tenant: tenant.clone(),
                name: name.clone(),
                made: budget.made,
            }));
        }
        found
    }

    /// Whether all hard ones of these have enough left for the work at this price.
    ///
    /// # Errors
    /// The one that does not.
    pub(super) fn admit(
        &self,
        ids: &[BudgetId],
        work: Work<'_>,
        yen_per_gpu_hour: u64,
    ) -> Result<(), String> {
        for id in ids {
            let Some(budget) = self.rows.get(&id.tenant).and_then(|rows| rows.get(&id.name)) else {
                continue;
            };
            let spec = &budget.spec;
            if spec.exhausted == Exhausted::Warn {
                continue;
            }
            let rate = spec.rate(work.gpus, yen_per_gpu_hour);
            for (first, ms) in spec.period.parts(work.from, work.until) {
                let more = rate.saturating_mul(u128::from(ms));
                let charged = budget.charged.get(&first).copied().unwrap_or(0);
                let all = charged.saturating_add(more);
                if more > 0 && all > spec.whole() {
                    let all = all.div_ceil(u128::from(PER_HOUR));
                    return Err(format!(
                        "budget {}/{} would have {all} {} charged from {first} on, of {}",
                        id.tenant, id.name, spec.unit, spec.amount
                    ));
                }
            }
        }
        Ok(())
    }

    /// Charges the whole time of a placement.
    pub(super) fn charge(&mut self, charge: &Charge, gpus: u64) {
        self.each(charge, gpus, charge.from, u128::saturating_add);
        for budget in self.rows.values_mut().flat_map(BTreeMap::values_mut) {
            // What is told of long ago, is told no longer. Nothing is granted or given back there.
            while budget.charged.len() > BUDGET_PERIODS_KEPT {
                budget.charged.pop_first();
            }
        }
    }

    /// Every budget with the entry that made it, and what is charged by period.
    pub(super) fn charged(
        &self,
    ) -> impl Iterator<Item = ((TenantId, Name, Revision), &BTreeMap<Timestamp, u128>)> {
        self.rows.iter().flat_map(|(tenant, rows)| {
            rows.iter().map(move |(name, budget)| {
                ((tenant.clone(), name.clone(), budget.made), &budget.charged)
            })
        })
    }

    /// Gives back the time of a placement that is left at `now`.
    pub(super) fn refund(&mut self, charge: &Charge, gpus: u64, now: Timestamp) {
        self.each(charge, gpus, now.max(charge.from), u128::saturating_sub);
    }

    fn each(
        &mut self,
        charge: &Charge,
        gpus: u64,
        from: Timestamp,
        act: impl Fn(u128, u128) -> u128,
    ) {
        for id in &charge.budgets {
            let rows = self.rows.get_mut(&id.tenant);
            let row = rows.and_then(|rows| rows.get_mut(&id.name));
            let Some(budget) = row.filter(|budget| budget.made == id.made) else { continue };
            let rate = budget.spec.rate(gpus, charge.yen_per_gpu_hour);
            for (first, ms) in budget.spec.period.parts(from, charge.until) {
                let charged = budget.charged.entry(first).or_insert(0);
                *charged = act(*charged, rate.saturating_mul(u128::from(ms)));
            }
            // What is not charged any more is as if it never was.
            budget.charged.retain(|_, charged| *charged > 0);
        }
    }

    /// Every budget of a tenant goes.
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        self.rows.remove(tenant);
    }
}

impl Model {
    /// A budget is set, or goes. What it counts never changes under its name.
    pub(super) fn set_budget(
        &mut self,
        at: At<'_>,
        (tenant, name): (&TenantId, &Name),
        spec: Option<&BudgetSpec>,
        report: &mut Report,
    ) {
        let rows = self.budgets.rows.entry(tenant.clone()).or_default();
        let Some(spec) = spec else {
            rows.remove(name);
            return;
        };
        let made = at.record.revision;
        let Some(row) = rows.get_mut(name) else {
            let row = Budget { spec: spec.clone(), made, charged: BTreeMap::new() };
            rows.insert(name.clone(), row);
            return;
        };
        let (amount, exhausted) = (spec.amount, spec.exhausted);
        if *spec != (BudgetSpec { amount, exhausted, ..row.spec.clone() }) {
            let why = format!("budget {tenant}/{name} counts something else than before");
            report.found(Step::Quota, Some(at.index), why);
        }
        row.spec = spec.clone();
    }
}
