//! Arrays and services: a whole, and its tasks.
//!
//! The whole is submitted and queued. The entry that grants one of its tasks makes a row for it, and from then on it is a job like
//! any other: it is stopped, moved, ended and told of by its own name. A task of an array that lost its host goes back to the queue
//! under its own number; a replica never does: the service gets another one.
//!
//! Must hold: P7: no number is given twice; of an array no more tasks hold devices than it says; the whole is over once nothing of
//! it is open and nothing is to come.

use super::change::{Change, not_found};
use super::job::{finish, opened, reject_over_limit, tear_down};
use super::policy::check_rules;
use super::{forget, held, payload, preemption, reservation, residency, site_key};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Fate, Job, State, Tasks};
use sekisho_evidence::grant::Grant;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, Digest, JobId};
use sekisho_types::job::{JobFacts, JobPhase, Kind};
use sekisho_types::limit::EVICTIONS_MAX;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::rare::Rare;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// A replica that ran for so long was well: what ends it is no reason to wait before the next one.
const STEADY_MS: u64 = 600_000;

/// Before the next replica, after one that ended by itself and soon; doubled with each that follows.
const PAUSE_MS: u64 = 10_000;

/// The same at most: somebody who mends the service sees it run within this.
const PAUSE_MAX_MS: u64 = 300_000;

/// Replicas that are over and still shown: enough to see why the last ones ended.
pub(super) const ENDED_REPLICAS_MAX: u32 = 16;

/// With so many that are over the first of them are taken out: not with each end, which would look at all of them each time.
const ENDED_SWEPT_AT: u32 = 2 * ENDED_REPLICAS_MAX;

/// What becomes of whoever was queued in the incarnation before.
pub(super) const BEGAN_ANEW: &str = "the federation began anew: submit it again";

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
    open(change, row);
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
        held::leave(change, id);
    }
    count(change, id, |tasks| tasks.open = tasks.open.saturating_add(1));
    task
}

