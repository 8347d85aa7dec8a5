//! Named residency policies.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::page::Page;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Policy;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::policy::PutPolicy;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::{self, policy_service_server::PolicyService};
use sekisho_types::id::PolicyId;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct PolicyApi(pub(crate) Arc<Core>);

fn message(id: &PolicyId, policy: &Policy) -> v1::Policy {
    v1::Policy {
        name: id.name(),
        rules: Some((&policy.rules).into()),
        etag: policy.revision.to_string(),
    }
}

impl PolicyApi {
    async fn put(
        &self,
        call: &Call,
        intent: Option<&v1::Intent>,
        put: PutPolicy,
    ) -> Result<Response<v1::Written>, Status> {
        let intent = Intent::of(intent)?;
        call.may(&self.0.replica.state(), Verb::PutPolicy, Target::Federation)?;
        let PutPolicy { policy, rules, expected } = put;
        let admitted = Admitted::new(intent, Command::PutPolicy { policy, rules, expected });
        Ok(Response::new(self.0.write(call, admitted).await?))
    }
}

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn list_policies(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let page = Page::of("policies", ask.page_size, &ask.page_token)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let (rows, next_page_token) = page.take(state.revision(), state.policies());
        Ok(Response::new(v1::ListPoliciesResponse {
            policies: rows.into_iter().map(|(id, policy)| message(id, policy)).collect(),
            next_page_token,
            revision: state.revision().0,
        }))
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = PolicyId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let policy = state.policy(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&id, policy)))
    }

    async fn create_policy(
        &self,
        request: Request<v1::CreatePolicyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let put = PutPolicy::try_from(&ask)?;
        self.put(&call, ask.intent.as_ref(), put).await
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let put = PutPolicy::try_from(&ask)?;
        self.put(&call, ask.intent.as_ref(), put).await
    }
}
