//! Quotas of the fixture's tenants.

use super::{CLASS, Federation, admin};
use crate::command::Command;
use sekisho_types::id::TenantId;
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;

/// Revision of the one quota of [`Federation::furnished`].
#[must_use]
pub fn first_quota() -> Revision {
    Federation::furnished().state.quotas().next().unwrap().1.revision
}

impl Federation {
    /// Sets a tenant's quota of [`CLASS`].
    pub fn quota(&mut self, tenant: &TenantId, limit: Limit) {
        let (tenant, class) = (tenant.clone(), CLASS.parse().unwrap());
        let expected = self.state.quota_revision(&tenant, &class);
        self.accept(admin("kanto"), Command::SetQuota { tenant, class, limit, expected });
    }
}
