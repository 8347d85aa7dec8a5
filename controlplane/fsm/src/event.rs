//! What changed, as facts. Events only wake; whoever is woken reads the state.

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
    /// A job moved.
    Job(JobId),
    /// Operators' keys, members or sites changed: trust has to be derived again.
    Trust,
}
