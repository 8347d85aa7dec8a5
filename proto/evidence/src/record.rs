//! Audit records: what the Merkle log's leaves are.
//!
//! Must hold: A2, each write and each rejection in apply has exactly one [`Body::Entry`]; grants and desired sets
//! derived from it follow as records of their own, in one fixed order, so that each can be proved alone.

use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::{Grant, NodeDesired};
use sekisho_types::error_code::ErrorCode;
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
