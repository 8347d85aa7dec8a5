//! Granting, stopping and ending placements: the only code that charges and frees.
//!
//! Must hold: P2, P3, Q1. A group is checked whole on the current state, whoever planned it and on what basis, and
//! is charged in the entry that grants it. What was granted is freed once, when it is confirmed dead.

use super::change::Change;
use super::group::check_group;
use super::job::{follow, granted, tear_down};
use super::{budget, bytes_of, offer, power, preemption, tasks};
use crate::command::{Group, Slot};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::purse::Charge;
use crate::state::{Fate, Job, Placement};
use crate::{quota, reservation};
use sekisho_evidence::grant::{BoundRules, Grant, Share};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, NodeId};
use sekisho_types::limit::{CALLS_MAX, GROUPS_PER_PLAN_MAX};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeSet;

/// Whether a placement in this phase belongs to its node's desired set.
pub(crate) fn is_desired(phase: &Phase) -> bool {
    match phase {
        Phase::Granted | Phase::Starting | Phase::Running => true,
        Phase::Stopping | Phase::Ended(_) => false,
    }
}

/// Grants places to groups, each whole or not at all, in order; then calls who still waits of those that are named.
pub(super) fn commit(
    change: &mut Change<'_>,
    basis: Revision,
    groups: &[Group],
    calls: Option<&[JobId]>,
) -> Outcome {
    change.member()?;
    change.state.clock_behind(change.entry.proposed_at)?;
    // The age of the basis never matters, everything is checked again; a future one is another history's.
    if basis >= change.revision {
        return Err(Rejection::new(
            ErrorCode::WrongCluster,
            "the plan is based on a revision that is not applied",
        ));
    }
    let called = calls.map_or(0, <[JobId]>::len);
    let says_nothing = groups.is_empty() && calls.is_none();
    if says_nothing || groups.len() > GROUPS_PER_PLAN_MAX || called > CALLS_MAX {
        let why = format!(
            "a plan has 1 to {GROUPS_PER_PLAN_MAX} groups, or calls, of {CALLS_MAX} jobs at most"
        );
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let (mut done, mut rejected) = (Vec::new(), Vec::new());
    for group in groups {
        if change.state.preemption(&group.job).is_some() {
            // Others are being moved for it.
            rejected.push((group.job.clone(), ErrorCode::WrongPhase));
            continue;
        }
        match check_group(change.state, group) {
            Ok((rules, charges)) => {
                grant_group(change, group, &rules, charges)?;
                done.push(group.job.clone());
            }
            Err(code) => rejected.push((group.job.clone(), code)),
        }
    }
    if let Some(calls) = calls {
        let waits = |id: &&JobId| change.state.jobs.get(id).is_some_and(Job::is_queued);
        change.state.calls = calls.iter().filter(waits).cloned().collect();
    }
    Ok(Reply::Placed { granted: done, rejected })
}

pub(super) fn grant_group(
    change: &mut Change<'_>,
    group: &Group,
    rules: &[BoundRules],
    charges: Vec<Charge>,
) -> Result<(), Rejection> {
    let id = tasks::begin(change, &group.job);
    let mut placements = Vec::with_capacity(group.places.len());
    for ((rank, slot), charge) in (0u32..).zip(&group.places).zip(charges) {
        placements.push(grant(change, (&id, rank), slot, rules, charge)?);
    }
    granted(change, &id, placements);
    Ok(())
}

fn grant(
    change: &mut Change<'_>,
    (id, rank): (&JobId, u32),
    slot: &Slot,
    rules: &[BoundRules],
    charge: Charge,
) -> Result<PlacementId, Rejection> {
    let lost = || Rejection::new(ErrorCode::Internal, "a checked group lost its job or node");
    let ordinal = u32::try_from(change.grants.len()).map_err(|_range| lost())?;
    let placement = PlacementId { epoch: change.epoch()?, ordinal };
    let federation = change.federation()?;
    let job = change.state.jobs.get(id).ok_or_else(lost)?;
    let node = change.state.nodes.get(&slot.node).ok_or_else(lost)?;
    let bucket = node.buckets.get(usize::from(slot.bucket)).ok_or_else(lost)?;
    let facts = &job.facts;
    let with = facts.resources.sharing;
    let grant = Grant {
        cluster: federation.cluster,
        placement,
        job: id.clone(),
        rank,
        group: facts.group,
        node: slot.node.clone(),
        node_key: node.node_key,
        session: node.live_session().ok_or_else(lost)?.id,
        class: bucket.class.clone(),
        memory_mib: bucket.memory_mib,
        units: bucket.units,
        island: bucket.island,
        gpus: facts.resources.gpus,
        share: bucket.shared_device().map(|device| Share { device, with }),
        rules: rules.to_vec(),
        table: federation.table,
        landmarks: change.state.landmarks.basis(),
        submitter: Principal::clone(&job.submitter),
        payload: facts.payload,
        submission: job.submission,
        on_disconnect: facts.on_disconnect,
        time_limit_s: facts.time_limit_s,
    };
    let digest = Digest::of(&bytes_of(&grant));
    let changed = change.now();
    let (bucket, phase) = (slot.bucket, Phase::Granted);
    let row = Placement { grant, bucket, digest, record: 0, phase, changed, charge };
    enter(change, placement, row);
    Ok(placement)
}

/// Enters a placement at its node and charges it, in this entry (Q1); its grant becomes a record.
pub(super) fn enter(change: &mut Change<'_>, placement: PlacementId, row: Placement) {
    let (node, bucket, gpus) = (row.grant.node.clone(), row.bucket, row.grant.gpus);
    charge(change, &row);
    change.state.placements.insert(placement, row);
    change.state.nodes.update(&node, |node| {
        node.placements.insert(placement);
        let used = node.used.entry(bucket).or_insert(0);
        *used = used.saturating_add(gpus);
    });
    change.effects.events.insert(Event::NodeShown(node.clone()));
    change.effects.touched.insert(node);
    change.grants.push(placement);
}

/// Charges a placement to all that [`Charge`] names.
fn charge(change: &mut Change<'_>, row: &Placement) {
    let (grant, charge) = (&row.grant, &row.charge);
    let gpus = u64::from(grant.gpus);
    let path = change.state.path(&grant.job.tenant);
    quota::charge(&mut change.state.quotas, &path, &grant.class, charge.place, gpus);
    let ms = charge.until.since_ms(charge.from);
    change.state.use_fairly(&grant.job.tenant, gpus, ms, charge.from);
    budget::charge(change, row);
    if let Some(name) = &charge.offer {
        offer::charge(change, &(grant.node.site.clone(), name.clone()), gpus);
    }
    reservation::charge(change.state, row);
    power::charge(change, row);
}

/// Gives all of it back that is not used up (Q2).
fn refund(change: &mut Change<'_>, row: &Placement) {
    let (grant, charge) = (&row.grant, &row.charge);
    let gpus = u64::from(grant.gpus);
    let path = change.state.path(&grant.job.tenant);
    quota::refund(&mut change.state.quotas, &path, &grant.class, charge.place, gpus);
    let left = charge.until.since_ms(change.now().max(charge.from));
    change.state.unuse_fairly(&grant.job.tenant, gpus, left, charge.from);
    budget::refund(change, row);
    reservation::refund(change.state, row);
    power::refund(change, row);
    if let Some(name) = &charge.offer {
        offer::refund(change, &(grant.node.site.clone(), name.clone()), gpus);
    }
}

/// Moves a placement forward without ending it; the caller has checked that it may.
pub(super) fn moved(change: &mut Change<'_>, id: &PlacementId, phase: &Phase) {
    let now = change.now();
    let row = change.state.placements.update(id, |row| {
        row.phase = phase.clone();
        row.changed = now;
        (row.grant.job.clone(), row.grant.node.clone())
    });
    if let Some((job, node)) = row {
        follow(change, &job, id, &node);
    }
}

/// Orders a placement to stop: it leaves the desired set and stays charged (P3).
pub(super) fn order_stop(change: &mut Change<'_>, id: &PlacementId) {
    let now = change.now();
    let node = change.state.placements.update(id, |row| {
        let desired = is_desired(&row.phase);
        if desired {
            row.phase = Phase::Stopping;
            row.changed = now;
        }
        desired.then(|| row.grant.node.clone())
    });
    if let Some(Some(node)) = node {
        change.effects.touched.insert(node);
    }
}

/// Confirms a placement dead: capacity and quota return, once (P3, Q2).
pub(super) fn end(change: &mut Change<'_>, id: &PlacementId, ending: &Ending) {
    let Some(row) = change.state.placements.get_arc(id).cloned() else { return };
    if row.phase.is_ended() {
        return;
    }
    let (was_desired, bucket) = (is_desired(&row.phase), row.bucket);
    let (job, node, gpus) = (row.grant.job.clone(), row.grant.node.clone(), row.grant.gpus);
    let now = change.now();
    change.state.placements.update(id, |row| {
        row.phase = Phase::Ended(ending.clone());
        row.changed = now;
    });
    change.state.nodes.update(&node, |node| {
        node.placements.remove(id);
        let left = node.used.get(&bucket).copied().unwrap_or(0).saturating_sub(gpus);
        if left == 0 {
            node.used.remove(&bucket);
        } else {
            node.used.insert(bucket, left);
        }
    });
    refund(change, &row);
    if was_desired {
        change.effects.touched.insert(node.clone());
    }
    change.effects.events.insert(Event::NodeShown(node.clone()));
    change.effects.events.insert(Event::Plannable);
    follow(change, &job, id, &node);
    preemption::passed(change, &row);
}

/// Orders every job on a node to stop and to find another place.
pub(super) fn stop_all_on(change: &mut Change<'_>, node: &NodeId, fate: &Fate, message: &str) {
    let held = change.state.nodes.get(node).map(|row| row.placements.clone()).unwrap_or_default();
    let jobs: BTreeSet<JobId> = held
        .iter()
        .filter_map(|id| change.state.placements.get(id))
        .map(|p| p.grant.job.clone())
        .collect();
    for job in jobs {
        tear_down(change, &job, fate.clone(), message);
    }
}

/// After a node opened a session: its desired set is told anew, so that the new session has a record of its own.
pub(super) fn resettle(change: &mut Change<'_>, node: &NodeId) {
    change.effects.touched.insert(node.clone());
}
