//! Quotas and what is used of them.

use crate::admission::Admitted;
use crate::call::Call;
use crate::core::Core;
use crate::page::Page;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::name::{QuotaId, Resource as _};
use sekisho_proto::v1::{self, quota_service_server::QuotaService};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::quota::Limit;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct QuotaApi(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl QuotaService for QuotaApi {
    async fn list_quotas(
        &self,
        request: Request<v1::ListQuotasRequest>,
    ) -> Result<Response<v1::ListQuotasResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let tenant = TenantId::from_parent("parent", &ask.parent)?;
        let page = Page::of(&format!("quotas/{}", ask.parent), ask.page_size, &ask.page_token)?;
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
        let (rows, next_page_token) = page.take(state.revision(), rows);
        let message = |((tenant, class), limit): (&(TenantId, DeviceClass), &Limit)| v1::Quota {
            name: QuotaId { tenant: tenant.clone(), class: class.clone() }.name(),
            limit: limit.to_string(),
            used: state.usage(tenant, class),
        };
        Ok(Response::new(v1::ListQuotasResponse {
            quotas: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
        }))
    }

    async fn set_quota(
        &self,
        request: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetQuota { quota: QuotaId { tenant, class }, limit } = SetQuota::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::SetQuota, Target::Federation)?;
        let admitted = Admitted::new(intent, Command::SetQuota { tenant, class, limit });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
