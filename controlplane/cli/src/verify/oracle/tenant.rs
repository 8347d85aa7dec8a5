//! Tenants: the policy that binds all their jobs, and whose parts they are.

use super::At;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::patch::Patch;

impl Model {
    /// A tenant is made or changed.
    pub(super) fn put_tenant(
        &mut self,
        at: At<'_>,
        id: &TenantId,
        (policy, parent): (&Patch<Option<PolicyId>>, &Patch<Option<TenantId>>),
        report: &mut Report,
    ) {
        let bound = self.tenants.entry(id.clone()).or_default();
        if let Patch::Set(policy) = policy {
            bound.clone_from(policy);
        }
        let Patch::Set(parent) = parent else { return };
        let unknown = |of: &&TenantId| !self.tenants.contains_key(*of);
        if let Some(unknown) = parent.as_ref().filter(unknown) {
            let why = format!("tenant {id} becomes a part of {unknown}, which does not exist");
            report.found(Step::Quota, Some(at.index), why);
        }
        if let Err(why) = self.ledger.join(id, parent.as_ref()) {
            report.found(Step::Quota, Some(at.index), why);
        }
    }
}
