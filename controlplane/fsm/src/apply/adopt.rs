//! Taking in what a host still runs to completion, though the restored state has never heard of its grant.
//!
//! Must hold: P1, P6, P7, Q2. The grant is proven under the operators of the incarnation before, and is of the tail that
//! was lost; its host has not come over yet, so nothing else can be granted there; a grant of a later attempt proves that
//! every earlier one is dead. What is taken in is charged, whatever the quota says: it runs. A job of before is never
//! started again by this.
//! Does not take in what is bound to a lease: that has ended with it.

use super::change::{Change, not_found};
use super::job::opened;
use super::placement::{end, enter};
use super::{bytes_of, forget, payload, tasks};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::purse::Charge;
use crate::state::{Fate, Federation, Job, Placement};
use sekisho_evidence::adoption::{Adoption, AdoptionError};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::grant::Grant;
use sekisho_evidence::opening::Opening;
use sekisho_evidence::package::opening;
use sekisho_evidence::submission::Submission;
use sekisho_types::device::Bucket;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, NodeId};
use sekisho_types::job::{JobFacts, JobPhase, OnDisconnect};
use sekisho_types::jurisdiction::Area;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bundles of the incarnation before that a note may be signed under, newest first: an agent follows within seconds.
const BUNDLES: usize = 8;

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

/// Takes a placement in.
pub(super) fn adopt(
    change: &mut Change<'_>,
    id: &NodeId,
    adoption: &Adoption,
    running: bool,
) -> Outcome {
    let node = change.agent(id)?;
    let came_over = node.session.as_ref().map(|session| session.opened);
    let federation = change.federation()?;
    let (opening, bundles) = before(federation)?;
    let (grant, submission) = proven(adoption, &bundles, &federation.bundle)?;
    let (digest, opened) = (Digest::of(&bytes_of(&grant)), federation.opened);
    let lost_after = opening.restored.last.index;
    if let Some(known) = change.state.placements.get(&grant.placement) {
        if known.digest == digest && !known.phase.is_ended() {
            return Ok(Reply::Done);
        }
        return refuse(ErrorCode::WrongPhase, format!("{} has ended", grant.placement));
    }
    if came_over > Some(opened) {
        return refuse(ErrorCode::WrongPhase, format!("{id} has come over already"));
    }
    if grant.placement.epoch.revision.0 <= lost_after {
        let why = format!("{} had ended before the incarnation was opened", grant.placement);
        return refuse(ErrorCode::WrongPhase, why);
    }
    its_own(change, id, &grant)?;
    payload::check(change, &submission.facts)?;
    apart(change, &submission.facts)?;
    let bucket = room(change, id, &grant)?;
    may_go_on(change, &grant, opened)?;
    tasks::may_take_in(change, &grant, opened)?;

    end_earlier(change, &grant);
    hold(change, &grant, digest, bucket, running);
    join_job(change, &grant, &submission, adoption, Revision(lost_after));
    Ok(Reply::Done)
}

/// What opened the present incarnation, and the newest bundles of the one before.
fn before(federation: &Federation) -> Result<(&Opening, Vec<&EndorserBundle>), Rejection> {
    let opens = federation.agreements.iter().rposition(|step| opening(step).is_some());
    let found =
        opens.and_then(|at| federation.agreements.get(at).zip(federation.agreements.get(..at)));
    let told = found.and_then(|(step, steps)| Some((opening(step)?, steps)));
    let Some((told, steps)) = told else {
        return refuse(ErrorCode::WrongPhase, "this is the first incarnation");
    };
    let first = &federation.genesis.genesis.bundle;
    let held = [first].into_iter().chain(steps.iter().map(|step| &step.signed.bundle));
    let life = federation.incarnation.0.saturating_sub(1);
    let mut bundles: Vec<_> = held.filter(|bundle| bundle.incarnation.0 == life).collect();
    bundles.reverse();
    bundles.truncate(BUNDLES);
    Ok((told, bundles))
}

