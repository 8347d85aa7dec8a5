//! Explanations, and whether a job fares as well as it was planned.
//!
//! Must hold: one question at a time is answered, on a thread of its own; what is kept between two of them is an index of nodes and
//! nothing else. A guard is judged when the job comes in: what happens between that and its entry is not seen.

use crate::call::Call;
use crate::core::Core;
use sekisho_fsm::State;
use sekisho_proto::convert::plan::PlanGuard;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_scheduler::{Explanation, Verdict};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::job::JobFacts;
use std::sync::Arc;

fn verdict_of(verdict: v1::explanation::Verdict) -> Option<Verdict> {
    match verdict {
        v1::explanation::Verdict::Unspecified => None,
        v1::explanation::Verdict::PlacedNow => Some(Verdict::PlacedNow),
        v1::explanation::Verdict::WouldWait => Some(Verdict::WouldWait),
        v1::explanation::Verdict::Never => Some(Verdict::Never),
    }
}

impl Core {
    /// Why a job is, or is not, placed on this state.
    pub(crate) async fn explained(
        &self,
        state: State,
        facts: JobFacts,
    ) -> Result<Explanation, ApiError> {
        let explainer = Arc::clone(&self.explainer);
        let found = tokio::task::spawn_blocking(move || explainer.lock().explain(&state, &facts));
        found.await.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
    }

    /// Refuses a job that would fare worse now than it was planned.
    pub(crate) async fn check_plan(
        &self,
        call: &Call,
        guard: &PlanGuard,
        facts: &JobFacts,
    ) -> Result<(), ApiError> {
        let state = self.read(call, None).await?;
        if state.revision() < guard.revision {
            let why = format!("this member is behind revision {}", guard.revision);
            return Err(ApiError::new(ErrorCode::StaleRead, why));
        }
        let Some(planned) = verdict_of(guard.verdict) else { return Ok(()) };
        let found = self.explained(state, facts.clone()).await?;
        if found.verdict <= planned {
            return Ok(());
        }
        let (was, is, now) = (guard.revision, found.verdict, found.basis);
        let code = found.binding.map(|code| code.to_string()).unwrap_or_default();
        let why = format!("at revision {was}: {planned}; at revision {now}: {is}, {code}");
        Err(ApiError::new(ErrorCode::PlanMoved, why))
    }
}
