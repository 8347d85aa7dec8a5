//! What the Raft log carries.
//!
//! Must hold: whatever is not deterministic (time, ids, signatures) is stamped here, before the log. The payload of
//! a job travels beside the command and is left out of audit records, so that facts and content stay apart.

use crate::command::Command;
use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_types::id::{ClusterId, Digest, RequestId};
use sekisho_types::principal::Principal;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The feature level that this program speaks. Raised by an entry once every member understands it.
pub const FEATURE_LEVEL: u32 = 1;

/// One proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which federation; an entry of another is rejected.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Wall clock of the member that stamped it.
    pub proposed_at: Timestamp,
    /// Who asks, as authenticated by mutual TLS.
    pub actor: Principal,
    /// The client's id for this intention (R3).
    pub request: RequestId,
    /// Level that the proposer spoke.
    pub feature_level: u32,
    /// What to do.
    pub command: Command,
    /// The caller's own signatures, for widening verbs (A3).
    pub signatures: Vec<CommandSignature>,
    /// Opaque content of a submitted job, or of those of a batch one behind the other; empty for every other command.
    pub payload: Vec<u8>,
}

impl Entry {
    /// What a signature under this entry's command binds.
    ///
    /// # Errors
    /// Never for this type; see [`Command::digest`].
    pub fn intention(&self) -> Result<Intention, CanonicalError> {
        Ok(self.intention_of(self.command.digest()?))
    }

    /// As [`Entry::intention`], where the command's digest is at hand.
    pub(crate) fn intention_of(&self, command: Digest) -> Intention {
        Intention {
            cluster: self.cluster,
            incarnation: self.incarnation,
            request: self.request,
            command,
        }
    }

    /// The entry without its payload: what the audit record keeps. The payload is not copied on the way.
    #[must_use]
    pub fn facts(&self) -> Cow<'_, Self> {
        if self.payload.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            cluster: self.cluster,
            incarnation: self.incarnation,
            proposed_at: self.proposed_at,
            actor: self.actor.clone(),
            request: self.request,
            feature_level: self.feature_level,
            command: self.command.clone(),
            signatures: self.signatures.clone(),
            payload: Vec::new(),
        })
    }
}
