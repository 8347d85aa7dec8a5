//! What a job waits for before it is queued, until when it may start, and how long it is kept when it is over.
//!
//! ```text
//! submitted ── what it waits for has come, its time too ──> queued ──> placed ... over ── kept for a while ──> forgotten
//!     └── otherwise ──> held ── it comes ──> queued
//!                         └── it never can, or the latest start has passed ──> failed
//! ```
//! Must hold: one function tells for planner and apply whether time lets a job be placed; what waits is found by what it waits
//! for and by its time, never by a walk over all jobs. It reads a state and changes nothing: apply does (`apply/held.rs`,
//! `timer.rs`, `forget.rs`).

use crate::state::{Job, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::{JobFacts, JobPhase, When};
use sekisho_types::limit::{FINAL_JOBS_PER_TENANT_MAX, JOBS_KEPT_FOR};
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a job that is over is kept, ms.
const KEPT_MS: u64 = JOBS_KEPT_FOR.as_secs() * 1000;

/// What became of something that a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// It came true.
    Met,
    /// It may.
    Later,
    /// It cannot any more: the job is over, in this phase.
    Never(JobPhase),
}

/// Jobs of a tenant that are over and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptJobs {
    /// How many.
    pub jobs: u32,
    /// When the oldest of them is forgotten, on the state clock.
    pub due: Timestamp,
}

/// Why a job is not queued, or would not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Whether it can be, and why not yet.
    pub code: ErrorCode,
    /// In words.
    pub detail: String,
}

impl Hold {
    /// Every code that there may be.
    pub const CODES: [ErrorCode; 5] = [
        ErrorCode::DeadlinePast,
        ErrorCode::DependencyUnknown,
        ErrorCode::DependencyNever,
        ErrorCode::DependencyWaits,
        ErrorCode::NotBefore,
    ];
}

/// Why something never comes true, in words.
pub(crate) fn never(on: &JobId, phase: JobPhase, when: When) -> String {
    format!("job {on} is {phase}, and will never have {when}")
}

fn judge(on: &Job, when: When) -> Awaited {
    let met = match when {
        When::Started => on.started_at.is_some(),
        When::Succeeded => on.phase == JobPhase::Succeeded,
        When::Failed => on.phase == JobPhase::Failed,
        When::Ended => on.phase.is_final(),
    };
    match (met, on.phase.is_final()) {
        (true, _) => Awaited::Met,
        (false, true) => Awaited::Never(on.phase),
        (false, false) => Awaited::Later,
    }
}

impl State {
    /// Whether time lets a job be placed now.
    ///
    /// # Errors
    /// `NOT_BEFORE` or `DEADLINE_PAST`.
    pub fn check_start(&self, facts: &JobFacts) -> Result<(), ErrorCode> {
        if facts.start_by.is_some_and(|by| by <= self.clock) {
            return Err(ErrorCode::DeadlinePast);
        }
        if facts.not_before.is_some_and(|from| self.clock < from) {
            return Err(ErrorCode::NotBefore);
        }
        Ok(())
    }

    /// What became of something that a job waits for; `None` if there is no such job.
    #[must_use]
    pub fn awaited(&self, on: &JobId, when: When) -> Option<Awaited> {
        self.jobs.get(on).map(|job| judge(job, when))
    }

