//! Quota and its charges (Q1, Q2).

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Reply};
use crate::role::{Target, Verb};
use crate::state::State;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::quota::Limit;

/// Sets a limit. Lowering keeps what runs; nothing more is granted until usage is below it.
pub(super) fn set(
    change: &mut Change<'_>,
    tenant: &TenantId,
    class: &DeviceClass,
    limit: Limit,
) -> Outcome {
    change.authorize(Verb::SetQuota, Target::Federation)?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    let key = (tenant.clone(), class.clone());
    match limit {
        Limit::None => {
            change.state.quotas.remove(&key);
        }
        Limit::Gpus(_) | Limit::Unlimited => change.state.quotas.insert(key, limit),
    }
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
