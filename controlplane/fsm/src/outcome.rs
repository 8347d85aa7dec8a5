//! What apply answers. A refusal is a value, never an error: every replica must reach the same one.

use crate::event::Event;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId};
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::revision::Revision;
use serde::{Deserialize, Serialize};

/// The answer to an accepted command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It took effect.
    Done,
    /// What became of each group of a `CommitPlacement`.
    Placed {
        /// Granted whole.
        granted: Vec<JobId>,
        /// Rejected whole, with the first rule that failed.
        rejected: Vec<(JobId, ErrorCode)>,
    },
    /// No session was opened: what asked for it showed that there are two of the node.
    Quarantined,
}

/// Why a command had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Rejection {
    /// The rule that it broke.
    pub code: ErrorCode,
    /// In words, at most [`TEXT_MAX`] bytes.
    pub detail: String,
    /// Which command of a batch broke it, counted from zero.
    pub item: Option<u32>,
}

impl Rejection {
    /// A rejection with its reason in words.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > TEXT_MAX {
            let cut = (0..=TEXT_MAX).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0);
            detail.truncate(cut);
        }
        Self { code, detail, item: None }
    }

    /// The same, of this command of a batch.
    #[must_use]
    pub fn at(self, item: u32) -> Self {
        Self { item: Some(item), ..self }
    }
}

/// The answer to one entry.
pub type Outcome = Result<Reply, Rejection>;

/// One leaf for the audit table, with the interior hashes that it completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Index in the audit log.
    pub index: u64,
    /// Canonical bytes of the record.
    pub record: Vec<u8>,
    /// Dense index of the first hash.
    pub first_hash: u64,
    /// Hashes from there.
    pub hashes: Vec<Digest>,
}

/// What the payload table has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadEffect {
    /// Keep these bytes.
    Put(Digest, Vec<u8>),
    /// No job refers to it any more.
    Drop(Digest),
}

/// Everything that applying one entry produced. The caller stores and publishes it; nothing of it feeds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// The entry that gave it: an earlier one for a repeated request (R3).
    pub first: Revision,
    /// What changed, to wake whoever cares. Never carries a decision.
    pub events: Vec<Event>,
    /// Audit leaves, in order.
    pub leaves: Vec<Leaf>,
    /// Payload bytes to keep or drop. Their order counts: of one digest, the last word holds.
    pub payloads: Vec<PayloadEffect>,
    /// The checkpoint that every voter now signs, if one is due.
    pub checkpoint: Option<Checkpoint>,
}
