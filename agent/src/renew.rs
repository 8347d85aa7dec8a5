//! Renews certificate and site tag when two thirds of their life are over.
//!
//! Must hold: the key stays the same, because grants are made out to it; the answer is judged as that of a join was;
//! what is in use is replaced only when the new enrolment is on disk.

use crate::agent::Event;
use crate::calls::Calls;
use crate::enrolment::{Enrolment, Pinned, PinnedBundle};
use crate::failure::Failure;
use crate::limit::{RENEW_LOOK, RENEW_PAUSE};
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::Key;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::time::{Clock, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Renewer {
    pub(crate) data_dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// When to renew what is valid from and until these instants.
fn due((from, until): (Timestamp, Timestamp)) -> Timestamp {
    from.plus_ms((until.since_ms(from) / 3).saturating_mul(2))
}

impl Renewer {
    pub(crate) async fn run(self, mut enrolment: Enrolment) {
        loop {
            if self.clock.wall() < due(self.identity.validity()) {
                tokio::time::sleep(RENEW_LOOK).await;
                continue;
            }
            match self.renew(&enrolment).await {
                Ok(renewed) => {
                    enrolment = renewed;
                    let told = Event::Renewed(Box::new(enrolment.clone()));
                    if self.events.send(told).await.is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    let (_, until) = self.identity.validity();
                    tracing::warn!(code = %failure.code, cause = failure.cause, %until, "certificate not renewed");
                }
            }
            tokio::time::sleep(RENEW_PAUSE).await;
        }
    }

    async fn renew(&self, old: &Enrolment) -> Result<Enrolment, Failure> {
        let unusable = |error: &dyn std::error::Error| Failure::host("the node's key", error);
        let key = Key::from_pem(&old.secrets.key_pem).map_err(|error| unusable(&error))?;
        let csr = key.csr().map_err(|error| unusable(&error))?;
        let answer = self.calls.renew(csr).await?;
        let own = old.bundle.keys(&old.operator);
        let own =
            own.ok_or_else(|| Failure::new(ErrorCode::OperatorUnknown, old.operator.as_str()))?;
        let (node, bundle) = (&old.node, PinnedBundle::Held(&old.bundle));
        let pinned = Pinned { node, bundle, root_hash: own.root_hash };
        let renewed = Enrolment::judge(pinned, old.secrets.clone(), &answer, &self.clock)?;
        let (data_dir, copy) = (self.data_dir.clone(), renewed.clone());
        let stored = tokio::task::spawn_blocking(move || copy.store(&data_dir)).await;
        stored.map_err(|error| Failure::host("enrolment", &error))??;
        self.identity
            .renew(&renewed.chain_pem, &renewed.secrets.key_pem)
            .map_err(|error| Failure::new(ErrorCode::Unauthenticated, error.to_string()))?;
        Ok(renewed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_at_two_thirds_of_the_life() {
        let day = 86_400_000;
        assert_eq!(due((Timestamp(day), Timestamp(2 * day))), Timestamp(day + 57_600_000));
        assert_eq!(due((Timestamp(5), Timestamp(5))), Timestamp(5));
    }
}
