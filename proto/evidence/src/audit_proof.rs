//! The file that `audit prove` writes: one record of the audit log, and the proof that k operators have signed a head over it.
//!
//! Layout: [`MAGIC`], then the canonical bytes of an [`AuditProof`]. A few kilobytes, whatever the log's size: whoever was
//! granted or refused something can keep this one, and show it, without the log.
//!
//! Must hold (A1): it is believed because of the operators' signatures alone, walked from a genesis that its reader knows; it
//! says that the record *stands in the log*, not that the log's rules were kept, which needs the whole log.

use crate::canonical::{CanonicalError, decode, encode};
use crate::checkpoint::{CheckpointError, VerifiedCheckpoint, verify_note};
use crate::genesis::SignedGenesis;
use crate::merkle::{MerkleError, check_inclusion};
use crate::package::{PACKAGE_MAX, PackageError, TrustPackage};
use crate::record::Record;
use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};

/// First bytes of a proof.
pub const MAGIC: &[u8; 16] = b"sekisho-proof-1\n";
/// Largest proof, bytes: the largest trust package, the largest record, a note and a path.
pub const PROOF_FILE_MAX: usize = PACKAGE_MAX + crate::audit_bundle::RECORD_MAX + 16 * 1024;

/// One record, proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProof {
    /// From the genesis to the operators who signed.
    pub package: TrustPackage,
    /// The signed head.
    pub note: Vec<u8>,
    /// Which record.
    pub index: u64,
    /// Its canonical bytes.
    pub record: Vec<u8>,
    /// Inclusion path, from the leaf up.
    pub path: Vec<Digest>,
}

/// What a proof comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The head, and who signed it.
    pub signed: VerifiedCheckpoint,
    /// The record.
    pub record: Record,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditProofError {
    /// Another kind of file, or too large.
    #[error("not a proof of an audit record")]
    Format,
    /// Proof or record are not in canonical form.
    #[error("the proof is not readable")]
    Malformed(#[from] CanonicalError),
    /// It begins with another federation than the reader's.
    #[error("the proof begins with another genesis than the trusted one")]
    Genesis,
    /// It does not lead to operators who count.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The head is not signed as it has to be.
    #[error(transparent)]
    Note(#[from] CheckpointError),
    /// The record is not under the head.
    #[error(transparent)]
    Path(#[from] MerkleError),
}

impl AuditProof {
    /// Reads a proof: form only. Nothing in it is believed yet.
    ///
    /// # Errors
    /// [`AuditProofError::Format`], [`AuditProofError::Malformed`].
    pub fn open(bytes: &[u8]) -> Result<Self, AuditProofError> {
        if bytes.len() > PROOF_FILE_MAX {
            return Err(AuditProofError::Format);
        }
        let body = bytes.strip_prefix(MAGIC).ok_or(AuditProofError::Format)?;
        Ok(decode(body)?)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`AuditProofError::Format`] if it is too large.
    pub fn bytes(&self) -> Result<Vec<u8>, AuditProofError> {
        let bytes = [MAGIC.as_slice(), &encode(self)?].concat();
        if bytes.len() > PROOF_FILE_MAX { Err(AuditProofError::Format) } else { Ok(bytes) }
    }

    /// Verifies everything, from `trusted` on if the reader has a genesis of its own.
    ///
    /// # Errors
    /// The first [`AuditProofError`].
    pub fn verify(&self, trusted: Option<&SignedGenesis>) -> Result<Proven, AuditProofError> {
        let first = &self.package.genesis.genesis;
        if trusted.is_some_and(|trusted| trusted.genesis != *first) {
            return Err(AuditProofError::Genesis);
        }
        let trust = self.package.walk(&first.bundle)?;
        let signed = verify_note(&trust.bundle, &self.note)?;
        let head = signed.checkpoint.head;
        check_inclusion(head.size, &head.root, self.index, &self.record, &self.path)?;
        Ok(Proven { record: Record::parse(&self.record)?, signed })
    }
}
