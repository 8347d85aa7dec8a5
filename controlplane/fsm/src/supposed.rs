//! A state as it would be with one thing otherwise: what whoever asks "and if" is answered from.
//!
//! Must hold: it is asked and never kept, and it has every sum that a real change would bring; so the planner answers about it
//! as about a state. It judges nothing: whether anybody may make the change, apply says.

use crate::budget::BudgetKey;
use crate::offer::{OfferKey, VetoKey};
use crate::quota::{Quota, edit};
use crate::state::State;
use sekisho_types::id::{DeviceClass, PolicyId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::residency::Rules;
use sekisho_types::time::Timestamp;

/// One thing that would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supposed {
    /// A tenant has so many GPUs of its own; what it borrows and lends stays.
    Quota {
        /// Whose.
        tenant: TenantId,
        /// Of which class.
        class: DeviceClass,
        /// Where.
        area: Area,
        /// So many.
        gpus: u64,
    },
    /// A budget is so large.
    Budget {
        /// Which.
        key: BudgetKey,
        /// In its own unit.
        amount: u64,
    },
    /// So many devices are offered.
    Offered {
        /// Where.
        key: OfferKey,
        /// So many.
        gpus: u64,
    },
    /// An offer begins no later than now, and lasts so long.
    Lasts {
        /// Which.
        key: OfferKey,
        /// `None` = it has no end.
        until: Option<Timestamp>,
    },
    /// An offer is made to a tenant, too.
    Included {
        /// Which.
        key: OfferKey,
        /// To whom.
        tenant: TenantId,
    },
    /// An offer costs so much.
    Costs {
        /// Which.
        key: OfferKey,
        /// For one device and hour.
        yen: u64,
    },
    /// A site may draw so much.
    Capped {
        /// Which.
        site: SiteId,
        /// Watts.
        watts: u64,
    },
    /// A veto is lifted.
    Lifted {
        /// Which.
        key: VetoKey,
    },
    /// A policy says this.
    Ruled {
        /// Which.
        policy: PolicyId,
        /// What it says.
        rules: Rules,
    },
}

impl State {
    /// This state as it would be. What is not there stays away.
    #[must_use]
    pub fn supposing(&self, supposed: &Supposed) -> Self {
        let mut state = self.clone();
        match supposed {
            Supposed::Quota { tenant, class, area, gpus } => {
                let allotment =
                    Allotment { nominal: Limit::Gpus(*gpus), ..self.quota(tenant, class, *area) };
                let quota = Some(Quota { allotment, revision: self.revision });
                edit(&mut state.quotas, &self.path(tenant), class, |lines| {
                    lines.of(*area).quota = quota;
                });
            }
            Supposed::Budget { key, amount } => {
                state.budgets.update(key, |budget| budget.spec.amount = *amount);
            }
            Supposed::Offered { key, gpus } => {
                state.offers.update(key, |offer| offer.spec.gpus = *gpus);
            }
            Supposed::Lasts { key, until } => {
                let now = self.clock;
                state.offers.update(key, |offer| {
                    offer.spec.from = offer.spec.from.min(now);
                    offer.spec.until = *until;
                });
            }
            Supposed::Included { key, tenant } => {
                state.offers.update(key, |offer| offer.spec.excluded.remove(tenant));
            }
            Supposed::Costs { key, yen } => {
                state.offers.update(key, |offer| offer.spec.yen_per_gpu_hour = *yen);
            }
            Supposed::Capped { site, watts } => {
                state.edit_power(site, |power| power.cap = Some(*watts));
            }
            Supposed::Lifted { key } => drop(state.vetoes.remove(key)),
            Supposed::Ruled { policy, rules } => {
                state.policies.update(policy, |row| row.rules = rules.clone().into());
            }
        }
        state
    }

    /// The part that an index of the fleet follows: nodes, sites and the time. Kept for longer than the state itself, it keeps
    /// nothing else of it.
    #[must_use]
    pub fn fleet_alone(&self) -> Self {
        Self {
            clock: self.clock,
            sites: self.sites.clone(),
            nodes: self.nodes.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::check;
    use crate::testing::{CLASS, Federation, offer};
    use sekisho_types::quota::Amount;

    #[test]
    fn what_is_supposed_has_the_sums_of_a_real_change_and_changes_nothing() {
        let federation = Federation::furnished();
        let state = &federation.state;
        let (tenant, class): (TenantId, DeviceClass) =
            ("sapporo".parse().unwrap(), CLASS.parse().unwrap());
        let (area, gpus) = (Area::Japan, 99);
        let quota = Supposed::Quota { tenant: tenant.clone(), class: class.clone(), area, gpus };
        let supposed = state.supposing(&quota);
        assert_eq!(supposed.room(&tenant, &class, area), Amount::Gpus(99));
        assert_eq!(check(&supposed), Ok(()));
        let mut real = federation.clone();
        real.quota(&tenant, Limit::Gpus(99));
        let line = |state: &State| state.line(&tenant, &class, area).quota.map(|q| q.allotment);
        assert_eq!(line(&supposed), line(&real.state));
        assert_eq!(line(state).map(|a| a.nominal), Some(Limit::Gpus(8)), "the state is as it was");
        let key: OfferKey = ("tokyo-1".parse().unwrap(), "all".parse().unwrap());
        let fewer = state.supposing(&Supposed::Offered { key: key.clone(), gpus: 3 });
        assert_eq!(fewer.offer(&key.0, &key.1).unwrap().spec, offer(3));
        // What is not there stays away.
        let gone = Supposed::Budget { key: (tenant.clone(), "gone".parse().unwrap()), amount: 1 };
        assert_eq!(state.supposing(&gone).budgets().count(), 0);
    }
}
