//! What tenants may hold and spend, and what operators offer, as steps of random sequences.

use proptest::prelude::*;
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, DeleteReservation, Preempt, PutReservation, Slot};
use sekisho_fsm::entry::Entry;
use sekisho_fsm::testing::{CLASS, Federation, OPERATORS, admin, bucket, offer};
use sekisho_scheduler::Planner;
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::{DeviceClass, OperatorId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, OnLower, Vetoed};
use sekisho_types::patch::Patch;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::reservation::{Reclaim, ReservationSpec};
use sekisho_types::revision::Revision;

/// The tenant that the others may be parts of.
pub(super) const PARENT: &str = "ministry";

/// Areas that a row may be of: Japan, Hokkaido, Tokyo.
const AREAS: [Area; 3] = [Area::Japan, Area::Code(10_006), Area::Code(130_001)];

/// A step.
#[derive(Debug, Clone)]
pub enum Charge {
    /// Set a row: which area, its own, borrowed, lent.
    Allot(u8, u8, u8, u8),
    /// Become a part of the ministry, or of nobody.
    Parent(bool),
    /// Set a budget: GPU-hours or yen, how much, hard, or take it out.
    Budget(bool, u8, bool, bool),
    /// Have a site hold a slice.
    Escrow(u8, u8),
    /// Offer at a site: devices, yen, drained when lowered, not to the tenant.
    Offer(u8, u8, u8, bool, bool),
    /// Withdraw that offer.
    Withdraw(u8),
    /// Veto the tenant at an operator's, or take that back.
    Veto(u8, bool),
    /// Reserve at a site, or lower that: devices, begins after minutes, lasts minutes or without an end, drains.
    Reserve(u8, u8, u8, u8, bool),
    /// Take that reservation out.
    Release(u8),
    /// Cap the power of a site: so many whole devices and a half; the last is no cap.
    Cap(u8, u8),
}

