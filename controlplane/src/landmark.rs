//! Landmarks: this controller times how long others take to answer, so that the speed of light bounds how far away they
//! are (ADR 13).
//!
//! Must hold: who is not enrolled in applied state is refused before anything is timed; nothing is sent by UDP to an
//! address from which nobody has shown the cookie that went over TLS; nothing is signed but what was measured here, and
//! not before its subject has signed it; one exchange at a time, each of a bounded time, and none of one subject twice a
//! minute (L3, L4).
//!
//! Does not know what a delay proves: `sekisho_evidence::location::verdict`. That landmarks measure each other is not done
//! here; one that does is a subject like an agent, which [`Directory`] admits already.

pub mod applied;
pub mod limit;
mod recent;
mod rounds;
pub mod server;

use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::location::wire::Refusal;
use sekisho_transport::identity::PeerIdentity;
use sekisho_types::id::{ClusterId, PublicKey};
use sekisho_types::revision::Incarnation;
use std::fmt;

/// What applied state says when an exchange is asked for.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Federation.
    pub cluster: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// This landmark as it stands in the table.
    pub landmark: Landmark,
    /// What the subject signs with.
    pub signing_key: PublicKey,
}

/// Who may be measured, by applied state.
pub trait Directory: fmt::Debug + Send + Sync + 'static {
    /// Judges a peer, as whom it says that it is, for a landmark.
    ///
    /// # Errors
    /// [`Refusal::NotRegistered`] for the landmark, [`Refusal::NotEnrolled`] for the peer.
    fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal>;
}

#[cfg(test)]
mod tests;
