//! `TenantService`: tenants as their readers may see them; a tenant that one may not read looks like none.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use crate::service::policy::plan_bound;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Tenant;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::tenant::{DeleteTenant, PutTenant};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::{self, tenant_service_server::TenantService};
use sekisho_types::id::TenantId;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct TenantApi(pub(crate) Arc<Core>);

pub(crate) fn message(id: &TenantId, tenant: &Tenant) -> v1::Tenant {
    v1::Tenant {
        name: id.name(),
        display_name: tenant.display_name.clone(),
        policy: policy_name(tenant),
        open_jobs: tenant.open_jobs,
        etag: tenant.revision.to_string(),
        parent: parent_name(tenant),
    }
}

pub(super) type Row<'s> = (&'s TenantId, &'s Tenant);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |(id, _)| id.name().into()),
        Field::new("display_name", Kind::Text, |(_, row)| row.display_name.as_str().into()),
        Field::new("policy", Kind::Text, |(_, row)| policy_name(row).into()),
        Field::new("parent", Kind::Text, |(_, row)| parent_name(row).into()),
        Field::new("open_jobs", Kind::Number, |(_, row)| row.open_jobs.into()),
    ]
}

fn policy_name(tenant: &Tenant) -> String {
    tenant.policy.as_ref().map(|policy| policy.name()).unwrap_or_default()
}

fn parent_name(tenant: &Tenant) -> String {
    tenant.parent.as_ref().map(|parent| parent.name()).unwrap_or_default()
}

fn command(put: PutTenant) -> Command {
    let PutTenant { tenant, display_name, policy, parent, expected } = put;
    Command::PutTenant { tenant, display_name, policy, parent, expected }
}

#[tonic::async_trait]
impl TenantService for TenantApi {
    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("tenants", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        // A list shows what the caller may read, and no more.
        let rows = state
            .tenants()
            .filter(|(id, _)| call.can(&state, Verb::ReadTenant, Target::Tenant(id)))
            .map(|(id, tenant)| (id, (id, tenant)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListTenantsResponse {
            tenants: rows.into_iter().map(|(id, tenant)| message(id, tenant)).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_tenant(
        &self,
        request: Request<v1::GetTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = TenantId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        call.may_on(&state, read, read, Target::Tenant(&id), &ask.name)?;
        let tenant = state.tenant(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&id, tenant)))
    }

    async fn plan_tenant(
        &self,
        request: Request<v1::PlanTenantRequest>,
    ) -> Result<Response<v1::PlanPolicyResponse>, Status> {
        let call = Call::of(&request)?;
        Ok(Response::new(plan_bound(&self.0, &call, request.into_inner()).await?))
    }

    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutTenant::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::CreateTenant, Target::Federation)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn update_tenant(
        &self,
        request: Request<v1::UpdateTenantRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutTenant::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::UpdateTenant, Target::Federation)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn delete_tenant(
        &self,
        request: Request<v1::DeleteTenantRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let DeleteTenant { tenant, expected } = DeleteTenant::try_from(&ask)?;
        let (state, read) = (self.0.replica.state(), Verb::ReadTenant);
        // Whoever may not read it hears that there is none.
        call.may_on(&state, read, read, Target::Tenant(&tenant), &ask.name)?;
        call.may(&state, Verb::DeleteTenant, Target::Federation)?;
        let command = Command::DeleteTenant { tenant, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
