//! Bodies that are ours; the others are openraft's own requests and answers.

use crate::error::ProposeError;
use crate::network::frame::HeaderError;
use crate::type_config::{Proposal, Vote};
use sekisho_fsm::outcome::Outcome;
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::time::Duration;

/// Which in-flight bound a proposal counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    /// Users' proposals.
    Ordinary,
    /// Leases, ticks, and what else keeps the federation alive under overload (L4).
    Internal,
}

/// A follower hands an entry to the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProposeRequest {
    pub(crate) priority: Priority,
    /// Time that the caller still waits, milliseconds.
    pub(crate) remaining_ms: u64,
    pub(crate) proposal: Proposal,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ProposeReply {
    Committed {
        revision: Revision,
        outcome: Outcome,
    },
    /// Nothing happened: not the leader, or not able to write now.
    NotLeader,
    Overloaded {
        retry_after_ms: u64,
    },
    Unknown,
    Malformed(String),
}

impl ProposeReply {
    /// The answer that a leader's own error becomes for a follower.
    pub(crate) fn of(error: ProposeError) -> Self {
        match error {
            ProposeError::NoLeader | ProposeError::ShuttingDown | ProposeError::Failed(_) => {
                Self::NotLeader
            }
            ProposeError::Overloaded { retry_after } => {
                let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
                Self::Overloaded { retry_after_ms }
            }
            ProposeError::OutcomeUnknown => Self::Unknown,
            ProposeError::TooLarge { size } => Self::Malformed(format!("{size} bytes")),
            ProposeError::Malformed(why) => Self::Malformed(why.to_string()),
        }
    }
}

/// Asks for a position to wait for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndexRequest {
    /// Time that the caller still waits, milliseconds.
    pub(crate) remaining_ms: u64,
}

/// The position; `None` from a member that does not lead.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndexReply {
    pub(crate) index: Option<Revision>,
}

/// Asks for audit records from `first` to before `end`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AuditRequest {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// Records from the first that was asked for, as many as fit; `None` from a member that lacks some itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AuditReply {
    pub(crate) records: Option<Vec<Vec<u8>>>,
}

/// First packet of a snapshot, and alone the question where to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    pub(crate) vote: Vote,
    /// Bytes of a [`crate::snapshot::Meta`].
    pub(crate) meta: Vec<u8>,
    /// Length of the body, bytes.
    pub(crate) length: u64,
    /// SHA-256 of the body.
    pub(crate) digest: Digest,
    /// Byte of the body at which the pieces begin.
    pub(crate) offset: u64,
}

/// Where a snapshot that was begun goes on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotOffset {
    pub(crate) offset: u64,
}

/// Why something that came in is refused. Nothing happened, unless it came too late.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The connection has no certificate.
    #[error("no certificate")]
    NoCertificate,
    /// The header does not stand.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body cannot be read or contradicts itself.
    #[error("body refused: {0}")]
    Body(String),
    /// Another snapshot is coming in.
    #[error("another snapshot is being received")]
    Busy,
    /// The sender was silent too long.
    #[error("nothing came for {0:?}")]
    Stalled(Duration),
    /// It has no answer yet, and what it asks for may still happen.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The member is stopping.
    #[error("this member is stopping: {0}")]
    Stopping(String),
    /// It takes no part before others have accepted its data directory (R6).
    #[error("this member's data directory is not accepted by a majority yet")]
    Unproven,
}

impl Refusal {
    pub(crate) fn stopping(error: impl Display) -> Self {
        Self::Stopping(error.to_string())
    }
}

/// Milliseconds of a duration.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
