//! Slices of tenants' quotas that sites hold.
//!
//! Must hold: `Q = free + Σ granted` (Q1): what a site holds is charged to the tenant as if it ran there, so that no two
//! places can spend it. Spending it while a site is cut off is not here.

use crate::state::State;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::Revision;
use serde::{Deserialize, Serialize};

/// The key of an escrow.
pub type EscrowKey = (SiteId, TenantId, DeviceClass);

/// GPUs of a tenant's quota that a site holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escrow {
    /// How many; never zero: that has no row.
    pub gpus: u64,
    /// Where they are charged.
    pub place: Area,
    /// Last change.
    pub revision: Revision,
}

impl State {
    /// What a site holds of a tenant's quota.
    #[must_use]
    pub fn escrow(&self, site: &SiteId, tenant: &TenantId, class: &DeviceClass) -> Option<&Escrow> {
        self.escrows.get(&(site.clone(), tenant.clone(), class.clone()))
    }

    /// What all sites hold.
    pub fn escrows(&self) -> impl DoubleEndedIterator<Item = (&EscrowKey, &Escrow)> {
        self.escrows.iter()
    }
}
