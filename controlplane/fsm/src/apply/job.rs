//! Jobs: submission, cancellation, and how a job follows its placements.

use super::change::{Change, not_found};
use super::placement::order_stop;
use super::policy::check_rules;
use super::{forget, held, offer, payload, preemption, reservation, residency, site_key, tasks};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Fate, Job};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, NodeId, TenantId};
use sekisho_types::job::{JobFacts, JobPhase, Kind, OverLimit};
use sekisho_types::limit::{ATTEMPTS_MAX, AVOIDED_FOR, OPEN_JOBS_PER_TENANT_MAX};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::rare::Rare;
use sekisho_types::revision::PlacementId;

/// Nodes that one job avoids at most; beyond it the one that refused first is tried again rather than the set growing.
const AVOID_MAX: usize = 64;

/// How long it does.
const AVOIDED_MS: u64 = AVOIDED_FOR.as_secs() * 1000;

/// Queues a job.
pub(super) fn submit(change: &mut Change<'_>, facts: &JobFacts) -> Outcome {
    let tenant_id = &facts.id.tenant;
    change.authorize(Verb::SubmitJob, Target::Tenant(tenant_id))?;
    facts.check().map_err(|error| Rejection::new(ErrorCode::InvalidArgument, error.to_string()))?;
    payload::check(change, facts)?;
    site_key::check_in_use(change, facts)?;
    check_rules(change.state, &facts.residency, change.today())?;
    residency::rules_for(change.state, facts)?;
    payload::check_area(change, facts)?;
    reservation::check(change, facts)?;
    if change.state.jobs.contains(&facts.id) {
        return Err(Rejection::new(ErrorCode::AlreadyExists, format!("job {} exists", facts.id)));
    }
    let open = change.state.tenants.get(tenant_id).map_or(0, |tenant| tenant.open_jobs);
    if open >= OPEN_JOBS_PER_TENANT_MAX {
        let why = format!("{tenant_id} has {open} open jobs, the most that a tenant may have");
        return Err(Rejection::new(ErrorCode::QuotaExceeded, why));
    }
    reject_over_limit(change, facts, 0)?;
    let waits = held::check(change, facts)?;
    let submission = payload::submission(change, facts)?;
    let (phase, message) = held::begin(change, facts, waits);
    let job = Job {
        facts: facts.clone(),
        submission: Digest::of(&submission),
        submitter: change.submitter(),
        submitted: change.revision,
        ordinal: change.ordinal,
        submitted_at: change.now(),
        started_at: None,
        ended_at: None,
        phase,
        tasks: (facts.kind != Kind::Batch).then(Box::default),
        placements: Vec::new(),
        attempts: 0,
        fate: None,
        avoid: Rare::default(),
        message,
        revision: change.revision,
    };
    let len = u32::try_from(submission.len()).unwrap_or(u32::MAX);
    payload::keep(change, job.submission, len, &submission);
    let content = change.payload;
    payload::keep_content(change, facts, content);
    if phase == JobPhase::Queued {
        change.state.queue.insert(job.queue_key(), facts.id.clone());
    }
    change.state.jobs.insert(facts.id.clone(), job);
    opened(change, tenant_id);
    change.effects.events.insert(Event::Job(facts.id.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// A tenant has one more job that is not over.
pub(super) fn opened(change: &mut Change<'_>, tenant: &TenantId) {
    change
        .state
        .tenants
        .update(tenant, |tenant| tenant.open_jobs = tenant.open_jobs.saturating_add(1));
}

/// Replaces what a queued job runs by the same, sealed to other sites or keys. That it is the same, its submitter says, who
/// signs it as the first time.
pub(super) fn reseal(change: &mut Change<'_>, facts: &JobFacts) -> Outcome {
    let id = &facts.id;
    change.authorize(Verb::SubmitJob, Target::Tenant(&id.tenant))?;
    facts.check().map_err(|error| Rejection::new(ErrorCode::InvalidArgument, error.to_string()))?;
    let job = change.state.jobs.get(id).ok_or_else(|| not_found(format!("job {id}")))?;
    if *job.submitter != change.entry.actor {
        let why = format!("job {id} is sealed anew by {}, who submitted it", job.submitter);
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    if !job.phase.is_waiting() && !tasks::goes_on(job) {
        let why = format!("job {id} is {}: only what is queued is sealed anew", job.phase);
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    let anew = JobFacts {
        payload: facts.payload,
        payload_len: facts.payload_len,
        sealed_to: facts.sealed_to.clone(),
        ..job.facts.clone()
    };
    if anew != *facts || !facts.is_sealed() {
        let why = "what is sealed anew is sealed, and the same job in all but its payload";
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let before = [job.facts.payload, job.submission];
    payload::check(change, facts)?;
    site_key::check_in_use(change, facts)?;
    payload::check_area(change, facts)?;
    let submission = payload::submission(change, facts)?;
    let (digest, revision) = (Digest::of(&submission), change.revision);
    let len = u32::try_from(submission.len()).unwrap_or(u32::MAX);
    payload::keep(change, digest, len, &submission);
    let content = change.payload;
    payload::keep_content(change, facts, content);
    for digest in &before {
        payload::release(change, digest);
    }
    change.state.jobs.update(id, |job| {
        job.facts = anew;
        job.submission = digest;
        if job.phase == JobPhase::Queued {
            job.message = "waits for a place, sealed anew".to_owned();
        }
        job.revision = revision;
    });
    tasks::resealed(change, id);
    change.effects.events.insert(Event::Job(id.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Refuses a job that asks for it and could not be placed now, whatever is free: not within the rows of its tenant all
/// together, nor within a hard budget of GPU-hours for the whole country. An array is judged by what it may hold at once, for as
/// long as its tasks take so; a service by all its replicas, beyond what they hold already.
pub(super) fn reject_over_limit(
    change: &Change<'_>,
    facts: &JobFacts,
    holds: u64,
) -> Result<(), Rejection> {
    if facts.over_limit == OverLimit::Queue {
        return Ok(());
    }
    let (tenant, class, need) = (&facts.id.tenant, &facts.resources.class, facts.gpus_at_once());
    let most = change.state.most(tenant, class);
    if !most.ever.covers(need) {
        let why = format!("{tenant} may hold {} {class}, the job needs {need}", most.ever);
        return Err(Rejection::new(ErrorCode::QuotaNone, why));
    }
    let need = need.saturating_sub(holds);
    if !most.now.covers(need) {
        let why = format!("{tenant} has room for {} {class}, the job needs {need}", most.now);
        return Err(Rejection::new(ErrorCode::QuotaExceeded, why));
    }
    match change.state.over_budget(facts, need) {
        None => Ok(()),
        Some((code, why)) => Err(Rejection::new(code, why)),
    }
}

/// Cancels a job. What runs is ordered to stop and stays charged until it is confirmed dead.
pub(super) fn cancel(change: &mut Change<'_>, id: &JobId) -> Outcome {
    change.authorize(Verb::CancelJob, Target::Tenant(&id.tenant))?;
    let job = change.state.jobs.get(id).ok_or_else(|| not_found(format!("job {id}")))?;
    if job.phase.is_final() {
        return Err(Rejection::new(ErrorCode::WrongPhase, format!("job {id} is {}", job.phase)));
    }
    if job.tasks.is_some() {
        tasks::cancel(change, id);
    } else if job.phase.is_waiting() {
        withdraw(change, id, JobPhase::Cancelled, "cancelled before it was placed");
    } else {
        tear_down(change, id, Fate::Cancel, "cancelled");
    }
    Ok(Reply::Done)
}

/// Ends a job that waits.
pub(super) fn withdraw(change: &mut Change<'_>, id: &JobId, phase: JobPhase, message: &str) {
    let Some(key) = change.state.jobs.get(id).map(Job::queue_key) else { return };
    change.state.queue.remove(&key);
    finish(change, id, phase, message);
}

/// Ends jobs that wait and that no agent would run any more. Held ones first: the end of one may queue another.
pub(super) fn fail_queued(change: &mut Change<'_>, why: &str, which: impl Fn(&Job) -> bool) {
    for id in held::all(change.state, &which) {
        if change.state.jobs.get(&id).is_some_and(|job| job.phase == JobPhase::Held) {
            finish(change, &id, JobPhase::Failed, why);
        }
    }
    let ends = |id: &JobId| change.state.jobs.get(id).is_some_and(&which);
    let queued = change.state.queue.iter().filter(|(_, id)| ends(id));
    let queued: Vec<_> = queued.map(|(key, id)| (*key, id.clone())).collect();
    for (key, id) in queued {
        if id.task.is_none() && change.state.jobs.get(&id).is_some_and(|job| job.tasks.is_some()) {
            tasks::no_more(change, &id, Fate::Fail(why.to_owned()));
        } else {
            change.state.queue.remove(&key);
            finish(change, &id, JobPhase::Failed, why);
        }
    }
}

/// A job's group was granted.
pub(super) fn granted(change: &mut Change<'_>, id: &JobId, placements: Vec<PlacementId>) {
    let revision = change.revision;
    let Some(key) = change.state.jobs.get(id).map(Job::queue_key) else { return };
    if change.state.queue.get(&key) == Some(id) {
        change.state.queue.remove(&key);
    }
    held::leave(change, id);
    change.state.jobs.update(id, |job| {
        job.phase = JobPhase::Placed;
        job.placements = placements;
        job.attempts = job.attempts.saturating_add(1);
        job.message = "placed".to_owned();
        job.revision = revision;
    });
    change.effects.events.insert(Event::Job(id.clone()));
}

/// A member of the group moved: the job follows.
pub(super) fn follow(change: &mut Change<'_>, id: &JobId, placement: &PlacementId, node: &NodeId) {
    held::begun(change, id);
    let Some(job) = change.state.jobs.get(id) else { return };
    let phases: Vec<Phase> = job
        .placements
        .iter()
        .filter_map(|p| change.state.placements.get(p))
        .map(|p| p.phase.clone())
        .collect();
    let ending = change.state.placements.get(placement).and_then(|p| match &p.phase {
        Phase::Ended(ending) => Some(ending.clone()),
        Phase::Granted | Phase::Starting | Phase::Running | Phase::Stopping => None,
    });
    let attempts = job.attempts;
    change.effects.events.insert(Event::Job(id.clone()));
    if let Some(ending) = ending {
        if let Some(fate) = fate_of(&ending, attempts, node) {
            // That nobody keeps what it runs says nothing about the host.
            let by_host = |code: &ErrorCode| *code != ErrorCode::PayloadNotHere;
            if matches!(&ending, Ending::Refused(code) if by_host(code)) {
                avoid(change, id, node);
            }
            tear_down(change, id, fate, &format!("{ending} on {node}"));
        }
        settle(change, id);
    } else if phases
        .iter()
        .all(|phase| matches!(phase, Phase::Running | Phase::Ended(Ending::Exited(0))))
    {
        let revision = change.revision;
        let begun = change.state.jobs.update(id, |job| {
            let begins = job.phase == JobPhase::Placed;
            if begins {
                job.phase = JobPhase::Running;
                job.message = "runs".to_owned();
                job.revision = revision;
            }
            begins
        });
        if begun == Some(true) {
            tasks::turned(change, id, JobPhase::Placed, JobPhase::Running);
        }
    }
}

/// What an ending means for the whole group; `None` if the others may go on.
fn fate_of(ending: &Ending, attempts: u32, node: &NodeId) -> Option<Fate> {
    let retry =
        |why: String| if attempts < ATTEMPTS_MAX { Fate::Requeue(why) } else { Fate::Fail(why) };
    match ending {
        Ending::Exited(0) => None,
        Ending::Exited(_) | Ending::Signaled(_) | Ending::TimedOut | Ending::OutOfMemory => {
            Some(Fate::Fail(format!("{ending} on {node}")))
        }
        Ending::StartFailed(_) | Ending::Refused(_) | Ending::Lost => {
            Some(retry(format!("{ending} on {node}")))
        }
        // Stopped without an order of ours: drained by hand on the host.
        Ending::Stopped => Some(retry(format!("stopped on {node}"))),
    }
}

fn avoid(change: &mut Change<'_>, id: &JobId, node: &NodeId) {
    let now = change.now();
    change.state.jobs.update(id, |job| {
        job.avoid.retain(|_, until| now < *until);
        if job.avoid.len() >= AVOID_MAX {
            let first = job.avoid.iter().min_by_key(|(_, until)| **until);
            let first = first.map(|(node, _)| node.clone());
            if let Some(first) = first {
                job.avoid.remove(&first);
            }
        }
        job.avoid.insert(node.clone(), now.plus_ms(AVOIDED_MS));
    });
    if id.task.is_some() {
        avoid(change, &id.whole(), node);
    }
}

/// Orders every living member to stop and notes what happens when all are dead. The first fate stands, except that
/// a cancellation replaces a way back to the queue: the tenant no longer wants the job.
pub(super) fn tear_down(change: &mut Change<'_>, id: &JobId, fate: Fate, message: &str) {
    let revision = change.revision;
    let members = change.state.jobs.update(id, |job| {
        let replace = match (&job.fate, &fate) {
            (None, _) | (Some(Fate::Requeue(_) | Fate::Move(_)), Fate::Cancel) => true,
            (Some(_), _) => false,
        };
        if replace {
            job.fate = Some(fate);
            job.message = message.to_owned();
        }
        let before = std::mem::replace(&mut job.phase, JobPhase::Stopping);
        job.revision = revision;
        (before, job.placements.clone())
    });
    let Some((before, members)) = members else { return };
    tasks::turned(change, id, before, JobPhase::Stopping);
    for placement in members {
        order_stop(change, &placement);
    }
    change.effects.events.insert(Event::Job(id.clone()));
    settle(change, id);
}

/// Once every member is dead: success, or the noted fate.
fn settle(change: &mut Change<'_>, id: &JobId) {
    let Some(job) = change.state.jobs.get(id) else { return };
    let over = job
        .placements
        .iter()
        .all(|placement| change.state.placements.get(placement).is_none_or(|p| p.phase.is_ended()));
    if !over || job.phase.is_final() || job.placements.is_empty() {
        return;
    }
    // Of a group that hosts bring over one by one, some may not have come yet.
    let whole = u32::try_from(job.placements.len()).is_ok_and(|all| all >= job.facts.group);
    match job.fate.clone() {
        None if !whole => {}
        None => finish(change, id, JobPhase::Succeeded, "succeeded"),
        Some(Fate::Cancel) => finish(change, id, JobPhase::Cancelled, "cancelled"),
        Some(Fate::Fail(why)) => finish(change, id, JobPhase::Failed, &why),
        Some(Fate::Requeue(why)) if tasks::is_replica(job) => {
            finish(change, id, JobPhase::Failed, &why);
        }
        Some(Fate::Move(why)) if tasks::is_replica(job) => {
            finish(change, id, JobPhase::Cancelled, &why);
        }
        Some(Fate::Requeue(why)) => requeue(change, id, &why),
        Some(Fate::Move(why)) => {
            change.state.jobs.update(id, |job| job.attempts = job.attempts.saturating_sub(1));
            requeue(change, id, &why);
        }
    }
}

fn requeue(change: &mut Change<'_>, id: &JobId, why: &str) {
    let Some(job) = change.state.jobs.get(id) else { return };
    let Some(federation) = change.state.federation() else { return };
    if federation.bundle.keys(&job.submitter.operator).is_none() {
        finish(change, id, JobPhase::Failed, "the operator of its submitter left the federation");
        return;
    }
    // A lost grant of it may run somewhere (P7), and its signature was for the incarnation before.
    if job.submitted < federation.opened {
        let why = format!("{why}; the federation began anew since: submit it again");
        finish(change, id, JobPhase::Failed, &why);
        return;
    }
    if let Some(late) = held::too_late(change.state, &job.facts) {
        finish(change, id, JobPhase::Failed, &format!("{why}; {late}"));
        return;
    }
    let (key, old, by) = (job.queue_key(), job.placements.clone(), job.facts.start_by);
    held::watch_deadline(change, id, by);
    tasks::renew(change, id);
    for placement in old {
        change.state.placements.remove(&placement);
    }
    let revision = change.revision;
    let before = change.state.jobs.update(id, |job| {
        let before = std::mem::replace(&mut job.phase, JobPhase::Queued);
        job.placements = Vec::new();
        job.fate = None;
        job.message = format!("waits again: {why}");
        job.revision = revision;
        before
    });
    change.state.queue.insert(key, id.clone());
    if let Some(before) = before {
        tasks::turned(change, id, before, JobPhase::Queued);
    }
    change.effects.events.insert(Event::Plannable);
}

/// Ends a job, and judges those that wait for it.
pub(super) fn finish(change: &mut Change<'_>, id: &JobId, phase: JobPhase, message: &str) {
    end(change, id, phase, message);
    held::judge(change, id);
}

/// As [`finish`], for who judges those itself.
pub(super) fn end(change: &mut Change<'_>, id: &JobId, phase: JobPhase, message: &str) {
    held::leave(change, id);
    let (revision, now) = (change.revision, change.now());
    let ended = change.state.jobs.update(id, |job| {
        let before = std::mem::replace(&mut job.phase, phase);
        job.message = message.to_owned();
        job.revision = revision;
        job.ended_at = Some(now);
        (before, [job.facts.payload, job.submission])
    });
    let Some((before, kept)) = ended else { return };
    forget::keep(change, id);
    change
        .state
        .tenants
        .update(&id.tenant, |tenant| tenant.open_jobs = tenant.open_jobs.saturating_sub(1));
    for digest in &kept {
        payload::release(change, digest);
    }
    offer::forget(change, id);
    preemption::lapse(change, id);
    change.effects.events.insert(Event::Job(id.clone()));
    change.effects.events.insert(Event::Plannable);
    tasks::turned(change, id, before, phase);
}
