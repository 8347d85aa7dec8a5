//! Policies and tenants that go, judged: nothing that they bound or held is left.

use super::At;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::offer::Vetoed;

impl Model {
    /// A policy goes. What binds a tenant or something that lives may not: its placements would be under no rules.
    pub(super) fn delete_policy(&mut self, at: At<'_>, policy: &PolicyId, report: &mut Report) {
        let binds_tenant = self.tenants.values().any(|bound| bound.as_ref() == Some(policy));
        let lives = |held: &super::model::Held| self.jobs.get(&held.job.whole());
        let binds_job = self
            .placements
            .values()
            .filter_map(lives)
            .any(|job| job.facts.policy.as_ref() == Some(policy));
        if binds_tenant || binds_job {
            let why = format!("policy {policy} is taken out and binds something");
            report.found(Step::Residency, Some(at.index), why);
        }
        self.policies.remove(policy);
    }

    /// A tenant goes with its quotas and budgets. It may hold nothing, and nobody may be a part of it.
    pub(super) fn delete_tenant(&mut self, at: At<'_>, tenant: &TenantId, report: &mut Report) {
        if self.ledger.holds(tenant) {
            let why = format!("tenant {tenant} is taken out and holds GPUs");
            report.found(Step::Quota, Some(at.index), why);
        }
        if self.ledger.has_parts(tenant) {
            let why = format!("tenant {tenant} is taken out and has parts");
            report.found(Step::Quota, Some(at.index), why);
        }
        self.tenants.remove(tenant);
        self.ledger.forget(tenant);
        self.budgets.forget(tenant);
        self.reservations.forget(|of, _| of == tenant);
        self.offers.forget(|_, of| *of == Vetoed::Tenant(tenant.clone()));
    }
}
