//! Whom a landmark apart from a controller takes for a peer: the roots of every operator, from its genesis on, as the
//! controllers of its own operator show the way.
//!
//! Must hold (D3, D4): every step is walked from what is held, so that no controller puts in a root that the operators did
//! not agree on. Nothing is kept: it begins again with the genesis, or with the package that its operator put there.

use super::alone::Members;
use super::limit::TRUST_EVERY;
use crate::trust::{Ground, roots};
use sekisho_evidence::package::TrustPackage;
use sekisho_proto::status::ApiError;
use sekisho_transport::bundle::TrustBundles;
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use std::sync::Arc;

/// Follows the trust of the federation.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) members: Arc<Members>,
    pub(super) bundles: Arc<TrustBundles>,
    /// The way as far as it was walked.
    pub(super) ground: Ground,
}

impl Follower {
    /// Until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "no way to the trust in force");
            }
            tokio::time::sleep(TRUST_EVERY).await;
        }
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let package = self.members.package().await?;
        self.walk(package).await
    }

    async fn walk(&mut self, package: Vec<u8>) -> Result<(), ApiError> {
        let bad = |why: String| ApiError::new(ErrorCode::BundleMismatch, why);
        let held = self.ground.trust.bundle.clone();
        let walking = tokio::task::spawn_blocking(move || {
            TrustPackage::open(&package).and_then(|package| package.walk(&held))
        });
        let trust = walking.await.map_err(|error| bad(error.to_string()))?;
        let trust = trust.map_err(|error| bad(explain(&error)))?;
        if trust.bundle.version <= self.ground.trust.bundle.version {
            return Ok(());
        }
        self.bundles.replace(&roots(&trust)).map_err(|error| bad(explain(&error)))?;
        tracing::info!(version = trust.bundle.version, "later trust is in force");
        self.ground.trust = trust;
        Ok(())
    }
}
