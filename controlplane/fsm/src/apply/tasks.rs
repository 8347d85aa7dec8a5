//! Arrays and services: a whole, and its tasks.
//!
//! The whole is submitted and queued. The entry that grants one of its tasks makes a row for it, and from then on it is a job like
//! any other: it is stopped, moved, ended and told of by its own name. A task of an array that lost its host goes back to the queue
//! under its own number; a replica never does: the service gets another one.
//!
//! Must hold: P7: no number is given twice; of an array no more tasks hold devices than it says; the whole is over once nothing of
//! it is open and nothing is to come.

use super::change::{Change, not_found};
use super::job::{finish, tear_down};
use super::policy::check_rules;
use super::{forget, held, payload, preemption, residency, site_key};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Fate, Job, Tasks};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId};
use sekisho_types::job::{JobFacts, JobPhase, Kind};
use sekisho_types::limit::EVICTIONS_MAX;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A replica that ran for so long was well: what ends it is no reason to wait before the next one.
const STEADY_MS: u64 = 600_000;

/// Before the next replica, after one that ended by itself and soon; doubled with each that follows.
const PAUSE_MS: u64 = 10_000;

/// The same at most: somebody who mends the service sees it run within this.
const PAUSE_MAX_MS: u64 = 300_000;

/// Replicas that are over and still shown: enough to see why the last ones ended.
pub(super) const ENDED_REPLICAS_MAX: u32 = 16;

/// Whether it is one of a service.
pub(super) fn is_replica(job: &Job) -> bool {
    job.tasks.is_none() && matches!(job.facts.kind, Kind::Service { .. })
}

/// Makes the row of the next task that is granted, and says its name; of a job that is no whole, its own.
pub(super) fn begin(change: &mut Change<'_>, id: &JobId) -> JobId {
    let Some(whole) = change.state.jobs.get(id) else { return id.clone() };
    let Some(tasks) = &whole.tasks else { return id.clone() };
    let (number, key) = (tasks.next, whole.queue_key());
    let task = id.task(number);
    let row = Job {
        facts: JobFacts { id: task.clone(), ..whole.facts.clone() },
        tasks: None,
        started_at: None,
        phase: JobPhase::Queued,
        placements: Vec::new(),
        attempts: 0,
        ..whole.clone()
    };
    let (service, kept) = (is_replica(&row), [row.facts.payload, row.submission]);
    change.state.jobs.insert(task.clone(), row);
    kept.iter().for_each(|digest| payload::share(change, digest));
    change
        .state
        .tenants
        .update(&id.tenant, |tenant| tenant.open_jobs = tenant.open_jobs.saturating_add(1));
    let (revision, mut queued) = (change.revision, true);
    change.state.jobs.update(id, |job| {
        if let Some(tasks) = &mut job.tasks {
            tasks.next = number.saturating_add(1);
        }
        if job.phase == JobPhase::Queued {
            job.phase = JobPhase::Running;
            "its tasks run".clone_into(&mut job.message);
        }
        job.revision = revision;
        queued = job.is_queued();
    });
    if !queued {
        change.state.queue.remove(&key);
    }
    count(change, id, |tasks| tasks.open = tasks.open.saturating_add(1));
    if service {
        forget_ended(change, id);
    }
    task
}

/// Takes out the rows of the replicas that ended first, but for the last few.
fn forget_ended(change: &mut Change<'_>, whole: &JobId) {
    let ended: Vec<JobId> = change
        .state
        .tasks(whole)
        .filter(|(_, task)| task.phase.is_final())
        .map(|(id, _)| id.clone())
        .collect();
    let kept = usize::try_from(ENDED_REPLICAS_MAX).unwrap_or(usize::MAX);
    let many = ended.len().saturating_sub(kept);
    ended.iter().take(many).for_each(|id| forget::take_out(change, id));
}

/// Changes the counters of a whole that is not over.
fn count(change: &mut Change<'_>, whole: &JobId, f: impl FnOnce(&mut Tasks)) {
    let revision = change.revision;
    change.state.jobs.update(whole, |job| {
        if let Some(tasks) = job.tasks.as_mut().filter(|_| !job.phase.is_final()) {
            f(tasks);
            job.revision = revision;
        }
    });
    change.effects.events.insert(Event::Job(whole.clone()));
}

/// A task came over with its host: it is open again, whatever was known of it.
pub(super) fn adopted(change: &mut Change<'_>, id: &JobId, before: Option<JobPhase>) {
    let Some(number) = id.task else { return };
    let open = before.is_some_and(|phase| !phase.is_final());
    count(change, &id.whole(), |tasks| {
        tasks.next = tasks.next.max(number.saturating_add(1));
        tasks.open = tasks.open.saturating_add(u32::from(!open));
        let ran = before == Some(JobPhase::Running);
        tasks.running = tasks.running.saturating_add(u32::from(!ran));
        let failed = before == Some(JobPhase::Failed);
        tasks.failed = tasks.failed.saturating_sub(u32::from(failed));
    });
}

