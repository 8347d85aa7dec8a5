//! Jobs that wait for others or for a time, and those that are over, against the tables by which they are found.

use crate::held::Awaited;
use crate::state::{Job, State};
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::JobPhase;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Held jobs wait for something, and queued ones for a place alone; what each waits for is found, and nothing else is.
pub(super) fn what_waits_is_found(state: &State) -> Result<(), String> {
    let (mut rows, mut timers) = (BTreeSet::new(), BTreeSet::new());
    for (id, job) in state.jobs().filter(|(_, job)| job.phase.is_waiting()) {
        let held = job.phase == JobPhase::Held;
        let awaited = awaited(state, id, job)?;
        let from = job.facts.not_before.filter(|_| held);
        let timed = from.filter(|from| state.timers.contains(&(*from, id.clone())));
        if held == (awaited.is_empty() && timed.is_none()) {
            return Err(format!("{id} is {}, waits for {awaited:?} and {timed:?}", job.phase));
        }
        if let Some(from) = from.filter(|from| state.clock() < *from && timed.is_none()) {
            return Err(format!("{id} is not looked at at {from}"));
        }
        rows.extend(awaited.into_iter().map(|on| (on, id.clone())));
        timers.extend(timed.into_iter().chain(job.facts.start_by).map(|at| (at, id.clone())));
    }
    let known: BTreeSet<(JobId, JobId)> = state.dependents().map(|(row, _)| row.clone()).collect();
    if known != rows {
        return Err(format!("dependents {known:?}, jobs wait so {rows:?}"));
    }
    let known: BTreeSet<(Timestamp, JobId)> = state.timers().cloned().collect();
    if known == timers { Ok(()) } else { Err(format!("timers {known:?}, jobs have {timers:?}")) }
}

/// What a job still waits for: each may come true, or is judged by one of the next ticks.
fn awaited(state: &State, id: &JobId, job: &Job) -> Result<Vec<JobId>, String> {
    let mut found = Vec::new();
    for (on, when) in job.facts.awaits() {
        let Some(row) = state.dependents.get(&(on.clone(), id.clone())) else { continue };
        let open = state.awaited(&on, when) == Some(Awaited::Later);
        if *row != when || !(open || state.unjudged.contains(&on)) {
            return Err(format!("{id} waits until {on} has {row}, which is judged"));
        }
        found.push(on);
    }
    Ok(found)
}

/// Jobs that are over are found by their tenant and end, and each tenant's are counted.
pub(super) fn what_is_over_is_counted(state: &State) -> Result<(), String> {
    let mut over = BTreeSet::new();
    let mut counts: BTreeMap<&TenantId, u32> = BTreeMap::new();
    for (id, job) in state.jobs() {
        if job.ended_at.is_some() != job.phase.is_final() {
            return Err(format!("{id} is {}, over since {:?}", job.phase, job.ended_at));
        }
        let Some(ended) = job.ended_at else { continue };
        over.insert((id.tenant.clone(), ended, id.name.clone()));
        let count = counts.entry(&id.tenant).or_insert(0);
        *count = count.saturating_add(1);
    }
    let known: BTreeSet<_> = state.ended.iter().map(|(row, ())| row.clone()).collect();
    if known != over {
        return Err(format!("ended {known:?}, jobs that are over {over:?}"));
    }
    for (tenant, row) in state.kept_jobs.iter() {
        let count = counts.remove(tenant);
        if count != Some(row.jobs) || state.forgotten_at(tenant, row.jobs) != Some(row.due) {
            return Err(format!("{tenant} has {count:?} jobs that are over, counted {row:?}"));
        }
    }
    if counts.is_empty() { Ok(()) } else { Err(format!("nobody counts {counts:?}")) }
}
