//! Quotas and what is used of them.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Quota;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::name::{QuotaId, Resource as _};
use sekisho_proto::v1::{self, quota_service_server::QuotaService};
use sekisho_types::id::{DeviceClass, TenantId};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct QuotaApi(pub(crate) Arc<Core>);

/// A limit, and what is used of it.
pub(super) type Row<'s> = (&'s TenantId, &'s DeviceClass, &'s Quota, u64);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |(tenant, class, ..)| name(tenant, class).into()),
        Field::new("tenant", Kind::Text, |(tenant, ..)| tenant.name().into()),
        Field::new("device_class", Kind::Text, |(_, class, ..)| class.to_string().into()),
        Field::new("limit", Kind::Text, |(_, _, quota, _)| quota.limit.to_string().into()),
        Field::new("used", Kind::Number, |(.., used)| (*used).into()),
    ]
}

fn name(tenant: &TenantId, class: &DeviceClass) -> String {
    QuotaId { tenant: tenant.clone(), class: class.clone() }.name()
}

#[tonic::async_trait]
impl QuotaService for QuotaApi {
    async fn list_quotas(
        &self,
        request: Request<v1::ListQuotasRequest>,
    ) -> Result<Response<v1::ListQuotasResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let tenant = TenantId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("quotas/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        if let Some(tenant) = &tenant {
            let read = Verb::ReadTenant;
            call.may_on(&state, read, read, Target::Tenant(tenant), &ask.parent)?;
        }
        let wanted = |of: &TenantId| {
            tenant.as_ref().is_none_or(|tenant| of == tenant)
                && call.can(&state, Verb::ReadTenant, Target::Tenant(of))
        };
        let rows = state.quotas().filter(|((of, _), _)| wanted(of));
        let rows = rows.map(|(key, quota)| {
            let (tenant, class) = key;
            (key, (tenant, class, quota, state.usage(tenant, class)))
        });
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let message = |(tenant, class, quota, used): Row<'_>| v1::Quota {
            name: name(tenant, class),
            limit: quota.limit.to_string(),
            used,
            etag: quota.revision.to_string(),
        };
        Ok(Response::new(v1::ListQuotasResponse {
            quotas: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_quota(
        &self,
        request: Request<v1::GetQuotaRequest>,
    ) -> Result<Response<v1::Quota>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let QuotaId { tenant, class } = QuotaId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        call.may_on(&state, read, read, Target::Tenant(&tenant), &ask.name)?;
        state.tenant(&tenant).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(v1::Quota {
            limit: state.quota(&tenant, &class).to_string(),
            used: state.usage(&tenant, &class),
            etag: state.quota_revision(&tenant, &class).to_string(),
            name: ask.name,
        }))
    }

    async fn update_quota(
        &self,
        request: Request<v1::UpdateQuotaRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetQuota { quota: QuotaId { tenant, class }, limit, expected } =
            SetQuota::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::SetQuota, Target::Federation)?;
        let command = Command::SetQuota { tenant, class, limit, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
