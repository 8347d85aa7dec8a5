//! What landmarks ask applied state, whether they are in this program or apart from it: who may be measured, by the rules
//! by which sessions are opened; and handing in what they measured of one another.
//!
//! Must hold: who is not enrolled or registered is refused; unknown is refused (D1). A landmark apart from a controller is
//! told what it needs, once it is registered, by an operator that is at home (D3).

use crate::core::Core;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::{SignedTranscript, Subject};
use sekisho_evidence::location::wire::Refusal;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_proto::status::ApiError;
use sekisho_types::id::{ClusterId, Digest, MemberId, NodeId, PublicKey};
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::{Incarnation, Revision};
use serde::{Deserialize, Serialize};

/// What applied state says when an exchange is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Federation.
    pub cluster: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The landmark as it stands in the table.
    pub landmark: Landmark,
    /// What the subject signs with.
    pub signing_key: PublicKey,
}

/// Judges whether a peer may be measured by a landmark, as whom it says that it is. `key` is the SHA-256 of the SPKI of its
/// certificate.
///
/// # Errors
/// [`Refusal::NotRegistered`] for the landmark, [`Refusal::NotEnrolled`] for the peer.
pub fn judge(
    state: &State,
    landmark: &LandmarkId,
    (peer, key): (&Principal, &Digest),
    subject: &Subject,
) -> Result<Standing, Refusal> {
    let federation = state.federation().ok_or(Refusal::NotRegistered)?;
    let landmark = registered(state, landmark).ok_or(Refusal::NotRegistered)?;
    let signing_key = match subject {
        Subject::Node(node) => node_key(state, node, (peer, key)),
        Subject::Landmark(id) => {
            registered(state, id).filter(|_| may_be_landmark(state, id, peer)).map(|row| row.key)
        }
    };
    Ok(Standing {
        cluster: federation.cluster,
        incarnation: federation.incarnation,
        landmark: landmark.clone(),
        signing_key: signing_key.ok_or(Refusal::NotEnrolled)?,
    })
}

/// Whether a landmark that runs apart from a controller may be told anything (D3): it is registered, which it is in Japan only,
/// and its operator has a site in Japan that stands.
#[must_use]
pub fn is_told(state: &State, id: &LandmarkId) -> bool {
    state.landmarks().get(id).is_some() && state.is_at_home(&id.operator)
}

fn registered<'s>(state: &'s State, id: &LandmarkId) -> Option<&'s Landmark> {
    state.landmarks().get(id).map(|(landmark, _reach)| landmark)
}

/// The receipt key of an enrolled node, if the peer is that node. One that two hosts claim to be has no place.
fn node_key(state: &State, id: &NodeId, (peer, key): (&Principal, &Digest)) -> Option<PublicKey> {
    let Workload::Agent { site, node } = &peer.workload else { return None };
    if *site != id.site || *node != id.name || state.site(site).is_none_or(|site| site.revoked) {
        return None;
    }
    let row = state.node(id).filter(|row| {
        row.operator == peer.operator
            && row.node_key == *key
            && !row.revoked
            && row.quarantine.is_none()
    })?;
    Some(row.receipt_key)
}

/// Whether the peer is that landmark, or a member of its operator, in which it may be.
fn may_be_landmark(state: &State, id: &LandmarkId, peer: &Principal) -> bool {
    if peer.operator != id.operator {
        return false;
    }
    match &peer.workload {
        Workload::Landmark { name } => *name == id.name,
        Workload::Member { site, member } => {
            let members = state.federation().map(|federation| &federation.members);
            members
                .and_then(|members| members.get(&MemberId(*member)))
                .is_some_and(|member| member.operator == peer.operator && member.site == *site)
        }
        Workload::Agent { .. } | Workload::User { .. } => false,
    }
}

impl Core {
    /// Hands in what landmarks measured of one another, in this member's name: both have signed it.
    ///
    /// # Errors
    /// `LOCATION_INVALID` if nothing of it counts; what a proposal comes to.
    pub async fn submit_range(
        &self,
        transcripts: Vec<SignedTranscript>,
    ) -> Result<Revision, ApiError> {
        let command = Command::SubmitRange { transcripts };
        self.write_for(self.identity.principal(), command, None).await
    }
}

#[cfg(test)]
mod tests;
