//! Places for whole groups, as a plan names them.

use sekisho_types::id::{JobId, NodeId};
use serde::{Deserialize, Serialize};

/// Places for one all-or-nothing group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The job.
    pub job: JobId,
    /// One place for each member, by rank.
    pub places: Vec<Slot>,
}

/// A place: a bucket of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// The node.
    pub node: NodeId,
    /// Index into its buckets.
    pub bucket: u16,
}

/// Room for one job, made by moving others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preempt {
    /// Who gets it.
    pub beneficiary: JobId,
    /// Who is moved, in order.
    pub victims: Vec<JobId>,
    /// Where the beneficiary's members will stand, by rank.
    pub places: Vec<Slot>,
}
