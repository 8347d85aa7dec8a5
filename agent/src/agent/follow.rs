//! Moving on to the endorser bundle in force, with the roots and members that it names, and putting a renewed certificate
//! in use. What the core decided comes as [`sekisho_agent_core::reconcile::Action::Trusted`].
//!
//! Must hold (D4): the ledger is on disk before the enrolment, the enrolment before its roots are used; so a crash between
//! them leaves an agent that trusts what it trusted before, and follows again when it is told. Nothing that runs is touched.

use super::{Agent, Event, blocking};
use crate::durable;
use crate::enrolment::Enrolment;
use crate::failure::Failure;
use sekisho_agent_core::reconcile::Input;
use sekisho_evidence::package::{PACKAGE_MAX, Trust, TrustPackage};
use sekisho_transport::task::TaskKind;
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: durable::Magic = *b"SKTRUST\x01";

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("package")
}

/// Lays a trust package into a data directory, where the agent finds it within [`crate::limit::LOOK_EVERY`]: for a host
/// that was away so long that no member has a root that it trusts.
///
/// # Errors
/// `INVALID_ARGUMENT` for anything but a package that leads on from what the host holds.
pub fn accept(data_dir: &Path, file: &Path) -> Result<(), Failure> {
    let invalid = |cause: String| {
        Failure::new(ErrorCode::InvalidArgument, format!("{}: {cause}", file.display()))
            .remedy("Get a package with `sekisho member package FILE`.")
    };
    let bytes = std::fs::read(file).map_err(|error| invalid(error.to_string()))?;
    let package = TrustPackage::open(&bytes).map_err(|error| invalid(explain(&error)))?;
    let enrolment = Enrolment::load(data_dir)?;
    let held = enrolment.ok_or_else(|| invalid("this host has not joined".to_owned()))?;
    package.walk(&held.bundle).map_err(|error| invalid(explain(&error)))?;
    let laid = durable::write(&path(data_dir), MAGIC, &bytes);
    laid.map_err(|error| Failure::new(ErrorCode::StorageFailed, explain(&error)))
}

impl Agent {
    /// A package that was laid there by hand. Taken away when it was read, so that a bad one is told of once.
    pub(super) fn laid_there(&self) -> Option<Input> {
        let path = path(&self.data_dir);
        let bytes = match durable::read(&path, MAGIC, PACKAGE_MAX.try_into().unwrap_or(u64::MAX)) {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(cause = explain(&error), "the trust package cannot be read");
                return None;
            }
        };
        if let Err(error) = durable::remove(&path) {
            tracing::warn!(cause = explain(&error), "the trust package cannot be taken away");
        }
        match TrustPackage::open(&bytes) {
            Ok(package) => Some(Input::Trust(Box::new(package))),
            Err(error) => {
                tracing::warn!(%error, "the trust package is not readable");
                None
            }
        }
    }

    /// A member has told of a later bundle: gets the way to it, one at a time.
    pub(super) fn look_for_trust(&mut self) {
        if self.told <= self.enrolment.bundle.version || self.fetching {
            return;
        }
        self.fetching = true;
        let (calls, events) = (self.driver.calls.load_full(), self.driver.link.events.clone());
        let held = self.core.ledger().bundle().clone();
        self.driver.tasks.spawn(TaskKind::Ordinary, "fetch-trust", async move {
            let fetched = calls.trust(&held).await.map(Box::new);
            drop(events.send(Event::Fetched(fetched)).await);
        });
    }

    pub(super) fn fetched(
        &mut self,
        fetched: Result<Box<TrustPackage>, sekisho_proto::status::ApiError>,
    ) -> Vec<Input> {
        self.fetching = false;
        match fetched {
            Ok(package) => vec![Input::Trust(package)],
            Err(error) => {
                tracing::warn!(%error, "no way to the endorser bundle in force yet");
                Vec::new()
            }
        }
    }

    async fn store(&self, enrolment: &Enrolment) -> Result<(), Failure> {
        let (data_dir, enrolment) = (self.data_dir.clone(), enrolment.clone());
        blocking(move || enrolment.store(&data_dir)).await
    }

    /// Uses what the core follows from now on: the ledger holds it already.
    pub(super) async fn trusted(&mut self, trust: &Trust) -> Result<Input, Failure> {
        let enrolment = self.enrolment.moved(trust);
        self.store(&enrolment).await?;
        // Roots that this host cannot use are those of before: better than none.
        if let Err(failure) = enrolment.put_in_force(&self.trust) {
            tracing::error!(code = %failure.code, cause = failure.cause, "roots not taken");
        }
        self.driver.turn_to(&enrolment.members, self.core.ledger())?;
        tracing::info!(version = trust.bundle.version, "follows the endorser bundle");
        let standing = enrolment.standing(&trust.bundle);
        self.put_in_use(enrolment);
        Ok(standing.map_or_else(
            |failure| {
                tracing::warn!(code = %failure.code, cause = failure.cause, "the tag must be renewed");
                self.renew_now.notify_one();
                Input::Untagged
            },
            |standing| Input::Standing(Box::new(standing)),
        ))
    }

    fn put_in_use(&mut self, enrolment: Enrolment) {
        self.held.send_replace(Arc::new(enrolment.clone()));
        self.enrolment = enrolment;
    }

    /// A renewed certificate and tag, unless the bundle has moved on since they were judged: the renewer tries again.
    pub(super) async fn renewed(&mut self, renewed: Enrolment) -> Result<Vec<Input>, Failure> {
        if renewed.bundle != self.enrolment.bundle {
            self.renew_now.notify_one();
            return Ok(Vec::new());
        }
        let standing = renewed.standing(self.core.ledger().bundle())?;
        self.store(&renewed).await?;
        self.identity
            .renew(&renewed.chain_pem, &renewed.secrets.key_pem)
            .map_err(|error| Failure::new(ErrorCode::Unauthenticated, error.to_string()))?;
        self.driver.turn_to(&renewed.members, self.core.ledger())?;
        self.put_in_use(renewed);
        self.driver.fetch_site_keys(self.core.ledger());
        Ok(vec![Input::Standing(Box::new(standing))])
    }
}