pub(super) fn steps() -> impl Strategy<Value = Charge> {
    let (site, few) = (|| 0u8..3, || 0u8..12);
    prop_oneof![
        3 => (0u8..3, few(), few(), few()).prop_map(|(a, n, b, l)| Charge::Allot(a, n, b, l)),
        1 => prop::bool::weighted(0.7).prop_map(Charge::Parent),
        2 => (any::<bool>(), few(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(u, a, h, d)| Charge::Budget(u, a, h, d)),
        2 => (site(), 0u8..6).prop_map(|(s, g)| Charge::Escrow(s, g)),
        3 => (site(), few(), 0u8..3, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(s, g, y, d, x)| Charge::Offer(s, g, y, d, x)),
        1 => site().prop_map(Charge::Withdraw),
        1 => (site(), prop::bool::weighted(0.6)).prop_map(|(o, l)| Charge::Veto(o, l)),
        3 => (site(), few(), 0u8..6, 0u8..9, any::<bool>())
            .prop_map(|(s, g, a, l, d)| Charge::Reserve(s, g, a, l, d)),
        1 => site().prop_map(Charge::Release),
        2 => (site(), few()).prop_map(|(s, n)| Charge::Cap(s, n)),
    ]
}

pub(super) fn limit(n: u8) -> Limit {
    match n {
        0 => Limit::None,
        11 => Limit::Unlimited,
        gpus => Limit::Gpus(u64::from(gpus)),
    }
}

/// The row of a tenant in an area becomes this.
pub(super) fn allot(
    federation: &Federation,
    tenant: TenantId,
    area: Area,
    allotment: Allotment,
) -> Option<Command> {
    let class: DeviceClass = CLASS.parse().ok()?;
    let expected = federation.state.quota_revision(&tenant, &class, area);
    Some(Command::SetQuota { tenant, class, area, allotment, expected })
}

fn site(n: u8) -> Option<(OperatorId, SiteId)> {
    let (operator, site, _) = OPERATORS.get(usize::from(n))?;
    Some((operator.parse().ok()?, site.parse().ok()?))
}

/// What makes, lowers or takes out the reservation of a tenant at a site.
fn reserve(state: &State, tenant: TenantId, step: &Charge) -> Option<Command> {
    let (Charge::Reserve(at, ..) | Charge::Release(at)) = step else { return None };
    let (_, site) = site(*at)?;
    let name: Name = site.as_str().parse().ok()?;
    let found = state.reservation(&tenant, &name);
    let expected = found.map(|row| row.revision);
    let Charge::Reserve(_, gpus, after, lasts, drains) = step else {
        let expected = expected?;
        let delete = DeleteReservation { tenant, name, expected };
        return Some(Command::DeleteReservation(Box::new(delete)));
    };
    let minutes = |n: u8| u64::from(n).saturating_mul(60_000);
    let from = state.clock().plus_ms(minutes(*after));
    let new = ReservationSpec {
        site,
        class: CLASS.parse().ok()?,
        gpus: 0,
        from,
        until: (*lasts > 0).then(|| from.plus_ms(minutes(*lasts))),
        reclaim: Reclaim::Wait,
        message: String::new(),
    };
    let spec = found.map_or(new, |row| row.spec.clone());
    let reclaim = if *drains { Reclaim::Drain } else { Reclaim::Wait };
    let spec = ReservationSpec { gpus: u64::from(*gpus), reclaim, ..spec };
    Some(Command::PutReservation(Box::new(PutReservation { tenant, name, spec, expected })))
}

/// Caps what devices of a site may draw, between two counts of them, or lifts the cap.
fn cap(state: &State, at: u8, devices: u8) -> Option<Command> {
    let (_, site) = site(at)?;
    let expected = state.site(&site)?.revision;
    let half = u64::from(bucket(1).rated_watts().div_ceil(2));
    let watts = u64::from(devices).saturating_mul(2).saturating_add(1).saturating_mul(half);
    Some(Command::SetPowerCap { site, watts: (devices < 11).then_some(watts), expected })
}

/// The entry that a step of a tenant stands for.
pub(super) fn entry(federation: &mut Federation, tenant: TenantId, step: &Charge) -> Option<Entry> {
    let name: Name = "one".parse::<TenantId>().ok()?.0;
    let state = &federation.state;
    let (operator, command) = match step {
        Charge::Allot(area, nominal, borrowing, lending) => {
            let [nominal, borrowing, lending] = [*nominal, *borrowing, *lending].map(limit);
            let area = *AREAS.get(usize::from(*area))?;
            (None, allot(federation, tenant, area, Allotment { nominal, borrowing, lending })?)
        }
        Charge::Parent(joins) => {
            let parent = if *joins { Some(PARENT.parse().ok()?) } else { None };
            let expected = Some(state.tenant(&tenant)?.revision);
            let (display_name, policy, parent) = (Patch::Keep, Patch::Keep, Patch::Set(parent));
            (None, Command::PutTenant { tenant, display_name, policy, parent, expected })
        }
        Charge::Budget(hours, amount, hard, goes) => {
            let spec = BudgetSpec {
                unit: if *hours { Unit::GpuHours } else { Unit::Yen },
                amount: u64::from(*amount),
                period: Period::Day,
                class: None,
                area: Area::Japan,
                exhausted: if *hard { Exhausted::Stop } else { Exhausted::Warn },
            };
            let name = if *hours { name } else { "two".parse::<TenantId>().ok()?.0 };
            let expected = state.budget(&tenant, &name).map_or(Revision(0), |row| row.revision);
            let budget = (!goes).then_some(spec);
            (None, Command::SetBudget { tenant, name, budget, expected })
        }
        Charge::Escrow(at, gpus) => {
            let (site, class) = (site(*at)?.1, CLASS.parse().ok()?);
            let held = state.escrow(&site, &tenant, &class);
            let (gpus, expected) = (u64::from(*gpus), held.map_or(Revision(0), |row| row.revision));
            (None, Command::SetEscrow { site, tenant, class, gpus, expected })
        }
        Charge::Offer(at, gpus, yen, drains, excludes) => {
            let (operator, site) = site(*at)?;
            let spec = OfferSpec {
                yen_per_gpu_hour: u64::from(*yen),
                on_lower: if *drains { OnLower::Drain } else { OnLower::Keep },
                excluded: excludes.then_some(tenant).into_iter().collect(),
                ..offer(u64::from(*gpus))
            };
            let name = if *yen == 0 { "all".parse::<TenantId>().ok()?.0 } else { name };
            let expected = state.offer(&site, &name).map(|row| row.revision);
            (Some(operator), Command::PutOffer { site, name, offer: Box::new(spec), expected })
        }
        Charge::Withdraw(at) => {
            let (operator, site) = site(*at)?;
            let expected = state.offer(&site, &name)?.revision;
            (Some(operator), Command::WithdrawOffer { site, name, expected })
        }
        Charge::Veto(at, lifts) => {
            let (operator, of) = (site(*at)?.0, Vetoed::Tenant(tenant));
            let by = Some(operator.clone());
            if *lifts {
                (by, Command::LiftVeto { operator, of })
            } else {
                (by, Command::Veto { operator, of, reason: String::new() })
            }
        }
        Charge::Cap(at, devices) => (Some(site(*at)?.0), cap(state, *at, *devices)?),
        Charge::Reserve(at, ..) | Charge::Release(at) => {
            (Some(site(*at)?.0), reserve(state, tenant, step)?)
        }
    };
    Some(match operator {
        Some(own) => federation.entry(admin(own.as_str()), &[], command),
        None => federation.entry(admin("kanto"), &[admin("naniwa")], command),
    })
}

/// Who makes room for whom: as the planner finds it, or the n-th job for the first that waits, as a rogue would have it.
pub(super) fn preempt(federation: &Federation, n: Option<u8>) -> Option<Command> {
    let state = &federation.state;
    let Some(n) = n else {
        let mut planner = Planner::default();
        let held = planner.plan(state).held;
        return planner.preempt(&held).map(|found| Command::Preempt(Box::new(found)));
    };
    let beneficiary = state.queue().next()?.1.clone();
    let running: Vec<_> = state.jobs().filter(|(_, job)| !job.placements.is_empty()).collect();
    let (victim, row) = running.get(usize::from(n).checked_rem(running.len())?)?;
    let placed = row.placements.iter().filter_map(|id| state.placement(id));
    let places =
        placed.map(|row| Slot { node: row.grant.node.clone(), bucket: row.bucket }).collect();
    let victims = vec![(*victim).clone()];
    Some(Command::Preempt(Box::new(Preempt { beneficiary, victims, places })))
}

/// Sites give back what they hold of tenants' quotas.
pub(super) fn return_all(federation: &mut Federation) {
    let held: Vec<_> =
        federation.state.escrows().map(|(key, row)| (key.clone(), row.revision)).collect();
    for ((site, tenant, class), expected) in held {
        let command = Command::SetEscrow { site, tenant, class, gpus: 0, expected };
        let entry = federation.entry(admin("kanto"), &[], command);
        federation.apply(entry);
    }
}