/// The grant under one of the bundles of before.
fn proven(
    adoption: &Adoption,
    bundles: &[&EndorserBundle],
    today: &EndorserBundle,
) -> Result<(Grant, Submission), Rejection> {
    let mut last = AdoptionError::Record;
    for bundle in bundles {
        match adoption.open(bundle, today) {
            Ok(proven) => return Ok(proven),
            // Another bundle may know the signers.
            Err(error) => last = error,
        }
    }
    refuse(ErrorCode::SignatureInvalid, last.to_string())
}

/// Unless its job is open already, what it runs is no other job's, of which one stays in its area and the other does not.
fn apart(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let known = change.state.area_only.get(&facts.payload);
    let mixed = match known {
        Some(row) => row.job != facts.id,
        None => facts.area_only && change.state.payloads.contains(&facts.payload),
    };
    if mixed {
        return refuse(ErrorCode::AlreadyExists, "what it runs is another job's as well");
    }
    Ok(())
}

fn its_own(change: &Change<'_>, id: &NodeId, grant: &Grant) -> Result<(), Rejection> {
    let key = change.state.nodes.get(id).map(|node| node.node_key);
    if grant.node != *id || Some(grant.node_key) != key {
        return refuse(ErrorCode::GrantNotMine, "granted to another host");
    }
    if grant.on_disconnect != OnDisconnect::RunToCompletion {
        return refuse(ErrorCode::WrongPhase, "it was bound to a lease, which is over");
    }
    if !change.state.tenants.contains(&grant.job.tenant) {
        return Err(not_found(format!("tenant {}", grant.job.tenant)));
    }
    Ok(())
}

/// The bucket that it holds, which must have room for it (P1).
fn room(change: &Change<'_>, id: &NodeId, grant: &Grant) -> Result<u16, Rejection> {
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    let job = &grant.job;
    let party = |at| change.state.party(node, at, Some(job));
    let device = grant.share.map(|share| share.device);
    let key = (&grant.class, grant.memory_mib, grant.island, device);
    let is = |bucket: &Bucket| bucket.key() == key && bucket.units == grant.units;
    let at = node.buckets.iter().position(is).and_then(|at| u16::try_from(at).ok());
    match at {
        None => refuse(ErrorCode::NoDevice, "the host had no such devices"),
        Some(at) if node.free(at) < grant.gpus => {
            refuse(ErrorCode::CapacityFull, "the devices are charged to others")
        }
        Some(at) if grant.share.is_some() && !party(at).admits(&job.tenant, grant.sharing()) => {
            refuse(ErrorCode::ShareNeighbours, "the device is shared by others")
        }
        Some(at) => Ok(at),
    }
}

/// The job is unknown, or the very one, of before, and nothing later of it was granted.
fn may_go_on(change: &Change<'_>, grant: &Grant, opened: Revision) -> Result<(), Rejection> {
    let Some(job) = change.state.jobs.get(&grant.job) else { return Ok(()) };
    if job.submission != grant.submission || job.submitted >= opened {
        return refuse(ErrorCode::AlreadyExists, format!("another job {} exists", grant.job));
    }
    // What the opening gave up may go on; what had ended by itself before it, or was cancelled since, may not.
    let given_up = job.phase == JobPhase::Failed && job.revision >= opened;
    if job.phase.is_final() && !given_up {
        return refuse(ErrorCode::WrongPhase, format!("job {} is {}", grant.job, job.phase));
    }
    if job.fate == Some(Fate::Cancel) {
        return refuse(ErrorCode::WrongPhase, format!("job {} is being cancelled", grant.job));
    }
    let living = living(change, &grant.job);
    let (epoch, rank) = (grant.placement.epoch, grant.rank);
    let later = |id: &PlacementId| id.epoch > epoch;
    let same = |id: &PlacementId| {
        let row = change.state.placements.get(id);
        id.epoch == epoch && row.is_some_and(|row| row.grant.rank == rank)
    };
    if living.iter().any(|id| later(id) || same(id)) {
        return refuse(
            ErrorCode::WrongPhase,
            format!("rank {rank} of {} lives elsewhere", grant.job),
        );
    }
    Ok(())
}

