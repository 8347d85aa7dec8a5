//! Having the place of this host proven: timed exchanges with landmarks, a fix at a time (ADR 13).
//!
//! Must hold: as of [`exchange`], which landmarks do as well that others measure; every attempt ends (L3).
//!
//! Does not know what a fix proves, or where the table of landmarks comes from: [`Landmarks`] and [`Fixes`] are the calls.

pub mod attempts;
pub mod limit;
pub mod prover;

pub use sekisho_agent_core::location::OwnFix;
use sekisho_proto::status::ApiError;
pub use sekisho_transport::ranging::exchange;
pub use sekisho_transport::ranging::exchange::{Host, LandmarkAt, Via, read_via};
use sekisho_types::id::ClusterId;
use sekisho_types::revision::Incarnation;

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
