//! Quota of a tenant as seen by a plan: what is charged, and what the plan will charge (Q1).

use sekisho_fsm::State;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::quota::Limit;
use std::collections::BTreeMap;

/// How a need stands to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// May be charged now.
    Admitted,
    /// Would fit if this many GPUs less were charged.
    Exceeded(u64),
    /// Does not fit even if nothing were charged.
    Never,
}

/// Whether `need` more GPUs may be charged on top of `used`.
pub(crate) fn fit(limit: Limit, used: u64, need: u64) -> Fit {
    let total = used.saturating_add(need);
    if limit.admits(total) {
        return Fit::Admitted;
    }
    match limit {
        Limit::Gpus(most) if need <= most => Fit::Exceeded(total.saturating_sub(most)),
        Limit::Gpus(_) | Limit::None | Limit::Unlimited => Fit::Never,
    }
}

/// Charges that a plan adds to those of its state.
#[derive(Debug, Default)]
pub(crate) struct Overlay<'s>(BTreeMap<(&'s TenantId, &'s DeviceClass), u64>);

impl<'s> Overlay<'s> {
    /// GPUs charged, those of the plan so far included.
    pub(crate) fn used(&self, state: &State, tenant: &'s TenantId, class: &'s DeviceClass) -> u64 {
        let planned = self.0.get(&(tenant, class)).copied().unwrap_or(0);
        state.usage(tenant, class).saturating_add(planned)
    }

    /// Adds a charge.
    pub(crate) fn charge(&mut self, tenant: &'s TenantId, class: &'s DeviceClass, gpus: u64) {
        let planned = self.0.entry((tenant, class)).or_default();
        *planned = planned.saturating_add(gpus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_told_from_not_yet() {
        assert_eq!(fit(Limit::Gpus(8), 4, 4), Fit::Admitted);
        assert_eq!(fit(Limit::Gpus(8), 6, 4), Fit::Exceeded(2));
        assert_eq!(fit(Limit::Gpus(8), 0, 9), Fit::Never);
        assert_eq!(fit(Limit::None, 0, 1), Fit::Never);
        assert_eq!(fit(Limit::Unlimited, u64::MAX, 1), Fit::Admitted);
        // A limit that was lowered below the usage: the need alone still fits one day.
        assert_eq!(fit(Limit::Gpus(4), 12, 2), Fit::Exceeded(10));
    }
}
