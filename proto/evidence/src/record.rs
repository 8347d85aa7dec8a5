//! Audit records: what the Merkle log's leaves are.
//!
//! Must hold: A2, each write and each rejection in apply has exactly one [`Body::Entry`]; what follows from it, the end of
//! an approval, the use of a break-glass, grants and desired sets, follows as records of their own, in one fixed order, so
//! that each can be proved alone.

use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::{Grant, NodeDesired};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::ApprovalId;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// An entry of the Raft log, without its payload: canonical bytes of the state machine's entry type, kept
    /// opaque here so that agents need not know every command.
    Entry {
        /// Canonical bytes.
        entry: Vec<u8>,
        /// The code of the rejection, if it was one.
        rejected: Option<ErrorCode>,
    },
    /// A placement was granted.
    Grant(Box<Grant>),
    /// A node's desired set changed.
    Desired(NodeDesired),
    /// Enough operators had signed an approval: in this entry its command was carried out as its proposer's, or failed.
    Approval {
        /// Which.
        id: ApprovalId,
        /// Why it failed; nothing of it took effect then.
        failed: Option<ErrorCode>,
    },
    /// No role allowed this entry to its actor, only a break-glass.
    BreakGlass {
        /// The entry that opened it.
        opened: Revision,
    },
}

/// One leaf of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The entry that it comes from.
    pub revision: Revision,
    /// State clock after that entry.
    pub time: Timestamp,
    /// What happened.
    pub body: Body,
}

impl Record {
    /// Canonical bytes: the leaf.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// [`CanonicalError`] for anything but canonical bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, CanonicalError> {
        decode(bytes)
    }
}
