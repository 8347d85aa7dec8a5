//! Jobs that wait for others or for a time, and what becomes of them.
//!
//! Must hold: a job is queued once everything that it waits for has come true, and fails as soon as something never can; every
//! job that is waited for exists, so nothing waits in a circle: who waits came later. A row of `dependents` is one thing that
//! has not come true yet, a row of `timers` one instant that has to be looked at.
//! What one end sets going is done by a list and not by calls within calls, at most [`JUDGED_PER_ENTRY_MAX`] dependents and
//! those of one more job in an entry; each row of `dependents` is taken out by the end that it is judged at, so the list ends.

use super::change::Change;
use super::{job, tasks};
use crate::event::Event;
use crate::held::{Awaited, never};
use crate::outcome::Rejection;
use crate::state::{Fate, Job, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use sekisho_types::job::{JobFacts, JobPhase, When};
use sekisho_types::limit::{DEPENDENTS_MAX, JUDGED_PER_ENTRY_MAX};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};

/// What a job that is submitted has to wait for.
pub(super) fn check(
    change: &Change<'_>,
    facts: &JobFacts,
) -> Result<Vec<(JobId, When)>, Rejection> {
    if let Some(by) = facts.start_by.filter(|by| *by <= change.now()) {
        let why = format!("the latest start, {by}, has passed");
        return Err(Rejection::new(ErrorCode::DeadlinePast, why));
    }
    let mut waits = Vec::new();
    for (on, when) in facts.awaits() {
        match change.state.awaited(&on, when) {
            None => {
                let why = format!("job {on} does not exist");
                return Err(Rejection::new(ErrorCode::DependencyUnknown, why));
            }
            Some(Awaited::Never(phase)) => {
                return Err(Rejection::new(ErrorCode::DependencyNever, never(&on, phase, when)));
            }
            Some(Awaited::Met) => {}
            Some(Awaited::Later) => {
                let others = change.state.dependents_of(&on).take(DEPENDENTS_MAX).count();
                if others >= DEPENDENTS_MAX {
                    let why = format!("{others} jobs wait for job {on}, the most of a job");
                    return Err(Rejection::new(ErrorCode::TooLarge, why));
                }
                waits.push((on, when));
            }
        }
    }
    Ok(waits)
}

/// What a service that is there already may be replaced by: it waits for nothing any more, so all that its new word waits for
/// has to have come. What it waited for itself has, though the other job may be forgotten by now.
pub(super) fn check_again(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let own = change.state.jobs.get(&facts.id).map(|job| job.facts.after.as_slice());
    let own = own.unwrap_or_default();
    let after = facts.after.iter().filter(|after| !own.contains(after)).cloned().collect();
    if let Some((on, when)) = check(change, &JobFacts { after, ..facts.clone() })?.first() {
        let why = format!("job {on} has not {when} yet, and a service that is there does not wait");
        return Err(Rejection::new(ErrorCode::DependencyWaits, why));
    }
    match facts.not_before.filter(|from| change.now() < *from) {
        None => Ok(()),
        Some(from) => {
            let why = format!("{from} has not come, and a service that is there does not wait");
            Err(Rejection::new(ErrorCode::NotBefore, why))
        }
    }
}

/// Where a job begins that waits for these others, with its last sentence.
pub(super) fn begin(
    change: &mut Change<'_>,
    facts: &JobFacts,
    waits: Vec<(JobId, When)>,
) -> (JobPhase, String) {
    let (id, now) = (&facts.id, change.now());
    watch_deadline(change, id, facts.start_by);
    let later = facts.not_before.filter(|from| now < *from);
    let message = match (waits.len(), later) {
        (0, None) => return (JobPhase::Queued, "waits for a place".to_owned()),
        (0, Some(from)) => format!("waits until {from}"),
        (count, _) => format!("waits for {count} other job(s)"),
    };
    for (on, when) in waits {
        change.state.dependents.insert((on, id.clone()), when);
    }
    if let Some(from) = later {
        change.state.timers.insert((from, id.clone()), ());
    }
    (JobPhase::Held, message)
}

/// A job that waits is looked at again at its latest start.
pub(super) fn watch_deadline(change: &mut Change<'_>, id: &JobId, by: Option<Timestamp>) {
    if let Some(by) = by {
        change.state.timers.insert((by, id.clone()), ());
    }
}

/// A job waits no longer: nothing looks at it any more.
pub(super) fn leave(change: &mut Change<'_>, id: &JobId) {
    let Some(facts) = change.state.jobs.get(id).map(|job| &job.facts) else { return };
    let on: Vec<JobId> = facts.awaits().map(|(on, _)| on).collect();
    let times = [facts.not_before, facts.start_by];
    for on in on {
        change.state.dependents.remove(&(on, id.clone()));
    }
    for at in times.into_iter().flatten() {
        change.state.timers.remove(&(at, id.clone()));
    }
}

/// Why a job may not be queued any more, if its latest start has passed.
pub(super) fn too_late(state: &State, facts: &JobFacts) -> Option<String> {
    let (by, code) = (facts.start_by?, state.check_start(facts).err()?);
    (code == ErrorCode::DeadlinePast).then(|| format!("the latest start, {by}, has passed: {code}"))
}

