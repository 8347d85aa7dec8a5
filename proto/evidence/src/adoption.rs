//! What an agent shows of a placement that was granted in the incarnation before and that the present one does not know:
//! the grant in the audit log of before, and what its submitter signed.
//!
//! Must hold (D4, A3): the grant is believed because k operators of the incarnation before signed a head over its record,
//! and because its submitter signed the job; never because the agent says so. Does not know whether the placement has
//! ended, or whether there is room for it: that is judged in apply.

use crate::bundle::EndorserBundle;
use crate::canonical::{CanonicalError, decode, encode};
use crate::checkpoint::{CheckpointError, NOTE_MAX, verify_note};
use crate::grant::Grant;
use crate::merkle::{MerkleError, check_inclusion};
use crate::record::{Body, Record};
use crate::submission::{SUBMISSION_MAX, Submission, SubmissionError};
use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};

/// Largest record of a grant, bytes: rules of full length take a part of it.
const GRANT_MAX: usize = 64 * 1024;
/// Hashes of a path at most: a log of 2^64 records has that many levels.
const PATH_MAX: usize = 64;
/// Largest adoption, bytes.
pub const ADOPTION_MAX: usize = GRANT_MAX + NOTE_MAX + SUBMISSION_MAX + PATH_MAX * 32 + 64;

/// The proof of a grant, and the submission behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Canonical bytes of the grant's record.
    #[serde(with = "crate::hexadecimal")]
    pub record: Vec<u8>,
    /// Its index in the audit log of before.
    pub index: u64,
    /// Inclusion path.
    pub path: Vec<Digest>,
    /// The signed note that it leads to.
    #[serde(with = "crate::hexadecimal")]
    pub note: Vec<u8>,
    /// Bytes of the [`Submission`].
    #[serde(with = "crate::hexadecimal")]
    pub submission: Vec<u8>,
}

/// Why it shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// Not one, or larger than one can be.
    #[error("the adoption is not readable")]
    Malformed(#[from] CanonicalError),
    /// A part is larger than it can be.
    #[error("a part of the adoption is larger than its bound")]
    TooLarge,
    /// The note is not under k operators of the incarnation.
    #[error(transparent)]
    Note(#[from] CheckpointError),
    /// The record is not under the note.
    #[error(transparent)]
    Inclusion(#[from] MerkleError),
    /// The record is not that of a grant.
    #[error("the record is not that of a grant")]
    Record,
    /// The submission does not stand behind the grant.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
}

impl Adoption {
    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads one: form only.
    ///
    /// # Errors
    /// [`AdoptionError::TooLarge`], [`AdoptionError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AdoptionError> {
        if bytes.len() > ADOPTION_MAX {
            return Err(AdoptionError::TooLarge);
        }
        Ok(decode(bytes)?)
    }

    /// Whether what the job runs stays in its area, so that it is not shown along with this.
    #[must_use]
    pub fn is_area_only(&self) -> bool {
        Submission::parse(&self.submission).is_ok_and(|submission| submission.facts.area_only)
    }

    /// The grant, under a bundle of the incarnation that granted it; and what its submitter signed, vouched for by a
    /// bundle that counts today.
    ///
    /// # Errors
    /// The first [`AdoptionError`].
    pub fn open(
        &self,
        granted: &EndorserBundle,
        today: &EndorserBundle,
    ) -> Result<(Grant, Submission), AdoptionError> {
        if self.record.len() > GRANT_MAX || self.path.len() > PATH_MAX {
            return Err(AdoptionError::TooLarge);
        }
        let head = verify_note(granted, &self.note)?.checkpoint.head;
        check_inclusion(head.size, &head.root, self.index, &self.record, &self.path)?;
        let record = Record::parse(&self.record).map_err(|_form| AdoptionError::Record)?;
        let Body::Grant(grant) = record.body else { return Err(AdoptionError::Record) };
        let submission = Submission::parse(&self.submission)?;
        submission.check(today, &grant)?;
        Ok((*grant, submission))
    }
}
