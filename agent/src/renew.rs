//! Renews certificate and site tag when two thirds of their life are over.
//!
//! Must hold: the key stays the same, because grants are made out to it; the answer is judged by what the host holds. What
//! is in use is replaced by the main loop alone, when the new enrolment is on disk.

use crate::agent::Event;
use crate::calls::Calls;
use crate::enrolment::Enrolment;
use crate::failure::Failure;
use crate::limit::{RENEW_LOOK, RENEW_PAUSE};
use arc_swap::ArcSwap;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::Key;
use sekisho_types::time::{Clock, Timestamp};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};

/// What the task works with.
#[derive(Debug)]
pub(crate) struct Renewer {
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calls: Arc<ArcSwap<Calls>>,
    pub(crate) events: mpsc::Sender<Event>,
    /// What is in use.
    pub(crate) held: watch::Receiver<Arc<Enrolment>>,
    /// Do not wait until it is due: the tag in use is worth nothing any more.
    pub(crate) now: Arc<Notify>,
}

/// When to renew what is valid from and until these instants.
fn due((from, until): (Timestamp, Timestamp)) -> Timestamp {
    from.plus_ms((until.since_ms(from) / 3).saturating_mul(2))
}

impl Renewer {
    pub(crate) async fn run(self) {
        loop {
            if self.clock.wall() < due(self.identity.validity()) {
                tokio::select! {
                    () = tokio::time::sleep(RENEW_LOOK) => continue,
                    () = self.now.notified() => {}
                }
            }
            match self.renew().await {
                Ok(renewed) => {
                    if self.events.send(Event::Renewed(Box::new(renewed))).await.is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    let (_, until) = self.identity.validity();
                    tracing::warn!(code = %failure.code, cause = failure.cause, %until, "certificate not renewed");
                }
            }
            // The main loop puts it in use meanwhile, or drops it, if the endorser bundle moved on under it.
            tokio::time::sleep(RENEW_PAUSE).await;
        }
    }

    async fn renew(&self) -> Result<Enrolment, Failure> {
        let unusable = |error: &dyn std::error::Error| Failure::host("the node's key", error);
        let held = Arc::clone(&self.held.borrow());
        let key = Key::from_pem(&held.secrets.key_pem).map_err(|error| unusable(&error))?;
        let csr = key.csr().map_err(|error| unusable(&error))?;
        let answer = self.calls.load_full().renew(csr).await?;
        held.renewed(&answer, &self.clock)
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
