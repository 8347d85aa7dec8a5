//! Quotas, budgets and offers against what runs: every sum computed once more from its parts.

use crate::budget::Charged;
use crate::preemption::Preemption;
use crate::quota::{Holding, HoldingKey, edit};
use crate::state::{Job, State};
use crate::table::Table;
use sekisho_types::id::{DeviceClass, JobId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

type Sums = BTreeMap<(TenantId, DeviceClass), BTreeMap<Area, u64>>;

fn add(sums: &mut Sums, key: (TenantId, DeviceClass), place: Area, gpus: u64) {
    let areas = sums.entry(key).or_default();
    for area in place.chain() {
        let sum = areas.entry(area).or_insert(0);
        *sum = sum.saturating_add(gpus);
    }
}

/// What is charged to each tenant itself, by area, from its placements and what sites hold of its quota.
fn charged(state: &State) -> Sums {
    let mut sums = Sums::new();
    for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
        let key = (row.grant.job.tenant.clone(), row.grant.class.clone());
        add(&mut sums, key, row.charge.place, u64::from(row.grant.gpus));
    }
    for (id, row) in state.preemptions() {
        let Some(job) = state.job(id) else { continue };
        let key = (id.tenant.clone(), job.facts.resources.class.clone());
        row.charged.iter().for_each(|(area, gpus)| add(&mut sums, key.clone(), *area, *gpus));
    }
    for ((_, tenant, class), held) in state.escrows() {
        add(&mut sums, (tenant.clone(), class.clone()), held.place, held.gpus);
    }
    sums
}

/// Q1/Q2: usage equals the sum of the GPUs of placements that are not ended, of what sites hold, and of what is charged while
/// room is made.
pub(super) fn usage_is_the_sum_of_living_placements(state: &State) -> Result<(), String> {
    let mut usage = Sums::new();
    for (key, holding) in state.holdings() {
        for (area, line) in holding.lines.iter().filter(|(_, line)| line.own > 0) {
            usage.entry(key.clone()).or_default().insert(*area, line.own);
        }
    }
    let sums = charged(state);
    if usage == sums { Ok(()) } else { Err(format!("Q2: usage {usage:?}, placements {sums:?}")) }
}

/// Q1: what each tenant carries for its parts, and what they lend it, is what it comes to when the tree is built anew; and
/// the tree is one.
pub(super) fn the_tree_sums_up(state: &State) -> Result<(), String> {
    for (tenant, row) in state.tenants() {
        let path = state.path(tenant);
        let whole = path.last().and_then(|last| state.tenant(last));
        if whole.is_none_or(|row| row.parent.is_some()) || path.len() > TENANT_DEPTH_MAX {
            return Err(format!("Q1: {tenant} of {:?} is in no tree", row.parent));
        }
    }
    let mut anew: Table<HoldingKey, Holding> = Table::default();
    for ((tenant, class), holding) in state.holdings() {
        let path = state.path(tenant);
        for (area, line) in &holding.lines {
            edit(&mut anew, &path, class, |lines| {
                let fresh = lines.of(*area);
                (fresh.quota, fresh.own) = (line.quota, line.own);
            });
        }
    }
    for (key, holding) in state.holdings() {
        if anew.get(key) != Some(holding) {
            let other = anew.get(key);
            return Err(format!("Q1: {key:?} has {holding:?}, its parts come to {other:?}"));
        }
    }
    if anew.len() == state.holdings().count() {
        return Ok(());
    }
    Err("Q1: the tree has a tenant that holds something and is not there".to_owned())
}

/// P1: what is kept of a bucket is kept for a queued job for which room is being made there, and nothing is kept twice.
pub(super) fn what_is_kept_is_being_made_room(state: &State) -> Result<(), String> {
    for (id, node) in state.nodes() {
        for (bucket, kept) in &node.kept {
            let row = state.preemption(&kept.job);
            let placed = |row: &Preemption| {
                row.places.iter().any(|slot| slot.node == *id && slot.bucket == *bucket)
            };
            if !row.is_some_and(placed) {
                return Err(format!("P1: {id} keeps {kept:?}, which nobody made room for"));
            }
            let count = node.buckets.get(usize::from(*bucket)).map_or(0, |bucket| bucket.count);
            let used = node.used.get(bucket).copied().unwrap_or(0);
            if used.saturating_add(kept.gpus) > count {
                return Err(format!(
                    "P1: {id} bucket {bucket}: {used} used and {kept:?} of {count}"
                ));
            }
        }
    }
    let queued = |id: &JobId| state.job(id).is_some_and(Job::is_queued);
    match state.preemptions().find(|(id, _)| !queued(id)) {
        None => Ok(()),
        Some((id, _)) => Err(format!("P3: room is made for {id}, which does not wait")),
    }
}

