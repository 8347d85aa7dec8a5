//! Where a job is in its life.

use crate::v1;
use sekisho_types::job::JobPhase;

impl From<JobPhase> for v1::job::Phase {
    fn from(phase: JobPhase) -> Self {
        match phase {
            JobPhase::Queued => Self::Queued,
            JobPhase::Placed => Self::Placed,
            JobPhase::Running => Self::Running,
            JobPhase::Stopping => Self::Stopping,
            JobPhase::Succeeded => Self::Succeeded,
            JobPhase::Failed => Self::Failed,
            JobPhase::Cancelled => Self::Cancelled,
            JobPhase::Held => Self::Held,
        }
    }
}

/// The phase of a message; `None` for one that this program does not know.
#[must_use]
pub fn phase(phase: v1::job::Phase) -> Option<JobPhase> {
    match phase {
        v1::job::Phase::Unspecified => None,
        v1::job::Phase::Queued => Some(JobPhase::Queued),
        v1::job::Phase::Placed => Some(JobPhase::Placed),
        v1::job::Phase::Running => Some(JobPhase::Running),
        v1::job::Phase::Stopping => Some(JobPhase::Stopping),
        v1::job::Phase::Succeeded => Some(JobPhase::Succeeded),
        v1::job::Phase::Failed => Some(JobPhase::Failed),
        v1::job::Phase::Cancelled => Some(JobPhase::Cancelled),
        v1::job::Phase::Held => Some(JobPhase::Held),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_a_number_of_its_own() {
        for number in 1..9 {
            let message = v1::job::Phase::try_from(number).unwrap();
            assert_eq!(phase(message).map(v1::job::Phase::from), Some(message));
        }
        assert_eq!(phase(v1::job::Phase::Unspecified), None);
    }
}
