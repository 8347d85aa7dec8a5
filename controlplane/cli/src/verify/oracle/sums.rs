//! What is charged at the end of the log: by the oracle, which follows the records, and by the state machine, which replayed them.
//!
//! Must hold: both are the same to the last device and millisecond: quotas in each area, budgets in each period (of GPU-hours and of
//! yen), offers, and what each living placement was charged to at which price. One that is charged twice, given back twice, given
//! back to another period, or charged to another offer, is found here though it goes beyond nothing.
//! Does not say which of them is wrong.

use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_fsm::State;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// How a placement is charged: its place, its offer, the price, from when to when.
type Paid = (Area, Option<Name>, u64, Timestamp, Timestamp);

/// A tenant's class in an area.
type Row = (TenantId, DeviceClass, Area);

/// Everything that is charged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    quotas: BTreeMap<Row, u64>,
    /// By period, in the unit times a millisecond; a budget is told from others of its name by the entry that made it.
    budgets: BTreeMap<(TenantId, Name, Revision, Timestamp), u128>,
    offers: BTreeMap<(SiteId, Name), u64>,
    placements: BTreeMap<PlacementId, Paid>,
}

impl Model {
    /// What is charged by now.
    pub(super) fn sums(&self) -> Sums {
        let lines = self.ledger.lines().filter(|(_, _, line)| line.own > 0);
        let quotas = lines
            .map(|((tenant, class), area, line)| ((tenant.clone(), class.clone(), area), line.own));
        let budgets = self.budgets.charged().flat_map(|((tenant, name, made), charged)| {
            let key = move |first: &Timestamp| (tenant.clone(), name.clone(), made, *first);
            charged.iter().map(move |(first, sum)| (key(first), *sum))
        });
        let paid = self.placements.iter().map(|(id, row)| {
            let charge = &row.charge;
            let (yen, from, until) = (charge.yen_per_gpu_hour, charge.from, charge.until);
            (*id, (charge.place, charge.offer.clone(), yen, from, until))
        });
        Sums {
            quotas: quotas.collect(),
            budgets: budgets.collect(),
            offers: self.offers.used().collect(),
            placements: paid.collect(),
        }
    }
}

impl Sums {
    /// What the state machine has.
    fn of(state: &State) -> Self {
        let mut quotas: BTreeMap<Row, u64> = BTreeMap::new();
        for ((tenant, class), held) in state.holdings() {
            for (area, line) in held.lines.iter().filter(|(_, line)| line.own > 0) {
                quotas.insert((tenant.clone(), class.clone(), *area), line.own);
            }
        }
        // Room that is being made is charged before it is granted: no record tells of that.
        for (id, row) in state.preemptions() {
            let Some(job) = state.job(id) else { continue };
            for (place, gpus) in &row.charged {
                for area in place.chain() {
                    let key = (id.tenant.clone(), job.facts.resources.class.clone(), area);
                    let left = quotas.remove(&key).unwrap_or(0).saturating_sub(*gpus);
                    if left > 0 {
                        quotas.insert(key, left);
                    }
                }
            }
        }
        let budgets = state.budgets().flat_map(|((tenant, name), budget)| {
            let made = budget.created;
            let key = move |first: &Timestamp| (tenant.clone(), name.clone(), made, *first);
            budget.charged.iter().map(move |(first, sum)| (key(first), *sum))
        });
        let living = state.placements().filter(|(_, row)| !row.phase.is_ended());
        let paid = living.map(|(id, row)| {
            let charge = &row.charge;
            let (yen, from, until) = (charge.yen_per_gpu_hour, charge.from, charge.until);
            (*id, (charge.place, charge.offer.clone(), yen, from, until))
        });
        Self {
            quotas,
            budgets: budgets.collect(),
            offers: state.offers().map(|(key, offer)| (key.clone(), offer.used)).collect(),
            placements: paid.collect(),
        }
    }
}

/// Tells the first that both have differently, if there is one.
fn compare<K: Ord + fmt::Debug, V: PartialEq + fmt::Debug>(
    what: &str,
    (own, theirs): (&BTreeMap<K, V>, &BTreeMap<K, V>),
    report: &mut Report,
) {
    let mut keys = own.keys().chain(theirs.keys());
    if let Some(key) = keys.find(|key| own.get(*key) != theirs.get(*key)) {
        let (own, theirs) = (own.get(key), theirs.get(key));
        let why = format!(
            "{what} {key:?}: charged by the grants: {own:?}, by the state machine: {theirs:?}"
        );
        report.failed(Step::Quota, why);
    }
}

/// The sums of the oracle are those of the state machine (Q1, Q2).
pub fn compare_sums(state: &State, report: &mut Report) {
    let (own, theirs) = (std::mem::take(&mut report.sums), Sums::of(state));
    compare("quota", (&own.quotas, &theirs.quotas), report);
    compare("budget", (&own.budgets, &theirs.budgets), report);
    compare("offer", (&own.offers, &theirs.offers), report);
    compare("placement", (&own.placements, &theirs.placements), report);
}
