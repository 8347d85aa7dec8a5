//! Landmarks: this program times how long others take to answer, so that the speed of light bounds how far away they are
//! (ADR 13); and has itself timed by the landmarks of other operators.
//!
//! Must hold: who is not enrolled in applied state is refused before anything is timed; nothing is sent by UDP to an
//! address from which nobody has shown the cookie that went over TLS; nothing is signed but what was measured here, and
//! not before its subject has signed it; one exchange at a time, each of a bounded time, and none of one subject twice a
//! minute (L3, L4).
//!
//! A landmark is in a controller, and reads its applied state ([`Applied`]), or apart from one ([`alone`]), and asks the
//! controllers of its operator. Does not know what a delay proves: `sekisho_evidence::location::{verdict, range}`.

pub mod alone;
pub mod limit;
pub mod ranging;
mod recent;
mod rounds;
pub mod server;
pub mod trust;

pub use sekisho_api::landmark::Standing;

use sekisho_api::core::Core;
use sekisho_api::landmark::judge;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::transcript::{SignedTranscript, Subject};
use sekisho_evidence::location::wire::Refusal;
use sekisho_proto::convert::landmark::{Addresses, Reached};
use sekisho_proto::status::ApiError;
use sekisho_raft::consensus::Consensus;
use sekisho_transport::identity::PeerIdentity;
use sekisho_types::error_code::ErrorCode;
use std::fmt;
use std::sync::Arc;

/// Who may be measured, by applied state.
#[tonic::async_trait]
pub trait Directory: fmt::Debug + Send + Sync + 'static {
    /// Judges a peer, as whom it says that it is, for a landmark.
    ///
    /// # Errors
    /// [`Refusal::NotRegistered`] for the landmark, [`Refusal::NotEnrolled`] for the peer, [`Refusal::Failed`] while it
    /// cannot be known.
    async fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal>;
}

/// The other landmarks, and what becomes of what they measured.
#[tonic::async_trait]
pub trait Others: fmt::Debug + Send + Sync + 'static {
    /// All landmarks, and how they are reached.
    ///
    /// # Errors
    /// There is no way to them now.
    async fn addresses(&self) -> Result<Addresses, ApiError>;

    /// Hands in what landmarks measured of one another.
    ///
    /// # Errors
    /// It was not taken.
    async fn submit(&self, transcripts: Vec<SignedTranscript>) -> Result<(), ApiError>;
}

/// The applied state of this member.
#[derive(Debug)]
pub struct Applied {
    /// Where it is read.
    pub consensus: Consensus,
    /// What hands in.
    pub core: Arc<Core>,
}

#[tonic::async_trait]
impl Directory for Applied {
    async fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        let view = self.consensus.view();
        judge(&view.state, landmark, (&peer.principal, &peer.spki_sha256), subject)
    }
}

#[tonic::async_trait]
impl Others for Applied {
    async fn addresses(&self) -> Result<Addresses, ApiError> {
        let view = self.consensus.view();
        let begun = || ApiError::new(ErrorCode::WrongCluster, "the federation has not begun");
        let federation = view.state.federation().ok_or_else(begun)?;
        let reached = view.state.landmarks().iter().map(|(_, (landmark, reach))| Reached {
            landmark: landmark.clone(),
            address: reach.address.clone(),
            datagrams: reach.datagrams.clone(),
        });
        Ok(Addresses {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            landmarks: reached.collect(),
        })
    }

    async fn submit(&self, transcripts: Vec<SignedTranscript>) -> Result<(), ApiError> {
        self.core.submit_range(transcripts).await.map(drop)
    }
}
