//! What the audit log tells an agent: grants and desired sets.
//!
//! Must hold: a grant carries everything that the agent judges by (D4), so that a lying controller can withhold but
//! not invent; `NodeDesired` commits to the whole set of a node, so a set cannot be mixed from two moments (P2).

use crate::canonical::{CanonicalError, encode};
use sekisho_types::id::{ClusterId, DeviceClass, Digest, JobId, NodeId, PolicyId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::principal::Principal;
use sekisho_types::rare::Rare;
use sekisho_types::residency::Rules;
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use sekisho_types::sharing::Sharing;
use serde::{Deserialize, Serialize};

/// One run of an agent: made anew at each start, so that a copied host shows as a second session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// One start of an agent: made anew by each, told with each stream. A session belongs to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance(pub [u8; 16]);

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// One residency rule set that binds a grant, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundRules {
    /// The named policy and its version; `None` for the job's own rules.
    pub policy: Option<(PolicyId, Revision)>,
    /// The rules as they stood.
    pub rules: Rare<Rules>,
}

/// What a grant of a share says beside its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// SHA-256 of the id of the one device that it is of.
    pub device: Digest,
    /// With whom the job has agreed to share it.
    pub with: Sharing,
}

/// Permission to run one member of a job's group on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which federation.
    pub cluster: ClusterId,
    /// The placement, with its fencing epoch.
    pub placement: PlacementId,
    /// The job.
    pub job: JobId,
    /// Number of this member within the group, from 0.
    pub rank: u32,
    /// Size of the group.
    pub group: u32,
    /// The node.
    pub node: NodeId,
    /// SHA-256 of the node's SPKI: its certificate key.
    pub node_key: Digest,
    /// The session that it is made out to.
    pub session: SessionId,
    /// Device class of the bucket.
    pub class: DeviceClass,
    /// Memory of each device, MiB.
    pub memory_mib: u64,
    /// Compute slices of each device; 0 = not told.
    pub units: u32,
    /// NVLink island of the bucket.
    pub island: u16,
    /// GPUs.
    pub gpus: u32,
    /// The share of a device that other jobs compute on too; none = nobody else does.
    pub share: Option<Share>,
    /// Every rule set that binds the job; all must allow the node (D1).
    pub rules: Vec<BoundRules>,
    /// Hash of the jurisdiction table that was judged by.
    pub table: Digest,
    /// What proofs of places were judged by: [`basis`](crate::location::landmark::LandmarkTable::basis).
    pub landmarks: Digest,
    /// Who submitted.
    pub submitter: Principal,
    /// SHA-256 of the payload.
    pub payload: Digest,
    /// SHA-256 of the [`Submission`](crate::submission::Submission): what the submitter signed.
    pub submission: Digest,
    /// Mode on loss of contact.
    pub on_disconnect: OnDisconnect,
    /// Longest run time, seconds.
    pub time_limit_s: u64,
}

/// What one node should be running from a revision on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDesired {
    /// Which federation.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// The entry that made the set, as an epoch: the node's next fence floor.
    pub epoch: Epoch,
    /// Placements in the set.
    pub count: u32,
    /// [`set_hash`] of the set.
    pub hash: Digest,
}

impl Grant {
    /// With whom the job shares its device.
    #[must_use]
    pub fn sharing(&self) -> Sharing {
        self.share.map_or(Sharing::Alone, |share| share.with)
    }

    /// SHA-256 of the canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&encode(self)?))
    }
}

/// Hash of a desired set: SHA-256 over the grants' digests in the order of their placements.
///
/// The caller passes them in that order; an empty set has the hash of no bytes.
#[must_use]
pub fn set_hash(grants: impl IntoIterator<Item = Digest>) -> Digest {
    let bytes: Vec<u8> = grants.into_iter().flat_map(|digest| digest.0).collect();
    Digest::of(&bytes)
}