/// A task went from one phase to another: its whole counts it, and is over with the last.
pub(super) fn turned(change: &mut Change<'_>, id: &JobId, before: JobPhase, after: JobPhase) {
    if id.task.is_none() || before == after {
        return;
    }
    let Some(task) = change.state.jobs.get(id) else { return };
    let now = change.now();
    let ran_ms = task.started_at.map_or(0, |since| now.since_ms(since));
    let (replica, whole) = (is_replica(task), id.whole());
    let by_itself = matches!(after, JobPhase::Succeeded | JobPhase::Failed);
    count(change, &whole, |tasks| {
        let step = |counter: u32, was: bool, is: bool| match (was, is) {
            (true, false) => counter.saturating_sub(1),
            (false, true) => counter.saturating_add(1),
            (true, true) | (false, false) => counter,
        };
        let each = |counter, phase: JobPhase| step(counter, before == phase, after == phase);
        tasks.open = step(tasks.open, !before.is_final(), !after.is_final());
        tasks.running = each(tasks.running, JobPhase::Running);
        tasks.succeeded = each(tasks.succeeded, JobPhase::Succeeded);
        tasks.failed = each(tasks.failed, JobPhase::Failed);
        if replica && by_itself {
            tasks.early = if ran_ms < STEADY_MS { tasks.early.saturating_add(1) } else { 0 };
            tasks.pause = now.plus_ms(pause_ms(tasks.early));
        }
    });
    if after == JobPhase::Running {
        started(change, &whole);
    }
    if after.is_final() {
        over(change, &whole);
    }
}

/// A task runs: an array has started with the first, a service once it runs as it should.
fn started(change: &mut Change<'_>, whole: &JobId) {
    let now = change.now();
    let fresh = change.state.jobs.get(whole).is_some_and(|job| {
        let running = job.tasks.as_ref().map_or(0, |tasks| tasks.running);
        let least = match job.facts.kind {
            Kind::Service { replicas, .. } => replicas,
            Kind::Batch | Kind::Array { .. } => 1,
        };
        job.started_at.is_none() && running >= least
    });
    if fresh {
        change.state.jobs.update(whole, |job| job.started_at = Some(now));
        held::judge(change, whole);
    }
}

/// How long a service waits after so many replicas that ended soon.
fn pause_ms(early: u32) -> u64 {
    let Some(doubled) = early.checked_sub(1) else { return 0 };
    let factor = 1_u64.checked_shl(doubled).unwrap_or(u64::MAX);
    PAUSE_MS.saturating_mul(factor).min(PAUSE_MAX_MS)
}

/// Ends a whole of which nothing is open and nothing is to come.
fn over(change: &mut Change<'_>, whole: &JobId) {
    let Some(job) = change.state.jobs.get(whole) else { return };
    let Some(tasks) = job.tasks.as_ref().filter(|tasks| tasks.open == 0) else { return };
    if job.phase.is_final() || job.is_queued() {
        return;
    }
    let (phase, message) = match &job.fate {
        Some(Fate::Cancel) => (JobPhase::Cancelled, "cancelled".to_owned()),
        Some(Fate::Fail(why) | Fate::Requeue(why) | Fate::Move(why)) => {
            (JobPhase::Failed, why.clone())
        }
        None if tasks.succeeded == tasks.next => (JobPhase::Succeeded, "succeeded".to_owned()),
        None => {
            let others = tasks.next.saturating_sub(tasks.succeeded);
            (JobPhase::Failed, format!("{others} of {} tasks did not succeed", tasks.next))
        }
    };
    finish(change, whole, phase, &message);
}

/// Places nothing more of a whole; what is open of it goes on.
pub(super) fn no_more(change: &mut Change<'_>, id: &JobId, fate: Fate) {
    let Some(job) = change.state.jobs.get(id).filter(|job| !job.phase.is_final()) else { return };
    let (key, revision) = (job.queue_key(), change.revision);
    if change.state.queue.get(&key) == Some(id) {
        change.state.queue.remove(&key);
    }
    change.state.jobs.update(id, |job| {
        if job.fate.is_none() || fate == Fate::Cancel {
            job.fate = Some(fate);
        }
        job.phase = JobPhase::Stopping;
        "no more of its tasks are placed".clone_into(&mut job.message);
        job.revision = revision;
    });
    change.effects.events.insert(Event::Job(id.clone()));
    preemption::lapse(change, id);
    over(change, id);
}

