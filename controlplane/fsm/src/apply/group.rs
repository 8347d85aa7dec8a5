//! Whether a group may be granted its places, and what each member is charged.
//!
//! Must hold: P1, D1, Q1, and the topology that the job asks for; nobody shares a device that did not agree to. It is asked of
//! a state and changes none: apply asks it of the one that it is about to change, a preemption of the one that there would
//! be without its victims.

use super::budget::counting;
use crate::command::{Group, Slot};
use crate::purse::{Charge, Own, Purse};
use crate::state::{Job, State};
use sekisho_evidence::grant::BoundRules;
use sekisho_types::error_code::{ErrorCode, Kind};
use sekisho_types::id::NodeId;
use std::collections::BTreeSet;

/// The rules that bind the group, and what each member is charged.
pub(crate) fn check_group(
    state: &State,
    group: &Group,
) -> Result<(Vec<BoundRules>, Vec<Charge>), ErrorCode> {
    let job = state.jobs.get(&group.job).ok_or(ErrorCode::NotFound)?;
    if !state.wants_more(job) {
        return Err(ErrorCode::WrongPhase);
    }
    state.check_start(&job.facts)?;
    let nodes: BTreeSet<&NodeId> = group.places.iter().map(|slot| &slot.node).collect();
    let members = u32::try_from(group.places.len()).unwrap_or(u32::MAX);
    if members != job.facts.group || nodes.len() != group.places.len() {
        return Err(ErrorCode::InvalidArgument);
    }
    let rules = state.rules_for(&job.facts).map_err(|rejection| rejection.code)?;
    if state.is_missing(&job.facts.payload) {
        return Err(ErrorCode::PayloadNotHere);
    }
    for slot in &group.places {
        check_slot(state, job, &rules, slot)?;
    }
    let charges = charges(state, job, &group.places)?;
    state.stands_as_asked(&job.facts, &group.places)?;
    Ok((rules, charges))
}

/// What each member is charged, if quotas, budgets and offers admit all of them together (Q1).
fn charges(state: &State, job: &Job, places: &[Slot]) -> Result<Vec<Charge>, ErrorCode> {
    let facts = &job.facts;
    let (books, path) = (Own(state), state.path(&facts.id.tenant));
    let mut purse = Purse::open(state, &books, facts, &path);
    // What no waiting changes is said first; what is full now, by its place.
    purse
        .covers(facts.gpus())
        .or_else(|code| if code.kind() == Kind::Never { Err(code) } else { Ok(()) })?;
    let mut charges = Vec::with_capacity(places.len());
    for slot in places {
        let node = state.nodes.get(&slot.node).ok_or(ErrorCode::NotFound)?;
        let place = node.tag.area.domestic().ok_or(ErrorCode::ResidencyOutsideJp)?;
        let watts = node.watts(slot.bucket, facts.resources.gpus);
        let spend = purse.spend(&books, (&slot.node.site, &node.operator), (place, watts))?;
        charges.push(Charge {
            place,
            offer: Some(spend.offer.1.clone()),
            yen_per_gpu_hour: spend.yen_per_gpu_hour,
            from: state.clock,
            until: purse.until(),
            budgets: counting(state, &path, (&facts.resources.class, place)),
        });
    }
    Ok(charges)
}

fn check_slot(
    state: &State,
    job: &Job,
    rules: &[BoundRules],
    slot: &Slot,
) -> Result<(), ErrorCode> {
    let node = state.nodes.get(&slot.node).ok_or(ErrorCode::NotFound)?;
    if node.revoked {
        return Err(ErrorCode::NodeRevoked);
    }
    if !node.approved {
        return Err(ErrorCode::NodePending);
    }
    if !node.is_fit() {
        return Err(ErrorCode::NodeUnfit);
    }
    if node.drain.is_some() {
        return Err(ErrorCode::NodeDraining);
    }
    if node.quarantine.is_some() {
        return Err(ErrorCode::NodeQuarantined);
    }
    if !node.schedulable || node.live_session().is_none() || state.avoids(job, &slot.node) {
        return Err(ErrorCode::NodeUnavailable);
    }
    state.may_reside(rules, node).map_err(|rejection| rejection.code)?;
    if !state.can_open(&job.facts, &slot.node.site) {
        return Err(ErrorCode::PayloadNotSealed);
    }
    let wanted = &job.facts.resources;
    let bucket = node.buckets.get(usize::from(slot.bucket)).ok_or(ErrorCode::NoDevice)?;
    if bucket.class != wanted.class
        || bucket.memory_mib < wanted.memory_mib
        || bucket.units < wanted.units
        || bucket.count < wanted.gpus
    {
        return Err(ErrorCode::NoDevice);
    }
    let shared = bucket.shared_device().is_some();
    if shared != wanted.sharing.is_agreed() || (shared && wanted.gpus != 1) {
        return Err(ErrorCode::ShareRefused);
    }
    if node.free_for(slot.bucket, &job.facts.id) < wanted.gpus {
        return Err(ErrorCode::CapacityFull);
    }
    if !state.agree_with(node, slot.bucket, &job.facts) {
        return Err(ErrorCode::ShareNeighbours);
    }
    Ok(())
}
