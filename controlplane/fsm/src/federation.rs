//! The federation itself: who takes part, whose signatures count, how it began and what was agreed since.
//!
//! Must hold: changed by genesis and by agreements of the companies only (A3, R5).

use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::{GenesisMember, SignedGenesis};
use sekisho_evidence::operator::BundleRoot;
use sekisho_evidence::package::{TrustPackage, begun, opening};
use sekisho_evidence::terms::Agreement;
use sekisho_types::id::{ClusterId, Digest, MemberId, OperatorId};
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a member shall be in the Raft group. The leader's membership duty makes the group follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Receives the log only.
    Learner,
    /// Counts for a majority.
    Voter,
    /// Out for good. The row stays, because a member's id is never used again.
    Removed,
}

/// What genesis fixed and ceremonies may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federation {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The entry that opened it; 0 in the first incarnation. What is older is of a life before.
    pub opened: Revision,
    /// Whose checkpoint signatures count.
    pub bundle: EndorserBundle,
    /// Controllers that take part, by Raft id. One that was removed is not among them.
    pub members: BTreeMap<MemberId, GenesisMember>,
    /// What each of them shall be, and who was removed.
    pub standings: BTreeMap<MemberId, Standing>,
    /// The root certificates that the bundle names.
    pub roots: Vec<BundleRoot>,
    /// When an operator began to replace keys, on the state clock, until it is finished.
    pub rotations: BTreeMap<OperatorId, Timestamp>,
    /// The signed beginning.
    pub genesis: Arc<SignedGenesis>,
    /// Every change of the bundle since, so that whoever holds an older one can follow.
    pub agreements: Vec<Arc<Agreement>>,
    /// Jurisdiction table of the federation.
    pub table: Digest,
    /// Made by `sekisho dev`.
    pub dev: bool,
}

impl Federation {
    /// What a member shall be; `None` for an id that was never used.
    #[must_use]
    pub fn standing(&self, member: MemberId) -> Option<Standing> {
        self.standings.get(&member).copied()
    }

    /// By which this life of this federation is told from every other.
    #[must_use]
    pub fn begun(&self) -> Digest {
        let opened = self.agreements.iter().rev().find(|agreement| opening(agreement).is_some());
        begun(&self.genesis, opened.map(|agreement| agreement.as_ref()))
    }

    /// What leads from any earlier bundle to the one in force.
    #[must_use]
    pub fn package(&self) -> TrustPackage {
        TrustPackage {
            genesis: Arc::clone(&self.genesis),
            steps: self.agreements.clone(),
            members: self.members.values().cloned().collect(),
        }
    }

    /// Members that shall vote.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<MemberId> {
        let voters = self.standings.iter().filter(|(_, standing)| **standing == Standing::Voter);
        voters.map(|(member, _)| *member).collect()
    }
}
