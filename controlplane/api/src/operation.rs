//! Operations as views of the state: what goes on after a call was answered, and how far it is.
//!
//! Must hold: nothing is stored for an operation, so every member tells of the same ones, and one is over when what it is
//! about is over; whoever may not read that does not learn that there is one. What it waits for is as far as the answering
//! member knows.

use crate::call::{Call, not_found};
use crate::core::Core;
use crate::service::node::drain_message;
use crate::service::policy::{beside, readable};
use crate::service::{count, site};
use crate::status::Health;
use sekisho_evidence::terms::Terms;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::{Drain, Node, Policy, Site, Standing};
use sekisho_proto::google::longrunning::{Operation, operation::Result as Done};
use sekisho_proto::name::Resource as _;
use sekisho_proto::operation::{Aim, OperationId, nothing, pack};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_proto::v1::operation_metadata::Kind;
use sekisho_types::id::{MemberId, NodeId, PolicyId, SiteId};
use sekisho_types::placement::Phase;
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What follows from a command, if one thing does; its revision is that of the entry.
pub(crate) fn follows(command: &Command) -> Option<OperationId> {
    let none = Revision(0);
    match command {
        Command::DrainNode { node, .. } => Some(OperationId::Drain(node.clone(), none)),
        Command::PutPolicy { policy, .. } => Some(OperationId::Enforcement(policy.clone(), none)),
        Command::RevokeSite { site } => Some(OperationId::WindDown(site.clone(), none)),
        Command::SetVoter { member, voter, .. } => {
            let aim = if *voter { Aim::Voter } else { Aim::Learner };
            Some(OperationId::Membership(*member, aim))
        }
        Command::ChangeBundle(agreement) => match &agreement.terms {
            Terms::AddMember(newcomer) => {
                Some(OperationId::Membership(newcomer.member, Aim::Learner))
            }
            Terms::RemoveMember(member) => Some(OperationId::Membership(*member, Aim::Removed)),
            Terms::AddOperator(_)
            | Terms::RemoveOperator(_)
            | Terms::RotateOperator { .. }
            | Terms::Open(_) => None,
        },
        Command::Bootstrap(_) | Command::Tick | Command::Batch(_) => None,
        Command::RegisterKey { .. } | Command::RevokeKey { .. } | Command::CreateSite { .. } => {
            None
        }
        Command::CreateToken { .. } | Command::EnrollNode { .. } | Command::RenewTag { .. } => None,
        Command::OpenSession { .. } | Command::Report { .. } | Command::Refuse { .. } => None,
        Command::ExpireLease { .. } | Command::SetSchedulable { .. } => None,
        Command::RevokeNode { .. } | Command::PutTenant { .. } | Command::SetQuota { .. } => None,
        Command::SubmitJob { .. } | Command::CancelJob { .. } | Command::ResealJob { .. } => None,
        Command::ReplaceJob { .. } | Command::StopReplicas { .. } => None,
        Command::CommitPlacement { .. } | Command::SetMemberAddress { .. } => None,
        Command::RaiseFeatureLevel { .. } | Command::OpenIncarnation { .. } => None,
        Command::Adopt { .. } | Command::UndrainNode { .. } | Command::ApproveNode { .. } => None,
        Command::DecommissionNode { .. } | Command::ReportFitness { .. } => None,
        Command::EvictDrained { .. } | Command::QuarantineNode { .. } => None,
        Command::ReleaseNode { .. } | Command::RegisterLandmark { .. } => None,
        Command::RemoveLandmark { .. } | Command::SubmitFix { .. } => None,
        Command::EvictDenied { .. } | Command::PutSiteKey(_) | Command::Preempt(_) => None,
        Command::SubmitRange { .. } | Command::FoundPayload(_) => None,
        Command::Countersign { .. } | Command::RecordJournal(_) => None,
        // What an approval sets going is known when it is carried out, by another one's signature.
        Command::Propose { .. } | Command::SignApproval { .. } => None,
        Command::RefuseApproval { .. } | Command::BreakGlass { .. } => None,
        Command::EndBreakGlass { .. } | Command::Login(_) | Command::UpdateSite { .. } => None,
        Command::DeletePolicy { .. } | Command::DeleteTenant { .. } => None,
        Command::SetBudget { .. } | Command::SetEscrow { .. } => None,
        // What may not stay for their sake, the leader's duty moves; it is of no one entry.
        Command::PutOffer { .. } | Command::WithdrawOffer { .. } => None,
        Command::PutReservation(_) | Command::DeleteReservation(_) => None,
        Command::Veto { .. } | Command::LiftVeto { .. } | Command::SetPowerCap { .. } => None,
    }
}

