//! Quota and its charges (Q1, Q2).

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Reply};
use crate::role::{Target, Verb};
use crate::state::{Quota, State};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;

/// Sets a limit. Lowering keeps what runs; nothing more is granted until usage is below it.
pub(super) fn set(
    change: &mut Change<'_>,
    (tenant, class): (&TenantId, &DeviceClass),
    limit: Limit,
    expected: Revision,
) -> Outcome {
    change.authorize(Verb::SetQuota, Target::Federation)?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    let key = (tenant.clone(), class.clone());
    // What was never set is none, at revision 0.
    let found = change.state.quotas.get(&key).map_or(Revision(0), |row| row.revision);
    Change::unchanged(Some(expected), Some(found), &format!("quota {tenant}/{class}"))?;
    match limit {
        Limit::None => {
            change.state.quotas.remove(&key);
        }
        Limit::Gpus(_) | Limit::Unlimited => {
            let row = Quota { limit, revision: change.revision };
            change.state.quotas.insert(key, row);
        }
    }
    change.effects.events.insert(Event::Quota(tenant.clone(), class.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

impl State {
    /// Charges GPUs. The caller has checked the limit in the same entry.
    pub(super) fn charge(&mut self, tenant: &TenantId, class: &DeviceClass, gpus: u64) {
        let usage = self.usage(tenant, class).saturating_add(gpus);
        self.usage.insert((tenant.clone(), class.clone()), usage);
    }

    /// Gives GPUs back; a row that reaches zero goes, so that "no usage" has one form (Q2).
    pub(super) fn refund(&mut self, tenant: &TenantId, class: &DeviceClass, gpus: u64) {
        let key = (tenant.clone(), class.clone());
        let left = self.usage(tenant, class).saturating_sub(gpus);
        if left == 0 {
            self.usage.remove(&key);
        } else {
            self.usage.insert(key, left);
        }
    }
}