    /// Jobs that wait for one, with what each waits for.
    pub fn dependents_of<'s>(
        &'s self,
        on: &JobId,
    ) -> impl Iterator<Item = (&'s JobId, When)> + use<'s> {
        let on = on.clone();
        // Both are of one tenant. The least of all names.
        let least =
            Name::parse("a").ok().map(|name| JobId { tenant: on.tenant.clone(), name, task: None });
        let from = least.map(|least| (on.clone(), least));
        let rows = from.into_iter().flat_map(|from| self.dependents.range(from..));
        rows.take_while(move |((of, _), _)| *of == on).map(|((_, who), when)| (who, *when))
    }

    /// Every job that waits for another one: for whom, who, and what for.
    pub fn dependents(&self) -> impl DoubleEndedIterator<Item = (&(JobId, JobId), &When)> {
        self.dependents.iter()
    }

    /// When something is to be done with a job by time alone, and with which.
    pub fn timers(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, JobId)> {
        self.timers.iter().map(|(key, ())| key)
    }

    /// Why a job is not queued, or would not be if it were submitted now; what can never be comes first.
    #[must_use]
    pub fn hold(&self, facts: &JobFacts) -> Option<Hold> {
        let known = self.jobs.get(&facts.id).filter(|job| job.facts == *facts);
        if known.is_some_and(|job| !job.phase.is_waiting()) {
            return None;
        }
        let start = self.check_start(facts);
        if start == Err(ErrorCode::DeadlinePast) {
            let by = facts.start_by.unwrap_or_default();
            let detail = format!("the latest start, {by}, has passed");
            return Some(Hold { code: ErrorCode::DeadlinePast, detail });
        }
        let mut later = Vec::new();
        for (on, when) in facts.awaits() {
            // Of a job that was submitted, what came true stays so.
            let row = (on.clone(), facts.id.clone());
            if known.is_some() && !self.dependents.contains(&row) {
                continue;
            }
            match self.awaited(&on, when) {
                None if known.is_none() => {
                    let detail = format!("job {on} does not exist");
                    return Some(Hold { code: ErrorCode::DependencyUnknown, detail });
                }
                Some(Awaited::Never(phase)) => {
                    let detail = never(&on, phase, when);
                    return Some(Hold { code: ErrorCode::DependencyNever, detail });
                }
                // A part of a state leaves out what is over.
                None | Some(Awaited::Later) => {
                    later.push(format!("waits until job {on} has {when}"));
                }
                Some(Awaited::Met) => {}
            }
        }
        let code = if later.is_empty() { ErrorCode::NotBefore } else { ErrorCode::DependencyWaits };
        if start.is_err() {
            let from = facts.not_before.unwrap_or_default();
            later.push(format!("waits until {from}"));
        }
        (!later.is_empty()).then(|| Hold { code, detail: later.join("; ") })
    }

    /// Whether nothing holds a job any more that waits for others or for its time.
    pub(crate) fn is_ready(&self, job: &Job) -> bool {
        let id = &job.facts.id;
        let waits = |on: JobId| self.dependents.contains(&(on, id.clone()));
        job.facts.not_before.is_none_or(|from| from <= self.clock)
            && !job.facts.awaits().any(|(on, _)| waits(on))
    }

    /// The instant from which on a tick has something to do with jobs, on the state clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let left = (!self.unjudged.is_empty()).then_some(self.clock);
        let timer = self.timers.iter().next().map(|((at, _), ())| *at);
        let kept = self.kept_jobs.iter().map(|(_, row)| row.due).min();
        [left, timer, kept].into_iter().flatten().min()
    }

    /// The job of a tenant that has been over for the longest, and since when.
    pub(crate) fn oldest(&self, tenant: &TenantId) -> Option<(Timestamp, JobId)> {
        let least = Name::parse("a").ok()?;
        let from = (tenant.clone(), Timestamp(0), least);
        let ((of, at, name), ()) = self.ended.range(from..).next()?;
        let id = JobId { tenant: of.clone(), name: name.clone(), task: None };
        (of == tenant).then_some((*at, id))
    }

    /// When the oldest job of a tenant is forgotten that has so many of them.
    pub(crate) fn forgotten_at(&self, tenant: &TenantId, jobs: u32) -> Option<Timestamp> {
        let (ended, _) = self.oldest(tenant)?;
        let too_many = jobs > FINAL_JOBS_PER_TENANT_MAX;
        Some(if too_many { Timestamp(0) } else { ended.plus_ms(KEPT_MS) })
    }
}
