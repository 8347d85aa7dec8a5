//! Where the prover of this host's place meets the rest of the agent.
//!
//! Must hold: the prover measures and nothing else; the core judges by itself, and hands each fix in in its own session.

use crate::agent::Event;
use crate::calls::Calls;
use crate::driver::{Driver, reason};
use crate::enrolment::Enrolment;
use crate::location::attempts::{Attempts, Wish};
use crate::location::{Fixes, LandmarkAt, Landmarks, Table};
use arc_swap::ArcSwap;
use sekisho_agent_core::location::OwnFix;
use sekisho_agent_core::reconcile::Input;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::location::verdict::Verdict;
use sekisho_proto::convert::landmark::{Reached, SubmitFix};
use sekisho_proto::internal::v1::AgentMessage;
use sekisho_proto::internal::v1::agent_message::{self, Proving};
use sekisho_proto::internal::v1::controller_message::Prove;
use sekisho_proto::status::ApiError;
use sekisho_types::id::Digest;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The prover's side.
#[derive(Debug, Clone)]
pub(crate) struct FixPort {
    pub(crate) calls: Arc<ArcSwap<Calls>>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl FixPort {
    /// The landmarks, and how they are reached. None of it is believed.
    ///
    /// # Errors
    /// That no member answered.
    pub(crate) async fn landmarks(&self) -> Result<Vec<Reached>, ApiError> {
        self.calls.load_full().landmarks().await
    }

    /// Hands a fix over. It is kept, and handed in in the session that is open and in each later one.
    pub(crate) async fn hand_over(&self, fix: OwnFix) {
        drop(self.events.send(Event::Core(Input::Measured(Box::new(fix)))).await);
    }
}

/// The rest of the agent, as the prover sees it.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) port: FixPort,
    /// Which federation it is in, and in which life of it.
    pub(crate) held: watch::Receiver<Arc<Enrolment>>,
}

impl Landmarks for Ends {
    async fn landmarks(&self) -> Result<Table, ApiError> {
        let (cluster, incarnation) = {
            let held = self.held.borrow();
            (held.bundle.cluster, held.bundle.incarnation)
        };
        let reached = self.port.landmarks().await?;
        let landmarks = reached.into_iter().filter_map(found_at).collect();
        Ok(Table { cluster, incarnation, landmarks })
    }
}

impl Fixes for Ends {
    async fn submit(&self, fix: OwnFix) -> Result<(), ApiError> {
        self.port.hand_over(fix).await;
        Ok(())
    }
}

/// What a member hears that wants this host proven now.
pub(crate) fn proving(attempts: &Attempts, ask: &Prove) -> AgentMessage {
    let (running, wait_ms) = match attempts.ask(Instant::now()) {
        Wish::Begins => (false, 0),
        Wish::Runs => (true, 0),
        // Never 0: that would be said of one that begins.
        Wish::In(left) => (false, u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)),
    };
    let told = Proving { request: ask.request, running, wait_ms };
    AgentMessage { message: Some(agent_message::Message::Proving(told)) }
}

/// One whose addresses cannot be read measures nobody.
fn found_at(reached: Reached) -> Option<LandmarkAt> {
    let (address, datagrams) = (reached.address.parse(), reached.datagrams.parse());
    let (Ok(address), Ok(datagrams)) = (address, datagrams) else {
        tracing::warn!(landmark = %reached.landmark.id, "its addresses cannot be read");
        return None;
    };
    Some(LandmarkAt { landmark: reached.landmark, address, datagrams: Some(datagrams) })
}

impl Driver {
    /// Gets the landmarks that a waiting set names.
    pub(crate) fn fetch_landmarks(&self, basis: Digest) {
        let calls = self.calls.load_full();
        self.beside("landmarks", async move {
            match calls.landmarks_named(&basis).await {
                Ok(table) => Input::Landmarks(Some(Box::new(table))),
                Err(error) => {
                    tracing::warn!(%basis, %error, "no landmarks of that name");
                    Input::Landmarks(None)
                }
            }
        });
    }

    /// Hands a fix in.
    pub(crate) fn submit_fix(&self, session: SessionId, own: OwnFix) {
        let calls = self.calls.load_full();
        let OwnFix { fix, transcripts } = own;
        let submit = SubmitFix { session, fix, transcripts };
        self.beside("fix", async move {
            match calls.submit_fix(&submit).await {
                Ok(verdict) => {
                    let proven = matches!(verdict, Some(Verdict::Proven(_)));
                    tracing::info!(transcripts = submit.transcripts.len(), proven, "fix taken");
                    Input::FixTold(fix, true)
                }
                Err(error) if error.code.is_retryable() || !error.explained => {
                    tracing::warn!(%error, "fix not delivered yet");
                    Input::FixTold(fix, false)
                }
                Err(error) => Input::FixRefused(reason(&error)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_hears_that_it_runs_before_the_first_attempt_is_over() {
        let attempts = Attempts::default();
        let AgentMessage { message: Some(agent_message::Message::Proving(told)) } =
            proving(&attempts, &Prove { request: 7 })
        else {
            panic!("something else")
        };
        assert_eq!((told.request, told.running, told.wait_ms), (7, true, 0));
    }
}
