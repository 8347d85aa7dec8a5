//! Having the place of this host proven: timed exchanges with landmarks, a fix at a time (ADR 13).
//!
//! Must hold: nothing is signed but a transcript of an exchange that was had here, of this host, this start of its program
//! and a landmark as the table has it (`sekisho_evidence::location::subject`); nonces are answered on a thread that does
//! nothing else, because whatever the executor adds to a delay makes the host seem farther away; every attempt ends (L3).
//!
//! Does not know what a fix proves, or where the table of landmarks comes from: [`Landmarks`] and [`Fixes`] are the calls.

mod answering;
pub mod attempts;
pub mod exchange;
pub mod limit;
pub mod prover;

pub use sekisho_agent_core::location::OwnFix;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::Subject;
use sekisho_proto::status::ApiError;
use sekisho_transport::address::Address;
use sekisho_transport::dial::Dialer;
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Addresses of landmarks for datagrams that count in place of the registered ones: forwarders stand there.
pub type Via = BTreeMap<LandmarkId, Address>;

/// A landmark and where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandmarkAt {
    /// As it stands in the table.
    pub landmark: Landmark,
    /// For the connection.
    pub address: Address,
    /// For datagrams; without it the port that the landmark tells, where it was dialled.
    pub datagrams: Option<Address>,
}

/// The landmarks of a federation, as of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which federation.
    pub cluster: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// All of them.
    pub landmarks: Vec<LandmarkAt>,
}

/// Tells the landmarks.
pub trait Landmarks: Send + Sync {
    /// The table in force, believed by its hash alone.
    ///
    /// # Errors
    /// There is no way to it now.
    fn landmarks(&self) -> impl Future<Output = Result<Table, ApiError>> + Send;
}

/// Takes fixes.
pub trait Fixes: Send + Sync {
    /// Hands over a fix.
    ///
    /// # Errors
    /// It was not taken.
    fn submit(&self, fix: OwnFix) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// Who is measured, and what it has for it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name.
    pub subject: Subject,
    /// SHA-256 of the SPKI of its certificate.
    pub subject_key: Digest,
    /// This start of the program.
    pub instance: Instance,
    /// What it signs transcripts with.
    pub receipt_key: SigningKey,
    /// Dials with its certificate.
    pub dialer: Dialer,
    /// The wall clock, to compare with the landmark's.
    pub clock: Arc<dyn Clock>,
    /// Where something forwards.
    pub via: Via,
}