fn living(change: &Change<'_>, job: &JobId) -> BTreeSet<PlacementId> {
    let placements = change.state.jobs.get(job).map(|job| job.placements.as_slice());
    let alive = |id: &&PlacementId| {
        change.state.placements.get(id).is_some_and(|row| !row.phase.is_ended())
    };
    placements.unwrap_or_default().iter().filter(alive).copied().collect()
}

/// A group is granted again only when all of the attempt before are dead (P3, P7): the later grant proves it.
fn end_earlier(change: &mut Change<'_>, grant: &Grant) {
    for id in living(change, &grant.job) {
        if id.epoch < grant.placement.epoch {
            end(change, &id, &Ending::Lost);
        }
    }
}

fn hold(change: &mut Change<'_>, grant: &Grant, digest: Digest, bucket: u16, running: bool) {
    let phase = if running { Phase::Running } else { Phase::Starting };
    let changed = change.now();
    let place = change.state.nodes.get(&grant.node).and_then(|node| node.tag.area.domestic());
    // It was charged in the incarnation before; here it counts for what it holds, and for nothing that it spends.
    let charge = Charge {
        place: place.unwrap_or(Area::Japan),
        offer: None,
        yen_per_gpu_hour: 0,
        from: changed,
        until: changed.plus_ms(grant.time_limit_s.saturating_mul(1000)),
        budgets: Vec::new(),
    };
    let row = Placement { grant: grant.clone(), bucket, digest, record: 0, phase, changed, charge };
    enter(change, grant.placement, row);
}

/// The job follows: one that is not known is made, one that was given up goes on.
fn join_job(
    change: &mut Change<'_>,
    grant: &Grant,
    submission: &Submission,
    adoption: &Adoption,
    submitted: Revision,
) {
    let (id, revision) = (&grant.job, change.revision);
    let known = change.state.jobs.get(id);
    let (open, before) =
        (known.is_some_and(|job| !job.phase.is_final()), known.map(|job| job.phase));
    let kept: Vec<PlacementId> = known.map(|job| job.placements.clone()).unwrap_or_default();
    let row = |id: &PlacementId| change.state.placements.get(id).map(|row| row.grant.rank);
    let mut placements: Vec<PlacementId> =
        kept.iter().copied().filter(|id| id.epoch == grant.placement.epoch).collect();
    placements.push(grant.placement);
    placements.sort_by_key(row);
    for old in kept.iter().filter(|id| id.epoch != grant.placement.epoch) {
        change.state.placements.remove(old);
    }
    let made = Job {
        facts: JobFacts { id: id.clone(), ..submission.facts.clone() },
        submission: grant.submission,
        submitter: Arc::new(grant.submitter.clone()),
        submitted: known.map_or(submitted, |job| job.submitted),
        ordinal: known.map_or(0, |job| job.ordinal),
        submitted_at: submission.submitted_at,
        started_at: known.and_then(|job| job.started_at).or_else(|| Some(change.now())),
        ended_at: None,
        phase: JobPhase::Running,
        tasks: None,
        placements,
        attempts: known.map_or(1, |job| job.attempts),
        fate: known.filter(|_| open).and_then(|job| job.fate.clone()),
        avoid: known.map(|job| job.avoid.clone()).unwrap_or_default(),
        message: "goes on: its host has come over with it".to_owned(),
        revision,
    };
    let was_over = known.and_then(|job| job.ended_at);
    forget::release(change, id, was_over);
    change.state.jobs.insert(id.clone(), made);
    if !open {
        opened(change, &id.tenant);
        let len = u32::try_from(adoption.submission.len()).unwrap_or(u32::MAX);
        payload::keep(change, grant.submission, len, &adoption.submission);
        let entry = change.entry;
        payload::keep_content(change, &submission.facts, &entry.payload);
    }
    tasks::adopted(change, id, before);
    change.effects.events.insert(Event::Job(id.clone()));
    change.effects.events.insert(Event::Plannable);
}
