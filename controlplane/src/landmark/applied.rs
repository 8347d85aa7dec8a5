//! Who may be measured, as applied state has it: the rules by which sessions are opened.

use super::{Directory, Standing};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::location::wire::Refusal;
use sekisho_fsm::State;
use sekisho_raft::consensus::Consensus;
use sekisho_transport::identity::PeerIdentity;
use sekisho_types::id::{MemberId, NodeId, PublicKey};
use sekisho_types::principal::Workload;

/// Where the table of landmarks is looked up in a state.
pub type Registered = fn(&State, &LandmarkId) -> Option<Landmark>;

/// The applied state of this member.
#[derive(Debug)]
pub struct Applied {
    /// Whose.
    pub consensus: Consensus,
    /// The table of landmarks.
    pub registered: Registered,
}

impl Directory for Applied {
    fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        judge(&self.consensus.view().state, self.registered, landmark, peer, subject)
    }
}

/// Judges by a state.
///
/// # Errors
/// See [`Directory::judge`].
pub fn judge(
    state: &State,
    registered: Registered,
    landmark: &LandmarkId,
    peer: &PeerIdentity,
    subject: &Subject,
) -> Result<Standing, Refusal> {
    let federation = state.federation().ok_or(Refusal::NotRegistered)?;
    let landmark = registered(state, landmark).ok_or(Refusal::NotRegistered)?;
    let signing_key = match subject {
        Subject::Node(node) => node_key(state, node, peer),
        Subject::Landmark(id) => {
            registered(state, id).filter(|_| may_be_landmark(state, id, peer)).map(|row| row.key)
        }
    };
    Ok(Standing {
        cluster: federation.cluster,
        incarnation: federation.incarnation,
        landmark,
        signing_key: signing_key.ok_or(Refusal::NotEnrolled)?,
    })
}

/// The receipt key of an enrolled node, if the peer is that node. One that two hosts claim to be has no place.
fn node_key(state: &State, id: &NodeId, peer: &PeerIdentity) -> Option<PublicKey> {
    let Workload::Agent { site, node } = &peer.principal.workload else { return None };
    if *site != id.site || *node != id.name || state.site(site).is_none_or(|site| site.revoked) {
        return None;
    }
    let row = state.node(id).filter(|row| {
        row.operator == peer.principal.operator
            && row.node_key == peer.spki_sha256
            && !row.revoked
            && row.quarantine.is_none()
    })?;
    Some(row.receipt_key)
}

/// Whether the peer is a member of the landmark's operator.
fn may_be_landmark(state: &State, id: &LandmarkId, peer: &PeerIdentity) -> bool {
    let Workload::Member { site, member } = &peer.principal.workload else { return false };
    let members = state.federation().map(|federation| &federation.members);
    members.and_then(|members| members.get(&MemberId(*member))).is_some_and(|member| {
        member.operator == peer.principal.operator
            && member.site == *site
            && member.operator == id.operator
    })
}
