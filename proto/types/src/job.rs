//! What a job asks for. [`JobFacts`] is all that the log and the state know; what it runs travels as an opaque
//! payload next to them.

use crate::id::{DeviceClass, Digest, JobId, PolicyId, SiteId};
use crate::limit::{
    AFTER_MAX, GPUS_PER_TASK_MAX, GROUP_MAX, PAYLOAD_MAX, RECIPIENTS_MAX, REPLICAS_MAX, TASKS_MAX,
    TIME_LIMIT_MAX,
};
use crate::name::Name;
use crate::rare::Rare;
use crate::residency::Rules;
use crate::revision::KeyEpoch;
use crate::sharing::Sharing;
use crate::time::Timestamp;
use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// What has to become of another job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum When {
    /// Its group has begun to run.
    Started,
    /// It succeeded.
    Succeeded,
    /// It failed. One that was cancelled neither succeeded nor failed.
    Failed,
    /// It is over, however.
    Ended,
}

/// In words, as part of a sentence.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Ended => "ended",
        })
    }
}

/// What a job waits for before it is queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Name of another job of the same tenant.
    pub job: Name,
    /// What has to become of it.
    pub when: When,
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
    /// Least compute slices of each GPU; 0 = any.
    pub units: u32,
    /// With whom it shares a GPU: it agrees to that, or is never given a share.
    pub sharing: Sharing,
}

impl Resources {
    /// So many whole GPUs or MIG instances of a class, and nothing else.
    #[must_use]
    pub fn of(class: DeviceClass, gpus: u32) -> Self {
        Self { class, gpus, memory_mib: 0, units: 0, sharing: Sharing::Alone }
    }

    /// A share is asked for as one, and one at a time: two could be of the same device.
    fn check_share(&self) -> Result<(), FactsError> {
        let (shared, agreed) = (self.class.is_shared(), self.sharing.is_agreed());
        let fail = |field: &str, must: String| Err(FactsError { field: field.to_owned(), must });
        if shared && !agreed {
            let must = format!("must be tenant or any: devices of class {} are shared", self.class);
            return fail("resources.sharing", must);
        }
        if agreed && !shared {
            let must = format!("must be left out: devices of class {} are not shared", self.class);
            return fail("resources.sharing", must);
        }
        if shared && self.gpus != 1 {
            return fail("resources.gpus", format!("must be 1 of class {}", self.class));
        }
        Ok(())
    }
}

/// How often a job runs, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Once, to its end.
    Batch,
    /// As tasks that are alike but for their numbers, each a group of its own and by itself.
    Array {
        /// Tasks, numbered from 0; 1 to [`TASKS_MAX`].
        tasks: u32,
        /// Tasks that may hold devices at once, 1 to `tasks`.
        at_most: u32,
    },
    /// As replicas that are alike and run until somebody ends the service. Each has its time limit, and is replaced before it is
    /// over; a replacement has a number of its own, so that no two run under one (P7).
    Service {
        /// Replicas that run, 1 to [`REPLICAS_MAX`].
        replicas: u32,
        /// Replicas beyond these while one is replaced, 1 to `replicas`: the new one runs before the old one is stopped.
        surge: u32,
    },
}

impl Kind {
    /// Whether a job of this kind has such a task.
    #[must_use]
    pub fn has(self, task: Option<u32>) -> bool {
        match (self, task) {
            (Self::Batch, None) | (Self::Service { .. }, Some(_)) => true,
            (Self::Array { tasks, .. }, Some(task)) => task < tasks,
            (Self::Batch, Some(_)) | (Self::Array { .. } | Self::Service { .. }, None) => false,
        }
    }

    fn check(self) -> Result<(), (&'static str, String)> {
        let within = |field, value: u32, most: u32| {
            let bad = || (field, format!("must be 1 to {most}"));
            (1..=most).contains(&value).then_some(()).ok_or_else(bad)
        };
        match self {
            Self::Batch => Ok(()),
            Self::Array { tasks, at_most } => within("array.tasks", tasks, TASKS_MAX)
                .and_then(|()| within("array.at_most", at_most, tasks)),
            Self::Service { replicas, surge } => within("service.replicas", replicas, REPLICAS_MAX)
                .and_then(|()| within("service.surge", surge, replicas)),
        }
    }
}

