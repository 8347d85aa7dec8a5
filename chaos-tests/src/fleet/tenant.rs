//! Tenants of a made-up fleet: a state, its departments, and in them those who submit jobs.
//!
//! Must hold: quotas cover the fleet, and each tenant may borrow all that the others do not use: what keeps a job waiting is
//! room, or somebody else's turn.

use super::law::{SHARES, TENANTS};
use super::node::Class;
use anyhow::Result;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::quota::{Allotment, Limit};

const ROOT: &str = "state";
const DEPARTMENTS: [&str; 3] = ["research", "health", "industry"];

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What it is a part of.
    pub parent: Option<TenantId>,
    /// How many jobs it submits, beside the others; 0 = it has parts that do.
    pub jobs: u64,
    /// By class, in all Japan.
    pub quotas: Vec<(DeviceClass, Allotment)>,
}

impl Tenant {
    fn inner(id: TenantId, parent: Option<TenantId>) -> Self {
        Self { id, parent, jobs: 0, quotas: Vec::new() }
    }
}

/// Of each class as large a part of the fleet as the tenant's part of the trace's GPU-hours, all of it lent while idle.
fn quotas(classes: &[Class], share: u64) -> Vec<(DeviceClass, Allotment)> {
    let quota = |class: &Class| {
        let own = Limit::Gpus(class.gpus().saturating_mul(share).div_ceil(SHARES));
        let allotment = Allotment { nominal: own, borrowing: Limit::Unlimited, lending: own };
        (class.name.clone(), allotment)
    };
    classes.iter().map(quota).collect()
}

/// All tenants, parents first.
pub(super) fn tree(classes: &[Class]) -> Result<Vec<Tenant>> {
    let root: TenantId = ROOT.parse()?;
    let mut departments = Vec::new();
    for name in DEPARTMENTS {
        departments.push(Tenant::inner(name.parse()?, Some(root.clone())));
    }
    let mut tenants = vec![Tenant::inner(root, None)];
    tenants.extend(departments.iter().cloned());
    for ((name, jobs, share), department) in TENANTS.into_iter().zip(departments.iter().cycle()) {
        let (id, parent) = (name.parse()?, Some(department.id.clone()));
        tenants.push(Tenant { id, parent, jobs, quotas: quotas(classes, share) });
    }
    Ok(tenants)
}
