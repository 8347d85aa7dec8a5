//! Quotas and what is used of them, by tenant, class and area.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::quota::{HoldingKey, Line};
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::name::{QuotaId, Resource as _};
use sekisho_proto::v1::{self, quota_service_server::QuotaService};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Amount};
use sekisho_types::revision::Revision;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct QuotaApi(pub(crate) Arc<Core>);

/// A row, and what is used of it.
pub(super) type Row<'s> = (&'s HoldingKey, Area, &'s Line);

/// Where a row stands in a list.
type Key = (TenantId, DeviceClass, Area);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 7] {
    [
        Field::new("name", Kind::Text, |((tenant, class), area, _)| {
            name(tenant, class, *area).into()
        }),
        Field::new("tenant", Kind::Text, |((tenant, _), ..)| tenant.name().into()),
        Field::new("device_class", Kind::Text, |((_, class), ..)| class.to_string().into()),
        Field::new("area", Kind::Text, |(_, area, _)| area.to_string().into()),
        Field::new("limit", Kind::Text, |(.., line)| allotment(line).nominal.to_string().into()),
        Field::new("used", Kind::Number, |(.., line)| line.used().into()),
        Field::new("borrowed", Kind::Number, |(.., line)| line.borrowed().into()),
    ]
}

fn name(tenant: &TenantId, class: &DeviceClass, area: Area) -> String {
    QuotaId { tenant: tenant.clone(), class: class.clone(), area }.name()
}

fn allotment(line: &Line) -> Allotment {
    line.quota.map_or(Allotment::NONE, |quota| quota.allotment)
}

/// GPUs of a tenant that sites inside an area hold.
fn escrowed(state: &State, tenant: &TenantId, class: &DeviceClass, area: Area) -> u64 {
    let of = state.escrows().filter(|((_, by, held), _)| by == tenant && held == class);
    let inside = of.filter(|(_, row)| area.contains(row.place));
    inside.fold(0u64, |sum, (_, row)| sum.saturating_add(row.gpus))
}

/// What a tenant may hold of a class in an area, and holds; none where nothing was ever set.
pub(crate) fn message(
    state: &State,
    tenant: &TenantId,
    class: &DeviceClass,
    area: Area,
) -> v1::Quota {
    let line = state.line(tenant, class, area);
    let Allotment { nominal, borrowing, lending } = allotment(&line);
    // Where nothing was set nothing is granted, whatever others have.
    let room = match line.quota {
        Some(_) => state.room(tenant, class, area),
        None => Amount::NONE,
    };
    v1::Quota {
        name: name(tenant, class, area),
        limit: nominal.to_string(),
        used: line.used(),
        etag: line.quota.map_or(Revision(0), |quota| quota.revision).to_string(),
        borrowing: borrowing.to_string(),
        lending: lending.to_string(),
        pool: line.pool().to_string(),
        borrowed: line.borrowed(),
        room: room.to_string(),
        own: line.own,
        escrowed: escrowed(state, tenant, class, area),
    }
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
        let rows = state.quotas().filter(|((of, _), ..)| wanted(of));
        let rows = rows.map(|row| {
            let ((tenant, class), area, _) = row;
            ((tenant.clone(), class.clone(), area), row)
        });
        let rows: Vec<(Key, Row<'_>)> = rows.collect();
        let keyed = rows.iter().map(|(key, row)| (key, *row));
        let (rows, next_page_token) = list.take(state.revision(), keyed);
        let message = |((tenant, class), area, _): Row<'_>| message(&state, tenant, class, area);
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
        let QuotaId { tenant, class, area } = QuotaId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        call.may_on(&state, read, read, Target::Tenant(&tenant), &ask.name)?;
        state.tenant(&tenant).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, &tenant, &class, area)))
    }

    async fn update_quota(
        &self,
        request: Request<v1::UpdateQuotaRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetQuota { quota, allotment, expected } = SetQuota::try_from(&ask)?;
        let QuotaId { tenant, class, area } = quota;
        call.may(&self.0.replica.state(), Verb::SetQuota, Target::Federation)?;
        let command = Command::SetQuota { tenant, class, area, allotment, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
