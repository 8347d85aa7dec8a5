//! `EscrowService`: slices of tenants' quotas that sites hold. One of a tenant that the caller may not read looks like none.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::command::Command;
use sekisho_fsm::escrow::{Escrow, EscrowKey};
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::escrow::SetEscrow;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::name::{EscrowId, Resource as _};
use sekisho_proto::v1::{self, escrow_service_server::EscrowService};
use sekisho_types::id::{SiteId, TenantId};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct EscrowApi(pub(crate) Arc<Core>);

pub(super) type Row<'s> = (&'s EscrowKey, &'s Escrow);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |(key, _)| name(key).into()),
        Field::new("site", Kind::Text, |((site, ..), _)| site.name().into()),
        Field::new("tenant", Kind::Text, |((_, tenant, _), _)| tenant.name().into()),
        Field::new("device_class", Kind::Text, |((.., class), _)| class.to_string().into()),
        Field::new("gpus", Kind::Number, |(_, row)| row.gpus.into()),
    ]
}

/// The name of an escrow.
pub(crate) fn name((site, tenant, class): &EscrowKey) -> String {
    EscrowId { site: site.clone(), tenant: tenant.clone(), class: class.clone() }.name()
}

pub(crate) fn message((key, row): Row<'_>) -> v1::Escrow {
    v1::Escrow {
        name: name(key),
        gpus: row.gpus,
        area: row.place.to_string(),
        etag: row.revision.to_string(),
    }
}

#[tonic::async_trait]
impl EscrowService for EscrowApi {
    async fn list_escrows(
        &self,
        request: Request<v1::ListEscrowsRequest>,
    ) -> Result<Response<v1::ListEscrowsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let site = SiteId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("escrows/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        // Sites are of the federation, what they hold is its tenant's.
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let wanted = |at: &SiteId, of: &TenantId| {
            site.as_ref().is_none_or(|site| at == site)
                && call.can(&state, Verb::ReadTenant, Target::Tenant(of))
        };
        let rows = state.escrows().filter(|((at, of, _), _)| wanted(at, of));
        let (rows, next_page_token) =
            list.take(state.revision(), rows.map(|(key, row)| (key, (key, row))));
        Ok(Response::new(v1::ListEscrowsResponse {
            escrows: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_escrow(
        &self,
        request: Request<v1::GetEscrowRequest>,
    ) -> Result<Response<v1::Escrow>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let EscrowId { site, tenant, class } = EscrowId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        call.may_on(&state, read, read, Target::Tenant(&tenant), &ask.name)?;
        state.tenant(&tenant).ok_or_else(|| not_found(&ask.name))?;
        let stands = state.site(&site).ok_or_else(|| not_found(&ask.name))?;
        let key = (site, tenant, class);
        let held = state.escrow(&key.0, &key.1, &key.2);
        Ok(Response::new(held.map_or_else(
            || v1::Escrow {
                name: name(&key),
                gpus: 0,
                area: stands.area.to_string(),
                etag: "0".to_owned(),
            },
            |row| message((&key, row)),
        )))
    }

    async fn update_escrow(
        &self,
        request: Request<v1::UpdateEscrowRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetEscrow { escrow, gpus, expected } = SetEscrow::try_from(&ask)?;
        let EscrowId { site, tenant, class } = escrow;
        call.may(&self.0.replica.state(), Verb::SetEscrow, Target::Federation)?;
        let command = Command::SetEscrow { site, tenant, class, gpus, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
