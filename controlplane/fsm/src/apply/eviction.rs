//! Moving what the rules in force no longer allow where it is.
//!
//! Must hold: D1, P3 and P7. Each job is judged here anew, so that a plan that was overtaken moves nothing that may stay; and
//! all of an entry are moved or none, so that whoever reads the log knows which. What is moved stays charged until it is
//! confirmed dead, and the attempt does not count against it.

use super::change::Change;
use super::job::tear_down;
use crate::eviction::Due;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::Fate;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use sekisho_types::limit::EVICTIONS_MAX;

/// Orders jobs to stop and to find another place.
pub(super) fn evict(change: &mut Change<'_>, jobs: &[JobId]) -> Outcome {
    change.member()?;
    // A clock that lags would still be early; one that has caught up is asked again.
    change.state.clock_behind(change.entry.proposed_at)?;
    if jobs.is_empty() || jobs.len() > EVICTIONS_MAX {
        let why = format!("an eviction has 1 to {EVICTIONS_MAX} jobs");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let mut out = Vec::with_capacity(jobs.len());
    for job in jobs {
        match change.state.due(job) {
            // Ended, or ordered to stop, while the proposal was on its way.
            Due::Gone => {}
            Due::Leaves(node, why) => {
                let why = format!("not allowed on {node} any more: {} {}", why.code, why.detail);
                out.push((job, why));
            }
            Due::Stays => {
                let why = format!("job {job} may stay where it is");
                return Err(Rejection::new(ErrorCode::WrongPhase, why));
            }
        }
    }
    for (job, why) in out {
        tear_down(change, job, Fate::Move(why.clone()), &why);
    }
    Ok(Reply::Done)
}
