//! A desired set as it comes over the wire: bytes with proofs, and the signatures under the head that they lead to.

use sekisho_evidence::checkpoint::SignatureLine;
use sekisho_evidence::grant::NodeDesired;
use sekisho_evidence::record::{Body, Record};
use sekisho_types::id::Digest;

/// A record with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Canonical bytes of the record.
    pub record: Vec<u8>,
    /// Its index.
    pub index: u64,
    /// Inclusion path.
    pub path: Vec<Digest>,
}

/// What a node should run, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The record of the set.
    pub desired: Proved,
    /// The records of its grants, by placement.
    pub grants: Vec<Proved>,
}

/// A proof that the checkpoint's tree begins with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// Size of the earlier tree.
    pub from_size: u64,
    /// The proof.
    pub proof: Vec<Digest>,
}

/// A set under a checkpoint with all signatures at hand: what the check list judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedSet {
    /// Text of the checkpoint.
    pub text: String,
    /// Signature lines under exactly that text.
    pub lines: Vec<SignatureLine>,
    /// The set.
    pub delivery: Delivery,
    /// From the stored head to the checkpoint; `None` where none came.
    pub consistency: Option<Consistency>,
}

impl Delivery {
    /// What the set's record says, unproved; `None` if it is not such a record.
    #[must_use]
    pub fn claimed(&self) -> Option<NodeDesired> {
        match Record::parse(&self.desired.record).ok()?.body {
            Body::Desired(desired) => Some(desired),
            Body::Entry { .. }
            | Body::Grant(_)
            | Body::Approval { .. }
            | Body::BreakGlass { .. } => None,
        }
    }
}
