//! Commands of a batch, and the tree that a signature under it binds. Append-only, as [`super::Command`] is.

use sekisho_evidence::batch::Tree;
use sekisho_evidence::canonical::{CanonicalError, encode};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::job::JobFacts;
use serde::{Deserialize, Serialize};

/// A command of a batch: what people and pipelines do by the hundred. Append-only, as [`Command`](super::Command) is; a type of its own,
/// so that no bytes nest batches in batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// See [`Command::SubmitJob`](super::Command::SubmitJob).
    SubmitJob {
        /// Its facts.
        facts: Box<JobFacts>,
    },
    /// See [`Command::CancelJob`](super::Command::CancelJob).
    CancelJob {
        /// Which.
        job: JobId,
    },
    /// See [`Command::SetSchedulable`](super::Command::SetSchedulable).
    SetSchedulable {
        /// The node.
        node: NodeId,
        /// Whether new placements may come.
        schedulable: bool,
    },
    /// See [`Command::DrainNode`](super::Command::DrainNode).
    DrainNode {
        /// The node.
        node: NodeId,
        /// How long its jobs may go on, seconds.
        within_s: Option<u64>,
        /// Why, for people.
        message: String,
    },
    /// See [`Command::UndrainNode`](super::Command::UndrainNode).
    UndrainNode {
        /// The node.
        node: NodeId,
        /// Leave the node cordoned.
        keep_cordoned: bool,
    },
}

/// The tree over the commands of a batch.
///
/// # Errors
/// Never for this type; see [`encode`].
pub(crate) fn tree(items: &[Item]) -> Result<Tree, CanonicalError> {
    let bytes: Vec<Vec<u8>> = items.iter().map(encode).collect::<Result<_, _>>()?;
    Ok(Tree::of(bytes))
}
