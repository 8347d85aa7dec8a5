//! Policies and tenants that go, judged: nothing that they bound or held is left.

use super::At;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::id::{PolicyId, TenantId};

impl Model {
    /// A policy goes. What binds a tenant or something that lives may not: its placements would be under no rules.
    pub(super) fn delete_policy(&mut self, at: At<'_>, policy: &PolicyId, report: &mut Report) {
        let binds_tenant = self.tenants.values().any(|bound| bound.as_ref() == Some(policy));
        let lives = |held: &super::model::Held| self.jobs.get(&held.job);
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

    /// A tenant goes with its quotas. It may hold nothing.
    pub(super) fn delete_tenant(&mut self, at: At<'_>, tenant: &TenantId, report: &mut Report) {
        let holds = |((of, _), gpus): (&(TenantId, _), &u64)| of == tenant && *gpus > 0;
        if self.charged.iter().any(holds) {
            report.found(
                Step::Quota,
                Some(at.index),
                format!("tenant {tenant} is taken out and holds GPUs"),
            );
        }
        self.tenants.remove(tenant);
        self.limits.retain(|(of, _), _| of != tenant);
    }
}