/// Every offer has charged what stands on it; none that is withdrawn stays without a reason.
pub(super) fn offers_are_charged_what_they_hold(state: &State) -> Result<(), String> {
    let mut sums: BTreeMap<(SiteId, Name), u64> = BTreeMap::new();
    for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
        let Some(name) = &row.charge.offer else { continue };
        let sum = sums.entry((row.grant.node.site.clone(), name.clone())).or_insert(0);
        *sum = sum.saturating_add(u64::from(row.grant.gpus));
    }
    for (key, offer) in state.offers() {
        let sum = sums.remove(key).unwrap_or(0);
        if offer.used != sum || (offer.withdrawn && sum == 0) {
            return Err(format!("Q2: offer {key:?} counts {}, it holds {sum}", offer.used));
        }
    }
    if sums.is_empty() { Ok(()) } else { Err(format!("Q2: charged to no offer {sums:?}")) }
}

/// Q2: of a budget's periods that are not over, each has charged at least what goes on is charged in it, and one that has not begun
/// exactly that: nothing is left of what ended, and nothing was given back of what goes on.
pub(super) fn budgets_are_charged_what_goes_on(state: &State) -> Result<(), String> {
    for (key, budget) in state.budgets() {
        let period = budget.spec.period;
        let mut sums: BTreeMap<Timestamp, u128> = BTreeMap::new();
        for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
            let charge = &row.charge;
            let counts = |of: &Charged| of.key == *key && of.created == budget.created;
            if !charge.budgets.iter().any(counts) {
                continue;
            }
            let rate = budget.spec.rate(u64::from(row.grant.gpus), charge.yen_per_gpu_hour);
            for (first, ms) in period.parts(charge.from, charge.until) {
                let sum = sums.entry(first).or_default();
                *sum = sum.saturating_add(rate.saturating_mul(u128::from(ms)));
            }
        }
        sums.retain(|_, sum| *sum > 0);
        let is_over =
            |first: &Timestamp| period.span(*first).is_none_or(|(_, next)| next <= state.clock());
        for first in sums.keys().chain(budget.charged.keys()).filter(|first| !is_over(first)) {
            let of = |sums: &BTreeMap<Timestamp, u128>| sums.get(first).copied().unwrap_or(0);
            let (charged, goes_on) = (of(&budget.charged), of(&sums));
            if charged < goes_on || (state.clock() <= *first && charged > goes_on) {
                return Err(format!(
                    "Q2: budget {key:?} has charged {charged} from {first} on, {goes_on} goes on"
                ));
            }
        }
    }
    Ok(())
}

/// Q2: each site has charged what the devices of what lives there may draw, and no row says nothing.
pub(super) fn sites_are_charged_what_may_be_drawn(state: &State) -> Result<(), String> {
    let mut sums: BTreeMap<&SiteId, u64> = BTreeMap::new();
    for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
        let (id, gpus) = (&row.grant.node, u64::from(row.grant.gpus));
        let bucket = state.node(id).and_then(|node| node.buckets.get(usize::from(row.bucket)));
        let each = bucket.map_or(0, |bucket| u64::from(bucket.rated_watts()));
        let sum = sums.entry(&id.site).or_insert(0);
        *sum = sum.saturating_add(each.saturating_mul(gpus));
    }
    for (site, power) in state.powers() {
        let sum = sums.remove(site).unwrap_or(0);
        if power.used != sum || (sum == 0 && power.cap.is_none()) {
            return Err(format!("Q2: site {site} counts {} W, it may draw {sum}", power.used));
        }
    }
    sums.retain(|_, sum| *sum > 0);
    if sums.is_empty() { Ok(()) } else { Err(format!("Q2: charged to no site {sums:?}")) }
}