/// Whoever may read what an operation is about may know of it.
pub(crate) fn read_verb(id: &OperationId) -> Verb {
    match id {
        OperationId::Drain(..) | OperationId::Enforcement(..) | OperationId::WindDown(..) => {
            Verb::ReadFederation
        }
        OperationId::Membership(..) => Verb::ReadStatus,
    }
}

fn aim(standing: Standing) -> Aim {
    match standing {
        Standing::Voter => Aim::Voter,
        Standing::Learner => Aim::Learner,
        Standing::Removed => Aim::Removed,
    }
}

/// Placements that are not ended, and such of them as are told to stop.
fn left(state: &State, all: impl Iterator<Item = PlacementId>) -> (u32, u32) {
    let rows: Vec<_> = all.map(|id| state.placement(&id)).collect();
    let stopping = rows.iter().flatten().filter(|row| row.phase == Phase::Stopping);
    (count(rows.len()), count(stopping.count()))
}

fn told(
    id: &OperationId,
    metadata: &v1::OperationMetadata,
    done: Option<prost_types::Any>,
) -> Operation {
    Operation {
        name: id.name(),
        metadata: Some(pack(metadata)),
        done: done.is_some(),
        result: done.map(Done::Response),
    }
}

impl Core {
    fn drain(&self, state: &State, id: &NodeId, node: &Node, drain: &Drain) -> Operation {
        let shown = drain_message(state, node, drain);
        let metadata = v1::OperationMetadata {
            kind: Kind::Drain.into(),
            target: id.name(),
            revision: shown.revision,
            since_ms: shown.since_ms,
            deadline_ms: shown.deadline_ms,
            left: count(node.placements.len()),
            stopping: shown.stopping,
            waits_for: String::new(),
        };
        let done = node.placements.is_empty().then(|| pack(&self.node_message(state, id, node)));
        told(&OperationId::Drain(id.clone(), drain.revision), &metadata, done)
    }

    fn wind_down(state: &State, id: &SiteId, row: &Site) -> Operation {
        let nodes = state.nodes().filter(|(node, _)| node.site == *id);
        let (left, stopping) = left(state, nodes.flat_map(|(_, node)| &node.placements).copied());
        let metadata = v1::OperationMetadata {
            kind: Kind::WindDown.into(),
            target: id.name(),
            revision: row.revision.0,
            left,
            stopping,
            ..Default::default()
        };
        let shown = || pack(&site::message(state, id, row, site::nodes_at(state, id)));
        let done = (left == 0).then(shown);
        told(&OperationId::WindDown(id.clone(), row.revision), &metadata, done)
    }

    fn membership(&self, state: &State, id: MemberId, standing: Standing) -> Option<Operation> {
        let health = Health::of(self, state).ok()?;
        let group = &health.membership;
        let role = (group.voters.contains(&id), group.learners.contains(&id));
        let follows = match standing {
            Standing::Voter => role == (true, false),
            Standing::Learner => role == (false, true),
            Standing::Removed => role == (false, false),
        };
        let metadata = v1::OperationMetadata {
            kind: Kind::Membership.into(),
            target: id.name(),
            waits_for: group.waits.get(&id).cloned().unwrap_or_default(),
            ..Default::default()
        };
        let shown = || {
            let row = health.members().into_iter().find(|member| member.name == id.name());
            row.map_or_else(nothing, |member| pack(&member))
        };
        let done = follows.then(shown);
        Some(told(&OperationId::Membership(id, aim(standing)), &metadata, done))
    }