/// Cancels a whole, with all that is open of it.
pub(super) fn cancel(change: &mut Change<'_>, id: &JobId) {
    no_more(change, id, Fate::Cancel);
    let open: Vec<(JobId, bool)> = change
        .state
        .tasks(id)
        .filter(|(_, task)| !task.phase.is_final())
        .map(|(id, task)| (id.clone(), task.phase == JobPhase::Queued))
        .collect();
    for (task, queued) in open {
        if queued {
            let key = change.state.jobs.get(&task).map(Job::queue_key);
            key.iter().for_each(|key| {
                change.state.queue.remove(key);
            });
            finish(change, &task, JobPhase::Cancelled, "cancelled before it was placed");
        } else {
            tear_down(change, &task, Fate::Cancel, "cancelled");
        }
    }
}

/// What a whole runs was sealed anew: so is what its queued tasks run.
pub(super) fn resealed(change: &mut Change<'_>, id: &JobId) {
    let Some(whole) = change.state.jobs.get(id).filter(|job| job.tasks.is_some()) else { return };
    let (facts, submission) = (whole.facts.clone(), whole.submission);
    let queued = change.state.tasks(id).filter(|(_, task)| task.phase == JobPhase::Queued);
    let queued: Vec<JobId> = queued.map(|(id, _)| id.clone()).collect();
    let revision = change.revision;
    for task in queued {
        let before = change.state.jobs.update(&task, |row| {
            let before = [row.facts.payload, row.submission];
            row.facts = JobFacts { id: task.clone(), ..facts.clone() };
            row.submission = submission;
            row.revision = revision;
            before
        });
        [facts.payload, submission].iter().for_each(|digest| payload::share(change, digest));
        before.iter().flatten().for_each(|digest| payload::release(change, digest));
        change.effects.events.insert(Event::Job(task));
    }
}

/// Has a service run something else, or more or fewer of it. What runs is replaced one by one, as far as it has to be.
pub(super) fn replace(change: &mut Change<'_>, facts: &JobFacts) -> Outcome {
    let id = &facts.id;
    change.authorize(Verb::SubmitJob, Target::Tenant(&id.tenant))?;
    facts.check().map_err(|error| Rejection::new(ErrorCode::InvalidArgument, error.to_string()))?;
    let job = change.state.jobs.get(id).ok_or_else(|| not_found(format!("job {id}")))?;
    let service = |facts: &JobFacts| matches!(facts.kind, Kind::Service { .. });
    if !service(&job.facts) || !service(facts) {
        let why = format!("job {id}: only a service is replaced, by a service");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    if !job.is_queued() {
        return Err(Rejection::new(ErrorCode::WrongPhase, format!("job {id} is {}", job.phase)));
    }
    let (key, before) = (job.queue_key(), [job.facts.payload, job.submission]);
    payload::check(change, facts)?;
    site_key::check_in_use(change, facts)?;
    check_rules(change.state, &facts.residency, change.today())?;
    residency::rules_for(change.state, facts)?;
    payload::check_area(change, facts)?;
    let submission = payload::submission(change, facts)?;
    let digest = Digest::of(&submission);
    let len = u32::try_from(submission.len()).unwrap_or(u32::MAX);
    payload::keep(change, digest, len, &submission);
    let content = change.payload;
    payload::keep_content(change, facts, content);
    for digest in &before {
        payload::release(change, digest);
    }
    preemption::lapse(change, id);
    change.state.queue.remove(&key);
    let (actor, revision, ordinal) = (change.entry.actor.clone(), change.revision, change.ordinal);
    let moved = change.state.jobs.update(id, |job| {
        job.facts = facts.clone();
        job.submission = digest;
        job.submitter = actor;
        // A place of its own in the queue: what follows the queue sees that it is another job by now.
        (job.submitted, job.ordinal) = (revision, ordinal);
        job.avoid = BTreeSet::new();
        "replaced: its replicas follow".clone_into(&mut job.message);
        job.revision = revision;
        if let Some(tasks) = &mut job.tasks {
            (tasks.early, tasks.pause) = (0, Timestamp(0));
        }
        job.queue_key()
    });
    if let Some(key) = moved {
        change.state.queue.insert(key, id.clone());
    }
    change.effects.events.insert(Event::Job(id.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Stops replicas that their services can do without.
pub(super) fn stop(change: &mut Change<'_>, replicas: &[JobId]) -> Outcome {
    change.member()?;
    if replicas.is_empty() || replicas.len() > EVICTIONS_MAX {
        let why = format!("1 to {EVICTIONS_MAX} replicas are stopped at once");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let mut surplus: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
    for id in replicas {
        let of = surplus.entry(id.whole()).or_insert_with(|| {
            let whole = change.state.jobs.get(&id.whole());
            whole.map(|whole| change.state.replicas(whole).surplus).unwrap_or_default()
        });
        if !of.contains(id) {
            let why = format!("replica {id} is needed, or over");
            return Err(Rejection::new(ErrorCode::WrongPhase, why));
        }
    }
    for id in replicas {
        let why = "its service can do without it";
        tear_down(change, id, Fate::Move(why.to_owned()), why);
    }
    Ok(Reply::Done)
}
