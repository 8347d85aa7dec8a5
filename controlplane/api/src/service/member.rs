//! Members, the state of the federation, and who is who.

use crate::admission::{Admitted, unanswered};
use crate::call::{Call, not_found};
use crate::core::{Core, federation};
use crate::limit::{HAND_OVER_DEADLINE, READ_DEADLINE};
use crate::list::{Field, Kind, List, wish};
use crate::status::Health;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::member::{SetMemberAddress, SetVoter};
use sekisho_proto::field::FieldError;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, member_service_server::MemberService};
use sekisho_transport::address::Address;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Workload;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct MemberApi(pub(crate) Arc<Core>);

pub(super) fn fields<'m>() -> [Field<&'m v1::Member>; 9] {
    [
        Field::new("name", Kind::Text, |row| row.name.as_str().into()),
        Field::new("operator", Kind::Text, |row| row.operator.as_str().into()),
        Field::new("site", Kind::Text, |row| row.site.as_str().into()),
        Field::new("address", Kind::Text, |row| row.address.as_str().into()),
        Field::new("leader", Kind::Flag, |row| row.leader.into()),
        Field::new("role", Kind::Word(&["voter", "learner", "none"]), |row| {
            row.role.as_str().into()
        }),
        Field::new("standing", Kind::Word(&["voter", "learner", "removed"]), |row| {
            row.standing.as_str().into()
        }),
        Field::new("reachable", Kind::Flag, |row| row.reachable.into()),
        Field::new("signed_revision", Kind::Number, |row| row.signed_revision.into()),
    ]
}

/// Who may change the members, before the log.
fn may_change(call: &Call, core: &Core) -> Result<(), ApiError> {
    call.may(&core.replica.state(), Verb::ChangeMembers, Target::Federation)
}

impl MemberApi {
    /// Refuses a set of voters of which no majority answers: the change would be committed by the old voters and leave a
    /// group that can commit nothing. Judged here and not in apply, because it is about this moment.
    fn majority_answers(&self, voters: &BTreeSet<MemberId>) -> Result<(), ApiError> {
        let heard = voters.iter().filter(|id| self.0.hears_now(**id)).count();
        if heard > voters.len() / 2 {
            return Ok(());
        }
        let why = format!("{heard} of the {} voters-to-be answer", voters.len());
        Err(ApiError::new(ErrorCode::MemberQuorumAtRisk, why))
    }

    async fn write(
        &self,
        call: &Call,
        intent: Intent,
        command: Command,
    ) -> Result<Response<v1::Written>, Status> {
        Ok(Response::new(self.0.write(call, Admitted::new(intent, command)).await?))
    }
}

impl Core {
    /// The voters of the state, everything acknowledged included: a repeat of a request that was done must find it done.
    pub(crate) async fn voters_now(&self, call: &Call) -> Result<BTreeSet<MemberId>, ApiError> {
        let read = self.replica.read_index(call.deadline(READ_DEADLINE)).await;
        read.map_err(unanswered)?;
        Ok(federation(&self.replica.state())?.voters())
    }
}

