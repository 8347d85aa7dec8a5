//! The opening of an incarnation: what operators agree on when a federation begins anew from a backup, because the quorum
//! of the one before it is gone for good.
//!
//! It is one more step of the endorser bundle ([`crate::terms::Terms::Open`]): whoever walks the bundles walks over it, and
//! the signatures under the bundle name all that stands here.
//!
//! Must hold (D4, R5, R6): it changes nobody's keys but puts its founders in the place of all endorsers; each company with
//! a founder signs it, and by that says that all its members of the incarnation before have ended for good; numbers of
//! members are never used twice, though nobody knows which ones a lost tail has given away, so each incarnation has a range
//! of its own.
//! Does not know the state: whether the others could still decide without those who signed is judged in apply.

use crate::bundle::{BundleError, EndorserBundle};
use crate::checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint, verify_note};
use crate::genesis::GenesisMember;
use crate::merkle::Head;
use crate::snapshot_file::LastLog;
use crate::terms::IssuedKey;
use sekisho_types::id::{Digest, NodeId, OperatorId, PublicKey, SiteId};
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the federation begins anew from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A member that survived, stopped: it may lack what the others had committed without it.
    Recovered,
    /// A backup: everything after it is lost.
    Restored,
}

/// The state that the incarnation begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Of the state.
    pub revision: Revision,
    /// Where its log ended.
    pub last: LastLog,
    /// Of its audit log.
    pub head: Head,
    /// SHA-256 of its image, as it stands in the snapshot file.
    pub image: Digest,
}

/// What must not come back with an older state (P5). What was taken away after the backup nobody can know from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Sites, with every node of them.
    pub sites: BTreeSet<SiteId>,
    /// Nodes.
    pub nodes: BTreeSet<NodeId>,
    /// Registered keys, whosever they are.
    pub keys: BTreeSet<PublicKey>,
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// From what.
    pub cause: Cause,
    /// When, by the clock of whoever prepared it.
    pub opened: Timestamp,
    /// The state that it begins from.
    pub restored: Restored,
    /// A note under k operators of the incarnation before, with the largest head that anybody presented, if that is past
    /// the restored one: shows how much is lost.
    #[serde(with = "crate::hexadecimal::optional")]
    pub highest: Option<Vec<u8>>,
    /// The first members, ordered; all of them vote.
    pub founders: Vec<GenesisMember>,
    /// What must not come back.
    pub withdrawn: Withdrawn,
    /// The keys of people that count from now on beside those of tenants and monitors, whose widening power is their
    /// own tenant's.
    pub keys: Vec<IssuedKey>,
    /// With fewer than three operators: one of them may hold a quorum alone (R5).
    pub accept_quorum_in_one_hand: bool,
}

impl Opening {
    /// The companies that open the incarnation: those with a founder.
    #[must_use]
    pub fn openers(&self) -> BTreeSet<&OperatorId> {
        self.founders.iter().map(|founder| &founder.operator).collect()
    }

    /// Checks what can be checked without a state: ordered founders with numbers of this incarnation.
    ///
    /// # Errors
    /// [`BundleError::Malformed`].
    pub fn check(&self, incarnation: Incarnation) -> Result<(), BundleError> {
        let bad = |why| Err(BundleError::Malformed(why));
        if self.founders.is_empty() || !self.founders.is_sorted_by(|a, b| a.member < b.member) {
            return bad("founders must be ordered and without doubles");
        }
        let numbers = incarnation.members();
        if self.founders.iter().any(|founder| !numbers.contains(&founder.member.0)) {
            return bad("a founder has a number of another incarnation");
        }
        Ok(())
    }

    /// Records under the largest head that was presented, as its note says: whether that stands is for [`Self::highest`].
    #[must_use]
    pub fn shown(&self) -> u64 {
        let restored = self.restored.head.size;
        let note = self.highest.as_deref().and_then(|note| Checkpoint::read(note).ok());
        note.map_or(restored, |checkpoint| checkpoint.head.size.max(restored))
    }

    /// What the note of the largest head says, under the bundle of the incarnation before.
    ///
    /// # Errors
    /// [`CheckpointError`] for a note that does not verify, or says no more than the restored state.
    pub fn highest(
        &self,
        before: &EndorserBundle,
    ) -> Result<Option<VerifiedCheckpoint>, CheckpointError> {
        let Some(note) = &self.highest else { return Ok(None) };
        let verified = verify_note(before, note)?;
        if verified.checkpoint.head.size <= self.restored.head.size {
            return Err(CheckpointError::Malformed);
        }
        Ok(Some(verified))
    }
}

#[cfg(test)]
pub(crate) mod tests;
