//! Members, the state of the federation, and who is who.

use crate::call::Call;
use crate::core::{Core, federation};
use crate::status::Health;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::{self, member_service_server::MemberService};
use sekisho_types::principal::Workload;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct MemberApi(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl MemberService for MemberApi {
    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Result<Response<v1::ListMembersResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.read(&call, request.get_ref().read.as_ref()).await?;
        call.may(&state, Verb::ReadStatus, Target::Federation)?;
        let health = Health::of(&self.0, &state)?;
        Ok(Response::new(v1::ListMembersResponse {
            members: health.members(),
            term: health.membership.term,
            revision: state.revision().0,
            can_stop_quorum: health.can_stop_quorum(),
        }))
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
        let principal = call.principal();
        let roles = match principal.workload {
            Workload::User { .. } => state.roles(principal).map(ToString::to_string).collect(),
            Workload::Agent { .. } => call.agent(&state).map(|_| vec!["agent".to_owned()])?,
            Workload::Member { .. } => call.member(&state).map(|_| vec!["member".to_owned()])?,
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
