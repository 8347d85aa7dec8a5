//! Puts a desired set together with its records and proofs. Reads the disk: call on a blocking thread.

use crate::duty::SignedHead;
use crate::replica::{Archive, ArchiveError};
use sekisho_evidence::merkle::{MerkleError, prove_consistency, prove_inclusion};
use sekisho_proto::convert::agent::{Desired, Proved};
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Why a set cannot be proved here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProofError {
    /// This member lacks a record or hash.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The tree cannot give the proof.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// A record that the state names is not there.
    #[error("record {0} is missing")]
    NoRecord(u64),
}

/// What to prove.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Index and revision of the `NodeDesired` record.
    pub(crate) desired: (u64, Revision),
    /// Indexes of the grants' records, by placement.
    pub(crate) grants: Vec<u64>,
    /// Size of the agent's head.
    pub(crate) from_size: u64,
}

/// Proves a set under a checkpoint that covers it.
///
/// # Errors
/// [`ProofError`].
pub(crate) fn prove(
    archive: &dyn Archive,
    head: &SignedHead,
    ask: &Ask,
) -> Result<Desired, ProofError> {
    let size = head.checkpoint.head.size;
    // Records of one plan are neighbours: their paths have all but their lowest hashes in common.
    let known = RefCell::new(BTreeMap::new());
    let hashes = |index: u64| -> Option<Digest> {
        if let Some(hash) = known.borrow().get(&index) {
            return Some(*hash);
        }
        let hash = archive.hash(index).ok().flatten()?;
        known.borrow_mut().insert(index, hash);
        Some(hash)
    };
    let proved = |index: u64| -> Result<Proved, ProofError> {
        let range = index..index.saturating_add(1);
        let record = archive.records(range, usize::MAX)?.into_iter().next();
        let record = record.ok_or(ProofError::NoRecord(index))?.into();
        Ok(Proved { record, index, path: prove_inclusion(size, index, &hashes)? })
    };
    Ok(Desired {
        desired: proved(ask.desired.0)?,
        grants: ask.grants.iter().map(|index| proved(*index)).collect::<Result<_, _>>()?,
        checkpoint: head.text.clone(),
        line: head.line.clone(),
        from_size: ask.from_size,
        consistency: prove_consistency(size, ask.from_size, &hashes)?,
        revision: ask.desired.1,
    })
}
