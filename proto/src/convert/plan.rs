//! What was planned of a job, told when it is submitted.

use crate::field::{FieldError, FieldResult};
use crate::v1::{self, explanation::Verdict};
use sekisho_types::revision::Revision;

/// What a job was planned to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanGuard {
    /// Of which state.
    pub revision: Revision,
    /// Never unspecified.
    pub verdict: Verdict,
}

impl PlanGuard {
    /// Reads that of a request, if it has one.
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn of(message: Option<&v1::PlanGuard>) -> FieldResult<Option<Self>> {
        let Some(message) = message else { return Ok(None) };
        let verdict = message.verdict();
        if verdict == Verdict::Unspecified {
            return Err(FieldError::new("if_plan.verdict", "must be given"));
        }
        Ok(Some(Self { revision: Revision(message.revision), verdict }))
    }
}

impl From<PlanGuard> for v1::PlanGuard {
    fn from(guard: PlanGuard) -> Self {
        Self { revision: guard.revision.0, verdict: guard.verdict.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_round_trips_and_one_without_a_verdict_is_refused() {
        assert_eq!(PlanGuard::of(None), Ok(None));
        let guard = PlanGuard { revision: Revision(4711), verdict: Verdict::WouldWait };
        assert_eq!(PlanGuard::of(Some(&guard.into())), Ok(Some(guard)));
        let bad = v1::PlanGuard { revision: 1, verdict: 0 };
        assert_eq!(PlanGuard::of(Some(&bad)).unwrap_err().field, "if_plan.verdict");
        // What this program does not know, it does not take for something else.
        let later = v1::PlanGuard { revision: 1, verdict: 99 };
        assert_eq!(PlanGuard::of(Some(&later)).unwrap_err().field, "if_plan.verdict");
    }
}