/// Takes out the rows of the replicas that ended first, but for the last few.
fn forget_ended(change: &mut Change<'_>, whole: &JobId) {
    let ended = change.state.tasks(whole).filter_map(|(id, task)| Some((task.ended_at?, id)));
    let mut ended: Vec<(Timestamp, JobId)> = ended.map(|(at, id)| (at, id.clone())).collect();
    ended.sort_unstable();
    let kept = usize::try_from(ENDED_REPLICAS_MAX).unwrap_or(usize::MAX);
    let many = ended.len().saturating_sub(kept);
    for (_, id) in ended.iter().take(many) {
        forget::take_out(change, id);
    }
    change.state.jobs.update(whole, |job| {
        if let Some(tasks) = &mut job.tasks {
            tasks.kept = tasks.kept.min(ENDED_REPLICAS_MAX);
        }
    });
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

/// A task came over with its host: it is open again, whatever was known of it, and so is its whole.
pub(super) fn adopted(change: &mut Change<'_>, id: &JobId, before: Option<JobPhase>) {
    let Some(number) = id.task else { return };
    let whole = id.whole();
    reopen(change, id, &whole);
    let is_service = change.state.jobs.get(id).is_some_and(is_replica);
    let was = |phase: JobPhase| u32::from(before == Some(phase));
    let (open, over) = (
        u32::from(before.is_some_and(|phase| !phase.is_final())),
        u32::from(is_service && before.is_some_and(JobPhase::is_final)),
    );
    count(change, &whole, |tasks| {
        tasks.next = tasks.next.max(number.saturating_add(1));
        tasks.open = tasks.open.saturating_add(1).saturating_sub(open);
        tasks.running = tasks.running.saturating_add(1).saturating_sub(was(JobPhase::Running));
        tasks.stopping = tasks.stopping.saturating_sub(was(JobPhase::Stopping));
        tasks.failed = tasks.failed.saturating_sub(was(JobPhase::Failed));
        tasks.kept = tasks.kept.saturating_sub(over);
    });
}

/// The whole of a task that came over is there as long as the task is: one that nobody knows is made, one that was given up is open
/// again. Neither places anything more: it is of the incarnation before. With its row its name is taken, so that nobody gives
/// its numbers again (P7), and it is forgotten with its tasks.
fn reopen(change: &mut Change<'_>, task: &JobId, id: &JobId) {
    let known = change.state.jobs.get(id);
    if known.is_some_and(|whole| !whole.phase.is_final()) {
        return;
    }
    let Some(row) = change.state.jobs.get(task) else { return };
    let was_over = known.and_then(|whole| whole.ended_at);
    let whole = Job {
        facts: JobFacts { id: id.clone(), ..row.facts.clone() },
        started_at: known.and_then(|whole| whole.started_at).or(row.started_at),
        phase: JobPhase::Stopping,
        tasks: Some(known.and_then(|whole| whole.tasks.clone()).unwrap_or_default()),
        placements: Vec::new(),
        attempts: 0,
        fate: Some(Fate::Fail(BEGAN_ANEW.to_owned())),
        avoid: Rare::default(),
        message: "no more of its tasks are placed".to_owned(),
        ..row.clone()
    };
    forget::release(change, id, was_over);
    open(change, whole);
}

/// Puts in an open row that runs what another one does: a task of its whole, or a whole of its task.
fn open(change: &mut Change<'_>, row: Job) {
    let (id, kept) = (row.facts.id.clone(), [row.facts.payload, row.submission]);
    opened(change, &id.tenant);
    change.state.jobs.insert(id, row);
    kept.iter().for_each(|digest| payload::share(change, digest));
}

/// A task of before may be taken in unless its whole is another one by now, has ended by itself, or is being cancelled.
pub(super) fn may_take_in(
    change: &Change<'_>,
    grant: &Grant,
    opened: Revision,
) -> Result<(), Rejection> {
    let id = grant.job.whole();
    let Some(whole) = change.state.jobs.get(&id).filter(|_| grant.job.task.is_some()) else {
        return Ok(());
    };
    // One that was granted before its whole was sealed anew is of the same whole.
    let row = change.state.jobs.get(&grant.job).map(|task| task.submission);
    let same = whole.submission == grant.submission || row == Some(grant.submission);
    if !same || whole.submitted >= opened || whole.tasks.is_none() {
        let why = format!("another job {id} exists");
        return Err(Rejection::new(ErrorCode::AlreadyExists, why));
    }
    let given_up = whole.phase == JobPhase::Failed && whole.revision >= opened;
    if whole.phase.is_final() && !given_up {
        let why = format!("job {id} is {}", whole.phase);
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    if whole.fate == Some(Fate::Cancel) {
        let why = format!("job {id} is being cancelled");
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    Ok(())
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
    let by_itself =
        matches!(after, JobPhase::Succeeded | JobPhase::Failed) && !is_lost(change, task);
    count(change, &whole, |tasks| {
        let step = |counter: u32, was: bool, is: bool| match (was, is) {
            (true, false) => counter.saturating_sub(1),
            (false, true) => counter.saturating_add(1),
            (true, true) | (false, false) => counter,
        };
        let each = |counter, phase: JobPhase| step(counter, before == phase, after == phase);
        tasks.open = step(tasks.open, !before.is_final(), !after.is_final());
        tasks.running = each(tasks.running, JobPhase::Running);
        tasks.stopping = each(tasks.stopping, JobPhase::Stopping);
        tasks.succeeded = each(tasks.succeeded, JobPhase::Succeeded);
        tasks.failed = each(tasks.failed, JobPhase::Failed);
        tasks.kept = tasks.kept.saturating_add(u32::from(replica && after.is_final()));
        if replica && by_itself {
            tasks.early = if ran_ms < STEADY_MS { tasks.early.saturating_add(1) } else { 0 };
            tasks.pause = now.plus_ms(pause_ms(tasks.early));
        }
    });
    if after == JobPhase::Running {
        started(change, &whole);
    }
    if after.is_final() {
        let many = |job: &Job| job.tasks.as_ref().is_some_and(|tasks| tasks.kept >= ENDED_SWEPT_AT);
        if change.state.jobs.get(&whole).is_some_and(many) {
            forget_ended(change, &whole);
        }
        over(change, &whole);
    }
}

/// Whether a replica lost its host: that says nothing about what it runs.
fn is_lost(change: &Change<'_>, replica: &Job) -> bool {
    let mut rows = replica.placements.iter().filter_map(|id| change.state.placements.get(id));
    rows.any(|row| row.phase == Phase::Ended(Ending::Lost))
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
    if matches!(job.facts.kind, Kind::Service { .. }) {
        forget_ended(change, whole);
    }
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
    held::leave(change, id);
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
    if change.state.jobs.get(id).is_none_or(|job| job.tasks.is_none()) {
        return;
    }
    let queued = change.state.tasks(id).filter(|(_, task)| task.phase == JobPhase::Queued);
    let queued: Vec<JobId> = queued.map(|(id, _)| id.clone()).collect();
    queued.iter().for_each(|task| renew(change, task));
}

/// A task that waits runs what its whole runs by now: what was sealed when it was granted first, its next host may not open.
pub(super) fn renew(change: &mut Change<'_>, id: &JobId) {
    let whole = id.task.and_then(|_| change.state.jobs.get(&id.whole()));
    let Some((facts, submission)) = whole.map(|whole| (whole.facts.clone(), whole.submission))
    else {
        return;
    };
    let revision = change.revision;
    let before = change.state.jobs.update(id, |row| {
        let before = [row.facts.payload, row.submission];
        let moved = row.submission != submission;
        if moved {
            row.facts = JobFacts { id: id.clone(), ..facts.clone() };
            row.submission = submission;
            row.revision = revision;
        }
        moved.then_some(before)
    });
    let Some(Some(before)) = before else { return };
    [facts.payload, submission].iter().for_each(|digest| payload::share(change, digest));
    before.iter().for_each(|digest| payload::release(change, digest));
    change.effects.events.insert(Event::Job(id.clone()));
}

/// Whether what a whole runs may be sealed anew: more of its tasks may come, or one that it has comes back to the queue.
pub(super) fn goes_on(job: &Job) -> bool {
    job.tasks.is_some() && !job.phase.is_final() && job.fate.is_none()
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
    reservation::check(change, facts)?;
    let holds = held_of(change.state, id, &facts.resources.class);
    reject_over_limit(change, facts, holds)?;
    held::check_again(change, facts)?;
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
    let (submitter, revision) = (change.submitter(), change.revision);
    let ordinal = change.ordinal;
    let moved = change.state.jobs.update(id, |job| {
        job.facts = facts.clone();
        job.submission = digest;
        job.submitter = submitter;
        // A place of its own in the queue: what follows the queue sees that it is another job by now.
        (job.submitted, job.ordinal) = (revision, ordinal);
        job.avoid = Rare::default();
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

/// Devices of a class that tasks of a whole hold: what they are charged, it need not be charged once more.
fn held_of(state: &State, whole: &JobId, class: &DeviceClass) -> u64 {
    let rows = state.tasks(whole).filter(|(_, task)| !task.placements.is_empty());
    let open =
        rows.filter(|(_, task)| !task.phase.is_final() && task.facts.resources.class == *class);
    open.fold(0, |sum, (_, task)| sum.saturating_add(task.facts.gpus()))
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
