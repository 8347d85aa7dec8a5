//! Evidence of a fork: two signed checkpoints of one life of a federation that cannot both be true.
//!
//! Each of the two is a signed note (C2SP), under which one known member's signature is enough: nobody else needs to have
//! been deceived for the word of one to be a lie. Two heads of different sizes contradict each other by their sizes and
//! revisions, or by [`Extended`], the proof that the longer tree has another beginning.
//!
//! Must hold: A1. Whoever knows the members' keys can judge it, with nothing else at hand: no log, no cluster, no word of
//! who kept it. It says that one of the signers signed what is not so, or that two histories were made; which of the two is
//! the true one it cannot say, unless one member signed both.

use crate::bundle::EndorserBundle;
use crate::canonical::{CanonicalError, decode, encode};
use crate::checkpoint::{Checkpoint, CheckpointError, NOTE_MAX, signers};
use crate::merkle::{Head, PROOF_MAX, check_consistency};
use sekisho_types::id::{Digest, MemberId, PublicKey};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of the evidence, at most: two notes, a consistency proof, and less than 64 besides.
pub const FORK_MAX: usize = 2 * NOTE_MAX + 32 * PROOF_MAX + 64;

/// Proof that the tree of the longer checkpoint begins otherwise than the shorter one says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    /// Root that the longer tree has at the size of the shorter.
    pub root: Digest,
    /// That it has it: from that size to the size of the longer.
    pub proof: Vec<Digest>,
}

/// Two signed notes that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// One note.
    pub first: Vec<u8>,
    /// The other.
    pub second: Vec<u8>,
    /// Needed only where sizes and revisions alone show nothing.
    pub extended: Option<Extended>,
}

/// Evidence as a member keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFork {
    /// When it was met, by the clock of the member that keeps it.
    pub at: Timestamp,
    /// Whose word contradicts what that member knows.
    pub accused: MemberId,
    /// The key that signed it. While keys of k operators are accused that sign for the federation, the member that keeps this
    /// signs nothing.
    pub key: PublicKey,
    /// Version of the endorser bundle under which it verifies.
    pub bundle: u64,
    /// The evidence itself.
    pub fork: Fork,
}

impl KeptFork {
    /// Under which it is kept: the first evidence against a key stays.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn name(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&encode(&(self.accused, self.key))?))
    }
}

/// In what two checkpoints contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contradiction {
    /// Two texts for one entry of the log.
    Revision,
    /// Two roots for one size.
    Root,
    /// Fewer records after a later entry, or an earlier time.
    Shrunk,
    /// The longer tree does not begin with the shorter.
    Beginning,
}

/// What evidence shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// In what they contradict each other.
    pub contradiction: Contradiction,
    /// What the first note says.
    pub first: Checkpoint,
    /// What the second note says.
    pub second: Checkpoint,
    /// Who signed the first.
    pub first_by: BTreeSet<MemberId>,
    /// Who signed the second.
    pub second_by: BTreeSet<MemberId>,
}

/// Why bytes show no fork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// More bytes than any evidence has.
    #[error("{0} bytes are too many for evidence of a fork")]
    TooLarge(usize),
    /// Not in the one canonical form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
    /// One of the notes is none, or its signatures do not verify.
    #[error(transparent)]
    Note(#[from] CheckpointError),
    /// One of the notes is signed by nobody that the endorser bundle names.
    #[error("a note of the evidence is signed by no member that the endorser bundle names")]
    Stranger,
    /// Different lives of a federation have logs of their own.
    #[error("the two checkpoints are not of one cluster and incarnation")]
    Apart,
    /// Both may be true.
    #[error("the two checkpoints do not contradict each other")]
    Compatible,
}

/// In what two checkpoints of one life contradict each other by themselves.
#[must_use]
pub fn contradiction(a: &Checkpoint, b: &Checkpoint) -> Option<Contradiction> {
    if a == b || a.cluster != b.cluster || a.incarnation != b.incarnation {
        return None;
    }
    let (early, late) = if a.revision <= b.revision { (a, b) } else { (b, a) };
    if early.revision == late.revision {
        return Some(Contradiction::Revision);
    }
    if early.head.size == late.head.size && early.head.root != late.head.root {
        return Some(Contradiction::Root);
    }
    (early.head.size > late.head.size || early.time > late.time).then_some(Contradiction::Shrunk)
}

impl Extended {
    /// Whether it shows that the tree with `longer` does not begin with `shorter`.
    fn contradicts(&self, shorter: Head, longer: Head) -> bool {
        let own = Head { size: shorter.size, root: self.root };
        shorter.size < longer.size
            && self.root != shorter.root
            && check_consistency(longer, own, &self.proof).is_ok()
    }
}

impl Fork {
    /// Judges the evidence under a trusted bundle of that life of the federation.
    ///
    /// # Errors
    /// [`ForkError`] if it shows no fork.
    pub fn judge(&self, bundle: &EndorserBundle) -> Result<Judged, ForkError> {
        let (first, first_by) = signers(bundle, &self.first)?;
        let (second, second_by) = signers(bundle, &self.second)?;
        if first_by.is_empty() || second_by.is_empty() {
            return Err(ForkError::Stranger);
        }
        if first.cluster != second.cluster || first.incarnation != second.incarnation {
            return Err(ForkError::Apart);
        }
        let beginning = || {
            let (shorter, longer) = if first.head.size < second.head.size {
                (first.head, second.head)
            } else {
                (second.head, first.head)
            };
            let shown = self.extended.as_ref().is_some_and(|e| e.contradicts(shorter, longer));
            shown.then_some(Contradiction::Beginning)
        };
        let found = contradiction(&first, &second).or_else(beginning);
        let contradiction = found.ok_or(ForkError::Compatible)?;
        Ok(Judged { contradiction, first, second, first_by, second_by })
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// [`ForkError::TooLarge`].
    pub fn bytes(&self) -> Result<Vec<u8>, ForkError> {
        let bytes = encode(self)?;
        if bytes.len() > FORK_MAX { Err(ForkError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads what [`Self::bytes`] wrote, not yet judged.
    ///
    /// # Errors
    /// [`ForkError::TooLarge`], [`ForkError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ForkError> {
        if bytes.len() > FORK_MAX {
            return Err(ForkError::TooLarge(bytes.len()));
        }
        Ok(decode(bytes)?)
    }
}

impl Judged {
    /// Members that signed both: what they did is shown, whoever else is right.
    pub fn liars(&self) -> impl Iterator<Item = MemberId> {
        self.first_by.intersection(&self.second_by).copied()
    }
}

#[cfg(test)]
mod tests;