#[tonic::async_trait]
impl MemberService for MemberApi {
    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Result<Response<v1::ListMembersResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("members", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadStatus, Target::Federation)?;
        let health = Health::of(&self.0, &state)?;
        let known = |member: v1::Member| Some((MemberId::from_name(&member.name)?, member));
        let members: BTreeMap<MemberId, v1::Member> =
            health.members().into_iter().filter_map(known).collect();
        let (rows, next_page_token) = list.take(state.revision(), members.iter());
        Ok(Response::new(v1::ListMembersResponse {
            members: rows.into_iter().cloned().collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
            term: health.membership.term,
            can_stop_quorum: health.can_stop_quorum(),
        }))
    }

    async fn get_member(
        &self,
        request: Request<v1::GetMemberRequest>,
    ) -> Result<Response<v1::Member>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let name = MemberId::from_field("name", &ask.name)?.name();
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadStatus;
        call.may_on(&state, read, read, Target::Federation, &name)?;
        let members = Health::of(&self.0, &state)?.members();
        let found = members.into_iter().find(|member| member.name == name);
        Ok(Response::new(found.ok_or_else(|| not_found(&name))?))
    }

    async fn set_voter(
        &self,
        request: Request<v1::SetVoterRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetVoter { member, voter, accept_quorum_in_one_hand } = SetVoter::try_from(&ask)?;
        may_change(&call, &self.0)?;
        let mut voters = self.0.voters_now(&call).await?;
        let changes = if voter { voters.insert(member) } else { voters.remove(&member) };
        if changes && !voters.is_empty() {
            self.majority_answers(&voters)?;
        }
        let command = Command::SetVoter { member, voter, accept_quorum_in_one_hand };
        self.write(&call, intent, command).await
    }

    async fn set_member_address(
        &self,
        request: Request<v1::SetMemberAddressRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetMemberAddress { member, address } = SetMemberAddress::try_from(&ask)?;
        may_change(&call, &self.0)?;
        let dialled: Result<Address, _> = address.parse();
        dialled.map_err(|error| FieldError::new("address", error.to_string()))?;
        self.write(&call, intent, Command::SetMemberAddress { member, address }).await
    }

    /// Only the leader can: others name it, and clients go there.
    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::TransferLeaderResponse>, Status> {
        let call = Call::of(&request)?;
        let to = MemberId::from_field("name", &request.get_ref().name)?;
        let state = self.0.replica.state();
        let members = &federation(&state)?.members;
        let membership = self.0.replica.membership();
        let leader = membership.leader.and_then(|leader| members.get(&leader));
        let none = || ApiError::new(ErrorCode::NoLeader, "nobody leads who could hand over");
        let leader = leader.ok_or_else(none)?;
        call.may(&state, Verb::TransferLeader, Target::Operator(&leader.operator))?;
        if !members.contains_key(&to) {
            return Err(not_found(&to.name()).into());
        }
        if leader.member == to {
            let (leader, term) = (to.name(), membership.term);
            return Ok(Response::new(v1::TransferLeaderResponse { leader, term }));
        }
        if leader.member != self.0.identity.member {
            let why = format!("member {} leads", leader.member);
            let error = ApiError::new(ErrorCode::NoLeader, why);
            return Err(error.with("leader", leader.address.clone()).into());
        }
        tracing::info!(principal = %call.principal(), %to, "asked to hand over leadership");
        let deadline = call.deadline(HAND_OVER_DEADLINE);
        let handed = self.0.replica.hand_over(to, deadline).await.map_err(unanswered)?;
        let (leader, term) = (handed.leader.name(), handed.term);
        Ok(Response::new(v1::TransferLeaderResponse { leader, term }))
    }

    /// Always from this member's own state: it is asked most when there is no leader.
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::Status>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.replica.state();
        call.may(&state, Verb::ReadStatus, Target::Federation)?;
        Ok(Response::new(Health::of(&self.0, &state)?.status()?))
    }

    async fn hello(
        &self,
        request: Request<v1::HelloRequest>,
    ) -> Result<Response<v1::HelloResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.replica.state();
        call.in_force(&state)?;
        let principal = call.principal();
        let roles = match principal.workload {
            Workload::User { .. } => state.roles(principal).map(ToString::to_string).collect(),
            Workload::Agent { .. } => call.agent(&state).map(|_| vec!["agent".to_owned()])?,
            Workload::Member { .. } => call.member(&state).map(|_| vec!["member".to_owned()])?,
            Workload::Landmark { .. } => {
                call.landmark(&state).map(|_| vec!["landmark".to_owned()])?
            }
        };
        let federation = federation(&state)?;
        Ok(Response::new(v1::HelloResponse {
            principal: principal.to_string(),
            roles,
            member: self.0.identity.member.name(),
            cluster: federation.cluster.to_string(),
            incarnation: federation.incarnation.0,
            revision: state.revision().0,
            feature_level: state.feature_level(),
            dev: federation.dev,
        }))
    }
}
