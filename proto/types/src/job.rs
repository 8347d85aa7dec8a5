//! What a job asks for. [`JobFacts`] is all that the log and the state know; what it runs travels as an opaque
//! payload next to them.

use crate::id::{DeviceClass, Digest, JobId, PolicyId, SiteId};
use crate::limit::{GPUS_PER_TASK_MAX, GROUP_MAX, PAYLOAD_MAX, RECIPIENTS_MAX, TIME_LIMIT_MAX};
use crate::residency::Rules;
use crate::revision::KeyEpoch;
use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What happens to a running placement whose node is cut off (P4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDisconnect {
    /// Stops by the end of the lease.
    Stop,
    /// Runs to its time limit at the latest; capacity and quota stay charged.
    RunToCompletion,
}

/// What happens when the tenant's quota is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverLimit {
    /// Wait.
    Queue,
    /// Refuse the submission.
    Reject,
}

/// What every member of the group needs on its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Device class.
    pub class: DeviceClass,
    /// GPUs, 1 to [`GPUS_PER_TASK_MAX`].
    pub gpus: u32,
    /// Least memory of each GPU in MiB; 0 = any.
    pub memory_mib: u64,
}

/// The scheduling facts of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacts {
    /// Tenant and name.
    pub id: JobId,
    /// Members of the all-or-nothing group, 1 to [`GROUP_MAX`]. Each stands on a node of its own.
    pub group: u32,
    /// Needs of each member.
    pub resources: Resources,
    /// Where its members stand to one another and to other jobs.
    pub topology: Topology,
    /// 0 (least) to 100 (most urgent).
    pub priority: u8,
    /// A named policy that binds this job beside its tenant's.
    pub policy: Option<PolicyId>,
    /// The job's own residency rules.
    pub residency: Rules,
    /// Mode on loss of contact.
    pub on_disconnect: OnDisconnect,
    /// Mode over quota.
    pub over_limit: OverLimit,
    /// Longest run time in seconds, 1 to 30 days.
    pub time_limit_s: u64,
    /// SHA-256 of the payload.
    pub payload: Digest,
    /// Length of the payload in bytes, at most [`PAYLOAD_MAX`].
    pub payload_len: u32,
    /// Sites whose agents can read the payload, each with the key that it is sealed to; none = it is not sealed, and every
    /// member can read it.
    pub sealed_to: BTreeMap<SiteId, KeyEpoch>,
    /// The payload, which is sealed then, lies with members inside the job's area and nowhere else: it is in no entry, snapshot
    /// or backup.
    pub area_only: bool,
}

/// Highest priority.
pub const PRIORITY_MAX: u8 = 100;

/// Why facts may not be accepted: each is a field and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {must}")]
pub struct FactsError {
    /// Path of the field in the job's spec.
    pub field: String,
    /// What the field must be.
    pub must: String,
}

impl JobFacts {
    /// Checks every bound that does not depend on state.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn check(&self) -> Result<(), FactsError> {
        let limit_s = TIME_LIMIT_MAX.as_secs();
        let fail = |field: &str, must: String| Err(FactsError { field: field.to_owned(), must });
        if !(1..=GROUP_MAX).contains(&self.group) {
            return fail("group", format!("must be 1 to {GROUP_MAX}"));
        }
        if !(1..=GPUS_PER_TASK_MAX).contains(&self.resources.gpus) {
            return fail("resources.gpus", format!("must be 1 to {GPUS_PER_TASK_MAX}"));
        }
        if self.priority > PRIORITY_MAX {
            return fail("priority", format!("must be 0 to {PRIORITY_MAX}"));
        }
        if !(1..=limit_s).contains(&self.time_limit_s) {
            return fail("time_limit", format!("must be 1 s to {limit_s} s"));
        }
        if usize::try_from(self.payload_len).map_or(true, |len| len > PAYLOAD_MAX) {
            return fail("run", format!("must be at most {PAYLOAD_MAX} bytes"));
        }
        if self.sealed_to.len() > RECIPIENTS_MAX {
            return fail("sealed_to", format!("must be at most {RECIPIENTS_MAX} sites"));
        }
        self.topology.check(self.group)
    }

    /// Whether only some sites can read the payload.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !self.sealed_to.is_empty()
    }

    /// GPUs that the whole group charges.
    #[must_use]
    pub fn gpus(&self) -> u64 {
        u64::from(self.group).saturating_mul(u64::from(self.resources.gpus))
    }
}

/// Life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobPhase {
    /// Waits for a place.
    Queued,
    /// Its whole group is granted; at least one member has not reported running.
    Placed,
    /// Every member runs.
    Running,
    /// Being torn down; what follows is decided when the last member is confirmed dead.
    Stopping,
    /// Every member exited with 0.
    Succeeded,
    /// A member failed, or the attempts are used up.
    Failed,
    /// Cancelled by request.
    Cancelled,
}

impl JobPhase {
    /// Whether nothing more happens to the job.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for JobPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Placed => "placed",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}