    /// How far these policies are enforced. Where something runs is looked through whole: beside the runtime's threads.
    async fn enforcements(
        self: &Arc<Self>,
        call: &Call,
        state: &State,
        policies: Vec<PolicyId>,
    ) -> Result<Vec<Operation>, ApiError> {
        let (core, state, readable) = (Arc::clone(self), state.clone(), readable(call, state));
        beside(move || {
            let statuses = core.enforcement(&state, &policies, &readable);
            let told = |status: v1::PolicyStatus| {
                let id = PolicyId::from_name(&status.name)?;
                Some(enforcement(&id, state.policy(&id)?, &status))
            };
            statuses.into_iter().filter_map(told).collect()
        })
        .await
    }

    /// One operation. Whoever may not know what it is about is answered as if there were none.
    pub(crate) async fn operation(
        self: &Arc<Self>,
        call: &Call,
        state: &State,
        id: &OperationId,
    ) -> Result<Operation, ApiError> {
        let none = || not_found(&id.name());
        let read = read_verb(id);
        call.may_on(state, read, read, Target::Federation, &id.name())?;
        let found = match id {
            OperationId::Drain(node, revision) => {
                let row = state.node(node).and_then(|row| Some((row, row.drain.as_ref()?)));
                let row = row.filter(|(_, drain)| drain.revision == *revision);
                row.map(|(row, drain)| self.drain(state, node, row, drain))
            }
            OperationId::WindDown(site, revision) => {
                let row = state.site(site).filter(|row| row.revoked && row.revision == *revision);
                row.map(|row| Self::wind_down(state, site, row))
            }
            OperationId::Membership(member, wanted) => {
                let standing = state.federation().and_then(|held| held.standing(*member));
                let standing = standing.filter(|standing| aim(*standing) == *wanted);
                standing.and_then(|standing| self.membership(state, *member, standing))
            }
            OperationId::Enforcement(policy, revision) => {
                let row = state.policy(policy).filter(|row| row.revision == *revision);
                row.ok_or_else(none)?;
                self.enforcements(call, state, vec![policy.clone()]).await?.pop()
            }
        };
        found.ok_or_else(none)
    }

    /// Every operation that the caller may know of, by name.
    pub(crate) async fn operations(
        self: &Arc<Self>,
        call: &Call,
        state: &State,
    ) -> Result<BTreeMap<String, Operation>, ApiError> {
        call.may(state, Verb::ReadStatus, Target::Federation)?;
        let mut all = Vec::new();
        let standings = state.federation().into_iter().flat_map(|held| &held.standings);
        all.extend(standings.filter_map(|(id, standing)| self.membership(state, *id, *standing)));
        if call.can(state, Verb::ReadFederation, Target::Federation) {
            for (id, node) in state.nodes() {
                all.extend(node.drain.as_ref().map(|drain| self.drain(state, id, node, drain)));
            }
            let revoked = state.sites().filter(|(_, row)| row.revoked);
            all.extend(revoked.map(|(id, row)| Self::wind_down(state, id, row)));
            let policies = state.policies().map(|(id, _)| id.clone()).collect();
            all.extend(self.enforcements(call, state, policies).await?);
        }
        Ok(all.into_iter().map(|operation| (operation.name.clone(), operation)).collect())
    }
}

fn enforcement(id: &PolicyId, policy: &Policy, status: &v1::PolicyStatus) -> Operation {
    let left = status.leaving.saturating_add(status.stopping);
    let metadata = v1::OperationMetadata {
        kind: Kind::Enforcement.into(),
        target: id.name(),
        revision: policy.revision.0,
        since_ms: policy.since.0,
        deadline_ms: None,
        left,
        stopping: status.stopping,
        waits_for: String::new(),
    };
    let done = (left == 0).then(|| pack(status));
    told(&OperationId::Enforcement(id.clone(), policy.revision), &metadata, done)
}
