//! The leader's word that renewals of leases count: one signature for many, over a Merkle tree of them (RFC 6962,
//! section 2.1); and the renewal that an agent signs when others have to carry it.
//!
//! Must hold: P1, P4. An acknowledgement names one renewal of one session of one node, and the member that counted it;
//! whoever carries it can lose or delay it and do nothing else. Late is harmless: the agent counts from when it sent the
//! renewal, which was before the leader received it. A signed renewal is good for one leader: it names the newest
//! revision that its agent heard of, so one that was kept from before a leader's term says nothing under it.
//!
//! **Terms are not compared.** An acknowledgement of an older term than one that counted is good: its leader was
//! confirmed by a round begun after it received the renewal, so every later leader's wait of W began after that. To
//! refuse it would protect from nothing that a round of raft does not exclude, and would let a member in an attacker's
//! hands end every lease by naming a term that no honest leader reaches. The term is there for whoever looks into a
//! quarrel.

use crate::batch::Tree;
use crate::bundle::EndorserBundle;
use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::SessionId;
use crate::key::{BadSignature, Purpose, SigningKey, verify};
use crate::merkle::{MerkleError, check_inclusion};
use sekisho_types::id::{ClusterId, Digest, MemberId, NodeId, OperatorId, PublicKey, Signature};
use sekisho_types::revision::{Incarnation, Revision};
use serde::{Deserialize, Serialize};

/// Renewals under one signature: those of 50 ms when 300,000 come in a second.
pub const BATCH_MAX: usize = 16_384;

/// Hashes on the way from a renewal to the root of such a batch.
const PATH_MAX: usize = 14;
const _: () = assert!(1 << PATH_MAX == BATCH_MAX, "a tree of that size has that height");

/// Bytes of an acknowledgement, at most: a path of 14 hashes, a signature, and less than 150 besides.
pub const ACKNOWLEDGEMENT_MAX: usize = 768;

/// Bytes of a signed renewal, at most: two names of 63 and less than 200 besides.
pub const RENEWAL_MAX: usize = 384;

/// One renewal of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Whose.
    pub node: NodeId,
    /// Of which session.
    pub session: SessionId,
    /// Counted by the agent within the session.
    pub sequence: u64,
}

/// What counted many renewals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The leader.
    pub member: MemberId,
    /// In this term.
    pub term: u64,
    /// What it had applied.
    pub revision: Revision,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    counted: Counted,
    size: u32,
    root: Digest,
}

/// The leader's word on one renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    statement: Statement,
    /// By the checkpoint key of the member.
    signature: Signature,
    index: u32,
    /// Hashes beside the way, the lowest first.
    path: Vec<Digest>,
}

/// Why bytes are no acknowledgement of this renewal, or no renewal of this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// More bytes than any has.
    #[error("{0} bytes are too many")]
    TooLarge(usize),
    /// Not in the one canonical form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
    /// Of another federation, or another life of this one.
    #[error("it is of another cluster or incarnation")]
    WrongCluster,
    /// The bundle has no such member.
    #[error("{0} is no member that the endorser bundle names")]
    Stranger(MemberId),
    /// Not signed by whom it names.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The batch does not have this renewal where it is said to be.
    #[error("the renewal is not among those that were signed")]
    Elsewhere(#[from] MerkleError),
    /// More renewals than a batch may have.
    #[error("a batch of {0} renewals, at most {BATCH_MAX} are taken")]
    Batch(u32),
}

/// Signs many renewals at once; the acknowledgements come in their order. Of those beyond [`BATCH_MAX`] none is signed.
///
/// # Errors
/// Never for these types; see [`encode`].
pub fn acknowledge(
    counted: Counted,
    renewals: &[Renewal],
    key: &SigningKey,
) -> Result<Vec<Acknowledgement>, CanonicalError> {
    let renewals = renewals.get(..BATCH_MAX).unwrap_or(renewals);
    let leaves: Vec<Vec<u8>> = renewals.iter().map(encode).collect::<Result<_, _>>()?;
    let tree = Tree::of(&leaves);
    let Some(first) = tree.place(0) else { return Ok(Vec::new()) };
    let statement = Statement { counted, size: first.size, root: first.root };
    let signature = key.sign(Purpose::Acknowledgement, &encode(&statement)?);
    let of = |index: u32| {
        let path = tree.place(index)?.path;
        Some(Acknowledgement { statement, signature, index, path })
    };
    Ok((0..first.size).filter_map(of).collect())
}

