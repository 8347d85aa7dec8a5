//! Jobs that are over: kept for a while, then forgotten with their tasks and placements.
//!
//! Must hold: nothing is forgotten that is not over, or that somebody waits for: that was judged at its end. The name may be
//! used again then, and its placements cannot come back: their ids are never used again (P7). The audit log keeps all.

use super::change::Change;
use crate::event::Event;
use crate::held::KeptJobs;
use crate::state::Job;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::Kind;
use sekisho_types::limit::FORGET_PER_TICK_MAX;
use sekisho_types::time::Timestamp;

/// A job is over from now on. Its tasks are kept as long as it is, and count with it.
pub(super) fn keep(change: &mut Change<'_>, id: &JobId) {
    if id.task.is_some() {
        return;
    }
    let rows = change.state.jobs.get(id).map_or(1, rows);
    let row = (id.tenant.clone(), change.now(), id.name.clone());
    change.state.ended.insert(row, ());
    let jobs = change.state.kept_jobs.get(&id.tenant).map_or(0, |row| row.jobs);
    count(change, &id.tenant, jobs.saturating_add(rows));
}

/// Rows that go with a job: its own, and those of its tasks.
pub(crate) fn rows(job: &Job) -> u32 {
    let tasks = job.tasks.as_ref().map_or(0, |tasks| match job.facts.kind {
        Kind::Batch => 0,
        Kind::Array { .. } => tasks.next,
        Kind::Service { .. } => tasks.kept,
    });
    tasks.saturating_add(1)
}

/// A job that was over goes on, or goes.
pub(super) fn release(change: &mut Change<'_>, id: &JobId, ended: Option<Timestamp>) {
    let Some(ended) = ended.filter(|_| id.task.is_none()) else { return };
    if change.state.ended.remove(&(id.tenant.clone(), ended, id.name.clone())).is_none() {
        return;
    }
    let jobs = change.state.kept_jobs.get(&id.tenant).map_or(0, |row| row.jobs);
    let rows = change.state.jobs.get(id).map_or(1, rows);
    count(change, &id.tenant, jobs.saturating_sub(rows));
}

/// A tenant has so many of them by now.
fn count(change: &mut Change<'_>, tenant: &TenantId, jobs: u32) {
    match change.state.forgotten_at(tenant, jobs) {
        Some(due) => change.state.kept_jobs.insert(tenant.clone(), KeptJobs { jobs, due }),
        None => drop(change.state.kept_jobs.remove(tenant)),
    }
}

/// Forgets what is kept no longer, the oldest of each tenant first; the rest at the next tick. Whether there was any.
pub(super) fn run(change: &mut Change<'_>) -> bool {
    let now = change.now();
    let due = change.state.kept_jobs.iter().filter(|(_, row)| row.due <= now);
    let due: Vec<TenantId> = due.map(|(tenant, _)| tenant.clone()).collect();
    let mut forgotten = 0usize;
    for tenant in &due {
        while forgotten < FORGET_PER_TICK_MAX && is_due(change, tenant, now) {
            let Some((ended, id)) = change.state.oldest(tenant) else { break };
            // Its dependents are judged first.
            if change.state.unjudged.contains(&id) {
                break;
            }
            forgotten = forgotten.saturating_add(forget(change, &id, ended, forgotten));
        }
    }
    forgotten > 0
}

fn is_due(change: &Change<'_>, tenant: &TenantId, now: Timestamp) -> bool {
    change.state.kept_jobs.get(tenant).is_some_and(|row| row.due <= now)
}

/// Forgets a job with its tasks, as far as a tick may: the job itself with the last of them. How many rows went.
fn forget(change: &mut Change<'_>, id: &JobId, ended: Timestamp, before: usize) -> usize {
    let most = FORGET_PER_TICK_MAX.saturating_sub(before);
    let tasks: Vec<JobId> = change.state.tasks(id).take(most).map(|(id, _)| id.clone()).collect();
    let mut gone = 0usize;
    for task in &tasks {
        if gone >= most {
            break;
        }
        gone = gone.saturating_add(take_out(change, task));
    }
    if gone < most && change.state.tasks(id).next().is_none() {
        release(change, id, Some(ended));
        gone = gone.saturating_add(take_out(change, id));
    }
    gone
}

/// Takes the row of a job or task that is over out, with its placements. How many rows went.
pub(super) fn take_out(change: &mut Change<'_>, id: &JobId) -> usize {
    let Some(job) = change.state.jobs.remove(id) else { return 0 };
    for placement in &job.placements {
        change.state.placements.remove(placement);
    }
    change.effects.events.insert(Event::Job(id.clone()));
    job.placements.len().saturating_add(1)
}
