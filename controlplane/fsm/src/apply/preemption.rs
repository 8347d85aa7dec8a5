//! Moving jobs for another one, and passing on what they give back.
//!
//! Must hold: P3 and Q1. What is kept and charged for the beneficiary is what is free, and what victims have confirmed to be
//! dead; it is granted in the entry of the last teardown by the check of every grant, or everything that was kept and charged
//! is given back in that entry.

use super::change::Change;
use super::group::check_group;
use super::job::tear_down;
use super::placement::grant_group;
use crate::command::{Group, Preempt, Slot};
use crate::event::Event;
use crate::outcome::{Outcome, Reply};
use crate::preemption::{Kept, Preemption};
use crate::quota::{charge, refund};
use crate::state::{Fate, Placement};
use sekisho_types::id::{DeviceClass, JobId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::Amount;
use std::collections::BTreeMap;

/// Orders victims to stop, and keeps for the beneficiary what is free of its places.
pub(super) fn begin(change: &mut Change<'_>, preempt: &Preempt) -> Outcome {
    change.member()?;
    change.state.clock_behind(change.entry.proposed_at)?;
    change.state.check_preemption(preempt)?;
    let Preempt { beneficiary, victims, places } = preempt;
    let gpus = change.state.jobs.get(beneficiary).map_or(0, |job| job.facts.resources.gpus);
    for slot in places {
        change.state.nodes.update(&slot.node, |node| {
            let kept = Kept { job: beneficiary.clone(), gpus: gpus.min(node.free(slot.bucket)) };
            node.kept.insert(slot.bucket, kept);
        });
        change.effects.events.insert(Event::NodeShown(slot.node.clone()));
    }
    let row = Preemption {
        places: places.clone(),
        victims: victims.iter().cloned().collect(),
        charged: BTreeMap::new(),
        since: change.now(),
        revision: change.revision,
    };
    change.state.preemptions.insert(beneficiary.clone(), row);
    said(change, beneficiary, &format!("waits until {} job(s) have made room", victims.len()));
    charge_more(change, beneficiary);
    for victim in victims {
        let why = format!("makes room for job {beneficiary}");
        tear_down(change, victim, Fate::Move(why.clone()), &why);
    }
    Ok(Reply::Done)
}

fn said(change: &mut Change<'_>, job: &JobId, message: &str) {
    let revision = change.revision;
    change.state.jobs.update(job, |job| {
        message.clone_into(&mut job.message);
        job.revision = revision;
    });
    change.effects.events.insert(Event::Job(job.clone()));
}

/// The area of each place.
fn areas(change: &Change<'_>, places: &[Slot]) -> Vec<Area> {
    let area = |slot: &Slot| change.state.nodes.get(&slot.node)?.tag.area.domestic();
    places.iter().filter_map(area).collect()
}

/// Charges the beneficiary's tenant for as much of what it will hold as there is quota by now.
fn charge_more(change: &mut Change<'_>, id: &JobId) {
    let (Some(row), Some(job)) = (change.state.preemptions.get(id), change.state.jobs.get(id))
    else {
        return;
    };
    let (gpus, class) = (u64::from(job.facts.resources.gpus), job.facts.resources.class.clone());
    let mut wanted: BTreeMap<Area, u64> = BTreeMap::new();
    for area in areas(change, &row.places) {
        let sum = wanted.entry(area).or_default();
        *sum = sum.saturating_add(gpus);
    }
    let path = change.state.path(&id.tenant);
    let charged = row.charged.clone();
    for (area, wanted) in wanted {
        let short = wanted.saturating_sub(charged.get(&area).copied().unwrap_or(0));
        let more = match room(change, id, &class, area) {
            Amount::Gpus(room) => room.min(short),
            Amount::Unbounded => short,
        };
        if more == 0 {
            continue;
        }
        charge(&mut change.state.quotas, &path, &class, area, more);
        change.state.preemptions.update(id, |row| {
            let sum = row.charged.entry(area).or_default();
            *sum = sum.saturating_add(more);
        });
    }
}

/// Room in the tightest row of a tenant around a place.
fn room(change: &Change<'_>, id: &JobId, class: &DeviceClass, place: Area) -> Amount {
    let held = change.state.holding(&id.tenant, class).into_iter().flat_map(|held| &held.lines);
    let rows = held.filter(|(area, line)| line.quota.is_some() && area.contains(place));
    let rooms = rows.map(|(area, _)| change.state.room(&id.tenant, class, *area));
    rooms.min().unwrap_or(Amount::NONE)
}

/// A placement ended: if its job makes room for another one, what it gave back is passed on.
pub(super) fn passed(change: &mut Change<'_>, ended: &Placement) {
    if change.state.preemptions.is_empty() {
        return;
    }
    let victim = &ended.grant.job;
    let rows = change.state.preemptions.iter().filter(|(_, row)| row.victims.contains(victim));
    let all: Vec<JobId> = rows.map(|(id, _)| id.clone()).collect();
    for id in all {
        keep_more(change, &id, ended);
        charge_more(change, &id);
        settle(change, &id);
    }
}

fn keep_more(change: &mut Change<'_>, id: &JobId, ended: &Placement) {
    let gpus = change.state.jobs.get(id).map_or(0, |job| job.facts.resources.gpus);
    let (node, bucket) = (ended.grant.node.clone(), ended.bucket);
    change.state.nodes.update(&node, |node| {
        let free = node.free(bucket);
        if let Some(kept) = node.kept.get_mut(&bucket).filter(|kept| kept.job == *id) {
            kept.gpus = gpus.min(kept.gpus.saturating_add(free.min(ended.grant.gpus)));
        }
    });
}

/// Once every victim is dead: the beneficiary is granted its places, or it waits on like any other.
fn settle(change: &mut Change<'_>, id: &JobId) {
    let Some(row) = change.state.preemptions.get(id) else { return };
    let lives = |victim: &JobId| {
        let job = change.state.jobs.get(victim);
        let placements = job.into_iter().flat_map(|job| &job.placements);
        let mut rows = placements.filter_map(|id| change.state.placements.get(id));
        // What was granted to it since is none of what it was to give back.
        rows.any(|placed| !placed.phase.is_ended() && placed.charge.from <= row.since)
    };
    if row.victims.iter().any(lives) {
        return;
    }
    let group = Group { job: id.clone(), places: row.places.clone() };
    give_back_charges(change, id);
    match check_group(change.state, &group) {
        Ok((rules, charges)) => {
            give_back_room(change, id);
            change.state.preemptions.remove(id);
            // A group that was checked is granted; if the federation itself were gone nothing would be.
            let _granted = grant_group(change, &group, &rules, charges);
        }
        Err(code) => {
            lapse(change, id);
            said(
                change,
                id,
                &format!("waits for a place: the room that was made is not enough: {code}"),
            );
        }
    }
}

fn give_back_charges(change: &mut Change<'_>, id: &JobId) {
    let class = change.state.jobs.get(id).map(|job| job.facts.resources.class.clone());
    let charged = change.state.preemptions.update(id, |row| std::mem::take(&mut row.charged));
    let (Some(class), Some(charged)) = (class, charged) else { return };
    let path = change.state.path(&id.tenant);
    for (area, gpus) in charged {
        refund(&mut change.state.quotas, &path, &class, area, gpus);
    }
}

fn give_back_room(change: &mut Change<'_>, id: &JobId) {
    let places = change.state.preemptions.get(id).map(|row| row.places.clone());
    for slot in places.unwrap_or_default() {
        change.state.nodes.update(&slot.node, |node| {
            if node.kept.get(&slot.bucket).is_some_and(|kept| kept.job == *id) {
                node.kept.remove(&slot.bucket);
            }
        });
        change.effects.events.insert(Event::NodeShown(slot.node.clone()));
    }
    change.effects.events.insert(Event::Plannable);
}

/// Gives up what is kept and charged for a job, if anything is. What is being stopped for it finds another place.
pub(super) fn lapse(change: &mut Change<'_>, id: &JobId) {
    if !change.state.preemptions.contains(id) {
        return;
    }
    give_back_charges(change, id);
    give_back_room(change, id);
    change.state.preemptions.remove(id);
}

/// The same of every job for which something is kept on a node.
pub(super) fn lapse_on(change: &mut Change<'_>, node: &sekisho_types::id::NodeId) {
    let kept = change.state.nodes.get(node).into_iter().flat_map(|node| node.kept.values());
    let jobs: Vec<JobId> = kept.map(|kept| kept.job.clone()).collect();
    jobs.iter().for_each(|job| lapse(change, job));
}

/// The same of all.
pub(super) fn lapse_all(change: &mut Change<'_>) {
    let jobs: Vec<JobId> = change.state.preemptions.iter().map(|(id, _)| id.clone()).collect();
    jobs.iter().for_each(|job| lapse(change, job));
}