impl Acknowledgement {
    /// Its one form.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads it; nothing of it is checked.
    ///
    /// # Errors
    /// [`AcknowledgementError::TooLarge`], [`AcknowledgementError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AcknowledgementError> {
        bounded(bytes, ACKNOWLEDGEMENT_MAX)?;
        Ok(decode(bytes)?)
    }

    /// Who says that it counted.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.statement.counted
    }

    /// Checks that a member of this bundle signed that `renewal` counts. Returns whose member it is.
    ///
    /// # Errors
    /// [`AcknowledgementError`].
    pub fn verify<'b>(
        &self,
        bundle: &'b EndorserBundle,
        renewal: &Renewal,
    ) -> Result<&'b OperatorId, AcknowledgementError> {
        let Statement { counted, size, root } = &self.statement;
        if counted.cluster != bundle.cluster || counted.incarnation != bundle.incarnation {
            return Err(AcknowledgementError::WrongCluster);
        }
        if usize::try_from(*size).is_ok_and(|size| size > BATCH_MAX) {
            return Err(AcknowledgementError::Batch(*size));
        }
        let endorser = bundle.endorsers.iter().find(|endorser| endorser.member == counted.member);
        let endorser = endorser.ok_or(AcknowledgementError::Stranger(counted.member))?;
        let leaf = encode(renewal)?;
        check_inclusion((*size).into(), root, self.index.into(), &leaf, &self.path)?;
        let statement = encode(&self.statement)?;
        verify(&endorser.public_key, Purpose::Acknowledgement, &statement, &self.signature)?;
        Ok(&endorser.operator)
    }
}

fn bounded(bytes: &[u8], max: usize) -> Result<(), AcknowledgementError> {
    if bytes.len() > max {
        return Err(AcknowledgementError::TooLarge(bytes.len()));
    }
    Ok(())
}

/// A renewal that others carry to the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// What is to be renewed.
    pub renewal: Renewal,
    /// The newest revision that the agent heard of.
    pub heard: Revision,
}

/// A renewal, signed by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRenewal {
    /// What it says. Whether it is true, only [`Self::verify`] tells.
    pub asked: Asked,
    signature: Signature,
}

impl Asked {
    /// Signs with the node's receipt key.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign(self, key: &SigningKey) -> Result<SignedRenewal, CanonicalError> {
        let signature = key.sign(Purpose::Renewal, &encode(&self)?);
        Ok(SignedRenewal { asked: self, signature })
    }
}

impl SignedRenewal {
    /// Its one form.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads it; nothing of it is checked.
    ///
    /// # Errors
    /// [`AcknowledgementError::TooLarge`], [`AcknowledgementError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AcknowledgementError> {
        bounded(bytes, RENEWAL_MAX)?;
        Ok(decode(bytes)?)
    }

    /// Checks that the holder of the node's receipt key signed it for this federation.
    ///
    /// # Errors
    /// [`AcknowledgementError::WrongCluster`], [`AcknowledgementError::Signature`].
    pub fn verify(
        &self,
        bundle: &EndorserBundle,
        key: &PublicKey,
    ) -> Result<&Asked, AcknowledgementError> {
        let asked = &self.asked;
        if asked.cluster != bundle.cluster || asked.incarnation != bundle.incarnation {
            return Err(AcknowledgementError::WrongCluster);
        }
        verify(key, Purpose::Renewal, &encode(asked)?, &self.signature)?;
        Ok(asked)
    }
}

#[cfg(test)]
mod tests;
