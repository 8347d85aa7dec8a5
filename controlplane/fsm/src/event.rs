//! What changed, as facts. Events only wake; whoever is woken reads the state.
//!
//! Must hold: an entry that changes a row of a job, or of a node, names it; otherwise who watches would not see it.

use sekisho_types::id::{JobId, NodeId};

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The queue, capacity, quota or a policy changed: the planner may find something.
    Plannable,
    /// A node's desired set changed.
    Desired(NodeId),
    /// A node was enrolled, opened a session, lost it or was revoked.
    Node(NodeId),
    /// Of a node something changed on which nobody acts: its tag, or what it holds.
    NodeShown(NodeId),
    /// A job moved, or one of its placements did.
    Job(JobId),
    /// Operators' keys, members or sites changed: trust has to be derived again.
    Trust,
}
