//! Where the prover of this host's place meets the rest of the agent.
//!
//! Must hold: the prover measures and nothing else; the core judges by itself, and hands each fix in in its own session.

use crate::agent::Event;
use crate::calls::Calls;
use crate::driver::{Driver, reason};
use arc_swap::ArcSwap;
use sekisho_agent_core::location::OwnFix;
use sekisho_agent_core::reconcile::Input;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_evidence::location::verdict::Verdict;
use sekisho_proto::convert::landmark::{Reached, SubmitFix};
use sekisho_proto::status::ApiError;
use sekisho_types::id::Digest;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The prover's side.
#[derive(Debug, Clone)]
pub struct FixPort {
    pub(crate) instance: Instance,
    pub(crate) calls: Arc<ArcSwap<Calls>>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl FixPort {
    /// The start of the agent that transcripts have to name.
    #[must_use]
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// The landmarks, and how they are reached. None of it is believed.
    ///
    /// # Errors
    /// That no member answered.
    pub async fn landmarks(&self) -> Result<Vec<Reached>, ApiError> {
        self.calls.load_full().landmarks().await
    }

    /// Hands a fix over. It is kept, and handed in in the session that is open and in each later one.
    pub async fn hand_over(&self, fix: OwnFix) {
        drop(self.events.send(Event::Core(Input::Measured(Box::new(fix)))).await);
    }
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