/// Whether a member in this phase runs, or has run.
fn has_run(phase: &Phase) -> bool {
    match phase {
        Phase::Running => true,
        Phase::Ended(ending) => match ending {
            Ending::Exited(_) | Ending::Signaled(_) | Ending::TimedOut | Ending::OutOfMemory => {
                true
            }
            Ending::StartFailed(_) | Ending::Refused(_) | Ending::Lost | Ending::Stopped => false,
        },
        Phase::Granted | Phase::Starting | Phase::Stopping => false,
    }
}

/// A member of a group moved: if by that all of them run, or have run, the job has started.
pub(super) fn begun(change: &mut Change<'_>, id: &JobId) {
    let fresh = |job: &&Job| job.started_at.is_none() && !job.phase.is_final();
    let Some(job) = change.state.jobs.get(id).filter(fresh) else { return };
    let row = |id| change.state.placements.get(id);
    let run = job.placements.iter().filter_map(row).filter(|row| has_run(&row.phase)).count();
    if u32::try_from(run).is_ok_and(|run| run < job.facts.group) {
        return;
    }
    let now = change.now();
    change.state.jobs.update(id, |job| job.started_at = Some(now));
    judge(change, id);
}

/// A job started or ended: who waits for it is judged, and who waits for what fails by that.
pub(super) fn judge(change: &mut Change<'_>, on: &JobId) {
    let mut moved = VecDeque::from([on.clone()]);
    while let Some(on) = moved.pop_front() {
        let waiting = change.state.dependents_of(&on).map(|(who, when)| (who.clone(), when));
        let waiting: Vec<(JobId, When)> = waiting.collect();
        if waiting.is_empty() {
            continue;
        }
        if change.judged >= JUDGED_PER_ENTRY_MAX {
            change.state.unjudged.insert(on, ());
            continue;
        }
        change.judged = change.judged.saturating_add(waiting.len());
        for (who, when) in waiting {
            let failed = match change.state.awaited(&on, when) {
                None | Some(Awaited::Later) => false,
                Some(Awaited::Met) => {
                    change.state.dependents.remove(&(on.clone(), who.clone()));
                    release(change, &who)
                }
                Some(Awaited::Never(phase)) => {
                    let code = ErrorCode::DependencyNever;
                    let why = format!("{}: {code}", never(&on, phase, when));
                    job::end(change, &who, JobPhase::Failed, &why);
                    true
                }
            };
            if failed {
                moved.push_back(who);
            }
        }
    }
}

/// Goes on with what an earlier entry left over. Whether there was any.
pub(super) fn go_on(change: &mut Change<'_>) -> bool {
    let left = change.state.unjudged.iter().map(|(on, ())| on.clone());
    let left: Vec<JobId> = left.take(JUDGED_PER_ENTRY_MAX).collect();
    for on in &left {
        if change.judged >= JUDGED_PER_ENTRY_MAX {
            break;
        }
        change.state.unjudged.remove(on);
        judge(change, on);
    }
    !left.is_empty()
}

/// Queues a held job if nothing holds it any more. Whether it failed: it may be too late for it by now.
fn release(change: &mut Change<'_>, id: &JobId) -> bool {
    let held = |job: &&Job| job.phase == JobPhase::Held && change.state.is_ready(job);
    let Some(job) = change.state.jobs.get(id).filter(held) else { return false };
    if let Some(why) = too_late(change.state, &job.facts) {
        job::end(change, id, JobPhase::Failed, &why);
        return true;
    }
    let (key, from) = (job.queue_key(), job.facts.not_before);
    if let Some(from) = from {
        change.state.timers.remove(&(from, id.clone()));
    }
    let revision = change.revision;
    change.state.jobs.update(id, |job| {
        job.phase = JobPhase::Queued;
        job.message = "waits for a place".to_owned();
        job.revision = revision;
    });
    change.state.queue.insert(key, id.clone());
    change.effects.events.insert(Event::Job(id.clone()));
    change.effects.events.insert(Event::Plannable);
    false
}

/// A time of a job has come: it is queued, or it is too late for it.
pub(super) fn due(change: &mut Change<'_>, id: &JobId) {
    let waiting = |job: &&Job| job.phase.is_waiting() || job.is_queued();
    let Some(job) = change.state.jobs.get(id).filter(waiting) else { return };
    if let Some(why) = too_late(change.state, &job.facts) {
        if job.tasks.is_some() {
            // What was granted of an array goes on.
            return tasks::no_more(change, id, Fate::Fail(why));
        }
        job::withdraw(change, id, JobPhase::Failed, &why);
    } else if release(change, id) {
        judge(change, id);
    }
}

/// Held jobs of a kind, found by what they wait for.
pub(super) fn all(state: &State, which: impl Fn(&Job) -> bool) -> BTreeSet<JobId> {
    let held = |id: &&JobId| {
        state.jobs.get(id).is_some_and(|job| job.phase == JobPhase::Held && which(job))
    };
    let by_others = state.dependents.iter().map(|((_, who), _)| who);
    let by_time = state.timers.iter().map(|((_, id), ())| id);
    by_others.chain(by_time).filter(held).cloned().collect()
}
