//! Which commands are answered once for each request id (R3).

use crate::command::Command;

/// Whether answers to this command are kept by request id (R3): what people and pipelines send. Commands of members
/// and agents are idempotent by their content.
#[must_use]
pub fn is_deduplicated(command: &Command) -> bool {
    match command {
        Command::Bootstrap(_)
        | Command::Tick
        | Command::EnrollNode { .. }
        | Command::RenewTag { .. } => false,
        Command::OpenSession { .. } | Command::Report { .. } | Command::Refuse { .. } => false,
        Command::ExpireLease { .. } | Command::CommitPlacement { .. } => false,
        Command::RaiseFeatureLevel { .. } | Command::OpenIncarnation { .. } => false,
        Command::Adopt { .. } | Command::EvictDrained { .. } | Command::QuarantineNode { .. } => {
            false
        }
        Command::RegisterKey { .. } | Command::RevokeKey { .. } => true,
        Command::CreateSite { .. } | Command::RevokeSite { .. } => true,
        Command::CreateToken { .. } | Command::SetSchedulable { .. } => true,
        Command::RevokeNode { .. } | Command::PutTenant { .. } | Command::PutPolicy { .. } => true,
        Command::SetQuota { .. } | Command::SubmitJob { .. } | Command::CancelJob { .. } => true,
        Command::Batch(_) | Command::ReleaseNode { .. } => true,
        Command::DrainNode { .. } | Command::UndrainNode { .. } => true,
        Command::ApproveNode { .. } | Command::DecommissionNode { .. } => true,
        Command::ReportFitness { .. } | Command::SubmitFix { .. } => false,
        Command::EvictDenied { .. } | Command::SubmitRange { .. } | Command::Preempt(_) => false,
        Command::RegisterLandmark { .. } | Command::RemoveLandmark { .. } => true,
        Command::PutSiteKey(_) | Command::FoundPayload(_) => false,
        Command::Countersign { .. } | Command::RecordJournal(_) => false,
        // The same key once more changes nothing.
        Command::Login(_) => false,
        Command::ResealJob { .. } | Command::ReplaceJob { .. } => true,
        Command::StopReplicas { .. } => false,
        Command::UpdateSite { .. } => true,
        Command::DeletePolicy { .. } | Command::DeleteTenant { .. } => true,
        Command::SetBudget { .. } | Command::SetEscrow { .. } => true,
        Command::PutOffer { .. } | Command::WithdrawOffer { .. } => true,
        Command::Veto { .. } | Command::LiftVeto { .. } => true,
        Command::PutReservation(_) | Command::DeleteReservation(_) => true,
        Command::SetPowerCap { .. } => true,
        Command::ChangeBundle(_) | Command::SetVoter { .. } | Command::SetMemberAddress { .. } => {
            true
        }
        Command::Propose { .. } | Command::SignApproval { .. } | Command::RefuseApproval { .. } => {
            true
        }
        Command::BreakGlass { .. } | Command::EndBreakGlass { .. } => true,
    }
}