/// The scheduling facts of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacts {
    /// Tenant and name; of a task of it, with its number.
    pub id: JobId,
    /// How often it runs.
    pub kind: Kind,
    /// Members of the all-or-nothing group, 1 to [`GROUP_MAX`]. Each stands on a node of its own.
    pub group: u32,
    /// Needs of each member.
    pub resources: Resources,
    /// Where its members stand to one another and to other jobs.
    pub topology: Rare<Topology>,
    /// 0 (least) to 100 (most urgent).
    pub priority: u8,
    /// A named policy that binds this job beside its tenant's.
    pub policy: Option<PolicyId>,
    /// A reservation of its tenant, or of one above it: the job is placed only out of what that holds.
    pub reservation: Option<Name>,
    /// The job's own residency rules.
    pub residency: Rare<Rules>,
    /// Mode on loss of contact.
    pub on_disconnect: OnDisconnect,
    /// Mode over quota.
    pub over_limit: OverLimit,
    /// Longest run time in seconds, 1 to 30 days.
    pub time_limit_s: u64,
    /// What has to become of other jobs first, at most [`AFTER_MAX`]; each is named once.
    pub after: Rare<Vec<After>>,
    /// Not queued before this instant of the state clock.
    pub not_before: Option<Timestamp>,
    /// Fails unless it is placed before this instant of the state clock.
    pub start_by: Option<Timestamp>,
    /// SHA-256 of the payload.
    pub payload: Digest,
    /// Length of the payload in bytes, at most [`PAYLOAD_MAX`].
    pub payload_len: u32,
    /// Sites whose agents can read the payload, each with the key that it is sealed to; none = it is not sealed, and every
    /// member can read it.
    pub sealed_to: Rare<BTreeMap<SiteId, KeyEpoch>>,
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
        if self.id.task.is_some() {
            return fail("name", "names a job, not a task of it".to_owned());
        }
        if let Err((field, must)) = self.kind.check() {
            return fail(field, must);
        }
        if !(1..=GROUP_MAX).contains(&self.group) {
            return fail("group", format!("must be 1 to {GROUP_MAX}"));
        }
        if !(1..=GPUS_PER_TASK_MAX).contains(&self.resources.gpus) {
            return fail("resources.gpus", format!("must be 1 to {GPUS_PER_TASK_MAX}"));
        }
        self.resources.check_share()?;
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
        self.topology.check(self.group)?;
        self.check_start()
    }

    /// What it waits for, and until when.
    fn check_start(&self) -> Result<(), FactsError> {
        let fail = |field: &str, must: String| Err(FactsError { field: field.to_owned(), must });
        if self.after.len() > AFTER_MAX {
            return fail("after", format!("must be at most {AFTER_MAX} jobs"));
        }
        let names: BTreeSet<&Name> = self.after.iter().map(|after| &after.job).collect();
        if names.len() != self.after.len() {
            return fail("after", "must name each job once".to_owned());
        }
        if names.contains(&self.id.name) {
            return fail("after", "must not be the job itself".to_owned());
        }
        if self.start_by.is_some() && matches!(self.kind, Kind::Service { .. }) {
            return fail(
                "start_by",
                "must not be given for a service: its replicas start as long as it is there"
                    .to_owned(),
            );
        }
        if self.not_before.zip(self.start_by).is_some_and(|(from, by)| from >= by) {
            return fail("start_by", "must be later than not_before".to_owned());
        }
        Ok(())
    }

    /// The jobs that it waits for, each with what has to become of it.
    pub fn awaits(&self) -> impl Iterator<Item = (JobId, When)> {
        self.after.iter().map(move |after| {
            (
                JobId { tenant: self.id.tenant.clone(), name: after.job.clone(), task: None },
                after.when,
            )
        })
    }

    /// Whether only some sites can read the payload.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !self.sealed_to.is_empty()
    }

    /// Whether it runs the same as another version of the job: in the same way and place, however often.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        let like = Self {
            id: self.id.clone(),
            kind: self.kind,
            priority: self.priority,
            over_limit: self.over_limit,
            // When it began is past.
            after: self.after.clone(),
            not_before: self.not_before,
            start_by: self.start_by,
            ..other.clone()
        };
        *self == like
    }

    /// GPUs that the whole group charges; of an array or service, that of one task.
    #[must_use]
    pub fn gpus(&self) -> u64 {
        u64::from(self.group).saturating_mul(u64::from(self.resources.gpus))
    }

    /// GPUs that it asks for at once: of an array those of as many tasks as may run, of a service those of all its replicas.
    #[must_use]
    pub fn gpus_at_once(&self) -> u64 {
        let groups = match self.kind {
            Kind::Batch => 1,
            Kind::Array { at_most, .. } => at_most,
            Kind::Service { replicas, .. } => replicas,
        };
        self.gpus().saturating_mul(u64::from(groups))
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
    /// Waits for other jobs, or for a time; not in the queue.
    Held,
}

impl JobPhase {
    /// Whether it waits and has no place.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Held)
    }

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
            Self::Held => "held",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_asked_for_as_one_and_alone() {
        let refused = |class: &str, gpus, sharing| {
            let wanted = Resources { sharing, ..Resources::of(class.parse().unwrap(), gpus) };
            wanted.check_share().map_err(|error| error.field)
        };
        let field = |name: &str| Err(name.to_owned());
        assert_eq!(refused("h200", 16, Sharing::Alone), Ok(()));
        assert_eq!(refused("h200-shared", 1, Sharing::Tenant), Ok(()));
        assert_eq!(refused("h200-shared", 1, Sharing::Any), Ok(()));
        assert_eq!(refused("h200-shared", 1, Sharing::Alone), field("resources.sharing"));
        assert_eq!(refused("h200", 1, Sharing::Any), field("resources.sharing"));
        assert_eq!(refused("h200-shared", 2, Sharing::Tenant), field("resources.gpus"));
    }
}
