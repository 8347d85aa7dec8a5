//! Named residency policies: what they say, what a change would do, who qualifies, and how far they are enforced.

mod check;
mod enforcement;
mod plan;

use crate::admission::Admitted;
use crate::call::{Call, not_found, rejected};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Policy;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::policy::{DeletePolicy, PutPolicy};
use sekisho_proto::field::FieldError;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, policy_service_server::PolicyService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::residency::Rules;
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct PolicyApi(pub(crate) Arc<Core>);

pub(crate) fn message(id: &PolicyId, policy: &Policy) -> v1::Policy {
    v1::Policy {
        name: id.name(),
        rules: Some((&*policy.rules).into()),
        etag: policy.revision.to_string(),
        since_ms: policy.since.0,
    }
}

pub(super) type Row<'s> = (&'s PolicyId, &'s Policy);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    let tier = Kind::Word(&["T1", "T2", "T3"]);
    [
        Field::new("name", Kind::Text, |(id, _)| id.name().into()),
        Field::new("country_tier", tier, |(_, row)| row.rules.country_tier.to_string().into()),
        Field::new("area_tier", tier, |(_, row)| row.rules.area_tier.to_string().into()),
        Field::new("allow_run_to_completion", Kind::Flag, |(_, row)| {
            row.rules.allow_run_to_completion.into()
        }),
        Field::new("since_ms", Kind::Number, |(_, row)| row.since.0.into()),
    ]
}

/// What is found by looking through a whole state, beside the runtime's threads.
pub(crate) async fn beside<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(look).await;
    done.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
}

/// Tenants whose jobs the caller may read.
pub(crate) fn readable(call: &Call, state: &State) -> BTreeSet<TenantId> {
    let may = |id: &&TenantId| call.can(state, Verb::ReadTenant, Target::Tenant(id));
    state.tenants().map(|(id, _)| id).filter(may).cloned().collect()
}

/// What another policy of a tenant would do now, for whoever may read the federation and the tenant.
pub(super) async fn plan_bound(
    core: &Core,
    call: &Call,
    ask: v1::PlanTenantRequest,
) -> Result<v1::PlanPolicyResponse, Status> {
    let id = TenantId::from_field("name", &ask.name)?;
    let policy = (!ask.policy.is_empty()).then(|| PolicyId::from_field("policy", &ask.policy));
    let policy = policy.transpose()?;
    let now = core.read(call, ask.read.as_ref()).await?;
    let read = Verb::ReadFederation;
    call.may_on(&now, read, read, Target::Federation, &ask.name)?;
    let read = Verb::ReadTenant;
    call.may_on(&now, read, read, Target::Tenant(&id), &ask.name)?;
    let then = now.supposing_bound(&id, policy.as_ref());
    let then = then.map_err(|rejection| rejected(&rejection))?;
    let readable = readable(call, &now);
    let planned = beside(move || {
        let of = plan::Changed::Tenant(&id);
        plan::plan(&plan::Change { now: &now, then: &then, of, readable: &readable })
    });
    Ok(planned.await?)
}

/// The rules of a message, which must have some.
fn given(field: &str, rules: Option<&v1::Rules>) -> Result<Rules, FieldError> {
    let rules = rules.ok_or_else(|| FieldError::new(field, "must be given"))?;
    Rules::try_from(rules).map_err(|error| error.within(field))
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
        let list = List::of("policies", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let rows = state.policies().map(|(id, policy)| (id, (id, policy)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListPoliciesResponse {
            policies: rows.into_iter().map(|(id, policy)| message(id, policy)).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
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

    async fn delete_policy(
        &self,
        request: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let DeletePolicy { policy, expected } = DeletePolicy::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::DeletePolicy, Target::Federation)?;
        let command = Command::DeletePolicy { policy, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn plan_policy(
        &self,
        request: Request<v1::PlanPolicyRequest>,
    ) -> Result<Response<v1::PlanPolicyResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = PolicyId::from_field("name", &ask.name)?;
        let rules = given("rules", ask.rules.as_ref())?;
        let now = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&now, read, read, Target::Federation, &ask.name)?;
        now.policy(&id).ok_or_else(|| not_found(&ask.name))?;
        let then = now.supposing_policy(&id, &rules).map_err(|rejection| rejected(&rejection))?;
        let readable = readable(&call, &now);
        let planned = beside(move || {
            let of = plan::Changed::Policy(&id);
            plan::plan(&plan::Change { now: &now, then: &then, of, readable: &readable })
        });
        Ok(Response::new(planned.await?))
    }

    async fn list_policy_statuses(
        &self,
        request: Request<v1::ListPolicyStatusesRequest>,
    ) -> Result<Response<v1::ListPolicyStatusesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let only = (!ask.name.is_empty()).then(|| PolicyId::from_field("name", &ask.name));
        let only = only.transpose()?;
        let query = format!("policy-statuses/{}", ask.name);
        let list = List::of(&query, &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        if let Some(id) = &only {
            state.policy(id).ok_or_else(|| not_found(&ask.name))?;
        }
        let wanted = |id: &PolicyId| only.as_ref().is_none_or(|only| only == id);
        let rows = state.policies().filter(|(id, _)| wanted(id));
        let rows = rows.map(|(id, policy)| (id, (id, policy)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let policies: Vec<PolicyId> = rows.into_iter().map(|(id, _)| id.clone()).collect();
        let (core, readable) = (Arc::clone(&self.0), readable(&call, &state));
        let (revision, unreachable) = (state.revision().0, self.0.unreachable_sites(&state));
        let statuses = beside(move || core.enforcement(&state, &policies, &readable)).await?;
        let answer =
            v1::ListPolicyStatusesResponse { statuses, next_page_token, revision, unreachable };
        Ok(Response::new(answer))
    }

    async fn check_policy(
        &self,
        request: Request<v1::CheckPolicyRequest>,
    ) -> Result<Response<v1::CheckPolicyResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = (!ask.name.is_empty()).then(|| PolicyId::from_field("name", &ask.name));
        let id = id.transpose()?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let rules = match (&id, &ask.rules) {
            (Some(id), None) => {
                Rules::clone(&state.policy(id).ok_or_else(|| not_found(&ask.name))?.rules)
            }
            (None, Some(_)) => given("rules", ask.rules.as_ref())?,
            (Some(_), Some(_)) | (None, None) => {
                let must = "must be given in place of `name`, or `name` in place of them";
                return Err(FieldError::new("rules", must).into());
            }
        };
        state.check_rules(&rules).map_err(|rejection| rejected(&rejection))?;
        let token = (ask.page_size, ask.page_token);
        let checked = beside(move || check::check(&state, &rules, (token.0, &token.1)));
        Ok(Response::new(checked.await??))
    }
}
